"""How many optimiser steps a search with networks needs: `python benchmarks/measured/network_steps.py [seeds] [strategy ...]`.

What `bananas`, `npenas` and `pnas` have was chosen by this: regret along 200 queries of a *validation* column, mean, in units
of how far the best twentieth of the cells reaches, seeds from 10,000 on. Differences are paired, to the first variant, the
surrogate's own 250 steps. No test score is read. Needs the tables named in `COLUMNS`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from nasbench_lab import loading
from nasbench_lab.core import FloatArray, Result, Strategy, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables import catalog

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.measured.gp_bo_development import interval

QUERIES, FIRST = 200, 10_000
COLUMNS = (
    ("cifar10", 12), ("cifar10", 200), ("cifar100", 12), ("cifar100", 200), ("digits", 6), ("transnas-micro-class_scene", 1),
    ("fcnet-parkinsons_telemonitoring", 1),
)  # fmt: skip
PATHS = "mlp:features=path,targets=none,calibrated=false"
VARIANTS = {
    "bananas": [f"bananas:surrogate=({PATHS}{more})" for more in ("", ",steps=80", ",steps=60", ",steps=40")],
    "npenas": [f"npenas:surrogate=(mlp:targets=none{more})" for more in ("", ",steps=80", ",steps=60", ",steps=40")],
    "pnas": [f"pnas:surrogate=(mlp:{more})" for more in ("steps=250", "steps=80", "steps=60", "steps=60,learning_rate=0.02")],
}  # fmt: skip


def regret(strategy: Strategy, space: Space, values: FloatArray, seed: int) -> float:
    """Mean over the queries of how far the best cell so far is from the best of all."""
    strategy.start(Task(space, (200,), max_queries=QUERIES), seed)
    found = list[float]()
    for _ in range(QUERIES):
        query = strategy.ask()
        assert query is not None  # there are more cells than queries
        strategy.tell(Result(query, float(values[query.arch]), 1.0))
        found.append(float(values[query.arch]))
    best, good = values.max(), float(np.quantile(values, 0.95))
    return float((best - np.maximum.accumulate(found)).mean() / (best - good))


def main(seeds: str = "12", *names: str) -> None:
    print("| variant | column | regret | difference [95%] | ms of processor a query |\n|---|---|--:|--:|--:|")
    for table, epochs in COLUMNS:
        loaded, default = catalog.load(table), None
        values = loaded.sign * loaded.schedule(epochs).val[:, -1]
        values = np.where(np.isfinite(values), values, np.nanmin(values))
        for spec in [each for name in names or VARIANTS for each in VARIANTS[name]]:
            strategy, begin = loading.build("strategies", spec), time.process_time()
            with threadpool_limits(limits=1):
                found = np.array([regret(strategy, loaded.space, values, FIRST + s) for s in range(int(seeds))])
            each = 1e3 * (time.process_time() - begin) / QUERIES / int(seeds)
            first = spec in [variants[0] for variants in VARIANTS.values()]
            default = found if first or default is None else default
            low, high = interval(found - default)
            against = "" if first else f"{(found - default).mean():+.3f} [{low:+.3f}, {high:+.3f}]"
            print(f"| {spec} | {table}@{epochs} | {found.mean():.3f} | {against} | {each:.1f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
