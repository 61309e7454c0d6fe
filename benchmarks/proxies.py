"""What zero-cost scores add to a Gaussian process: `python benchmarks/proxies.py [seeds]` prints Kendall's tau with and without.

CIFAR-10 test accuracy (as the literature predicts; a search must not see it), 1,024 random cells to train on, the rest of the
9,445 cells that have all zero-cost scores held out. Needs the real table with proxies.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from nasbench_lab.core import stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.surrogates.gp import GaussianProcess
from nasbench_lab.tables import catalog


def main(seeds: int = 3) -> None:
    """Print the taus, seed by seed, and their means."""
    table = catalog.load("cifar10")
    known = Tabular(table).task.known
    proxies = [values for name, values in known.items() if name.startswith("proxy/")]
    cells = np.flatnonzero(~np.isnan(np.stack(proxies)).any(axis=0))
    print(f"{len(cells):,} cells with all of {len(proxies)} zero-cost scores")
    found = []
    for seed in range(seeds):
        order = stream(seed, 61).permutation(cells)
        train, held_out = order[:1024], order[1024:]
        with threadpool_limits(limits=1):
            without = GaussianProcess().fit(train, table.truth[train]).predict(held_out)[0]
            model = GaussianProcess(proxies=True).fit(train, table.truth[train], known=known)
            found.append(
                [kendalltau(m, table.truth[held_out]).statistic for m in (without, model.predict(held_out)[0])]
            )
        print(f"seed {seed}: without {found[-1][0]:.4f}, with {found[-1][1]:.4f}", flush=True)
    print(f"mean of {seeds}: without {np.mean(found, axis=0)[0]:.4f}, with {np.mean(found, axis=0)[1]:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
