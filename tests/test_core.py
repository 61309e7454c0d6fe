from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest

from nasbench_lab import core
from nasbench_lab.core import LabError, Query, Result, Strategy, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.local.local_search import LocalSearch

SPACE = Space((3, 3))


@dataclasses.dataclass
class Designed(Strategy):
    """Asks for the design stream; burns its own randomness first."""

    burn: int = 0

    def setup(self):
        self.rng.random(self.burn)

    def propose(self):
        return Query(self.design(), self.task.full)

    def observe(self, result):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fidelities": ()}, "ascending"),
        ({"fidelities": (3, 1)}, "ascending"),
        ({"fidelities": (1, 1)}, "ascending"),
        ({"fidelities": (0, 1)}, "ascending"),
        ({"objectives": ()}, "'val'"),
        ({"objectives": ("params_m",)}, "'val'"),
        ({"max_queries": 0}, "positive"),
        ({"max_seconds": math.nan}, "positive"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(**({"space": SPACE, "fidelities": (1, 3)} | arguments))


def test_an_objective_has_a_known_direction():
    assert core.direction("val") == 1
    assert core.direction("latency_ms/edgegpu") == -1
    with pytest.raises(LabError, match="beauty"):
        Task(SPACE, (1,), ("val", "beauty"))


def test_full_is_the_last_fidelity():
    assert Task(SPACE, (1, 4, 12)).full == 12


def test_there_is_no_field_for_a_test_score():
    assert Result._fields == ("query", "val", "seconds", "metrics")


def test_a_failed_result_scores_below_everything():
    assert Result(Query(0, 1), math.nan, 1.0).score == -math.inf
    assert Result(Query(0, 1), 0.0, 1.0).score == 0.0


def test_streams_depend_on_seed_and_key_alone_and_differ():
    draws = {key: core.stream(5, *key).random() for key in [(), (0,), (1,), (0, 0), (0, 1)]}
    assert len(set(draws.values())) == 5
    assert draws[(0, 1)] == core.stream(5, 0, 1).random()
    assert core.stream(5).random() != core.stream(6).random()


def test_the_design_stream_is_common_to_all_strategies_of_a_seed():
    cells = []
    for burn in (0, 7):
        strategy = Designed(burn)
        strategy.start(Task(SPACE, (1,)), seed=3)
        cells.append([strategy.ask().arch for _ in range(30)])
    assert cells[0] == cells[1]
    strategy.start(Task(SPACE, (1,)), seed=4)
    assert [strategy.ask().arch for _ in range(30)] != cells[0]


def test_the_incumbent_is_the_best_validated_cell_at_the_highest_fidelity():
    strategy = Designed()
    strategy.start(Task(SPACE, (1, 3)), seed=0)
    seen = []
    for arch, epochs, val in [
        (0, 1, 90.0),
        (1, 1, 95.0),
        (2, 3, 50.0),
        (3, 1, 99.0),
        (4, 3, 50.0),
        (5, 3, math.nan),
        (6, 3, 51.0),
        (7, 0, 99.0),
    ]:
        strategy.tell(Result(Query(arch, epochs), val, 1.0))
        seen.append(strategy.recommend())
    assert seen == [0, 1, 2, 2, 2, 2, 6, 6]


def test_nothing_is_recommended_before_a_result_and_after_a_restart():
    strategy = Designed()
    strategy.start(Task(SPACE, (1,)), seed=0)
    assert strategy.recommend() == -1
    strategy.tell(Result(Query(3, 1), 1.0, 1.0))
    strategy.start(Task(SPACE, (1,)), seed=0)
    assert strategy.recommend() == -1


def test_values_pickle():
    result = Result(Query(1, 2, 0.5), 3.0, 4.0, {"params_m": 1.0})
    assert pickle.loads(pickle.dumps(result)) == result


def test_parameters_are_the_dataclass_fields():
    assert core.parameters(Designed(2)) == {"burn": 2}
    assert core.parameters(object()) == {}


def test_noise_streams_differ_between_fidelities_not_with_call_order():
    first = core.noise_stream(1, 12).standard_normal(5)
    core.noise_stream(1, 3).standard_normal(5)
    assert np.array_equal(first, core.noise_stream(1, 12).standard_normal(5))
    assert not np.array_equal(first, core.noise_stream(1, 3).standard_normal(5))


def test_a_family_is_the_folder_the_bases_or_what_a_class_declares():
    class Mine(LocalSearch):
        pass

    class Own(LocalSearch):
        family = "own"

    class Owns(Own):
        pass

    class Plain(Strategy):
        pass

    assert [cls.family for cls in (LocalSearch, Mine, Own, Owns, Plain, Strategy)] == [
        "local", "local", "own", "own", "other", "other",
    ]  # fmt: skip
    lies = type("Lies", (Own,), {"__module__": "nasbench_lab.strategies.tree.lies"})
    assert lies.family == "tree"
