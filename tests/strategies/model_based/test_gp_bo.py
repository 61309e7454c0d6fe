from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from nasbench_lab import loading
from nasbench_lab.core import LabError, Result, Strategy, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.model_based.gp_bo import GpBo
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog

TASK = Task(cell.SPACE, (12,))


def score(arch: int) -> float:
    row = cell.ops(arch)
    return 50.0 + 6 * row.count(cell.CONV3) + 2 * row.count(cell.CONV1) - 3 * row.count(cell.NONE)


def run(strategy: Strategy, count: int, *, task: Task = TASK, seed: int = 0) -> list[int]:
    """Cells asked for, one worker."""
    strategy.start(task, seed)
    return [step(strategy) for _ in range(count)]


def step(strategy: Strategy) -> int:
    query = strategy.ask()
    assert query is not None
    strategy.tell(Result(query, score(query.arch) if strategy.task.space == cell.SPACE else float(query.arch), 1.0))
    return query.arch


@pytest.mark.parametrize(
    "spec",
    [
        "gp_bo",
        "gp_bo:acquisition=ei",
        "gp_bo:acquisition=ucb",
        "gp_bo:acquisition=thompson",
        "gp_bo:candidates=mutation",
        "gp_bo:surrogate=gp,targets=standardised",
        "gp_bo:surrogate=gp,acquisition=thompson",
    ],
)
def test_it_beats_its_design_and_repeats_nothing(spec: str) -> None:
    asked = run(loading.build("strategies", spec), 18)
    assert len(set(asked)) == 18
    assert max(score(a) for a in asked) > max(score(a) for a in asked[:2])
    assert asked == run(loading.build("strategies", spec), 18)


def test_the_first_cells_are_the_common_design() -> None:
    design = loading.build("strategies", "random_search")
    assert run(GpBo(initial=4), 4) == run(design, 4)


def test_pickled_mid_run_it_goes_on_alike() -> None:
    strategy = GpBo()
    run(strategy, 8)
    copy = pickle.loads(pickle.dumps(strategy))
    assert [step(copy) for _ in range(4)] == [step(strategy) for _ in range(4)]


def test_failures_are_tolerated() -> None:
    strategy = GpBo()
    strategy.start(TASK, 3)
    seen = set()
    for i in range(12):
        query = strategy.ask()
        assert query is not None
        assert query.arch not in seen
        seen.add(query.arch)
        strategy.tell(Result(query, float("nan") if i % 2 == 0 else score(query.arch), 1.0))
    assert strategy.recommend() >= 0


@pytest.mark.parametrize("spec", ["gp_bo", "gp_bo:surrogate=gp"])
def test_pending_cells_are_spread_out(spec: str) -> None:
    strategy = loading.build("strategies", spec)
    run(strategy, 6)
    queries = [strategy.ask() for _ in range(5)]
    assert len({query.arch for query in queries}) == 5
    for query in reversed(queries):
        strategy.tell(Result(query, score(query.arch), 1.0))
    assert step(strategy) not in {query.arch for query in queries}


def test_any_space_is_searched_to_its_end() -> None:
    task = Task(Space((2, 3, 2)), (1,))
    strategy = GpBo()
    assert sorted(run(strategy, 12, task=task)) == list(range(12))
    assert strategy.ask() is None


def test_workers_share_a_run() -> None:
    evaluator = Tabular(catalog.load("toy"))
    records = search(GpBo(), evaluator, seed=1, max_queries=15, workers=4).records
    assert len({record.result.query for record in records}) == 15


def test_it_finds_a_good_cell_of_the_toy_table() -> None:
    evaluator = Tabular(catalog.load("toy"))
    best = [search(GpBo(), evaluator, seed=s, max_queries=40).records[-1].incumbent for s in range(3)]
    values = evaluator.table.schedules[12].val[:, -1]
    assert np.mean([np.mean(values > values[arch]) for arch in best]) < 0.005


@pytest.mark.parametrize(
    "spec",
    ["gp_bo:initial=0", "gp_bo:growth=1.0", "gp_bo:acquisition=pi", "gp_bo:targets=cube", "gp_bo:candidates=all"],
)
def test_bad_parameters_are_refused(spec: str) -> None:
    with pytest.raises(LabError):
        loading.build("strategies", spec)


def test_torch_is_not_imported() -> None:
    code = (
        "import sys, nasbench_lab.strategies.model_based.gp_bo as g\n"
        "from nasbench_lab.core import Query, Result, Task\n"
        "from nasbench_lab.spaces import cell\n"
        "s = g.GpBo(); s.start(Task(cell.SPACE, (12,)), 0)\n"
        "for i in range(4): s.tell(Result(s.ask(), float(i), 1.0))\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
