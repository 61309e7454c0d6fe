"""What is not whole, out of range, contradictory or given twice is refused, not interpreted: by kind, wherever a user gives it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Additive, skipped_where_absent
from hypothesis import assume, given
from hypothesis import strategies as st

from nasbench_lab import api, loading
from nasbench_lab.core import LabError, Query, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.interop import objectives
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.spaces.whole import cells, real_number, whole_number, whole_numbers
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study import runner
from nasbench_lab.study.plan import _check_different, resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog

not_whole = st.one_of(
    st.floats(),
    st.floats().map(np.float64),
    st.integers(0, 3).map(float),
    st.booleans(),
    st.booleans().map(np.bool_),
    st.integers(0, 3).map(str),
    st.none(),
    st.just([1]),
    st.just(1j),
)
integers = st.sampled_from([int, np.int64, np.int32, np.uint8, np.intp])
SPACE = Space((3, 4))


@dataclasses.dataclass
class Says(RandomSearch):
    """Proposes and recommends what it is told to."""

    query: object = None
    answer: object = None

    def propose(self):
        return super().propose() if self.query is None else self.query

    def recommend(self):
        return super().recommend() if self.answer is None else self.answer


def run(strategy=None, **arguments):
    return runner.search(strategy or RandomSearch(), Additive(), **({"seed": 0, "max_queries": 3} | arguments)).records


def no_text(given: object) -> object:
    """Where a text is a label, and so is that of a number."""
    if isinstance(given, str):
        raise LabError(f"{given!r} is a text")
    return given


# What takes one whole number: given it, each returns something or raises ValueError or LabError.
TAKES_ONE: dict[str, Callable[[object], object]] = {
    "whole_number": lambda x: whole_number(x, "it"),
    "Space.index": lambda x: SPACE.index([x, 1]),
    "Space.indices": lambda x: SPACE.indices([[x, x]]),
    "Space.row": SPACE.row,
    "Space.neighbours_of": SPACE.neighbours_of,
    "Space.mutate": lambda x: SPACE.mutate(x, np.random.default_rng(0)),
    "Space(options)": lambda x: Space((x, 2)),
    "cell.from_naslib": lambda x: cell.from_naslib((x,) * 6),
    "Query.arch": lambda x: run(Says(query=Query(x, 9))),
    "Query.epochs": lambda x: run(Says(query=Query(1, x))),
    "recommend": lambda x: run(Says(answer=x if x is not None else "none")),
    "Task.fidelities": lambda x: Task(SPACE, (x,)),
    "search(seed)": lambda x: run(seed=x),
    "search(workers)": lambda x: run(workers=x),
    "api.search(seed)": lambda x: api.search("random_search", "toy", seed=x, max_queries=1),
    "Study.seeds": lambda x: Study(("a",), (StudyTask("toy"),), seeds=x),
    "Study.first_seed": lambda x: Study(("a",), (StudyTask("toy"),), first_seed=x),
    "StudyTask.simulated_workers": lambda x: StudyTask("toy", simulated_workers=x),
    "objective(seed)": lambda x: objectives.objective(Additive(), seed=x),
    "objective(cell)": lambda x: objectives.objective(Additive())(no_text(x) if not isinstance(x, list) else (x, 1, 1)),
    "objective(options)": lambda x: objectives.objective(Additive())((no_text(x), 1, 1)),
    "objective(epochs)": lambda x: objectives.objective(Additive())(1, epochs=x if x is not None else "none"),
    "truth": lambda x: Tabular(catalog.load("toy")).truth(x),
    "surrogate.fit": lambda x: loading.build("surrogates", "knn").fit([x, 1], [1.0, 2.0], space=SPACE),
    "surrogate.predict": lambda x: (
        loading.build("surrogates", "knn").fit([0, 1, 2], [1.0, 2, 3], space=SPACE).predict([x])
    ),
    "gp.predict": lambda x: loading.build("surrogates", "gp").fit([0, 1, 2], [1.0, 2, 3], space=SPACE).predict([x]),
}


@pytest.mark.parametrize("name", TAKES_ONE)
@given(value=not_whole)
def test_what_is_not_whole_is_refused(name, value):
    with pytest.raises((ValueError, LabError)):
        TAKES_ONE[name](value)


@pytest.mark.parametrize("name", TAKES_ONE)
@given(kind=integers)
def test_numpys_integers_are_as_good_as_pythons(name, kind):
    value = {"Query.epochs": 9, "objective(epochs)": 9}.get(name, 1)
    assert repr(TAKES_ONE[name](kind(value)))


@pytest.mark.parametrize("name", [name for name in TAKES_ONE if name != "whole_number"])
@given(value=st.one_of(st.integers(max_value=-2), st.integers(min_value=2**63, max_value=2**70)))
def test_what_is_out_of_range_is_refused(name, value):
    assume(value < 0 or name not in ("search(seed)", "api.search(seed)", "objective(seed)"))
    assume(value < 0 or not name.startswith(("Study", "search(", "Task.", "Space(options)")))
    with pytest.raises((ValueError, LabError)):
        TAKES_ONE[name](value)


@given(st.one_of(st.text(), st.booleans(), st.none(), st.integers(0, 9).map(str), st.just([1.0]), st.just(1j)))
def test_what_is_no_number_is_refused_where_a_number_belongs(value):
    for attempt in (
        lambda: real_number(value, "it"),
        lambda: StudyTask("toy", noise=value),
        lambda: StudyTask("toy", max_seconds=value),
        lambda: run(max_seconds=value),
        lambda: run(max_queries=value),
        lambda: Task(SPACE, (1,), max_seconds=value),
        lambda: Tabular(catalog.load("toy"), noise=value),
        lambda: run(Says(query=Query(1, 9, value))),
    ):
        with pytest.raises((ValueError, LabError)):
            attempt()


@given(st.floats(allow_nan=False), st.sampled_from([float, np.float64, np.float32]))
def test_numbers_of_any_kind_are_numbers(value, kind):
    with np.errstate(all="ignore"):
        assert real_number(kind(value), "it") == float(kind(value))


@pytest.mark.parametrize(
    "values",
    [[1, True], [[0, 1], [2, np.True_]], np.array([True]), ["1"], [1.0], np.array([2**63], np.uint64), [2**70]],
)
def test_arrays_of_whole_numbers_hold_nothing_else(values):
    with pytest.raises(ValueError, match="whole numbers"):
        whole_numbers(values, "these")


def test_no_numbers_are_whole_numbers():
    assert whole_numbers([], "none").dtype == np.int64
    with pytest.raises(ValueError, match="from 0"):
        cells([3, -1])


def test_what_a_strategy_recommends_is_a_cell():
    for answer in (6111.7, -2, 18, "3", True, np.float64(3.0)):
        with pytest.raises(runner.StrategyError, match=r"recommended .* cells are 0\.\.17, and -1"):
            run(Says(answer=answer))
    assert [type(record.incumbent) for record in run(Says(answer=np.int64(3)))] == [int] * 3


def test_an_evaluator_that_names_impossible_costs_is_refused():
    for cost in (-1.0, math.nan, math.inf):
        with pytest.raises(LabError, match="costs"):
            runner.search(RandomSearch(), Additive(cost=cost), seed=0, max_queries=3)


@pytest.mark.parametrize("name", ["score", "objectives", "sources"])
def test_what_a_study_lists_twice_is_refused(name):
    with pytest.raises(LabError, match="twice"):
        StudyTask("toy", **{name: ("val", "val")})


TWINS = [
    ["random_search", " random_search", "random_search ", "random_search:replacement=false"],
    ["regularized_evolution", "regularized_evolution:population=10", "regularized_evolution:sample=3,population=10"],
    ["gp_bo:surrogate=gp", "gp_bo:surrogate=(gp:kernel=canonical)", "gp_bo:surrogate=((gp))"],
    ["HERE/mine.py", "HERE/mine.py:Mine", "HERE/./mine.py:n=1", "HERE/link.py", "twin_mine:Mine"],
]
MINE = """
from dataclasses import dataclass
from nasbench_lab.strategies.baselines.random_search import RandomSearch
@dataclass
class Mine(RandomSearch):
    n: int = 1
"""


@pytest.mark.parametrize("twins", TWINS, ids=lambda twins: twins[0])
def test_one_strategy_under_two_names_is_refused(twins, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "twin_mine.py").symlink_to(tmp_path / "mine.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    twins = [spec.replace("HERE", str(tmp_path)) for spec in twins]
    for one, other in itertools.permutations(twins, 2):
        with pytest.raises(LabError, match="one strategy with the same parameters") as refused:
            resolve(Study((one, "local_search", other), (StudyTask("toy", max_queries=2),)))
        assert repr(one) in str(refused.value)
        assert repr(other) in str(refused.value)


def test_two_strategies_are_two(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "mine2.py").write_text(MINE)
    specs = ("random_search:replacement=true", "random_search", "gp_bo", "gp_bo:surrogate=gp")
    specs += (f"{tmp_path}/mine.py", f"{tmp_path}/mine.py:n=2", f"{tmp_path}/mine2.py")
    assert len(resolve(Study(specs, (StudyTask("toy", max_queries=2),))).groups) == len(specs)


@pytest.mark.parametrize("name", loading.leaves("strategies"))
def test_parameters_at_their_defaults_make_no_other_strategy(name):
    with skipped_where_absent():
        plain = loading.build("strategies", name)
        values = [f"{field.name}=({getattr(plain, field.name)})" for field in dataclasses.fields(plain) if field.init]
        spelled = loading.build("strategies", f"{name}:{','.join(values)}" if values else f" {name} ")
    with pytest.raises(LabError, match="one strategy"):
        _check_different({"one": plain, "other": spelled})


@pytest.mark.parametrize("name", loading.leaves("strategies"))
def test_a_tournament_of_more_than_live_is_refused(name):
    with skipped_where_absent():
        fields = {field.name for field in dataclasses.fields(loading.load("strategies", name))}
        if {"population", "sample"} <= fields:
            with pytest.raises(LabError, match="need 1 <= sample <= population, got 5 and 1"):
                loading.build("strategies", f"{name}:population=1,sample=5")


@pytest.mark.parametrize("backend", ["nope", "", "loky:1", "Loky", "threading:x", 3, None])
def test_an_engine_that_does_not_exist_is_refused_with_nothing_left_to_run_too(backend, tmp_path):
    what = {"table": "toy", "seeds": 1, "max_queries": 2, "out": tmp_path}
    api.compare("random_search", **what)
    with pytest.raises(LabError, match="engine"):
        api.compare("random_search", **what, backend=backend)


@pytest.mark.parametrize("given", [{"sources": ("toy", "toy")}, {"objectives": ("val", "params_m", "params_m")}])
def test_what_a_search_is_given_twice_is_refused(given):
    with pytest.raises(LabError, match="given twice"):
        api.search("random_search", "digits", max_queries=2, **given)


def test_noise_leaves_numbers():
    toy, surrogate = catalog.load("toy"), loading.load("evaluators", "surrogate")
    opens = [
        lambda noise: StudyTask("toy", noise=noise),
        lambda noise: api.search("random_search", "toy", max_queries=2, noise=noise),
        lambda noise: Tabular(toy, noise=noise),
        lambda noise: surrogate.open(toy, model="knn", cells="50", noise=noise),
    ]
    for open_, noise in itertools.product(opens, (1e308, 1e13, math.inf, math.nan, -1e-9)):
        with pytest.raises(LabError, match="noise"):
            open_(noise)
    assert np.isfinite(api.search("random_search", "toy", max_queries=50, noise=1e12)["val"]).all()
