"""A four-node cell as a picture: four nodes, six edges with their operations, as SVG text that needs nothing else.

A convolution is a thick line (3x3 thicker than 1x1), pooling is dotted, a skip is thin and dashed, `none` is a hair
line. Edges on no path from input to output, which the network could do without, are grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from nasbench_lab.spaces import cell, cells
from nasbench_lab.spaces.space import Space

WIDTH, HEIGHT = 400, 212
_RADIUS = 15
_NODES = ((30, 112), (150, 40), (234, 150), (370, 112))
_NAMES = ("in", "1", "2", "out")
_BELOW = (200, 268)  # where the edge 0-3 bends through, under node 2


class Stroke(NamedTuple):
    """How an operation is drawn: what is written beside it, its colour's variable and value, its width and dash."""

    label: str
    variable: str
    colour: str
    width: float
    dash: str


STROKES = {
    cell.NONE: Stroke("none", "others", "#a3abb5", 0.8, "1 4"),
    cell.SKIP: Stroke("skip", "h0", "#30363d", 1.6, "7 4"),
    cell.CONV1: Stroke("conv 1×1", "h2", "#c2410c", 2.8, ""),
    cell.CONV3: Stroke("conv 3×3", "h1", "#0b62a8", 4.6, ""),
    cell.POOL: Stroke("avg pool", "h3", "#12704a", 2.6, "2 3"),
}


def cell_svg(arch: int, *, space: Space = cell.SPACE, page: bool = False) -> str:
    """A cell drawn as a graph.

    Args:
        arch: index of the cell.
        space: of four-node cells.
        page: colours as variables of the report page, which follow light and dark; otherwise fixed, on white.

    Returns:
        SVG text.
    """
    return graph_svg(f"Cell {arch}", space.row(arch), cells.labels_of(space), space.roles, page=page)


def graph_svg(
    title: str, ops: Sequence[int], labels: Sequence[str], roles: Sequence[str], *, page: bool = False
) -> str:
    """The same of a cell whose space is not at hand.

    Args:
        title: what is said of it.
        ops: number of the operation on each of the six edges.
        labels, roles: of the operations.
        page: as in `cell_svg`.
    """
    strokes, live = strokes_of(labels, roles), _live([roles[op] for op in ops])
    edges = [_edge(i, strokes[op], roles[op], live[i], page) for i, op in enumerate(ops)]
    nodes = [_node(i, page) for i in range(4)]
    background = "" if page else f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    names = escape(", ".join(f"{a}-{b} {labels[op]}" for (a, b), op in zip(cells.EDGES, ops, strict=True)))
    size = "" if page else f' width="{WIDTH}" height="{HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"{size} class="cell" role="img" '
        f'aria-label="{escape(title)}: {names}" font-family="system-ui, sans-serif">'
        f"{background}{''.join(line for line, _ in edges)}{''.join(nodes)}{''.join(text for _, text in edges)}</svg>"
    )


def strokes_of(labels: Sequence[str], roles: Sequence[str]) -> list[Stroke]:
    """How every operation is drawn: as its role is, under its own name where another operation has the same role."""
    found = []
    for label, role in zip(labels, roles, strict=True):
        stroke = STROKES[cells.ROLES.index(role)]
        found.append(stroke if list(roles).count(role) == 1 else stroke._replace(label=label))
    return found


def _live(roles: Sequence[str]) -> list[bool]:
    """Whether each edge is on a path from input to output."""
    paths = [path for path in cells.PATHS if all(roles[edge] != "none" for edge in path)]
    return [any(edge in path for path in paths) for edge in range(len(cells.EDGES))]


def _edge(edge: int, stroke: Stroke, role: str, live: bool, page: bool) -> tuple[str, str]:
    """The line of an edge, and its label."""
    route, x, y = _route(edge)
    hue = _colour(stroke.variable, stroke.colour, page) if live else _colour("others", "#a3abb5", page)
    dash = f' stroke-dasharray="{stroke.dash}"' if stroke.dash else ""
    line = f'<path d="{route}" fill="none" stroke="{hue}" stroke-width="{stroke.width:g}"{dash}/>'
    if role == "none":
        return line, ""
    ink = _colour("ink", "#1b1f24", page) if live else _colour("muted", "#5c6570", page)
    width, paper = 6.6 * len(stroke.label) + 8, _colour("paper", "#ffffff", page)
    box = f'<rect x="{x - width / 2:g}" y="{y - 9:g}" width="{width:g}" height="18" rx="4" fill="{paper}"/>'
    label = escape(stroke.label)
    words = f'<text x="{x:g}" y="{y + 4:g}" font-size="12" text-anchor="middle" fill="{ink}">{label}</text>'
    return line, box + words


def _route(edge: int) -> tuple[str, float, float]:
    """The path of an edge, and where its label stands."""
    a, b = cells.EDGES[edge]
    (x1, y1), (x2, y2) = _NODES[a], _NODES[b]
    if (a, b) == (0, 3):
        return f"M{x1},{y1}Q{_BELOW[0]},{_BELOW[1]} {x2},{y2}", (x1 + x2) / 2, (y1 + y2) / 4 + _BELOW[1] / 2
    return f"M{x1},{y1}L{x2},{y2}", (x1 + x2) / 2, (y1 + y2) / 2


def parts(space: Space = cell.SPACE) -> dict[str, Any]:
    """How cells are drawn, for a script that draws others: size, nodes (SVG), routes of edges, strokes of operations."""
    strokes = strokes_of(cells.labels_of(space), space.roles)
    return {
        "size": [WIDTH, HEIGHT],
        "nodes": "".join(_node(i, True) for i in range(4)),
        "routes": [_route(edge) for edge in range(6)],
        "strokes": [stroke._asdict() for stroke in strokes],
    }


def _node(node: int, page: bool) -> str:
    x, y = _NODES[node]
    ink, paper = _colour("ink", "#1b1f24", page), _colour("paper", "#ffffff", page)
    return (
        f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="{paper}" stroke="{ink}" stroke-width="1.5"/>'
        f'<text x="{x}" y="{y + 4}" font-size="12" text-anchor="middle" fill="{ink}">{_NAMES[node]}</text>'
    )


def _colour(variable: str, value: str, page: bool) -> str:
    return f"var(--{variable})" if page else value
