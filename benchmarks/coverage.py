"""Prints how often the 95% intervals of the mean cover: `python benchmarks/coverage.py [TABLE]`.

Incumbents of random search (100 queries, without replacement, on validation) are drawn directly: a population of 4,000
runs gives the true mean, and samples of n runs from it their intervals; 1,000 samples for every n, binomial error.
"""

from __future__ import annotations

import sys

import numpy as np

from nasbench_lab import stats
from nasbench_lab.tables import catalog

POPULATION, SAMPLES, QUERIES = 4000, 1000, 100


def main() -> None:
    table = catalog.load(sys.argv[1] if len(sys.argv) > 1 else catalog.default())
    rng = np.random.default_rng(0)
    seen = table.schedule(table.default_search).val[:, -1]
    drawn = np.stack([rng.choice(len(seen), QUERIES, replace=False) for _ in range(POPULATION)])
    tests = table.truth[drawn[np.arange(POPULATION), seen[drawn].argmax(axis=1)]]
    print(f"{table.label}: mean {tests.mean():.3f}, sd {tests.std():.3f}, {SAMPLES} samples of n runs")
    for n in (10, 20, 50, 200):
        samples = rng.choice(tests, (n, SAMPLES))
        low, high = stats.mean_interval(samples, resamples=1000)
        hit = float(((low <= tests.mean()) & (tests.mean() <= high)).mean())
        print(f"n = {n:4d}: {100 * hit:.1f}% ± {196 * (hit * (1 - hit) / SAMPLES) ** 0.5:.1f}")


if __name__ == "__main__":
    main()
