"""Charts of a whole table: accuracy against distance to the optimum, its distribution, and its local optima."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots import style
from nasbench_lab.stats import shares
from nasbench_lab.stats.measures import Measure

_FILL = style.HUES[1].light
_PERCENT = Measure()


def distance(rows: Sequence[dict[str, Any]], *, measure: Measure = _PERCENT, title: str = "") -> Any:
    """Test scores by number of edits to the nearest optimum: 5 to 95%, the middle half, median and best; better is higher.

    Args:
        rows: distance, cells, q05, q25, q50, q75, q95, best; a row per distance.
        measure: what the scores are.
        title: above the chart.
    """
    frame = pd.DataFrame(rows)
    frame["words"] = [_at_distance(row, measure) for row in rows]
    sign = measure.sign
    high = float((sign * frame["best"]).max())
    low = high - 1.4 * (high - float((sign * frame["q25"]).min()))  # the long tail of cells that learn little is cut
    frame["q05"] = sign * (sign * frame["q05"]).clip(lower=low)
    margin = style.margin(low, high, 0.05)
    scale = style.upwards(low - margin, high + margin, sign)
    x = alt.X("distance:O", title="edits to the nearest optimum", axis=alt.Axis(labelAngle=0))

    def y(field: str) -> Any:
        return alt.Y(f"{field}:Q", title=measure.axis("test"), scale=scale, **style.written(measure))

    base, words = style.panel(frame), style.described("words")
    chart = alt.layer(
        base.mark_rule(color=_FILL, strokeWidth=1.2).encode(x=x, y=y("q05"), y2="q95:Q", description=words),
        base.mark_bar(color=_FILL, size=22, opacity=0.45).encode(x=x, y=y("q25"), y2="q75:Q", description=words),
        base.mark_tick(color=_FILL, thickness=2.5, size=22).encode(x=x, y=y("q50"), description=words),
        base.mark_point(color=style.INK, shape="diamond", size=42, filled=True, opacity=1).encode(
            x=x, y=y("best"), description=words
        ),
    ).properties(width=300, height=240)
    return style.finished(chart, title)


def distribution(edges: Sequence[float], counts: Sequence[int], *, measure: Measure = _PERCENT, title: str = "") -> Any:
    """How many cells have which test score.

    Args:
        edges: (B + 1,) of the bins.
        counts: (B,).
        measure: what the scores are.
        title: above the chart.
    """
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "count": counts})
    frame["words"] = [
        f"{c:,} cells between {measure.text(a)} and {measure.text(b)}"
        for a, b, c in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    x = alt.X(
        "from:Q",
        bin="binned",
        title=measure.axis("test"),
        scale=alt.Scale(zero=False, nice=False, domain=[edges[0], edges[-1]]),
        **style.written(measure),
    )
    bars = style.panel(frame, width=300, height=240).mark_bar(color=_FILL, stroke=style.PAPER, strokeWidth=0.4)
    chart = bars.encode(x=x, x2="to:Q", y=alt.Y("count:Q", title="cells"), description=style.described("words"))
    return style.finished(chart, title)


def local_optima(rows: Sequence[dict[str, Any]], *, measure: Measure = _PERCENT, title: str = "") -> Any:
    """Every local optimum: how many cells lead to it against its test score.

    Args:
        rows: cell, test, basin (share of all cells from which local search ends there), best (whether a global optimum).
        measure: what the scores are.
        title: above the chart.
    """
    found = [row | {"words": _leads(row, measure)} for row in rows]
    frame = pd.DataFrame(found).drop_duplicates(["test", "basin"])  # where cells tie, one mark stands for all under it
    low, high = float(frame["test"].min()), float(frame["test"].max())
    margin = style.margin(low, high, 0.06)
    x = alt.X(
        "test:Q",
        title=measure.axis("test"),
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False),
        **style.written(measure, tickCount=6),
    )
    top = float(frame["basin"].max())
    decades = [10.0**k for k in range(-5, 1) if frame["basin"].min() / 3 <= 10.0**k <= top * 2]
    y = alt.Y(
        "basin:Q",
        title="share of cells leading to it",
        scale=alt.Scale(type="log", domain=[float(frame["basin"].min()) / 2, min(1.0, top * 2)], nice=False),
        axis=alt.Axis(values=decades, format="~%"),
    )
    shade = alt.condition("datum.best", alt.value(style.HUES[2].light), alt.value(_FILL))
    shape = alt.condition("datum.best", alt.value("diamond"), alt.value("circle"))
    marks = style.panel(frame, width=300, height=240).mark_point(filled=True, opacity=0.9, size=52)
    chart = marks.encode(x=x, y=y, color=shade, shape=shape, description=style.described("words"))
    return style.finished(chart, title)


def _at_distance(row: dict[str, Any], measure: Measure) -> str:
    median, best = measure.text(row["q50"]), measure.text(row["best"])
    return f"{row['cells']:,} cells {row['distance']} edits away: median {median}, best {best}"


def _leads(row: dict[str, Any], measure: Measure) -> str:
    basin = shares.percent(row["basin"], 2)
    return f"cell {row['cell']}: {measure.text(row['test'])}, {basin} of all cells lead there"
