"""What `gp_bo`'s settings were chosen by: `python benchmarks/measured/gp_bo_development.py [seeds] [first seed] [spec ...]`.

Queries until the maximum of a *validation* column is found, seeds from 10,000 on; columns CIFAR-10 and CIFAR-100 at 12
and 200 epochs, and per schedule the sum of both datasets' ranks (of the original two sums no more is known than that
they were sums of ranks). No test accuracy is read. A search that has not found it after `LIMIT` queries counts with
them. Settings are changed one at a time from the defaults, but for the features, which were compared with 10 initial cells.

What today's parameters cannot say: one initial cell (the shared loop fits nothing to a single score, so 1 is 2), latent
instead of predictive spread, the prior's medians and widths, the weight of `structure` (constants of `surrogates/gp`,
`_likelihood` and `_canonical`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from nasbench_lab import loading
from nasbench_lab.core import FloatArray, Result, Strategy, Task, stream
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog

LIMIT, DRAWS = 200, 10_000
VARIANTS = {
    "gp_bo": "the defaults",
    "gp_bo:initial=10": "10 initial cells",
    "gp_bo:initial=10,surrogate=(gp:targets=none,spent=0,kernel=canonical3)": "features: op and path counts, 10 initial cells",
    "gp_bo:initial=4": "4 initial cells",
    "gp_bo:targets=standardised": "targets: standardised",
    "gp_bo:targets=winsorised": "targets: winsorised",
    "gp_bo:targets=rank_gauss": "targets: rank_gauss",
    "gp_bo:targets=logit": "targets: logit",
    "gp_bo:targets=log_error": "targets: log_error",
}


def columns() -> Iterator[tuple[str, FloatArray]]:
    """What is searched, by name; (N,) each."""
    for epochs in (12, 200):
        own = {name: catalog.load(name).schedule(epochs).val[:, -1] for name in ("cifar10", "cifar100")}
        for name, values in own.items():
            yield f"{name}@{epochs}", values
        ranks = np.stack([rankdata(values) for values in own.values()])
        yield f"ranks@{epochs}", 100.0 * ranks.mean(axis=0) / cell.SPACE.size


def queries(strategy: Strategy, values: FloatArray, seed: int) -> int:
    """Queries until a best cell was asked for, `LIMIT` if it never was."""
    task, best = Task(cell.SPACE, (200,), max_queries=LIMIT), values.max()
    strategy.start(task, seed)
    for count in range(1, LIMIT + 1):
        query = strategy.ask()
        assert query is not None  # there are more cells than queries
        if values[query.arch] == best:
            return count
        strategy.tell(Result(query, float(values[query.arch]), 1.0))
    return LIMIT


def interval(differences: FloatArray) -> tuple[float, float]:
    """95%, percentile bootstrap over seeds."""
    drawn = stream(0, 9).integers(len(differences), size=(DRAWS, len(differences)))
    low, high = np.quantile(differences[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def main(seeds: str = "8", first: str = "10000", *specs: str) -> None:
    searched = dict(columns())
    print(
        f"mean queries to the maximum of a validation column, {seeds} seeds from {first} on, at most {LIMIT} counted\n"
    )
    print(f"| variant | mean | difference [95%] | {' | '.join(searched)} |\n|---|--:|--:|{'--:|' * len(searched)}")
    default = None
    for spec in specs or VARIANTS:
        strategy = loading.build("strategies", spec)
        with threadpool_limits(limits=1):
            found = np.array(
                [[queries(strategy, v, int(first) + s) for v in searched.values()] for s in range(int(seeds))]
            )
        mean = found.mean(axis=1)  # of a seed over the columns
        default = mean if default is None else default
        low, high = interval(mean - default)
        against = "" if mean is default else f"{(mean - default).mean():+.1f} [{low:+.1f}, {high:+.1f}]"
        by = " | ".join(f"{each:.1f}" for each in found.mean(axis=0))
        print(f"| {VARIANTS.get(spec, spec)} | {mean.mean():.1f} | {against} | {by} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
