"""Charts of fronts: the exact one and those that strategies reached, and hypervolume along the run."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots import style
from nasbench_lab.plots.style import svg
from nasbench_lab.stats.measures import Measure

_PERCENT = Measure()


def front(
    rows: list[dict[str, Any]], medians: list[dict[str, Any]], metric: str, title: str, measure: Measure = _PERCENT
) -> str:
    """The exact front of test scores against a metric, and the median fronts that strategies reached.

    Args:
        rows: cell, test and the metric, a row per point of the exact front.
        medians: strategy, test and the metric, a row per point; may be empty.
        metric: name of the metric; smaller is better.
        title: above the chart.
        measure: what the scores are.
    """
    names = list(dict.fromkeys(row["strategy"] for row in medians))
    exact = pd.DataFrame(rows).rename(columns={metric: "cost"})
    frame = pd.DataFrame(medians, columns=["strategy", "test", metric]).rename(columns={metric: "cost"})
    better = measure.sign * exact["test"]
    high, low, room = float(better.max()), float(better.quantile(0.25)), 0.5
    if measure.percent:
        low = min(low, high - 10.0)
    else:
        room = style.margin(low, high, 0.05)
        low -= room
    x = alt.X("cost:Q", title=metric, scale=alt.Scale(zero=False))
    y_scale = style.upwards(low, high + room, measure.sign, clamp=True)
    y = alt.Y("test:Q", title=score_of(measure), scale=y_scale, **style.written(measure))
    base = alt.Chart(exact)
    layers = [
        base.mark_line(interpolate="step-after", color="#222", strokeWidth=1).encode(x=x, y=y),
        base.mark_circle(color="#222", size=32, opacity=1).encode(x=x, y=y, tooltip=["cell:N"]),
    ]
    if names:
        colour = alt.Color("strategy:N", title="median front of", scale=_front_colours(names))
        line = alt.Chart(frame).mark_line(interpolate="step-after", strokeWidth=1.5, clip=True)
        layers.append(line.encode(x=x, y=y, color=colour))
    chart = alt.layer(*layers, title=title).properties(width=520, height=320)
    return svg(chart.configure_axis(grid=False).configure_view(stroke="#ccc"))


def score_of(measure: Measure) -> str:
    """What stands above the scores of a front: whether they are of a test, and their unit."""
    if measure.plain:
        return "test %" if measure.tested else "score %"
    return measure.axis("test" if measure.tested else "").strip()


def hypervolume_curves(curves: pd.DataFrame, title: str) -> str:
    """Share of the possible hypervolume over queries and over simulated seconds, a line and an interval per strategy.

    Args:
        curves: strategy, axis ("queries" or "seconds"), at, hypervolume_mean, hypervolume_lo, hypervolume_hi.
        title: above the chart.
    """
    names = list(dict.fromkeys(curves["strategy"]))
    low = float(curves["hypervolume_mean"].quantile(0.15))
    y_scale = alt.Scale(domain=[low, 1.0], clamp=True)
    legend = alt.Legend(symbolOpacity=1.0, symbolType="stroke")
    colour = alt.Color("strategy:N", title=None, scale=_front_colours(names), legend=legend)

    def panel(axis: str) -> Any:
        base = alt.Chart(curves[curves["axis"] == axis])
        x = alt.X("at:Q", title=axis)
        y = alt.Y("hypervolume_mean:Q", title="hypervolume reached / possible", scale=y_scale)
        known = base.transform_filter("isValid(datum.hypervolume_lo)")
        band = known.mark_area(opacity=0.2, clip=True).encode(
            x=x, y=alt.Y("hypervolume_lo:Q", scale=y_scale), y2="hypervolume_hi:Q", color=colour
        )
        line = base.mark_line(strokeWidth=1.5, clip=True).encode(x=x, y=y, color=colour)
        return alt.layer(band, line).properties(width=360, height=300)

    chart = alt.hconcat(panel("queries"), panel("seconds"), title=title)
    return svg(chart.configure_axis(grid=False).configure_view(stroke="#ccc"))


def _front_colours(names: list[str]) -> Any:
    return alt.Scale(domain=names, scheme="tableau10" if len(names) <= 10 else "tableau20")
