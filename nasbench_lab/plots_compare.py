"""Charts that set strategies against each other: critical difference, who beats whom, cost of deciding, fronts.

`names` maps every strategy to its `Look`; `order` lists strategies, best first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab import plots_style as style
from nasbench_lab.plots_curves import FLOOR, ticks
from nasbench_lab.plots_style import Look

_FIXED = "#0c0e10"  # text on a coloured cell: the same on a dark page
_ROW = 17  # pixels per name beside a critical-difference diagram
_READABLE = 12  # strategies up to which a matrix shows its numbers
Box = tuple[float, float, float, float]  # left, right, bottom, top, in pixels
_THINKING, _REGRET = "real time deciding, ms per query", "test regret at the end, points"


def critical_difference(
    ranks: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    names: Mapping[str, Look],
    *,
    order: Sequence[str] = (),
    difference: float | None = None,
    title: str = "",
) -> Any:
    """Mean ranks on a line, best at the left; a bar joins strategies that the test does not separate (Demšar 2006).

    Args:
        ranks: strategy -> mean rank.
        groups: strategies that are not separated, each group two or more.
        names: looks.
        order: strategies, best first, by which those in colour are chosen as in the other charts; by rank if left out.
        difference: ranks that must lie between two strategies to be separated; drawn as a scale.
        title: above the chart.
    """
    ranked = sorted(ranks, key=lambda name: (ranks[name], name))
    low, high = (
        math.floor(min(ranks.values())),
        max(math.ceil(max(ranks.values())), math.floor(min(ranks.values())) + 1),
    )
    bars = _bars(ranks, groups)
    bar_rows = 1 + max((row for _, _, row, _ in bars), default=-1)
    half = math.ceil(len(ranked) / 2)
    top, first = 26.0, 26.0 + 9 * bar_rows + 14
    margin = 0.04 * (high - low)
    x = alt.X("rank:Q", scale=alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False), axis=None)
    height = first + _ROW * half + 6
    scale = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    y = alt.Y("y:Q", scale=scale, axis=None)
    lines, texts = [], []
    for i, name in enumerate(ranked):
        left = i < half
        row = first + _ROW * (i if left else len(ranked) - 1 - i)
        edge = low - margin if left else high + margin
        label = names[name].label
        lines += [
            {"strategy": name, "rank": ranks[name], "y": top, "part": i, "step": 0},
            {"strategy": name, "rank": ranks[name], "y": row, "part": i, "step": 1},
            {"strategy": name, "rank": edge, "y": row, "part": i, "step": 2},
        ]
        text = f"{label}  {ranks[name]:.2f}" if left else f"{ranks[name]:.2f}  {label}"
        texts.append({"strategy": name, "rank": edge, "y": row, "text": text, "left": left})
    hot = style.emphasised([name for name in order if name in ranks] or ranked)
    shade, ink = style.colour(names, hot), style.ink(names, hot)
    frame, words = pd.DataFrame(lines), pd.DataFrame(texts)
    layers = [
        style.panel(frame)
        .mark_line(strokeWidth=1.3)
        .encode(x=x, y=y, color=shade, detail="part:N", order="step:Q", description=style.described())
    ]
    for left, align, dx in ((True, "right", -5), (False, "left", 5)):
        if len(some := words[words["left"] == left]):
            mark = style.panel(some).mark_text(align=align, dx=dx, fontSize=11, limit=230)
            layers.append(mark.encode(x=x, y=y, text="text:N", color=ink, description=style.described()))
    marks = pd.DataFrame({"rank": list(range(low, high + 1, max(1, (high - low) // 10))), "y": top})
    layers.append(style.panel(marks).mark_tick(color=style.MUTED, size=8, thickness=1).encode(x=x, y=y))
    layers.append(style.panel(marks).mark_text(color=style.MUTED, dy=-11, fontSize=11).encode(x=x, y=y, text="rank:Q"))
    ends = pd.DataFrame({"rank": [low - margin], "to": [high + margin], "y": top})
    layers.append(style.panel(ends).mark_rule(color=style.MUTED).encode(x=x, x2="to:Q", y=y))
    if bars:
        joined = pd.DataFrame(bars, columns=["rank", "to", "row", "words"])
        joined["y"] = top + 10 + 9 * joined["row"]
        thick = style.panel(joined).mark_rule(color=style.INK, strokeWidth=4, strokeCap="round")
        layers.append(thick.encode(x=x, x2="to:Q", y=y, description=style.described("words")))
    if difference is not None and difference < high - low:
        scale_bar = pd.DataFrame(
            {"rank": [float(low)], "to": [low + difference], "y": 2.0, "text": f"critical difference {difference:.2f}"}
        )
        layers.append(style.panel(scale_bar).mark_rule(color=style.MUTED, strokeWidth=2).encode(x=x, x2="to:Q", y=y))
        words_beside = style.panel(scale_bar).mark_text(color=style.MUTED, align="left", dx=6, fontSize=11)
        layers.append(words_beside.encode(x=alt.X("to:Q"), y=y, text="text:N"))
    chart = alt.layer(*layers).properties(width=style.WIDTH, height=height)
    chart = chart.resolve_scale(color="independent")  # lines and words have scales of their own
    return style.finished(chart.properties(title=style.heading(title)) if title else chart)


def _bars(ranks: Mapping[str, float], groups: Sequence[Sequence[str]]) -> list[tuple[float, float, int, str]]:
    """Ends, row and names of the bars; bars that overlap are in different rows."""
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


def better(
    probability: NDArray[np.float64],
    separated: NDArray[np.bool_],
    order: Sequence[str],
    names: Mapping[str, Look],
    *,
    title: str = "",
) -> Any:
    """Probability that a run of the row's strategy ends better than one of the column's; grey where not separated.

    Args:
        probability: (S, S), ties count half.
        separated: (S, S) whether a test tells the two apart.
        order: (S,) strategies.
        names: looks.
        title: above the chart.
    """
    rows = [
        {
            "row": names[a].label,
            "column": names[b].label,
            "p": float(probability[i, j]),
            "separated": bool(separated[i, j]),
            "words": f"{names[a].label} > {names[b].label}: {probability[i, j]:.2f}"
            + ("" if separated[i, j] else " (?)"),
        }
        for i, a in enumerate(order)
        for j, b in enumerate(order)
        if i != j
    ]
    frame = pd.DataFrame(rows)
    labels, side = [names[name].label for name in order], 34 if len(order) <= _READABLE else 15
    x = alt.X(
        "column:N",
        sort=labels,
        title="than",
        axis=alt.Axis(
            orient="top", labelAngle=-40 if len(order) <= _READABLE else -60, labelLimit=190, domain=False, ticks=False
        ),
    )
    y = alt.Y("row:N", sort=labels, title=None, axis=alt.Axis(labelLimit=210, domain=False, ticks=False))
    shade = alt.Color(
        "p:Q",
        scale=alt.Scale(domain=[0.0, 0.5, 1.0], range=["#e08a3c", "#f4f4f4", "#4a90c4"]),
        legend=alt.Legend(title="row better", format="%", gradientLength=90, tickCount=3),
    )
    known, unknown = frame[frame["separated"]], frame[~frame["separated"]]
    size = side * len(order)
    layers = []
    if len(known):
        layers.append(
            style.panel(known)
            .mark_rect(stroke=style.PAPER)
            .encode(x=x, y=y, color=shade, description=style.described("words"))
        )
    if len(unknown):
        grey = style.panel(unknown).mark_rect(fill="#c9ced4", stroke=style.PAPER)
        layers.append(grey.encode(x=x, y=y, description=style.described("words")))
    if len(order) <= _READABLE:
        layers.append(
            style.panel(frame).mark_text(color=_FIXED, fontSize=10).encode(x=x, y=y, text=alt.Text("p:Q", format=".2f"))
        )
    chart = alt.layer(*layers).properties(width=size, height=size)
    return style.finished(chart.properties(title=style.heading(title)) if title else chart)


def cost_of_deciding(frame: pd.DataFrame, names: Mapping[str, Look], order: Sequence[str], *, title: str = "") -> Any:
    """Regret at the end against real time spent deciding, a point per strategy.

    Args:
        frame: strategy, milliseconds (per query), regret, low, high.
        names: looks. order: best first. title: above the chart.
    """
    frame = frame[frame["milliseconds"] > 0].dropna(subset=["regret"])
    known = frame.assign(**{key: frame[key].clip(lower=FLOOR) for key in ("regret", "low", "high")})
    hot = style.emphasised([name for name in order if name in set(known["strategy"])])
    x_ends = _wide(known["milliseconds"], 3.0)
    y_ends = _wide(pd.concat([known["regret"], known["low"].dropna(), known["high"].dropna()]), 1.15)
    x, y = _log(alt.X, "milliseconds:Q", _THINKING, x_ends), _log(alt.Y, "regret:Q", _REGRET, y_ends)
    shade = style.colour(names, hot)
    layers = []
    if len(some := style.band(known)):
        layers.append(
            style.panel(some)
            .mark_rule(strokeWidth=1.2)
            .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=shade, description=style.described())
        )
    layers.append(
        style.panel(known).mark_circle(size=64, opacity=1).encode(x=x, y=y, color=shade, description=style.described())
    )
    placed = _labelled(known, hot, names, x_ends, y_ends)
    y_words = _log(alt.Y, "at:Q", _REGRET, y_ends)
    if len(far := placed[placed["far"]]):
        thread = style.panel(far).mark_rule(strokeWidth=0.8)
        layers.append(thread.encode(x=x, x2="near:Q", y=y, y2="at:Q", color=shade, description=style.described()))
    for align in ("left", "right", "center"):
        if len(own := placed[placed["align"] == align]):
            text = style.panel(own).mark_text(align=align, fontSize=11)
            at = alt.X("near:Q", title=_THINKING)
            layers.append(text.encode(x=at, y=y_words, text="label:N", color=shade, description=style.described()))
    chart = alt.layer(*layers).properties(width=style.WIDTH, height=style.HEIGHT)
    return style.finished(chart.properties(title=style.heading(title)) if title else chart)


def _labelled(
    frame: pd.DataFrame, hot: Sequence[str], names: Mapping[str, Look], x: tuple[float, float], y: tuple[float, float]
) -> pd.DataFrame:
    """Names of some strategies near their points: the nearest place that meets no name or point, nor, if so, an interval.

    Returns:
        strategy, label, milliseconds and regret (the point), near and at (where the text begins, ends or has its middle,
        as `align` says), and whether it stands so far from its point that a thread must lead there.
    """
    px = [style.WIDTH * _share(v, x) for v in frame["milliseconds"]]
    py = [style.HEIGHT * _share(v, y) for v in frame["regret"]]
    boxes = [(a - 5, a + 5, b - 5, b + 5) for a, b in zip(px, py, strict=True)]
    intervals = [
        (a - 2, a + 2, style.HEIGHT * _share(low, y), style.HEIGHT * _share(high, y))
        for a, low, high in zip(px, frame["low"], frame["high"], strict=True)
        if low == low and high == high
    ]
    rows = []
    for name, a, b, ms, regret in zip(frame["strategy"], px, py, frame["milliseconds"], frame["regret"], strict=True):
        if name not in hot:
            continue
        label = names[name].label
        align, left, right, shift = _place(a, b, 6.1 * len(label), boxes, intervals)
        boxes.append((left, right, b + shift - 6, b + shift + 6))
        near = {"left": left, "right": right, "center": (left + right) / 2}[align]
        rows.append(
            (
                name,
                label,
                ms,
                regret,
                _at(near / style.WIDTH, x),
                _at((b + shift) / style.HEIGHT, y),
                align,
                abs(shift) > 16,
            )
        )
    return pd.DataFrame(rows, columns=["strategy", "label", "milliseconds", "regret", "near", "at", "align", "far"])


def _place(
    a: float, b: float, wide: float, boxes: Sequence[Box], soft: Sequence[Box]
) -> tuple[str, float, float, float]:
    """How a text near (a, b) is aligned, its left and right end, and how much higher it stands."""
    spans = {"left": (a + 8, a + 8 + wide), "right": (a - 8 - wide, a - 8), "center": (a - wide / 2, a + wide / 2)}
    nearest_first = [
        (align, *spans[align], float(sign * shift))
        for shift in range(0, 140, 4)
        for sign in (1, -1)
        for align in spans
        if align != "center" or shift > 10
    ]
    free = (
        place for met in ([*boxes, *soft], boxes) for place in nearest_first if _free(*place[1:3], b + place[3], met)
    )
    return next(free, nearest_first[0])


def _free(left: float, right: float, middle: float, boxes: Sequence[Box]) -> bool:
    """Whether a text is inside the chart and apart from all boxes."""
    apart = (right < a or left > b or middle + 6 < c or middle - 6 > d for a, b, c, d in boxes)
    return left > 2 and right < 620 and 8 < middle < style.HEIGHT + 12 and all(apart)


def _at(share: float, ends: tuple[float, float]) -> float:
    """The value at a share of an axis of logarithms."""
    return math.exp(math.log(ends[0]) + share * (math.log(ends[1]) - math.log(ends[0])))


def _share(value: float, ends: tuple[float, float]) -> float:
    return (math.log(value) - math.log(ends[0])) / (math.log(ends[1]) - math.log(ends[0]))


def _wide(values: pd.Series, factor: float) -> tuple[float, float]:
    """Both ends of positive values, moved outwards by a factor."""
    return float(values.min()) / factor, float(values.max()) * factor


def _log(kind: Any, field: str, title: str, ends: tuple[float, float]) -> Any:
    scale = alt.Scale(type="log", domain=list(ends), nice=False)
    axis = alt.Axis(values=ticks(*ends), format=".12~g", labelOverlap=True, grid=kind is alt.Y)
    return kind(field, title=title, scale=scale, axis=axis)


def fronts(
    exact: pd.DataFrame,
    attained: pd.DataFrame,
    names: Mapping[str, Look],
    order: Sequence[str],
    *,
    cost: str,
    title: str = "",
) -> Any:
    """The exact front of test accuracy against a cost, and what half of a strategy's runs attain.

    Args:
        exact: test, cost, cell; a row per cell of the front.
        attained: strategy, test, cost; the corners of the median attainment surface. May be empty.
        names: looks. order: best first.
        cost: what the cost is, smaller is better.
        title: above the chart.
    """
    best = float(exact["test"].max())
    low = max(float(exact["test"].quantile(0.2)), best - 12.0)
    span = best - low or 1.0
    kept = exact[exact["test"] >= low]
    ends = float(kept["cost"].min()), float(pd.concat([kept["cost"], attained["cost"]]).max())
    wide = ends[1] - ends[0] or 1.0
    x = alt.X(
        "cost:Q",
        title=cost,
        scale=alt.Scale(domain=[ends[0] - 0.02 * wide, ends[1] + 0.02 * wide], nice=False, zero=False),
    )
    y = alt.Y(
        "test:Q", title="test accuracy, %", scale=alt.Scale(domain=[low, best + 0.04 * span], nice=False, zero=False)
    )
    hot = style.emphasised([name for name in order if name in set(attained["strategy"])])
    shade, dashes = style.colour(names, hot), style.dash(names, hot)
    layers = [
        style.panel(exact)
        .mark_line(interpolate="step-after", color=style.MUTED, strokeWidth=1, clip=True)
        .encode(x=x, y=y)
    ]
    for part, width in (
        (attained[~attained["strategy"].isin(hot)], 1.0),
        (attained[attained["strategy"].isin(hot)], 1.8),
    ):
        if len(part):
            line = style.panel(part).mark_line(interpolate="step-after", strokeWidth=width, clip=True)
            layers.append(line.encode(x=x, y=y, color=shade, strokeDash=dashes, description=style.described()))
    points = style.panel(exact).mark_circle(color=style.INK, size=24, opacity=1, clip=True)
    layers.append(points.encode(x=x, y=y, description=style.described("cell")))
    ends_of = attained[attained["strategy"].isin(hot)].sort_values("cost").groupby("strategy", sort=False).tail(1)
    if len(ends_of):
        words = ends_of.assign(label=[names[n].label for n in ends_of["strategy"]], cost=ends[1] + 0.02 * wide)
        places = [(v - low) / (1.04 * span) for v in words["test"].clip(low, best)]
        words["test"] = [low + place * 1.04 * span for place in style.spread(places, 14 / style.HEIGHT, 0.0, 1.0)]
        text = style.panel(words).mark_text(align="left", dx=6, limit=190, fontSize=11)
        layers.append(text.encode(x=x, y=y, text="label:N", color=shade, description=style.described()))
    chart = alt.layer(*layers).properties(width=style.WIDTH, height=style.HEIGHT)
    return style.finished(chart.properties(title=style.heading(title)) if title else chart)
