"""Charts of supernets: agreement with the table, skips and entropy over epochs; inherited against true accuracy; as SVG.

`order` lists the strategies' specs; each has its colour of every other chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots import curves as plots_curves
from nasbench_lab.plots import style, surrogates
from nasbench_lab.plots.curves import Axis

Rows = Sequence[dict[str, Any]]


def over_epochs(rows: Rows, order: Sequence[str], title: str, axis: str, domain: tuple[float, float]) -> str:
    """A line per strategy with its interval.

    Args:
        rows: strategy, at, mean, low, high.
        order: the strategies, best first.
        title: above the chart. axis: what the values are.
        domain: what the axis spans.
    """
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("at", "mean", "low", "high"), float))
    chart = plots_curves.curves(
        frame, style.looks(order), order, x=Axis("epochs"), y=Axis(axis, domain=domain), title=title
    )
    return style.svg(chart)


def inherited_against_true(rows: Rows, order: Sequence[str], title: str) -> str:
    """A panel per strategy: accuracy with the supernet's weights against the table's; the worst tenth is left out.

    Args:
        rows: strategy, truth, score.
        order: the strategies.
        title: above the chart.
    """
    frame = pd.DataFrame(rows)
    frame = frame[frame["truth"] >= frame["truth"].quantile(0.1)]

    def panel(own: pd.DataFrame, colour: str) -> Any:
        scale = alt.Scale(zero=False)
        axis = alt.Axis(grid=False, tickCount=5)
        x = alt.X("score:Q", title="with shared weights %", scale=scale, axis=axis)
        y = alt.Y("truth:Q", title="table %", scale=scale, axis=axis)
        return alt.layer(alt.Chart(own).mark_circle(color=colour, size=14, opacity=0.6).encode(x=x, y=y))

    return surrogates.panels(frame, order, panel, title, by="strategy")
