"""Charts of how good surrogates are: order over training cells, calibration, predicted against true; as SVG text.

`order` lists the surrogates' specs; each has the same colour and short name in every chart of an assessment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots import style

Rows = Sequence[dict[str, Any]]
_PER_ROW, _SIDE = 4, 170  # panels side by side, and the side of one in pixels
_WIDTH, _HEIGHT, _LINE = 460, 340, 13  # of the chart over training cells, and of a line of its labels


def tau_over_train(rows: Rows, order: Sequence[str], title: str) -> str:
    """A line per surrogate with its band, its name at the right end.

    Args:
        rows: surrogate, train, tau, tau_lo, tau_hi; a row per surrogate and number of training cells.
        order: the surrogates.
        title: above the chart.
    """
    names = style.looks(order)
    frame = pd.DataFrame(rows).astype({"tau": float, "tau_lo": float, "tau_hi": float})
    ticks = sorted(frame["train"].unique().tolist())
    low = float(frame[["tau", "tau_lo"]].min().min())
    high = float(frame[["tau", "tau_hi"]].max().max())
    low, high = low - 0.02, min(high + 0.02, 1.0)
    ends = frame[frame["train"] == ticks[-1]].copy()
    ends["at"] = style.spread(ends["tau"].tolist(), _LINE * (high - low) / _HEIGHT, low, high)
    ends["label"] = [names[name].label for name in ends["surrogate"]]
    x = alt.X(
        "train:Q",
        title="training cells",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=ticks, format="d", labelOverlap=True, grid=False),
    )
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    y = alt.Y("tau:Q", title="Kendall tau", scale=scale)
    domain = list(names)
    colour = alt.Color(
        "surrogate:N", scale=alt.Scale(domain=domain, range=[names[n].colour for n in domain]), legend=None
    )
    dashes = [list(style.DASHES[names[name].dash]) for name in domain]
    dash = alt.StrokeDash("surrogate:N", scale=alt.Scale(domain=domain, range=dashes), legend=None)
    base = alt.Chart(frame)
    known = alt.Chart(frame.dropna(subset=["tau_lo", "tau_hi"]))
    chart = alt.layer(
        known.mark_area(opacity=0.12).encode(x=x, y=alt.Y("tau_lo:Q", scale=scale), y2="tau_hi:Q", color=colour),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash),
        base.mark_circle(size=26, opacity=1).encode(x=x, y=y, color=colour),
        alt.Chart(ends)
        .mark_text(align="left", dx=8)
        .encode(x=x, y=alt.Y("at:Q", scale=scale), text="label:N", color=colour),
    )
    return _drawn(chart.properties(width=_WIDTH, height=_HEIGHT, title=style.heading(title)))


def calibration_curves(rows: Rows, order: Sequence[str], title: str) -> str:
    """A panel per surrogate: share of scores below each predicted quantile; true quantiles lie on the diagonal.

    Args:
        rows: surrogate, level, observed, observed_lo, observed_hi.
        order: the surrogates.
        title: above the chart.
    """
    frame = pd.DataFrame(rows).astype({"observed": float, "observed_lo": float, "observed_hi": float})
    ends = ["observed_lo", "observed_hi"]
    frame[ends] = frame[ends].clip(0.0, 1.0)  # Student's intervals know no bounds
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1], grid=False)
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("level:Q", title="nominal", scale=scale, axis=axis)
    y = alt.Y("observed:Q", title="observed", scale=scale, axis=axis)

    def panel(own: pd.DataFrame, colour: str) -> Any:
        base, known = alt.Chart(own), alt.Chart(own.dropna(subset=ends))
        return alt.layer(
            _diagonal(0.0, 1.0),
            known.mark_area(opacity=0.2, color=colour).encode(x=x, y=alt.Y("observed_lo:Q"), y2="observed_hi:Q"),
            base.mark_line(color=colour, strokeWidth=2).encode(x=x, y=y),
        )

    return panels(frame, order, panel, title)


def parity(rows: Rows, order: Sequence[str], title: str, unit: str) -> str:
    """A panel per surrogate: true against predicted scores, with the predicted intervals.

    The lowest tenth of truths is left out: cells that hardly learn are so far below that they would take all the room.

    Args:
        rows: surrogate, truth, mean, low, high.
        order: the surrogates.
        title: above the chart.
        unit: of the scores.
    """
    frame = pd.DataFrame(rows)
    low, high = (float(end) for end in frame["truth"].quantile([0.1, 1.0]))
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    scale = alt.Scale(domain=[low, high], nice=False, zero=False, clamp=True)
    axis = alt.Axis(grid=False, tickCount=5)
    x = alt.X("mean:Q", title=f"predicted {unit}", scale=scale, axis=axis)
    y = alt.Y("truth:Q", title=f"true {unit}", scale=scale, axis=axis)

    def panel(own: pd.DataFrame, colour: str) -> Any:
        base = alt.Chart(own)
        return alt.layer(
            base.mark_rule(color=colour, opacity=0.15).encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y=y),
            base.mark_circle(color=colour, size=12, opacity=0.7).encode(x=x, y=y),
            _diagonal(low, high),
        )

    return panels(frame[frame["truth"].between(low, high)], order, panel, title)


def _diagonal(low: float, high: float) -> Any:
    """Where both axes agree."""
    ends = pd.DataFrame({"a": [low, high]})
    return alt.Chart(ends).mark_line(color=style.MUTED, strokeDash=[4, 3], strokeWidth=1).encode(x="a:Q", y="a:Q")


def panels(
    frame: pd.DataFrame,
    order: Sequence[str],
    panel: Callable[[pd.DataFrame, str], Any],
    title: str,
    by: str = "surrogate",
) -> str:
    """A square panel per surrogate (or whatever column `by` tells apart), under its name, in rows of four."""
    names = style.looks(order)
    drawn = [
        panel(frame[frame[by] == name], names[name].colour).properties(
            width=_SIDE,
            height=_SIDE,
            title=alt.Title(names[name].label, fontSize=11, color=names[name].colour, limit=_SIDE + 40),
        )
        for name in order
    ]
    return _drawn(alt.concat(*drawn, columns=_PER_ROW, title=style.heading(title)))


def _drawn(chart: Any) -> str:
    return style.svg(style.finished(chart))
