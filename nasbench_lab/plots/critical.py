"""The critical-difference diagram: who is ranked where, and who is not told apart (Demšar 2006)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from nasbench_lab.plots import style
from nasbench_lab.plots.style import Look

_TOP = 26.0  # of the line of ranks, in pixels
_BAR, _NAME = 9, 17  # pixels per row of bars, and per name
Bar = tuple[float, float, int, str]  # its ends, its row, and what it says


class _Plane(NamedTuple):
    """Where things stand: ranks go to the right, pixels down.

    Attributes:
        low, high: the first and the last rank marked; the line is longer by a margin at both ends.
        first: the uppermost name.
        height: of the whole.
    """

    low: int
    high: int
    first: float
    height: float

    @property
    def ends(self) -> tuple[float, float]:
        margin = 0.04 * (self.high - self.low)
        return self.low - margin, self.high + margin

    @property
    def place(self) -> dict[str, Any]:
        """Channels of a mark at a rank and a height."""
        ranks = alt.Scale(domain=list(self.ends), nice=False, zero=False)
        pixels = alt.Scale(domain=[0, self.height], range=[0, self.height], nice=False)
        return {"x": alt.X("rank:Q", scale=ranks, axis=None), "y": alt.Y("y:Q", scale=pixels, axis=None)}


def critical_difference(
    ranks: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    names: Mapping[str, Look],
    *,
    order: Sequence[str] = (),
    difference: float | None = None,
    title: str = "",
) -> Any:
    """Mean ranks on a line, best at the left; a bar joins strategies that the test does not separate.

    Args:
        ranks: strategy -> mean rank.
        groups: strategies that are not separated, each group two or more.
        names: looks.
        order: strategies, best first, by which those in colour are chosen as in the other charts; by rank if left out.
        difference: ranks that must lie between two strategies to be separated; drawn as a scale.
        title: above the chart.
    """
    ranked = sorted(ranks, key=lambda name: (ranks[name], name))
    hot = style.emphasised([name for name in order if name in ranks] or ranked)
    bars = _bars(ranks, groups)
    plane = _plane(ranks, max((row + 1 for _, _, row, _ in bars), default=0))
    layers = [*_named(ranked, ranks, names, hot, plane), *_line(plane)]
    if bars:
        layers.append(_joined(bars, plane))
    if difference is not None and difference < plane.high - plane.low:
        layers += _scale(difference, plane)
    chart = alt.layer(*layers).properties(width=style.WIDTH, height=plane.height)
    return style.finished(chart.resolve_scale(color="independent"), title)  # lines and words have scales of their own


def _plane(ranks: Mapping[str, float], rows_of_bars: int) -> _Plane:
    low = math.floor(min(ranks.values()))
    high = max(math.ceil(max(ranks.values())), low + 1)
    first = _TOP + _BAR * rows_of_bars + 14
    return _Plane(low, high, first, first + _NAME * math.ceil(len(ranks) / 2) + 6)


def _bars(ranks: Mapping[str, float], groups: Sequence[Sequence[str]]) -> list[Bar]:
    """Bars that overlap are in different rows."""
    spans = sorted(
        (min(ranks[n] for n in group), max(ranks[n] for n in group), ", ".join(group))
        for group in groups
        if len(group) > 1
    )
    rows: list[float] = []
    out = []
    for low, high, words in spans:
        row = next((i for i, end in enumerate(rows) if end < low - 1e-9), len(rows))
        rows[row : row + 1] = [high]
        out.append((low, high, row, f"not separated: {words}"))
    return out


def _named(
    ranked: Sequence[str], ranks: Mapping[str, float], names: Mapping[str, Look], hot: Sequence[str], plane: _Plane
) -> list[Any]:
    """A line from every rank down and out to the strategy's name: the better half at the left, the others at the right."""
    half = math.ceil(len(ranked) / 2)
    lines, texts = [], []
    for i, name in enumerate(ranked):
        left, rank, label = i < half, ranks[name], names[name].label
        y = plane.first + _NAME * (i if left else len(ranked) - 1 - i)
        edge = plane.ends[0 if left else 1]
        for step, (at, down) in enumerate(((rank, _TOP), (rank, y), (edge, y))):
            lines.append({"strategy": name, "rank": at, "y": down, "part": i, "step": step})
        text = f"{label}  {rank:.2f}" if left else f"{rank:.2f}  {label}"
        texts.append({"strategy": name, "rank": edge, "y": y, "text": text, "left": left})
    common = plane.place | {"description": style.described()}
    drawn = style.panel(pd.DataFrame(lines)).mark_line(strokeWidth=1.3)
    layers = [drawn.encode(**common, color=style.colour(names, hot), detail="part:N", order="step:Q")]
    words = pd.DataFrame(texts)
    for left, align, dx in ((True, "right", -5), (False, "left", 5)):
        if len(some := words[words["left"] == left]):
            mark = style.panel(some).mark_text(align=align, dx=dx, fontSize=11, limit=230)
            layers.append(mark.encode(**common, text="text:N", color=style.ink(names, hot)))
    return layers


def _line(plane: _Plane) -> list[Any]:
    """The line of ranks with its marks and their numbers."""
    step = max(1, (plane.high - plane.low) // 10)
    marks = style.panel(pd.DataFrame({"rank": list(range(plane.low, plane.high + 1, step)), "y": _TOP}))
    left, right = plane.ends
    whole = style.panel(pd.DataFrame({"rank": [left], "to": [right], "y": _TOP}))
    return [
        marks.mark_tick(color=style.MUTED, size=8, thickness=1).encode(**plane.place),
        marks.mark_text(color=style.MUTED, dy=-11, fontSize=11).encode(**plane.place, text="rank:Q"),
        whole.mark_rule(color=style.MUTED).encode(**plane.place, x2="to:Q"),
    ]


def _joined(bars: Sequence[Bar], plane: _Plane) -> Any:
    """The bars, below the line."""
    frame = pd.DataFrame(bars, columns=["rank", "to", "row", "words"])
    frame["y"] = _TOP + 10 + _BAR * frame["row"]
    thick = style.panel(frame).mark_rule(color=style.INK, strokeWidth=4, strokeCap="round")
    return thick.encode(**plane.place, x2="to:Q", description=style.described("words"))


def _scale(difference: float, plane: _Plane) -> list[Any]:
    """A rule as long as the critical difference, with its length in words."""
    words = f"critical difference {difference:.2f}"
    rule = style.panel(
        pd.DataFrame({"rank": [float(plane.low)], "to": [plane.low + difference], "y": 2.0, "text": words})
    )
    return [
        rule.mark_rule(color=style.MUTED, strokeWidth=2).encode(**plane.place, x2="to:Q"),
        rule.mark_text(color=style.MUTED, align="left", dx=6, fontSize=11).encode(
            x=alt.X("to:Q"), y=plane.place["y"], text="text:N"
        ),
    ]
