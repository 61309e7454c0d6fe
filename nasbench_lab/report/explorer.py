"""The page's explorer of a space: any cell by index, string or labels, its neighbours, and its scores where they may be shown.

What the script reads is bounded: a product is told by its options, a listed space by its rows, and one whose rows or options
are too many for a page is left to `nasbench-lab query`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.report import sections as html
from nasbench_lab.spaces import cell, cells, drawing
from nasbench_lab.spaces.decisions import text_of
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats.measures import Measure

_BYTES = 1 << 20  # of rows or of an order, and of all scores
_OPTIONS = 2000  # of all decisions together
_CLASSES = 1 << 16  # cells up to which the script finds those that are one network


@dataclass(frozen=True)
class Shown:
    """A space, and scores of its cells that a page may carry: name -> (N,) in the direction and unit of `measure`."""

    space: Space = cell.SPACE
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    measure: Measure = field(default_factory=Measure)


def sections(shown: Sequence[tuple[Shown, int]]) -> str:
    """An explorer for every different space, as HTML.

    Args:
        shown: what is known of the tables of a board, in order, and the cell that each begins with.
    """
    spaces: dict[Space, int] = {}
    for each, start in shown:
        spaces.setdefault(each.space, start)
    parts = []
    for number, (space, start) in enumerate(spaces.items(), start=1):
        own = [each for each, _ in shown if each.space == space]
        title = html.element("h3", html.escaped(space.name)) if len(spaces) > 1 else ""
        parts.append(title + _explorer(space, own, start, "" if number == 1 else f"-{number}"))
    return "".join(parts)


def fits(space: Space) -> bool:
    """Whether a page can carry a space."""
    return sum(space.options) <= _OPTIONS and _held(space).nbytes <= _BYTES


def _explorer(space: Space, shown: Sequence[Shown], start: int, suffix: str) -> str:
    drawable = cells.is_cell(space)
    where, what = ("edge", "operation") if drawable else ("decision", "option")
    if not fits(space):
        said = f"The {space.size:,} cells of {space.name} are too many for a page: nasbench-lab query shows any."
        return html.element("p", html.escaped(said), class_="note")
    vectors = _vectors(shown)
    scored = next(iter(vectors), "")
    of = "" if space == cell.SPACE else f" of {space.name}"
    typed = "a string" if drawable else "labels separated by commas"
    about = (
        f"Any of the {space.size:,} cells{of}: type an index or {typed}, or choose {what}s. Neighbours differ in one {where}"
        + (f", best by {scored} first." if scored else ".")
        + (
            ""
            if scored
            else " Scores of these tables are not in the page: nasbench-lab query CELL --table TABLE shows them."
        )
    )
    heads = "".join(
        f'<th scope="col">{html.escaped(head)}</th>'
        for head in ("neighbour", where, what, *([scored] if scored else []))
    )
    near = html.scrolling(
        f'<table id="cell-near{suffix}"><thead><tr>{heads}</tr></thead><tbody></tbody></table>',
        "Neighbours of the cell",
    )
    picture = f'<div id="cell-svg{suffix}"></div>' if drawable else ""
    return (
        f'<p class="note">{html.escaped(about)}</p>'
        "<noscript><p>The explorer needs JavaScript; nasbench-lab query does the same.</p></noscript>"
        f'<div class="explorer needs-script"><div><label for="cell{suffix}">Cell</label> '
        f'<input type="text" id="cell{suffix}" autocomplete="off" spellcheck="false" aria-describedby="cell-wrong{suffix}"> '
        f'<span id="cell-wrong{suffix}" role="status" class="note"></span>'
        f'<div class="ops" id="cell-ops{suffix}">{_selects(space)}</div>{picture}<dl id="cell-facts{suffix}"></dl></div>{near}'
        f'</div><script type="application/json" class="explorer-data" data-suffix="{suffix}">'
        f"{data(space, vectors, start=start)}</script>"
    )


def _selects(space: Space) -> str:
    """A select for every decision."""
    found = []
    for decision in space.decisions:
        labels = enumerate(map(text_of, decision.options))
        options = "".join(html.element("option", html.escaped(label), value=i) for i, label in labels)
        name = " to ".join(decision.name.split("-")) if cells.is_cell(space) else decision.name
        found.append(html.element("label", html.escaped(name) + html.element("select", options)))
    return "".join(found)


def _vectors(shown: Sequence[Shown]) -> dict[str, tuple[FloatArray, Measure]]:
    """The scores of all tables, as many as a page carries."""
    found: dict[str, tuple[FloatArray, Measure]] = {}
    for each in shown:
        for name, values in each.scores.items():
            if 4 * values.size * (len(found) + 1) <= _BYTES:
                found[name] = values, each.measure
    return found


def data(space: Space, scores: Mapping[str, tuple[FloatArray, Measure]], *, start: int) -> str:
    """What the explorer's script reads: decisions, the order or rows, how cells are drawn, and scores, nan where unknown."""
    vectors = [
        {"name": name, "values": _packed(values, "<f4"), "percent": measure.percent, "sign": measure.sign}
        for name, (values, measure) in scores.items()
    ]
    content: dict[str, Any] = {
        "start": start,
        "count": space.size,
        "names": [each.name for each in space.decisions],
        "options": [list(map(text_of, each.options)) for each in space.decisions],
        ("order" if space.listed is None else "rows"): base64.b64encode(_held(space).tobytes()).decode(),
        "bytes": _held(space).itemsize,
        "scores": vectors,
    }
    if cells.is_cell(space):
        content |= {"ops": cells.labels_of(space), "roles": space.roles, "edges": cells.EDGES, "paths": cells.PATHS}
        content |= {"classes": space.size <= _CLASSES, "params": space == cell.SPACE, **drawing.parts(space)}
    return json.dumps(content, separators=(",", ":")).replace("</", "<\\/")


def _held(space: Space) -> np.ndarray[Any, np.dtype[Any]]:
    """Rows of a listed space, (N, E); of a product every cell's lexicographic position, nothing where that is its index."""
    if space.listed is not None:
        return space.listed.astype("u1" if max(space.options) <= 256 else "<u2")
    order = space.index_of_position
    if (order == np.arange(space.size)).all():
        return np.empty(0, dtype="<u4")
    return np.argsort(order).astype("<u4")


def _packed(values: Any, kind: str) -> str:
    """Numbers as base64 of an array of this kind, little-endian as browsers have it."""
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode()
