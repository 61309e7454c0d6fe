"""The pictures of data cards of measured tables: sample canvases as PNG, how accuracies are distributed as SVG."""

from __future__ import annotations

import struct
import zlib

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.plots import style
from nasbench_lab.training import digits


def histogram(values: NDArray[np.float64], *, bins: int = 60, classes: int = 6466) -> str:
    """How values are distributed, as SVG.

    Args:
        values: (n,).
        bins: at most so many. classes: of the table.
    """
    counts, edges = np.histogram(values, bins=bins)
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "count": counts})
    chart = (
        alt.Chart(frame, title=f"Mean test accuracy of the {classes:,} classes")
        .mark_bar(color="#4c72b0")
        .encode(
            x=alt.X("from", title="test %", scale=alt.Scale(zero=False)), x2="to", y=alt.Y("count", title="classes")
        )
    )
    return style.svg(chart.properties(width=480, height=200).configure_axis(grid=False))


def canvases_png(per_label: int = 5, scale: int = 3, gap: int = 1) -> bytes:
    """Sample canvases, a column per label, as an 8-bit grey PNG."""
    images, labels = digits.stream(777, 0, 400, digits.Clutter())
    ink = np.clip(images[:, 0] / 3.0 + 0.2, 0, 1)
    side = ink.shape[1] + gap
    sheet = np.full((per_label * side + gap, 10 * side + gap), 0.5)
    for label in range(10):
        for row, image in enumerate(ink[labels == label][:per_label]):
            top, left = row * side + gap, label * side + gap
            sheet[top : top + side - gap, left : left + side - gap] = 1 - image
    grey = (255 * sheet).astype(np.uint8)
    return png(grey.repeat(scale, axis=0).repeat(scale, axis=1))


def png(grey: NDArray[np.uint8]) -> bytes:
    """(H, W) as a PNG file: signature, header, one zlib stream of unfiltered rows, end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
