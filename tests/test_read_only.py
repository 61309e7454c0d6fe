"""What runs of one process share, none of them can change: found by walking, so that what is added later is found too."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import inspect
import pickle
import pkgutil
import types
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nasbench_lab
from nasbench_lab import loading
from nasbench_lab.core import NO_METRICS, LabError, Query, Result, Task
from nasbench_lab.evaluators.surrogate import Fitted
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.frozen import ReadOnly, frozen, is_frozen, thawed
from nasbench_lab.spaces.space import Space
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog
from nasbench_lab.testing.small_spaces import SPACES
from nasbench_lab.testing.strategy_kit import HashEvaluator

# What decides a record or a number of a board. What reads other formats, fetches, draws, describes or names engines does not.
ROOMS = (
    "core",
    "spaces",
    "tables",
    "surrogates",
    "evaluators",
    "strategies",
    "study",
    "training",
    "stats",
    "leaderboard",
)
NO_PART = (
    "tables.formats",
    "tables.fetching",
    "tables.describe",
    "spaces.drawing",
    "strategies.foreign._external_example",
    "study.notes",
    "study.engines",
    "training.engines",
)
ENDS = (
    "nasbench_lab.__main__",
    "nasbench_lab.strategies.foreign._external_example",
)  # what does not end when it is imported
_LEAVES = (types.ModuleType, str, bytes, int, float, np.dtype, np.random.Generator)


def modules() -> list[types.ModuleType]:
    """All of the package whose packages are installed."""
    found = []
    for info in pkgutil.walk_packages(nasbench_lab.__path__, "nasbench_lab."):
        with warnings.catch_warnings(), contextlib.suppress(ModuleNotFoundError, LabError):
            warnings.simplefilter("ignore")  # of other packages, when they are imported
            if info.name not in ENDS:
                found.append(importlib.import_module(info.name))
    return found


def decides(module: types.ModuleType) -> bool:
    """Whether a module takes part in records or numbers."""
    name = module.__name__.removeprefix("nasbench_lab.")
    return name.split(".")[0] in ROOMS and not name.startswith(NO_PART)


def roots_of(found: list[types.ModuleType]) -> dict[str, object]:
    """The globals of modules, by their full names."""
    return {f"{m.__name__}.{key}": value for m in found for key, value in vars(m).items() if not key.startswith("__")}


def ours(value: object) -> bool:
    return (getattr(value, "__module__", "") or "").startswith(("nasbench_lab", __name__))


def within(value: object) -> Iterator[tuple[str, object]]:
    """What a value holds, as far as it is ours or a container."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{i}]", item) for i, item in enumerate(value))
    elif type(value).__name__ == "_lru_cache_wrapper":
        yield from cached(value)
    elif isinstance(value, types.FunctionType) and ours(value):
        yield from ((" closure", held.cell_contents) for held in value.__closure__ or ())
        yield from (
            (" default", item) for item in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        )
    elif inspect.isclass(value) and ours(value):
        yield from (
            (f".{k}", item) for k, item in vars(value).items() if not k.startswith("__") and k != "_field_defaults"
        )
    elif ours(type(value)):
        yield from ((f".{k}", item) for k, item in getattr(value, "__dict__", {}).items())


def cached(wrapper: object) -> Iterator[tuple[str, object]]:
    """What an lru_cache keeps: in a dictionary of its own, or in links that it shows to the collector."""
    for held in gc.get_referents(wrapper):
        if type(held) is not dict and not inspect.isclass(held):
            yield " cached", held
        elif type(held) is dict and "__wrapped__" not in held:
            yield from ((f"({key!r})", item) for key, item in held.items())


def reached(roots: Mapping[str, object]) -> dict[int, tuple[str, object]]:
    """id -> how it is reached, and what it is."""
    found: dict[int, tuple[str, object]] = {}
    todo = list(roots.items())
    while todo:
        path, value = todo.pop()
        if id(value) not in found and not isinstance(value, _LEAVES):
            found[id(value)] = path, value
            todo.extend((path + step, item) for step, item in within(value))
    return found


def changeable(values: list[tuple[str, object]]) -> list[str]:
    """How to reach what can be changed: arrays that are not frozen, lists, sets, dictionaries, tensors."""
    wrong = []
    for path, value in values:
        if isinstance(value, np.ndarray):
            wrong += [f"{path} (array {value.shape})"] * (not is_frozen(value))
        elif isinstance(value, (list, set, dict, bytearray)) or type(value).__name__ in (
            "Tensor",
            "deque",
            "defaultdict",
        ):
            wrong.append(f"{path} ({type(value).__name__})")
    return sorted(wrong)


def evaluators() -> list[object]:
    toy, source = catalog.load("toy"), {"cifar10-surrogate": catalog.load("cifar10-surrogate")}
    return [
        Tabular(toy, objectives=("val", "params_m"), sources=source),
        Fitted(toy, cells=50, objectives=("val", "params_m"), sources=source),
    ]


SEARCHES = ("gp_bo", "parego", "tpe", "nasbowl", "smac_forest:surrogate=knn")
NETWORKS = ("gp_bo:surrogate=(gcn:steps=1),initial=4",) if importlib.util.find_spec("torch") else ()


def test_the_globals_and_caches_of_all_that_decides_a_record_cannot_be_changed():
    found = modules()
    assert sum(map(decides, found)) > 100
    for name in (*SEARCHES, *NETWORKS):
        queries = 6 if name in NETWORKS else 12
        runner.search(loading.build("strategies", name), evaluators()[0], seed=0, max_queries=queries)
    for space in SPACES.values():
        for name in ("gp_bo", "tpe", "reinforce", "smac_forest:surrogate=knn"):
            runner.search(loading.build("strategies", name), HashEvaluator(Task(space, (1,))), seed=0, max_queries=8)
            repr([space.levels, space.degrees, naming.parse(space, 0), naming.text(space, 0)])
    wrong = changeable(list(reached(roots_of([module for module in found if decides(module)])).values()))
    wrong += [each for each in changeable(list(reached(roots_of(found)).values())) if "(array" in each]  # anywhere
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("place", [0, 1], ids=["tabular", "surrogate"])
def test_what_two_runs_of_one_evaluator_share_cannot_be_changed(place):
    evaluator = evaluators()[place]
    for name in SEARCHES[:2]:
        runs = [loading.build("strategies", name) for _ in range(2)]
        for seed, strategy in enumerate(runs):
            runner.search(strategy, evaluator, seed=seed, max_queries=12)
        first, second = (reached({name: vars(strategy)}) for strategy in runs)
        wrong = changeable([first[key] for key in first.keys() & second.keys()])
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("place", [0, 1], ids=["tabular", "surrogate"])
def test_the_arrays_of_an_evaluator_cannot_be_changed(place):
    evaluator = evaluators()[place]
    for epochs in evaluator.task.fidelities:
        evaluator.evaluate(Query(3, epochs), 0)
    held = list(reached({"evaluator": evaluator, "seen": evaluator.seen, "truth": evaluator.table.truth}).values())
    own = (
        "evaluator._values (dict)",
        "evaluator._seconds (dict)",
        "evaluator._model.",
        "evaluator._described",
    )  # not handed out
    wrong = [path for path in changeable(held) if not path.startswith(own)]
    assert not wrong, "\n".join(wrong)


def test_the_walk_finds_what_is_not_frozen():
    class Held:
        def __init__(self):
            self.array, self.tuple, self.right = np.zeros(3), (np.zeros(2), [1]), frozen(np.zeros(3))

    found = changeable(list(reached({"x": Held()}).values()))
    assert found == ["x.array (array (3,))", "x.tuple[0] (array (2,))", "x.tuple[1] (list)"]


def test_digits_are_copied_to_tensors():
    digits = pytest.importorskip("nasbench_lab.training.digits")
    data = digits.Digits(part_size=8, held_out_size=8)
    data.part(0, 0)[0].zero_()
    data.held_out("val")[0].zero_()
    assert data.part(0, 0)[0].any()
    assert data.held_out("val")[0].any()
    assert not changeable(
        list(reached({name: vars(digits)[name] for name in ("base_images", "fixed", "_recent")}).values())
    )


@pytest.mark.parametrize(
    "attempt",
    [
        lambda space: space.choices.__setitem__((0, 0), 1),
        lambda space: np.random.default_rng(0).shuffle(space.neighbours[0]),
        lambda space: space.one_hot.sort(),
        lambda space: space.classes.setflags(write=True),
        lambda space: setattr(space.neighbours.flags, "writeable", True),
        lambda space: space.neighbours.base.setflags(write=True),
        lambda space: setattr(space, "size", 3),
        lambda space: setattr(space, "neighbours", space.neighbours[::-1]),
    ],
)
@pytest.mark.parametrize("space", [cell.SPACE, Space((2, 3))], ids=["cell", "small"])
def test_a_space_cannot_be_written_to(space, attempt):
    with pytest.raises((ValueError, AttributeError), match="read-only|WRITEABLE|readonly"):
        attempt(space)


def test_what_a_space_was_made_of_is_not_held():
    order = np.arange(6)
    space = Space((2, 3), order=order)
    order[:] = order[::-1].copy()
    assert space.row(0) == (0, 0)


def test_a_task_and_a_table_hold_what_cannot_be_changed():
    table, values = catalog.load("toy"), np.zeros(6)
    task = Task(Space((2, 3)), (1,), known={"params_m": values})
    values[0] = 1.0
    assert task.known["params_m"][0] == 0.0
    for attempt in (
        lambda: task.known.__setitem__("params_m", values),
        lambda: table.metrics.__setitem__("params_m", values),
        lambda: table.about.update(kind="measured"),
        lambda: table.schedules.clear(),
    ):
        with pytest.raises((TypeError, AttributeError)):
            attempt()


def test_the_metrics_that_a_strategy_is_told_are_the_recorded_ones():
    class Edits(type(loading.build("strategies", "random_search"))):
        def observe(self, result):
            result.metrics["params_m"] = 0.0

    with pytest.raises(TypeError, match="item assignment"):
        runner.search(Edits(), Additive(), seed=0, max_queries=3)


@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int8, np.int64, np.bool_]), hnp.array_shapes(min_dims=0, min_side=0)
    ),
    st.booleans(),
)
def test_frozen_arrays_are_equal_in_the_same_order_and_cannot_be_made_writable(array, turned):
    array = array.T if turned else array
    found = frozen(array)
    assert is_frozen(found)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
    assert found.flags.fnc == array.flags.fnc
    assert frozen(found) is found
    assert frozen(found[:1] if found.ndim else found).base is not None or found.size == 0
    if found.size:
        with pytest.raises(ValueError, match="WRITEABLE"):
            found.setflags(write=True)


def test_frozen_goes_down_into_containers_and_thawed_comes_back():
    value = {"a": [1, {"b": [2.0]}], "c": "text"}
    found = frozen(value)
    assert isinstance(found, ReadOnly)
    assert found["a"] == (1, {"b": (2.0,)})
    assert frozen(found) is found
    assert thawed(found) == value


def test_a_read_only_mapping_pickles_compares_and_stays_as_it_is():
    source = {"params_m": 1.0}
    found = ReadOnly(source)
    source["params_m"] = 2.0
    assert found == {"params_m": 1.0}
    assert pickle.loads(pickle.dumps(found)) == found
    assert repr(found) == "{'params_m': 1.0}"
    assert found | {"x": 2.0} == {"x": 2.0} | found == {"params_m": 1.0, "x": 2.0}
    with pytest.raises(AttributeError):
        found._values = {}
    assert pickle.loads(pickle.dumps(Result(Query(1, 2), 3.0, 4.0))).metrics == NO_METRICS


def test_an_array_that_a_full_cache_dropped_is_not_taken_for_one_made_later(monkeypatch):
    from functools import lru_cache

    from nasbench_lab.testing import sharing

    kept = lru_cache(maxsize=1)(lambda number: np.full(1000, number))
    monkeypatch.setattr(loading, "_kept", kept, raising=False)
    task = Task(Space((2, 3)), (1,))
    kept(0)
    for number in range(1, 20):  # memory that was given back is soon another array's
        before = sharing.contents(task)
        kept(number)
        assert sharing.written(before, sharing.contents(task)) == []
    before = sharing.contents(task)
    kept(19)[0] = 7
    assert sharing.written(before, sharing.contents(task)) == ["what nasbench_lab.loading._kept keeps"]
