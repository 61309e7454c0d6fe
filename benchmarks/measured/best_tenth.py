"""How often 90% intervals hold where a search asks: `python benchmarks/measured/best_tenth.py TABLE [SURROGATE ...]`.

The validation scores of a table's first schedule, cells with rows of their own only; splits and fits have seeds from 10,000
on, which no board has. Prints, per surrogate and number of training cells, the share of 3,000 held-out scores (all there are,
if fewer) within the interval, that of the tenth predicted to be the best, Kendall's tau and the mean width. On these columns
it was chosen how `forest`, `gbdt` and `gp` are calibrated there; docs/statistics.md has what boards say. Run it at an
older commit to see what was before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from scipy.stats import kendalltau

from nasbench_lab import loading
from nasbench_lab.core import LabError
from nasbench_lab.spaces import encodings
from nasbench_lab.tables import catalog

COUNTS, SPLITS, FIRST, HELD_OUT = (50, 100, 200, 400), 10, 10_000, 3_000
SURROGATES = ("gp", "forest", "gbdt", "mlp", "sklearn.ensemble:ExtraTreesRegressor")


def main(name: str, specs: Sequence[str]) -> None:
    """Print a line per surrogate and number of cells."""
    table = catalog.load(name)
    y = table.sign * table.schedules[min(table.schedules)].val[:, -1]
    own = np.unique(encodings.rows("structure_paths", table.space).row_of, return_index=True)[1]
    print(f"{'surrogate':<40}{'cells':>6}{'in 90%':>8}{'best tenth':>16}{'tau':>7}{'width':>10}")
    for spec in specs:
        for count in (count for count in COUNTS if 2 * count <= len(own)):
            found = []
            for seed in range(FIRST, FIRST + SPLITS):
                order = np.random.default_rng(seed).permutation(own)
                train, asked = order[:count], order[count : count + HELD_OUT]
                model = loading.build("surrogates", spec)
                model.fit(train, y[train], np.random.default_rng(seed), space=table.space)
                low, middle, high = model.quantiles(asked, (0.05, 0.5, 0.95))
                inside = (low <= y[asked]) & (y[asked] <= high)
                best = np.argsort(-middle, kind="stable")[: max(len(asked) // 10, 1)]
                tau = kendalltau(middle, y[asked]).statistic
                found.append((inside.mean(), inside[best].mean(), tau, (high - low).mean()))
            every, there, tau, width = np.mean(found, axis=0)
            half = 1.96 * np.std([each[1] for each in found], ddof=1) / np.sqrt(SPLITS)
            print(f"{spec:<40}{count:>6}{every:>8.3f}{there:>8.3f} ± {half:.3f}{tau:>7.3f}{width:>10.4g}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.partition("\n")[0])
    try:
        main(sys.argv[1], sys.argv[2:] or SURROGATES)
    except LabError as error:
        sys.exit(str(error))
