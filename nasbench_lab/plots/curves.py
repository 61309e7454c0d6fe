"""Charts of what happens along a run: regret, rank, hypervolume, share of targets hit; and what deciding costs.

Every chart takes a frame with a row per strategy and place, `names` (strategy -> `Look`) and `order` (best first: the
first eight, and random search, are in colour with their interval and their name at the line's end; the rest is grey).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from nasbench_lab.plots import style
from nasbench_lab.plots.style import Look
from nasbench_lab.stats.measures import Measure

FLOOR = 0.01  # points of regret; less is drawn as this much, as an axis of logarithms has no zero
_DECADES = 6  # that regrets of scores which are no percentages span at most
_PERCENT = Measure()
_LABEL = 14.0  # pixels between two labels


@dataclass(frozen=True)
class Reference:
    """A line to compare with: the same value at every place, or values at places."""

    label: str
    at: tuple[float, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """What an axis shows."""

    title: str
    log: bool = False
    domain: tuple[float, float] | None = None
    reverse: bool = False
    format: str = ".12~g"
    floor: float = FLOOR


def floor(regrets: pd.Series, measure: Measure) -> float:
    """The least regret drawn: `FLOOR` points; of scores that are no percentages the power of ten below the least there is."""
    some = regrets[regrets > 0]
    if measure.percent or not len(some):
        return FLOOR
    least = max(float(some.min()), float(some.max()) * 10.0**-_DECADES)
    return float(10.0 ** math.floor(math.log10(least)))


def curves(
    frame: pd.DataFrame,
    names: Mapping[str, Look],
    order: Sequence[str],
    *,
    x: Axis,
    y: Axis,
    title: str = "",
    references: Sequence[Reference] = (),
    step: bool = False,
    name_at: str = "end",
) -> Any:
    """A line per strategy with its interval, and dashed lines of reference.

    Args:
        frame: strategy, at, mean, low, high (nan where no interval is known).
        names: looks of all strategies.
        order: strategies, best first.
        x: along the run. y: the value.
        title: above the chart.
        references: known exactly.
        step: values hold until the next place.
        name_at: names stand at the lines' "end", or at their "middle" where all lines end alike.
    """
    hot = style.emphasised([name for name in order if name in set(frame["strategy"])])
    low, high = y.domain or _range(frame, references, hot, y)
    frame = frame.assign(**{key: frame[key].clip(low, high) for key in ("mean", "low", "high")})
    lows, highs = frame["at"].min(), frame["at"].max()
    x_channel = _channel(alt.X, "at:Q", x, (float(lows), float(highs)))
    y_channel = _channel(alt.Y, "mean:Q", y, (low, high))
    shade, dashes = style.colour(names, hot), style.dash(names, hot)
    interpolate = "step-after" if step else "linear"
    cold, warm = frame[~frame["strategy"].isin(hot)], frame[frame["strategy"].isin(hot)]
    line = {"interpolate": interpolate, "clip": True}
    layers = []
    known = style.band(warm)
    if len(known):  # what goes on below the axis, on a logarithm down to 0 it may, is drawn to its foot
        area = style.panel(known).mark_area(opacity=0.14, **line)
        layers.append(
            area.encode(x=x_channel, y=alt.Y("low:Q"), y2="high:Q", color=shade, description=style.described())
        )
    for part, width in ((cold, 1.0), (warm, 2.0)):
        if len(part):
            mark = style.panel(part).mark_line(strokeWidth=width, **line)
            layers.append(
                mark.encode(x=x_channel, y=y_channel, color=shade, strokeDash=dashes, description=style.described())
            )
    layers += [_reference(each, x_channel, y_channel, (low, high), (lows, highs)) for each in references]
    layers.append(_labels(warm, names, references, (low, high), y, shade, highs, name_at))
    chart = alt.layer(*layers).properties(width=style.layout().width, height=style.layout().height)
    return style.finished(chart, title)


def _reference(each: Reference, x: Any, y: Any, value: tuple[float, float], place: tuple[float, float]) -> Any:
    at, mean = (each.at, each.mean) if len(each.at) > 1 else (place, each.mean * 2)
    rows = pd.DataFrame({"at": at, "mean": np.clip(mean, *value), "label": each.label})
    rows = rows[rows["at"].between(*place)]
    mark = style.panel(rows).mark_line(color=style.MUTED, strokeWidth=1.2, strokeDash=[1, 3], clip=True)
    return mark.encode(x=x, y=y, description=style.described("label"))


def _labels(
    warm: pd.DataFrame,
    names: Mapping[str, Look],
    references: Sequence[Reference],
    value: tuple[float, float],
    y: Axis,
    shade: Any,
    right: float,
    name_at: str,
) -> Any:
    """Names at the right, moved apart; those of strategies in their colour, of references in grey."""
    lines = warm.sort_values("at").groupby("strategy", sort=False)["mean"]
    ends = lines.last() if name_at == "end" else lines.mean()
    rows = [(str(name), names[str(name)].label, float(value)) for name, value in ends.items()]
    rows += [("", each.label, each.mean[-1]) for each in references]
    frame = pd.DataFrame(rows, columns=["strategy", "label", "mean"]).assign(at=right)
    places = [(_place(mean, value, y.log)) for mean in frame["mean"].clip(*value)]
    spread = style.spread(places, _LABEL * style.layout().scale / style.layout().height, 0.0, 1.0)
    frame["mean"] = [_value(place, value, y.log) for place in spread]
    scale = _channel(alt.Y, "mean:Q", y, value)
    text = style.panel(frame).mark_text(align="left", dx=6, limit=190, fontSize=style.layout().size)
    tint = alt.condition("datum.strategy === ''", alt.value(style.MUTED), shade)
    return text.encode(x=alt.X("at:Q"), y=scale, text="label:N", color=tint, description=style.described())


def _place(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high, value = (math.log(v) for v in (*ends, value)) if log else (*ends, value)
    return (value - low) / (high - low) if high > low else 0.0


def _value(place: float, ends: tuple[float, float], log: bool) -> float:
    if log:
        return float(math.exp(math.log(ends[0]) + place * (math.log(ends[1]) - math.log(ends[0]))))
    return ends[0] + place * (ends[1] - ends[0])


def _range(frame: pd.DataFrame, references: Sequence[Reference], hot: Sequence[str], y: Axis) -> tuple[float, float]:
    """What the axis spans: all means, of a logarithm also what bands reach up to, and linear no lower than where 90% are."""
    values = np.concatenate([frame["mean"].dropna().to_numpy(), *(each.mean for each in references)])
    if y.log:
        bands = frame[frame["strategy"].isin(hot)]["high"].dropna()
        most = max(float(values.max()), float(bands.max()) if len(bands) else 0.0)
        low, high = max(y.floor, float(values.min()) * 0.9), max(most, 2 * y.floor)
        return low, high * 1.05
    low, high = float(np.quantile(values, 0.1)), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _channel(kind: Any, field: str, axis: Axis, ends: tuple[float, float]) -> Any:
    scale = alt.Scale(
        type="log" if axis.log else "linear", domain=list(ends), nice=False, zero=False, reverse=axis.reverse
    )
    marks: dict[str, Any] = {"values": ticks(*ends)} if axis.log else {"tickCount": 6}
    return kind(
        field,
        title=axis.title,
        scale=scale,
        axis=alt.Axis(format=axis.format, labelOverlap=True, grid=kind is alt.Y, **marks),
    )


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within the ends; powers of ten alone over more than four decades."""
    steps = (1, 2, 5) if high / low < 1e4 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        float(f"{step}e{power}")
        for power in decades
        for step in steps
        if low <= float(f"{step}e{power}") * 1.0001 <= high * 1.0002
    ]


def regret(
    frame: pd.DataFrame,
    names: Mapping[str, Look],
    order: Sequence[str],
    *,
    axis: str,
    title: str = "",
    references: Sequence[Reference] = (),
    measure: Measure = _PERCENT,
) -> Any:
    """Mean regret over queries or over simulated seconds, both axes logarithmic; in the unit of a measure."""
    along = Axis("queries", log=True) if axis == "queries" else Axis("simulated seconds", log=True, format="~s")
    y = Axis(f"{measure.regret}, {measure.points}", log=True, floor=floor(frame["mean"], measure))
    return curves(frame, names, order, x=along, y=y, title=title, references=references)


def ranks(frame: pd.DataFrame, names: Mapping[str, Look], order: Sequence[str], *, title: str = "") -> Any:
    """Mean rank over queries, the best at the top."""
    top = max(2.0, float(len(set(frame["strategy"]))))
    y = Axis("mean rank", domain=(1.0, top), reverse=True)
    return curves(frame, names, order, x=Axis("queries", log=True), y=y, title=title)


def targets_hit(frame: pd.DataFrame, names: Mapping[str, Look], order: Sequence[str], *, title: str = "") -> Any:
    """Share of (run, target) pairs solved over queries, as COCO draws it."""
    y = Axis("share of targets hit", domain=(0.0, 1.0), format="%")
    return curves(frame, names, order, x=Axis("queries", log=True), y=y, title=title, step=True)


def hypervolume(
    frame: pd.DataFrame, names: Mapping[str, Look], order: Sequence[str], *, axis: str = "queries", title: str = ""
) -> Any:
    """Hypervolume reached as a share of the exact front's, over queries or simulated seconds."""
    along = Axis("queries", log=True) if axis == "queries" else Axis("simulated seconds", log=True, format="~s")
    low = float(frame["mean"].quantile(0.2))
    y = Axis("hypervolume reached / possible", domain=(max(0.0, low), 1.0), format=".0%" if low < 0.9 else ".1%")
    return curves(frame, names, order, x=along, y=y, title=title)


def profile(
    frame: pd.DataFrame,
    names: Mapping[str, Look],
    order: Sequence[str],
    *,
    measure: Measure = _PERCENT,
    title: str = "",
) -> Any:
    """Performance profile: share of runs that end within a regret (Agarwal et al. 2021)."""
    x = Axis(f"{measure.regret} at the end, at most, {measure.points}", log=True)
    y = Axis("share of runs", domain=(0.0, 1.0), format="%")
    return curves(frame, names, order, x=x, y=y, title=title, step=True, name_at="middle")
