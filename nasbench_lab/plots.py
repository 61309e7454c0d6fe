"""Arrays -> charts, as SVG text: altair describes them, vl-convert draws them, both offline."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

_COLOURS = alt.Scale(range=["#c44e52", "#4c72b0", "#55a868"])


def _svg(chart: Any) -> str:
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def predicted_against_measured(rows: list[dict[str, Any]], title: str) -> str:
    """Two panels, validation and test: a point per cell, its intervals, and the diagonal on which both agree.

    Args:
        rows: score, group, predicted, measured, x_lo, x_hi, y_lo, y_hi; a row per cell and score.
        title: above the chart.
    """
    frame = pd.DataFrame(rows)
    panels = [_agreement(frame[frame["score"] == score], str(score)) for score in frame["score"].unique()]
    return _svg(alt.hconcat(*panels, title=title).configure_axis(grid=False).configure_view(stroke="#ccc"))


def _agreement(frame: pd.DataFrame, score: str) -> Any:
    low, high = float(frame[["x_lo", "y_lo"]].min().min()), float(frame[["x_hi", "y_hi"]].max().max())
    axis = alt.Scale(domain=[low, high], nice=False, zero=False)
    x, y = (
        alt.X("predicted", title=f"table {score} %", scale=axis),
        alt.Y("measured", title=f"new {score} %", scale=axis),
    )
    colour = alt.Color("group", scale=_COLOURS, title=None)
    base = alt.Chart(frame)
    diagonal = (
        alt.Chart(pd.DataFrame({"a": [low, high]})).mark_line(color="#999", strokeDash=[4, 3]).encode(x="a", y="a")
    )
    return alt.layer(
        diagonal,
        base.mark_rule(opacity=0.5).encode(x=alt.X("x_lo", scale=axis), x2="x_hi", y=y, color=colour),
        base.mark_rule(opacity=0.5).encode(x=x, y=alt.Y("y_lo", scale=axis), y2="y_hi", color=colour),
        base.mark_circle(size=28, opacity=1).encode(x=x, y=y, color=colour, tooltip=["arch"]),
    ).properties(width=300, height=300)


def histogram(values: Any, title: str, axis: str, *, bins: int = 60) -> str:
    """How values are distributed.

    Args:
        values: (n,).
        title: above the chart. axis: what the values are.
        bins: at most so many.
    """
    import numpy as np

    counts, edges = np.histogram(np.asarray(values, dtype=np.float64), bins=bins)
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "count": counts})
    chart = (
        alt.Chart(frame, title=title)
        .mark_bar(color="#4c72b0")
        .encode(x=alt.X("from", title=axis, scale=alt.Scale(zero=False)), x2="to", y=alt.Y("count", title="classes"))
    )
    return _svg(chart.properties(width=480, height=200).configure_axis(grid=False))
