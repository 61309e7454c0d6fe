"""Charts that set strategies against each other: who beats whom, cost of deciding, fronts.

`names` maps every strategy to its `Look`; `order` lists strategies, best first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.plots import style
from nasbench_lab.plots.curves import floor, ticks
from nasbench_lab.plots.style import Look
from nasbench_lab.stats import shares
from nasbench_lab.stats.measures import Measure

_FIXED = "#0c0e10"  # text on a coloured cell: the same on a dark page
_READABLE = 12  # strategies up to which a matrix shows its numbers
Box = tuple[float, float, float, float]  # left, right, bottom, top, in pixels
_THINKING = "real time deciding, ms per query"
_PERCENT = Measure()


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
    frame = _cells(probability, separated, order, names)
    readable = len(order) <= _READABLE
    x, y = _sides([names[name].label for name in order], readable)
    shade = alt.Color(
        "p:Q",
        scale=alt.Scale(domain=[0.0, 0.5, 1.0], range=["#e08a3c", "#f4f4f4", "#4a90c4"]),
        legend=alt.Legend(title="row better", format="%", gradientLength=90, tickCount=3),
    )
    words = style.described("words")
    layers = []
    if len(known := frame[frame["separated"]]):
        coloured = style.panel(known).mark_rect(stroke=style.PAPER)
        layers.append(coloured.encode(x=x, y=y, color=shade, description=words))
    if len(unknown := frame[~frame["separated"]]):
        grey = style.panel(unknown).mark_rect(fill="#c9ced4", stroke=style.PAPER)
        layers.append(grey.encode(x=x, y=y, description=words))
    if readable:
        numbers = style.panel(frame).mark_text(color=_FIXED, fontSize=10 * style.layout().scale)
        layers.append(numbers.encode(x=x, y=y, text="text:N"))
    drawn = style.layout()
    size = drawn.width if drawn.fixed else (34 if readable else 15) * len(order)
    return style.finished(alt.layer(*layers).properties(width=size, height=size), title)


def _cells(
    probability: NDArray[np.float64], separated: NDArray[np.bool_], order: Sequence[str], names: Mapping[str, Look]
) -> pd.DataFrame:
    """A row per cell of the matrix beside its diagonal."""
    rows = []
    for (i, a), (j, b) in permutations(enumerate(names[name].label for name in order), 2):
        told, p = bool(separated[i, j]), float(probability[i, j])
        words = f"{a} > {b}: {shares.decimal(p)}" + ("" if told else " (?)")
        rows.append({"row": a, "column": b, "p": p, "separated": told, "words": words, "text": shares.decimal(p)})
    return pd.DataFrame(rows)


def _sides(labels: Sequence[str], readable: bool) -> tuple[Any, Any]:
    """The axes of the matrix: names above it and at its left."""
    above = alt.Axis(orient="top", labelAngle=-40 if readable else -60, labelLimit=190, domain=False, ticks=False)
    beside = alt.Axis(labelLimit=210, domain=False, ticks=False)
    x = alt.X("column:N", sort=labels, title="than", axis=above)
    return x, alt.Y("row:N", sort=labels, title=None, axis=beside)


def cost_of_deciding(
    frame: pd.DataFrame,
    names: Mapping[str, Look],
    order: Sequence[str],
    *,
    measure: Measure = _PERCENT,
    title: str = "",
) -> Any:
    """Regret at the end against real time spent deciding, a point per strategy.

    Args:
        frame: strategy, milliseconds (per query), regret, low, high.
        names: looks. order: best first. measure: what scores are. title: above the chart.
    """
    frame = frame[frame["milliseconds"] > 0].dropna(subset=["regret"])
    least, regret = floor(frame["regret"], measure), f"{measure.regret} at the end, {measure.points}"
    known = frame.assign(**{key: frame[key].clip(lower=least) for key in ("regret", "low", "high")})
    hot = style.emphasised([name for name in order if name in set(known["strategy"])])
    x_ends = _wide(known["milliseconds"], 3.0)
    y_ends = _wide(pd.concat([known["regret"], known["low"].dropna(), known["high"].dropna()]), 1.15)
    x, y = _log(alt.X, "milliseconds:Q", _THINKING, x_ends), _log(alt.Y, "regret:Q", regret, y_ends)
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
    y_words = _log(alt.Y, "at:Q", regret, y_ends)
    if len(far := placed[placed["far"]]):
        thread = style.panel(far).mark_rule(strokeWidth=0.8)
        layers.append(thread.encode(x=x, x2="near:Q", y=y, y2="at:Q", color=shade, description=style.described()))
    for align in ("left", "right", "center"):
        if len(own := placed[placed["align"] == align]):
            text = style.panel(own).mark_text(align=align, fontSize=style.layout().size)
            at = alt.X("near:Q", title=_THINKING)
            layers.append(text.encode(x=at, y=y_words, text="label:N", color=shade, description=style.described()))
    chart = alt.layer(*layers).properties(width=style.layout().width, height=style.layout().height)
    return style.finished(chart, title)


def _labelled(
    frame: pd.DataFrame, hot: Sequence[str], names: Mapping[str, Look], x: tuple[float, float], y: tuple[float, float]
) -> pd.DataFrame:
    """Names of some strategies near their points: the nearest place that meets no name or point, nor, if so, an interval.

    Returns:
        strategy, label, milliseconds and regret (the point), near and at (where the text begins, ends or has its middle,
        as `align` says), and whether it stands so far from its point that a thread must lead there.
    """
    px = [style.layout().width * _share(v, x) for v in frame["milliseconds"]]
    py = [style.layout().height * _share(v, y) for v in frame["regret"]]
    boxes = [(a - 5, a + 5, b - 5, b + 5) for a, b in zip(px, py, strict=True)]
    intervals = [
        (a - 2, a + 2, style.layout().height * _share(low, y), style.layout().height * _share(high, y))
        for a, low, high in zip(px, frame["low"], frame["high"], strict=True)
        if low == low and high == high
    ]
    rows = []
    for name, a, b, ms, regret in zip(frame["strategy"], px, py, frame["milliseconds"], frame["regret"], strict=True):
        if name not in hot:
            continue
        label = names[name].label
        align, left, right, shift = _place(a, b, 6.1 * style.layout().scale * len(label), boxes, intervals)
        boxes.append((left, right, b + shift - 6, b + shift + 6))
        near = {"left": left, "right": right, "center": (left + right) / 2}[align]
        rows.append(
            (
                name,
                label,
                ms,
                regret,
                _at(near / style.layout().width, x),
                _at((b + shift) / style.layout().height, y),
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
    return left > 2 and right < style.layout().width + 180 and 8 < middle < style.layout().height + 12 and all(apart)


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
    measure: Measure = _PERCENT,
    title: str = "",
) -> Any:
    """The exact front of test scores against a cost, and what half of a strategy's runs attain.

    Args:
        exact: test, cost, cell; a row per cell of the front.
        attained: strategy, test, cost; the corners of the median attainment surface. May be empty.
        names: looks. order: best first.
        cost: what the cost is, smaller is better.
        measure: what the scores are; better ones are drawn higher.
        title: above the chart.
    """
    sign = measure.sign
    (low, best), (left, right) = _shown(exact, attained, measure)
    x = alt.X("cost:Q", title=cost, scale=alt.Scale(domain=[left, right], nice=False, zero=False))
    tall = style.upwards(low, best + 0.04 * (best - low), sign)
    y = alt.Y("test:Q", title=measure.axis("test"), scale=tall, **style.written(measure))
    hot = style.emphasised([name for name in order if name in set(attained["strategy"])])
    shade, dashes = style.colour(names, hot), style.dash(names, hot)
    edge = style.panel(exact).mark_line(interpolate="step-after", color=style.MUTED, strokeWidth=1, clip=True)
    layers = [edge.encode(x=x, y=y)]
    others, ours = attained[~attained["strategy"].isin(hot)], attained[attained["strategy"].isin(hot)]
    for part, width in ((others, 1.0), (ours, 1.8)):
        if len(part):
            line = style.panel(part).mark_line(interpolate="step-after", strokeWidth=width, clip=True)
            layers.append(line.encode(x=x, y=y, color=shade, strokeDash=dashes, description=style.described()))
    points = style.panel(exact).mark_circle(color=style.INK, size=24, opacity=1, clip=True)
    layers.append(points.encode(x=x, y=y, description=style.described("cell")))
    if len(ours):
        text = style.panel(_ends(ours, names, right, low, best, sign)).mark_text(
            align="left", dx=6, limit=190, fontSize=style.layout().size
        )
        layers.append(text.encode(x=x, y=y, text="label:N", color=shade, description=style.described()))
    return style.finished(
        alt.layer(*layers).properties(width=style.layout().width, height=style.layout().height), title
    )


def _shown(
    exact: pd.DataFrame, attained: pd.DataFrame, measure: Measure
) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where scores (times sign) and costs are shown: the better part of the front, and all attained of it."""
    better = measure.sign * exact["test"]
    best, low = float(better.max()), float(better.quantile(0.2))
    low = max(low, best - 12.0) if measure.percent else low
    low = low if low < best else best - _span(best)
    kept = exact[better >= low]
    least, most = float(kept["cost"].min()), float(pd.concat([kept["cost"], attained["cost"]]).max())
    room = 0.02 * (most - least or 1.0)
    return (low, best), (least - room, most + room)


def _span(value: float) -> float:
    """How much room one value alone gets: 1, or as much as it is worth."""
    return min(1.0, abs(value)) or 1.0


def _ends(
    attained: pd.DataFrame, names: Mapping[str, Look], at: float, low: float, best: float, sign: int
) -> pd.DataFrame:
    """Every strategy's name at the right end of its line, or near it where another stands there."""
    last = attained.sort_values("cost").groupby("strategy", sort=False).tail(1)
    span = best - low
    places = [(value - low) / (1.04 * span) for value in (sign * last["test"]).clip(low, best)]
    apart = style.spread(places, 14 * style.layout().scale / style.layout().height, 0.0, 1.0)
    labels = [names[name].label for name in last["strategy"]]
    return last.assign(label=labels, cost=at, test=[sign * (low + place * 1.04 * span) for place in apart])
