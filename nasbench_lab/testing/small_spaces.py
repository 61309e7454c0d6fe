"""Small spaces of every kind, on which the conformance kits run what works on any space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.spaces.space import Space

PRODUCT = Space((2, 3, 2))
_WIDTHS, _RATES = (16, 32, 64, 128), (0.0003, 0.003, 0.03)
_ALONE = (2, 2, 2)  # two decisions or more away from every other cell


def _listed() -> Space:
    rows = [row for row in np.ndindex(3, 3, 3) if sum(row) < 3 or row == _ALONE]
    return Space((3, 3, 3), listed=np.array(rows), name="listed")


SPACES: Mapping[str, Space] = ReadOnly(
    {
        "a product": PRODUCT,
        "ordered decisions, one of them without a choice": Space(
            [
                Decision("width", _WIDTHS, ordered=True),
                Decision("rate", _RATES, ordered=True),
                Decision("activation", ("relu", "tanh")),
                Decision("loss", ("mse",)),
            ],
            name="ordered",
        ),
        "a listed space with a cell that has no neighbours": _listed(),
        "a single cell": Space((1,), name="single"),
    }
)
