"""Ranks that the tests cannot exclude, a bar per strategy: the leaderboard's verdict as a picture (Mogstad et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.plots import style
from nasbench_lab.plots.style import Look

_ROW = 17  # pixels per strategy
_MARKS = 12  # on the axis of ranks, about


def rank_ranges(frame: pd.DataFrame, names: Mapping[str, Look], order: Sequence[str], *, title: str = "") -> Any:
    """A bar from the best to the worst rank that cannot be excluded, with a dot at the rank by the mean.

    Args:
        frame: strategy, rank, low, high, as the leaderboard has them.
        names: looks.
        order: strategies, best first: one below the other.
        title: above the chart.
    """
    hot = style.emphasised(order)
    shown = frame.assign(label=[names[name].label for name in frame["strategy"]])
    last = int(shown["high"].max())
    marks = list(range(1, last + 1, max(1, last // _MARKS)))
    beside = alt.Axis(labelLimit=210, domain=False, ticks=False)
    y = alt.Y("label:N", sort=[names[name].label for name in order], title=None, axis=beside)
    scale = alt.Scale(domain=[0.5, last + 0.5], nice=False, zero=False)
    axis = alt.Axis(values=marks, format="d", grid=True)
    x = alt.X("low:Q", title="rank", scale=scale, axis=axis)
    common: dict[str, Any] = {"y": y, "color": style.colour(names, hot), "description": style.described()}
    plane = style.panel(shown, height=_ROW * style.layout().scale * len(shown))
    bars = plane.mark_rule(strokeWidth=4, strokeCap="round", opacity=1).encode(x=x, x2="high:Q", **common)
    dots = plane.mark_circle(size=64, opacity=1).encode(x=alt.X("rank:Q", title="rank"), **common)
    return style.finished(alt.layer(bars, dots), title)
