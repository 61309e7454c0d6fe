"""Speed of Gaussian-process search and of surrogates; ratios are of pairs measured in one run. `nox -s bench` runs it.

The comparison is the loop as botorch's tutorials write it: a `SingleTaskGP` on one-hot cells fitted anew with
`fit_gpytorch_mll` for every query, `LogExpectedImprovement` over all cells not yet asked for (one per class: 6,466),
its argmax the next query. Ours is `gp_bo` as shipped, and with the same one-hot kernel; a step is the mean over the
steps from n to n + 20, so that refits, which come on a schedule, count with their
share. One thread throughout; seconds of a step are CPU seconds, which a busy machine does not change much.
"""

from __future__ import annotations

import warnings
from time import process_time

import numpy as np
import pytest

from nasbench_lab import loading
from nasbench_lab.core import Query, Result, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog

TABLE = catalog.load("digits")
SCORES = TABLE.last.val[:, -1]
SIZES = (20, 50, 100, 200)
POOL = np.unique(cell.representatives())
ONE_HOT = "gp_bo:surrogate=(gp:kernel=one_hot,targets=none,spent=0)"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def cells(n: int) -> list[int]:
    """Random classes' first members."""
    return [int(a) for a in np.random.default_rng(n).choice(POOL, n, replace=False)]


def ours(spec: str, n: int, steps: int = 20) -> float:
    """Seconds of a step after n results."""
    strategy = loading.build("strategies", spec)
    strategy.start(Task(cell.SPACE, (TABLE.last.epochs[-1],), max_queries=n + steps), 0)
    for arch in cells(n):  # told, as if they had been asked for
        strategy.tell(Result(Query(arch, strategy.task.full), float(SCORES[arch]), 1.0))
        strategy._asked[arch] = True
    strategy.ask()  # the first step fits everything at once
    begin = process_time()
    for _ in range(steps):
        query = strategy.ask()
        strategy.tell(Result(query, float(SCORES[query.arch]), 1.0))
    return (process_time() - begin) / steps


def botorch_step(n: int) -> float:
    """Seconds of one step of the usual loop with n observations."""
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.exceptions import InputDataWarning
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    seen = cells(n)
    x = torch.tensor(cell.SPACE.one_hot[seen])
    y = torch.tensor(SCORES[seen])[:, None]
    rest = torch.tensor(cell.SPACE.one_hot[np.setdiff1d(POOL, seen)])
    begin = process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        model = SingleTaskGP(x, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = LogExpectedImprovement(model, best_f=y.max())
        with torch.no_grad():
            values = torch.cat([acquisition(block[:, None, :]) for block in rest.split(1024)])
    assert 0 <= int(values.argmax()) < len(rest)
    return process_time() - begin


@pytest.mark.benchmark(group="a query of Bayesian optimisation after n results (mark: 300x)")
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("spec", ["gp_bo", ONE_HOT], ids=["canonical", "one_hot"])
def test_step_against_botorch(benchmark, spec: str, n: int) -> None:
    botorch_step(5), ours(spec, 5, 3)  # imports and first calls
    pairs = [(botorch_step(n), ours(spec, n)) for _ in range(3)]
    ratios = [theirs / mine for theirs, mine in pairs]
    benchmark.extra_info["botorch_seconds"] = round(float(np.median([a for a, _ in pairs])), 3)
    benchmark.extra_info["ours_ms"] = round(1e3 * float(np.median([b for _, b in pairs])), 2)
    benchmark.extra_info["ratio"] = [round(float(np.quantile(ratios, q))) for q in (0, 0.5, 1)]
    benchmark.pedantic(lambda: ours(spec, n), rounds=1)


@pytest.mark.benchmark(group="a whole run of gp_bo, 200 queries (mark: 1.5 s)")
def test_run(benchmark) -> None:
    evaluator = Tabular(TABLE)
    runner.search(loading.build("strategies", "gp_bo"), evaluator, seed=1, max_queries=30)
    benchmark.pedantic(
        lambda: runner.search(loading.build("strategies", "gp_bo"), evaluator, seed=0, max_queries=200), rounds=5
    )


@pytest.mark.benchmark(group="mean and std of all 15,625 cells after n results (mark: 20 ms for gp at 200 and mlp)")
@pytest.mark.parametrize("n", [50, 200, 800])
@pytest.mark.parametrize("name", loading.names("surrogates"))
def test_predict_everything(benchmark, name: str, n: int) -> None:
    model = loading.build("surrogates", name)
    archs, everything = np.array(cells(n)), np.arange(cell.SPACE.size)
    model.fit(archs, SCORES[archs], np.random.default_rng(0))

    def fresh() -> None:
        if name == "gp":  # what it keeps between questions is not counted
            model._posterior = None
        model.predict(everything)

    benchmark.pedantic(fresh, rounds=9, warmup_rounds=1)


@pytest.mark.benchmark(group="the posterior of a pool of M rows, one more observation after 200: O(n M)")
@pytest.mark.parametrize("rows", [1000, 5000, 15_000])
def test_growth_with_the_pool(benchmark, rows: int) -> None:
    from nasbench_lab.surrogates._kernels import Part
    from nasbench_lab.surrogates._pool_gp import PoolGP

    features = np.random.default_rng(0).normal(size=(rows, 24))
    model = PoolGP([Part("made", features, ard=True)])
    model.extend(list(range(200)))
    model.set_targets(features[:200, 0])
    count = iter(range(200, 10**6))

    def one_more() -> None:
        model.add(next(count))
        model.set_targets(features[: len(model.rows), 0])
        model.posterior()

    benchmark.pedantic(one_more, rounds=15, warmup_rounds=2)
