"""The `toy` table: synthetic scores with the shape of a cell benchmark, for unit tests and first steps.

Not measured: a formula on the cell's live operations plus seeded noise. Two trials, three epochs of one run, one row
per isomorphism class. `python -m nasbench_lab.tables.synthetic` writes the embedded file anew.
"""

from __future__ import annotations

import numpy as np

from nasbench_lab.core import stream
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.tables.catalog import EMBEDDED
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

_GAIN = frozen(np.array([0.0, 4.0, 9.0, 14.0, 3.0]))  # per live edge, by op
_EDGE = frozen(np.array([1.0, 0.7, 0.9, 1.3, 0.8, 1.1]))
_EPOCHS = (1, 4, 12)


def make_toy() -> Table:
    """The synthetic table; the same bits every time."""
    rng = stream(201, 1)
    live = cell.live_choices()
    quality = (_GAIN[live] * _EDGE).sum(axis=1)
    skip_beside_conv = ((live == cell.SKIP).any(axis=1) & (live == cell.CONV3).any(axis=1)) * 9.0
    many_pools = np.maximum((live == cell.POOL).sum(axis=1) - 1, 0) * 2.5
    disconnected = cell.op_counts(live=True)[:, cell.NONE] == len(cell.EDGES)
    level = 40.0 + 52.0 * (1 - np.exp(-(quality + skip_beside_conv - many_pools) / 28.0))
    first = np.unique(cell.representatives())
    level = np.where(disconnected, 10.0, level)[first]
    level = level + rng.normal(0, 0.8, cell.CLASSES) * ~disconnected[first]  # what no formula explains
    progress = np.array([0.62, 0.85, 1.0])
    trials = level[:, None, None] * progress[:, None] + rng.normal(0, 0.6, (cell.CLASSES, len(_EPOCHS), 2))
    trials = np.round(np.clip(trials, 0, 100), 2)
    test = np.round(np.clip(level[:, None] + rng.normal(0, 0.3, (cell.CLASSES, 2)), 0, 100), 2)
    per_epoch = 2.0 + 0.1 * cell.flops_m("cifar10")[first]
    seconds = np.round(per_epoch[:, None] * np.array(_EPOCHS) + 1.0, 3)
    classes = cell.SPACE.classes
    schedule = Schedule(
        epochs=_EPOCHS,
        val=np.round(trials.mean(axis=2), 3)[classes],
        val_trials=trials[classes],
        test=np.round(test.mean(axis=1), 3)[classes],
        test_trials=test[classes],
        seconds=seconds[classes],
    )
    about = {
        "title": "synthetic scores for unit tests; nothing was trained",
        "kind": "synthetic",
        "rows": "class",
        "source": "python -m nasbench_lab.tables.synthetic",
        "licence": "MIT",
        "dataset": "none",
        "units": {"val": "percent", "test": "percent", "seconds": "made up"},
    }
    params = {"params_m": np.round(cell.params_m("cifar10")[first], 6)[classes]}
    return Table("toy", {_EPOCHS[-1]: schedule}, params, about).check()


if __name__ == "__main__":
    table = make_toy()
    print(table.save(EMBEDDED / "toy.npz", compress=True), table.digest)
