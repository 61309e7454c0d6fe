"""The chart of validation by training: what a table says of cells against what they scored anew."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots.style import svg

_COLOURS = alt.Scale(range=["#c44e52", "#4c72b0", "#55a868"])


def predicted_against_measured(rows: list[dict[str, Any]], title: str) -> str:
    """Two panels, validation and test: a point per cell, its intervals, and the diagonal on which both agree.

    Args:
        rows: score, group, predicted, measured, x_lo, x_hi, y_lo, y_hi; a row per cell and score.
        title: above the chart.
    """
    frame = pd.DataFrame(rows)
    panels = [_agreement(frame[frame["score"] == score], str(score)) for score in frame["score"].unique()]
    return svg(alt.hconcat(*panels, title=title).configure_axis(grid=False).configure_view(stroke="#ccc"))


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
