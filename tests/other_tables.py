"""Small tables of other kinds than NAS-Bench-201's: an error of 1e-7 over a product, without test scores and epochs; a loss
over listed chains; an SSIM between 0 and 1 over four-node cells of four operations. And accuracies of the space `chain`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_lab.spaces import cells, chain
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.table import Schedule, Table

UNIT = "mean squared error"
SIZES = Space(
    [
        Decision("width", (16, 32, 64), ordered=True),
        Decision("rate", (0.001, 0.01, 0.1), ordered=True),
        Decision("activation", ("relu", "tanh", "gelu")),
        Decision("loss <x>", ("mse", "mae")),
    ],
    name="sizes",
)
CHAINS = Space(
    [Decision(f"stage {i}", ("none", "conv", "pool")) for i in range(4)],
    listed=np.array([row for row in np.ndindex(3, 3, 3, 3) if row[2] or not row[3]]),
    name="chains",
)
CELLS = cells.make({"none": "none", "skip": "skip", "c1": "1x1", "c3": "3x3"}, name="four")


def made(name: str, space: Space, values: Any, unit: str, better: str, **about: Any) -> Table:
    """A table of (A, 2) values: the search sees the first trial, the second is the score; cost 1 to 2."""
    val, test, count = values[:, :1], values[:, 1], space.size
    seconds = 1 + np.linspace(0, 1, count)[:, None]
    schedule = Schedule((1,), val, test, seconds, val[:, :, None], test[:, None])
    about = {"dataset": name, "counts_epochs": False, "source": "made up", **about}
    size = 1.0 + np.arange(count) % 7
    return Table(name, {1: schedule}, {"params_m": size}, about, space, unit, better).check()


def scores(space: Space, seed: int = 0) -> Any:
    """(A, 2) in 0..1, larger is better; every option has a worth."""
    rng = np.random.default_rng(seed)
    worth = space.one_hot @ rng.uniform(0, 1, space.one_hot.shape[1])
    worth = (worth - worth.min()) / np.ptp(worth)
    return 0.9 * worth[:, None] + 0.1 * rng.uniform(0, 1, (space.size, 2))


TABLES = {
    "sizes": lambda: made(
        "sizes", SIZES, 1e-7 * (1.5 - scores(SIZES)), UNIT, "lower", scored="trial 2; search sees trial 1"
    ),
    "chains": lambda: made("chains", CHAINS, 3.0 - 2 * scores(CHAINS), "nats", "lower"),
    "ssim": lambda: made("ssim", CELLS, 0.3 + 0.6 * scores(CELLS)[CELLS.representatives], "SSIM", "higher"),
}


def trainable() -> Table:
    """Made-up accuracies of digits for the space `chain`, whose configurations can be trained."""
    space = chain.space()
    return made("trainable", space, 10 + 80 * scores(space)[space.representatives], "%", "higher", dataset="digits")


STRATEGIES = ("random_search", "local_search", "regularized_evolution")
