"""How cost grows with a space: loop, neighbours and `gp_bo` on 4,096, 15,625 and 62,208 rows of scores from hashes.

4,096 and 62,208 are products of TransNAS-Bench-101's micro and FC-Net's shape, unordered and ordered; 15,625 is the
NAS-Bench-201 cell. Marks at 62,208 rows: 200 queries of `gp_bo` in 8 s and 1 GB on one core, in a fresh process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from time import process_time

import pytest

from nasbench_lab import loading
from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.study import runner
from nasbench_lab.testing.strategy_kit import HashEvaluator


def micro() -> Space:
    """4,096 rows: six unordered decisions of four options."""
    return Space([Decision(f"edge {i}", ("none", "skip", "1x1", "3x3")) for i in range(6)])


def joint() -> Space:
    """62,208 rows: nine decisions on architecture and training, six of them numbers."""
    units, dropout, act = (16, 32, 64, 128, 256, 512), (0.0, 0.3, 0.6), ("relu", "tanh")
    named = {"units 1": units, "units 2": units, "dropout 1": dropout, "dropout 2": dropout, "batch": (8, 16, 32, 64)}
    named |= {"rate": (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1)}
    ordered = [Decision(name, options, ordered=True) for name, options in named.items()]
    return Space([*ordered, Decision("act 1", act), Decision("act 2", act), Decision("schedule", ("cosine", "const"))])


SPACES = {4_096: micro, 15_625: lambda: cell.SPACE, 62_208: joint}


@pytest.mark.benchmark(group="neighbours of all cells")
@pytest.mark.parametrize("rows", SPACES)
def test_neighbours(benchmark, rows: int) -> None:
    decisions = SPACES[rows]().decisions
    found = benchmark.pedantic(lambda space: space.neighbours, setup=lambda: ((Space(decisions),), {}), rounds=5)
    assert len(found) == rows


@pytest.mark.benchmark(group="loop: 1,000 queries of regularized_evolution")
@pytest.mark.parametrize("rows", SPACES)
def test_loop(benchmark, rows: int) -> None:
    evaluator = HashEvaluator(Task(SPACES[rows](), (1,)))
    strategy = loading.build("strategies", "regularized_evolution")
    benchmark.pedantic(lambda: runner.search(strategy, evaluator, seed=0, max_queries=1000), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="gp_bo: 200 queries in a fresh process (marks at 62,208 rows: 8 s, 1 GB)")
@pytest.mark.parametrize("rows", SPACES)
def test_gp_bo(benchmark, rows: int) -> None:
    found = benchmark.pedantic(_in_a_process, args=(rows,), rounds=1)
    benchmark.extra_info.update(found)
    assert found["seconds"] <= 8
    assert found["gigabytes"] <= 1


def _in_a_process(rows: int) -> dict[str, float]:
    """Processor seconds and gigabytes of a process of its own, whose memory is this alone."""
    run = subprocess.run([sys.executable, __file__, str(rows)], capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in json.loads(run.stdout).items()}


def searched(rows: int) -> dict[str, float]:
    """The search itself; loading the package and making the space are not counted."""
    from threadpoolctl import threadpool_limits

    evaluator = HashEvaluator(Task(SPACES[rows](), (1,)))
    strategy = loading.build("strategies", "gp_bo")
    with threadpool_limits(limits=1):
        runner.search(strategy, evaluator, seed=1, max_queries=3)
        begin = process_time()
        runner.search(strategy, evaluator, seed=0, max_queries=200)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": process_time() - begin, "gigabytes": used / 2**20}


if __name__ == "__main__":
    print(json.dumps(searched(int(sys.argv[1]))))
