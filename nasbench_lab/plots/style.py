"""How every chart looks: one colour, dash and short name per strategy; altair -> SVG, PNG, PDF, and SVG for the page.

A strategy has the same colour wherever it shows: a few well-known names have a hue of their own, any other name gets
one by its hash, and where two strategies of a study meet in one hue the later takes the next free one, then another
dash. Both shades of a hue (on white, on dark) have a contrast of 4.5 or more; lines differ by dash and direct label too.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from nasbench_lab.stats.measures import Measure

WIDTH = 440  # of a plot without its axes and names on a page, pixels
_LABEL = 32  # characters of a name with its parameters, where none has to be told from another by them
EMPHASISED = 8  # series in colour; the others are grey, so that 40 strategies can still be read
INK, MUTED, GRID, PAPER = "#1b1f24", "#5c6570", "#e3e6ea", "#ffffff"
OTHERS = "#8d96a1"  # series that are not emphasised


class Layout(NamedTuple):
    """How large what is drawn is; a pixel is a point of a PDF.

    Attributes:
        width, height: of a plot without its axes and names.
        font: family. size: of what stands in the plot and at its axes.
        fixed: matrices have this size too, which on a page grow with what they hold.
    """

    width: float = WIDTH
    height: float = 300
    font: str = "sans-serif"
    size: float = 11
    fixed: bool = False

    @property
    def scale(self) -> float:
        """How much larger text is than on a page."""
        return self.size / 11


_PAGE = Layout()
_LAYOUT: ContextVar[Layout] = ContextVar("layout", default=_PAGE)


def layout() -> Layout:
    """The layout of charts that are being drawn."""
    return _LAYOUT.get()


@contextmanager
def drawn_as(chosen: Layout) -> Iterator[None]:
    """Charts made inside have another layout than a page's."""
    before = _LAYOUT.set(chosen)
    try:
        yield
    finally:
        _LAYOUT.reset(before)


class Hue(NamedTuple):
    """A colour on white paper and on a dark page."""

    light: str
    dark: str


HUES = (
    Hue("#30363d", "#d7dce2"),
    Hue("#0b62a8", "#62b0ee"),
    Hue("#c2410c", "#ff945f"),
    Hue("#12704a", "#4fc78e"),
    Hue("#8e3fa8", "#d29bf0"),
    Hue("#8a6100", "#e0b04a"),
    Hue("#b5174b", "#ff86a8"),
    Hue("#007489", "#4cc9de"),
    Hue("#4b3fc4", "#a9a6ff"),
    Hue("#5b6b00", "#bccb46"),
)
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3))
_OWN = {  # hue of the strategies most often seen, so that it never moves
    "random_search": 0,
    "regularized_evolution": 1,
    "local_search": 2,
    "gp_bo": 3,
    "reinforce": 4,
}


@dataclass(frozen=True)
class Look:
    """How one strategy is shown: number of its hue, number of its dash, short name."""

    hue: int
    dash: int
    label: str

    @property
    def colour(self) -> str:
        """Its colour, as CSS writes it."""
        return HUES[self.hue].light


def base(spec: str) -> str:
    """The strategy's name without its parameters; of one from elsewhere its file's name, or its class's."""
    head, _, tail = spec.partition(":")
    if head.endswith(".py") or "/" in head:
        return head.rpartition("/")[2]
    if "." in head and tail and "=" not in tail:
        return tail
    return head


def looks(specs: Iterable[str], first: Sequence[str] = ()) -> dict[str, Look]:
    """A look for every strategy of a study, the same for the same set of names in any order.

    Args:
        specs: strategies.
        first: those of them that shall meet no other in their hue, where that can be: the best of the study.
    """
    place = {spec: i for i, spec in reversed(list(enumerate(first)))}
    names = sorted(
        set(specs),
        key=lambda spec: (base(spec) not in _OWN, place.get(spec, len(place)), base(spec), len(spec), spec),
    )
    labels, taken, found = _labels(names), set[tuple[int, int]](), {}
    for name in names:
        wanted = _OWN.get(base(name), int.from_bytes(hashlib.sha256(base(name).encode()).digest()[:4]) % len(HUES))
        free = ((dash, (wanted + step) % len(HUES)) for dash in range(len(DASHES)) for step in range(len(HUES)))
        dash, hue = next((slot for slot in free if slot not in taken), (len(DASHES) - 1, wanted))
        taken.add((dash, hue))
        found[name] = Look(hue, dash, labels[name])
    return found


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Short names: the strategy's, and what tells it from others of that name; of a lone one its parameters, or … for many."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(base(name), []).append(name)
    out = {}
    for short, members in groups.items():
        parts = {name: parameters(name) for name in members}
        shared = set.intersection(*(set(part.items()) for part in parts.values()))
        for name, part in parts.items():
            own = [f"{key}={value}" for key, value in part.items() if (key, value) not in shared]
            if len(members) == 1:  # nothing to tell it from, but it is not the strategy as it is without parameters
                own = [f"{key}={value}" for key, value in part.items()]
            full = f"{short} {', '.join(own)}" if own else short
            out[name] = full if len(members) > 1 or len(full) <= _LABEL else f"{short} …"
    return out


def parameters(spec: str) -> dict[str, str]:
    """The parameters a spec gives, as texts."""
    return dict(re.findall(r"([\w.]+)=([^,]+)", spec.partition(":")[2]))


def emphasised(order: Sequence[str]) -> list[str]:
    """The strategies in colour: the best by the order given, and random search to measure them by."""
    if len(order) <= EMPHASISED:
        return list(order)
    kept = list(order[:EMPHASISED])
    reference = next((name for name in order if base(name) == "random_search"), None)
    return kept if reference is None or reference in kept else [*kept[:-1], reference]


def colour(names: Mapping[str, Look], hot: Sequence[str]) -> Any:
    """The colour channel: emphasised strategies in their own, others grey."""
    shades = [look.colour if name in hot else OTHERS for name, look in names.items()]
    return alt.Color("strategy:N", scale=alt.Scale(domain=list(names), range=shades), legend=None)


def ink(names: Mapping[str, Look], hot: Sequence[str]) -> Any:
    """The colour channel of words: as `colour`, but the others dark enough to be read."""
    shades = [look.colour if name in hot else MUTED for name, look in names.items()]
    return alt.Color("strategy:N", scale=alt.Scale(domain=list(names), range=shades), legend=None)


def dash(names: Mapping[str, Look], hot: Sequence[str]) -> Any:
    """The dash channel; strategies that are not emphasised have plain lines."""
    patterns = [list(DASHES[look.dash if name in hot else 0]) for name, look in names.items()]
    return alt.StrokeDash("strategy:N", scale=alt.Scale(domain=list(names), range=patterns), legend=None)


def described(field: str = "strategy") -> Any:
    """The channel that names a mark for screen readers, and for the page's switches."""
    return alt.Description(f"{field}:N")


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels at least `gap` apart within [low, high], in the order of the values and near them.

    Places less their number times the gap must not fall: the nearest such are an isotonic regression.
    """
    if not values:
        return []
    order = np.argsort(values, kind="stable")
    steps = min(gap, (high - low) / max(len(values) - 1, 1)) * np.arange(len(values))
    nearest = isotonic_regression(np.asarray(values, dtype=np.float64)[order] - steps).x
    places = np.empty(len(values))
    places[order] = np.clip(nearest, low, high - steps[-1]) + steps
    return [float(place) for place in places]


def upwards(low: float, high: float, sign: int, **options: Any) -> Any:
    """A scale on which better scores are higher.

    Args:
        low, high: its ends, scores times `sign`.
        sign: -1 where lower scores are better.
        **options: of the scale; neither nice nor with a zero if left out.
    """
    domain = [low, high] if sign > 0 else [-high, -low]
    rest: dict[str, Any] = options or {"nice": False, "zero": False}
    return alt.Scale(domain=domain, **rest) if sign > 0 else alt.Scale(domain=domain, reverse=True, **rest)


def written(measure: Measure, **options: Any) -> dict[str, Any]:
    """How an axis of scores is written, as the argument `axis`: small numbers that are no percentages with an exponent."""
    options |= {} if measure.percent else {"format": "~g"}
    return {"axis": alt.Axis(**options)} if options else {}


def margin(low: float, high: float, share: float) -> float:
    """Room beside two ends, a share of what is between them; of one value something that can be seen."""
    return share * (high - low) or (0.5 if abs(high) >= 1 else abs(high) / 2 or 0.5)


def panel(frame: Any, *, width: float | None = None, height: float | None = None, title: str = "") -> Any:
    """A chart over a frame, with the layout's size, and a title."""
    width, height = width or layout().width, height or layout().height
    return alt.Chart(frame).properties(width=width, height=height, title=heading(title) if title else "")


def heading(title: str | Sequence[str], below: Sequence[str] = ()) -> Any:
    """A title, or its lines, at the left, no louder than the chart; below it lines in the size of the axes' text."""
    more: dict[str, Any] = (
        {"subtitle": list(below), "subtitleFontSize": layout().size, "subtitleColor": MUTED} if below else {}
    )
    return alt.Title(
        title, anchor="start", fontSize=layout().size + 2, fontWeight="normal", color=INK, offset=10, **more
    )


def finished(chart: Any, title: str = "") -> Any:
    """The theme on a top-level chart: few lines, dark text, room for labels at the right; above it a title, if any."""
    if title:
        chart = chart.properties(title=heading(title))
    return (
        chart.configure(font=layout().font, background=PAPER, padding={"left": 6, "right": 10, "top": 6, "bottom": 6})
        .configure_view(stroke=None)
        .configure_axis(
            gridColor=GRID,
            domainColor=MUTED,
            tickColor=MUTED,
            labelColor=MUTED,
            titleColor=INK,
            labelFontSize=layout().size,
            titleFontSize=layout().size + 1,
            titleFontWeight="normal",
            tickSize=4,
        )
        .configure_legend(
            labelColor=MUTED,
            titleColor=INK,
            titleFontWeight="normal",
            labelFontSize=layout().size - 1,
            titleFontSize=layout().size,
        )
        .configure_text(fontSize=layout().size)
    )


def spec(chart: Any) -> str:
    """A chart's description as JSON; what is not a number is null there, as JSON knows no nan."""
    with alt.data_transformers.enable(
        "default", max_rows=None
    ):  # the limit is a notebook's; tables where cells tie exceed it
        return json.dumps(json.loads(chart.to_json(), parse_constant=lambda _: None))


def svg(chart: Any) -> str:
    """SVG text, for a document."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(spec(chart))
    return text


def png(chart: Any, *, scale: float = 2.0) -> bytes:
    """PNG bytes."""
    import vl_convert

    data: bytes = vl_convert.vegalite_to_png(spec(chart), scale=scale)
    return data


def pdf(chart: Any) -> bytes:
    """PDF bytes, with text as text."""
    import vl_convert

    data: bytes = vl_convert.vegalite_to_pdf(spec(chart))
    return data


_NOISE = re.compile(
    r'<path class="(?:background|foreground)"[^>]*/>| (?:role|aria-roledescription|font-family|stroke-miterlimit|class|'
    r'pointer-events|xmlns:xlink|version)="[^"]*"| opacity="1"| aria-hidden="true"| font-weight="normal"'
)
_LONG = re.compile(r"(\d+\.\d\d)\d+")
_PLACED = re.compile(
    r' (?:d|transform|x|y|[xy][12]|[cr]?[xyr]|width|height)="[^"]*"'
)  # attributes of places, not texts
_AXIS = re.compile(r' aria-label="(?:[XY]-axis|Title text|Legend|Symbol legend)[^"]*"')
_EMPTY = re.compile(r"<text[^>]*/>|<g></g>|<g/>")
_MARK = re.compile(r' aria-label="([^"]*)"')


def for_page(text: str, strategies: Mapping[str, int], title: str, *, cut: bool = False) -> str:
    """The same SVG as part of a page: colours follow light and dark, marks of a strategy carry its number.

    Args:
        text: what `svg` gave.
        strategies: name -> number of the strategy on the page; its marks get `data-s`.
        title: what the picture shows, read out by screen readers.
        cut: what stands to the right of the plot can be left out on narrow screens; `--cut` says how far the picture
            must then be stretched for the plot to be as wide as the page.
    """
    text = _AXIS.sub("", _PLACED.sub(lambda found: _LONG.sub(r"\1", found[0]), text))
    text = _EMPTY.sub("", _NOISE.sub("", text))
    text = re.sub(rf'<rect [^>]*fill="{PAPER}"/>|<rect [^>]*fill="white"/>', "", text, count=1)

    def mark(match: re.Match[str]) -> str:
        name = html.unescape(match[1])
        if name in strategies:
            return f' data-s="{strategies[name]}"'
        return f' data-t="{match[1]}"' if name else ""

    text = _MARK.sub(mark, text)
    for shade, variable in _VARIABLES.items():
        text = text.replace(f'"{shade}"', f'"var(--{variable})"')
    size = re.match(r'<svg[^>]*width="([\d.]+)" height="([\d.]+)"', text)
    width, height = (float(value) for value in size.groups()) if size else (0.0, 0.0)
    start, width = text.index(">") + 1, width + 12  # a little wider than drawn: the reader's font may be
    left = re.search(r'transform="translate\(([\d.]+),', text)
    stretched = f";--cut:{width / (float(left[1]) + WIDTH + 4):.3f}" if cut and left else ""
    head = (
        f'<svg class="chart" role="img" aria-label="{html.escape(title, quote=True)}" '
        f'viewBox="0 0 {width:g} {height:g}" style="--width:{width:g}px{stretched}">'
    )
    return head + text[start:]


_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", OTHERS: "others", PAPER: "paper"} | {
    hue.light: f"h{i}" for i, hue in enumerate(HUES)
}


def band(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that have an interval."""
    return frame[frame["low"].notna() & frame["high"].notna()]
