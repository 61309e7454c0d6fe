"""The parts of the report page as HTML text: tables, strategies, cells. Complete without JavaScript."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from nasbench_lab.leaderboard import decimals, verdict, wording
from nasbench_lab.leaderboard.parts import difference
from nasbench_lab.plots import style
from nasbench_lab.report.charts import Board, Row, Setting
from nasbench_lab.spaces import cell, cells, drawing
from nasbench_lab.stats import measures, shares, standings

_DRAWN = "; drawn on one scale for the whole table, cut where it goes further"
_ALL_PAIRS = 8  # strategies up to which the page lists every pair, not only neighbours


def escaped(value: Any) -> str:
    """Text for HTML, in elements and attributes."""
    return html.escape(str(value), quote=True)


def breakable(text: str) -> str:
    """Text for HTML whose long names of strategies may be broken into lines."""
    return re.sub(r"([_:,=])(?=\w)", r"\1<wbr>", escaped(text))


def element(tag: str, content: str, **attributes: Any) -> str:
    """An element; content is HTML, attributes are text, `class_` is class, `_` in names is `-`."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{''.join(pairs)}>{content}</{tag}>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], label: str, *, class_: str | None = None) -> str:
    """A table of texts in a region that scrolls sideways."""
    head = "".join(element("th", escaped(text), scope="col") for text in heads)
    body = "".join(
        "<tr>"
        + "".join(element("td" if i else "th", escaped(text), scope=None if i else "row") for i, text in enumerate(row))
        + "</tr>"
        for row in rows
    )
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return scrolling(inner, label, class_)


def scrolling(inner: str, label: str, class_: str | None = None) -> str:
    """A region that keyboards can scroll."""
    return element(
        "div", inner, class_="scroll" + (f" {class_}" if class_ else ""), tabindex="0", role="region", aria_label=label
    )


def swatch(look: style.Look) -> str:
    """A short piece of a strategy's line."""
    return _piece(f"h{look.hue}", 3, style.DASHES[look.dash] if look.dash else ())


def _piece(colour: str, width: float, dash: Sequence[int]) -> str:
    pattern = f' stroke-dasharray="{",".join(map(str, dash))}"' if dash else ""
    return (
        '<svg class="swatch" viewBox="0 0 26 8" width="26" height="8" aria-hidden="true">'
        f'<path d="M1,4H25" stroke="var(--{colour})" stroke-width="{width:g}" fill="none"{pattern}/></svg>'
    )


def names_below(strategies: Sequence[tuple[style.Look, int]], others: Sequence[str]) -> str:
    """Names of the lines above, for a page too narrow to have them at their ends; `others` are the grey dotted ones."""
    parts = [element("span", swatch(look) + escaped(look.label), data_s=number) for look, number in strategies]
    parts += [element("span", _piece("muted", 1.2, (1, 3)) + escaped(name)) for name in others]
    return element("p", "".join(parts), class_="names")


def family(spec: str, facts: Mapping[str, Row]) -> str:
    """The family of a strategy; "other" where it is not known."""
    return str(facts.get(spec, {}).get("family") or "other")


def attributes(setting: Setting) -> dict[str, str]:
    """What the page filters by."""
    first = setting.rows[0]
    return {"data_table": f"{first['table']} → {first['score']}", "data_budget": str(first["budget"])}


def ranking(board: Board, setting: Setting, columns: Mapping[str, str], facts: Mapping[str, Row], number: int) -> str:
    """The leaderboard of one setting: heads that sort and explain themselves, rows with their interval drawn."""
    rows = setting.rows
    heads = wording.heads_of(rows[0], setting.reference)
    scored = "hypervolume" if "hypervolume_mean" in rows[0] else "test"
    scale = _scale([row[f"{scored}_mean"] for row in rows])
    head = "".join(_head(name, i, columns, number) for i, name in enumerate(heads))
    index = {name: i for i, name in enumerate(board.looks)}
    texts = decimals.even([wording.cells_of(row) for row in rows])
    body = "".join(
        _row(row, cells, heads, index, board.looks, facts, scored, scale)
        for row, cells in zip(rows, texts, strict=True)
    )
    title = element("h3", escaped(wording.heading(rows[0])), id=f"setting-{number}")
    inner = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    ranked = element("table", inner, class_="rank", aria_labelledby=f"setting-{number}")
    said = verdict.of(rows, setting.tests)
    title += element("p", escaped(said), class_="answer") if said else ""
    below = " ".join(filter(None, (wording.footing(setting.reference), wording.own_noise(setting.tests))))
    foot = element("p", escaped(below), class_="note")
    region = scrolling(ranked, f"Leaderboard, {wording.heading(rows[0])}")
    return element("div", title + region + foot, class_="setting", **attributes(setting))


def pairs(board: Board, setting: Setting) -> str:
    """What the tests say of pairs of strategies, in a table: all of few strategies, neighbours of many."""
    tests = setting.tests
    if not tests.get("pairs"):
        return ""
    near = set(pairwise(setting.order))
    every = len(setting.order) <= _ALL_PAIRS
    kept = [pair for pair in tests["pairs"] if every or (pair["one"], pair["other"]) in near]
    measure, labels = setting.measure, {name: look.label for name, look in board.looks.items()}
    plain = measure.plain or tests["by"] == "hypervolume"
    rows = [_pair(pair, labels, ".3f" if plain or measure.percent else ".4g") for pair in kept]
    more = f"{tests['by']} {'more' if plain else 'better'} by (95%)"
    heads = ("strategy", "than", more, "probability better", "p, Holm", "separated", "more seeds")
    title = "Every pair as a table" if every else "Neighbours in the ranking as a table"
    inner = table(heads, rows, f"{title}, {wording.heading(setting.rows[0])}")
    note = element("p", escaped(_how_tested(tests)), class_="note")
    return f"<details><summary>{title}</summary>{inner}{note}</details>"


def _pair(pair: Row, labels: Mapping[str, str], form: str) -> tuple[str, ...]:
    """The cells of one pair."""
    difference, low, high = (_number(pair[key], form) for key in ("difference", "low", "high"))
    return (
        labels[pair["one"]],
        labels[pair["other"]],
        f"{difference} ({low} to {high})" if low and high else difference,
        "" if pair["improvement"] is None else shares.decimal(pair["improvement"]),
        _p(pair["p_holm"]),
        "yes" if pair["separated"] else "no",
        "" if pair["more_seeds"] is None else wording.seeds(pair["more_seeds"]),
    )


def _how_tested(tests: Row) -> str:
    """The method, what it can see with so many seeds, and the test of all at once."""
    sentences = [f"{tests['method']}, level {tests['alpha']:g}."]
    if tests.get("detectable_difference") is not None:
        sentences.append(
            f"With {tests['runs']} seeds the typical pair is told apart, with {shares.percent(tests['power'])} power, from a "
            f"true difference of {tests['detectable_difference']:.3g} on."
        )
    if few := standings.too_few(tests):
        sentences.append(few)
    friedman = tests.get("friedman")
    if friedman and friedman.get("p") is not None:
        sentences.append(f"Friedman's test of all at once: p {_p(friedman['p'])}.")
    return " ".join(sentences)


def _number(value: Any, form: str) -> str:
    return "" if value is None or value != value else format(value, form)


def _p(value: Any) -> str:
    return "" if value is None or value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _head(name: str, place: int, columns: Mapping[str, str], number: int) -> str:
    meaning = wording.meaning(name, columns) + (_DRAWN if name == wording.INTERVAL else "")
    tip = f"tip-{number}-{place}"
    words = element("span", escaped(meaning), role="tooltip", id=tip, class_="tip") if meaning else ""
    button = element("button", escaped(name), type="button", aria_describedby=tip if meaning else None)
    return element("th", button + words, scope="col", class_="text" if name == "strategy" else None)


def _row(
    row: Row,
    cells: Sequence[str],
    heads: Sequence[str],
    index: Mapping[str, int],
    looks: Mapping[str, style.Look],
    facts: Mapping[str, Row],
    scored: str,
    scale: tuple[float, float],
) -> str:
    spec, drawn = row["strategy"], False
    out = []
    for name, text in zip(heads, cells, strict=True):
        if name == "strategy":
            link = element("a", swatch(looks[spec]) + breakable(text), href=f"#s{index[spec]}")
            out.append(element("th", link, scope="row", class_="text"))
        elif name == wording.INTERVAL and not drawn:
            drawn = True
            out.append(
                element(
                    "td",
                    f"<div>{_whisker(row, scored, scale, looks[spec].hue)}<span>{escaped(text)}</span></div>",
                    class_="interval",
                )
            )
        else:
            out.append(element("td", escaped(text)))
    return element("tr", "".join(out), data_s=index[spec], data_family=family(spec, facts), data_name=spec)


def _scale(means: Sequence[float]) -> tuple[float, float]:
    """What the drawn intervals span: all means and somewhat more, so that one wide interval does not hide the rest."""
    known = [mean for mean in means if mean == mean]
    margin = 0.15 * (max(known) - min(known)) if known else 0.0
    return (min(known) - margin, max(known) + margin) if margin else (0.0, 0.0)


def _whisker(row: Row, scored: str, scale: tuple[float, float], hue: int) -> str:
    """The mean as a dot on its interval, all rows on one scale; an interval that goes further is cut."""
    low, mean, high = (row[f"{scored}_{end}"] for end in ("lo", "mean", "hi"))
    if mean != mean:
        return ""

    def at(value: float) -> float:
        share = (value - scale[0]) / (scale[1] - scale[0]) if scale[1] > scale[0] else 0.5
        return 4 + 92 * min(max(share, 0.0), 1.0)

    line = f'<path d="M{at(low):.1f},6H{at(high):.1f}" stroke="var(--h{hue})" stroke-width="2"/>' if low == low else ""
    dot = f'<circle cx="{at(mean):.1f}" cy="6" r="3" fill="var(--h{hue})"/>'
    return f'<svg class="whisker" viewBox="0 0 100 12" aria-hidden="true">{line}{dot}</svg>'


def series(board: Board) -> str:
    """The switches of the curves: a box per strategy, best first."""
    hot = {name for setting in board.settings for name in style.emphasised(setting.order)}
    boxes = []
    for i, (name, look) in enumerate(board.looks.items()):
        box = f'<input type="checkbox" checked data-s="{i}"' + (' data-hot="1"' if name in hot else "") + ">"
        boxes.append(element("label", f"{box}{swatch(look)}<span>{escaped(look.label)}</span>", data_s=i, title=name))
    buttons = "".join(
        element("button", text, type="button", data_show=key)
        for key, text in (("all", "All"), ("hot", "Best only"), ("none", "None"))
    )
    return element(
        "fieldset",
        f"<legend>Strategies shown in the charts {buttons}</legend><div>{''.join(boxes)}</div>",
        class_="series needs-script",
        id="series",
    )


def strategy(board: Board, name: str, number: int, facts: Mapping[str, Row], manifest: Row) -> str:
    """One strategy: what it is, how it was run, how it did."""
    fact, look = facts.get(name, {}), board.looks[name]
    own = [row for row in board.rows if row["strategy"] == name]
    runs = [run for run in manifest.get("runs", []) if run.get("strategy") == name]
    given = ", ".join(f"{key}={value}" for key, value in style.parameters(name).items())
    items = [
        ("specification", element("code", escaped(name))),
        ("paper", escaped(fact.get("paper") or "not known")),
        ("family", escaped(family(name, facts))),
        (
            "parameters",
            escaped(given or "defaults")
            + (f" (defaults: {escaped(fact['parameters'])})" if fact.get("parameters") else ""),
        ),
        ("seeds", escaped(_seeds(own, manifest))),
        ("deciding", escaped(_deciding(own))),
    ]
    if runs:
        ids = ", ".join(f"{run.get('table')} {run.get('id')}" for run in runs)
        items.append(("run ids", element("code", escaped(ids))))
    listed = "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in items)
    heads, found = places(own)
    summary = f"<summary><h3>{swatch(look)}{escaped(look.label)}</h3><span>{escaped(fact.get('summary') or '')}</span></summary>"
    return element(
        "details", f"{summary}<dl>{listed}</dl>{table(heads, found, f'Results of {name}')}",
        class_="strategy", id=f"s{number}", data_family=family(name, facts), data_name=name,
    )  # fmt: skip


def places(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads and cells of how a strategy did; of scores in several units every cell has its own."""
    scored = [wording.heads_of(row)[2] for row in rows]
    one = len(set(scored)) < 2
    found: list[tuple[str, ...]] = []
    for row, head in zip(rows, scored, strict=True):
        score, regret = wording.cells_of(row)[2], _regret(row)
        if not one:
            score, regret = (
                f"{text} {unit}" if text else ""
                for text, unit in ((score, head.partition(" ")[2]), (regret, measures.of(row).points))
            )
        found.append((wording.heading(row), _rank_text(row), score, regret))
    return ("setting", "rank", "score" if not one else scored[0] if rows else "test %", "regret"), found


def _seeds(rows: Sequence[Row], manifest: Row) -> str:
    study = manifest.get("study", {})
    first, count = study.get("first_seed", 0), int(rows[0]["runs"]) if rows else study.get("seeds", 0)
    return f"{count} ({first} to {first + count - 1})"


def _deciding(rows: Sequence[Row]) -> str:
    known = [
        1e3 * row["decision_seconds_per_query"] for row in rows if math.isfinite(row["decision_seconds_per_query"])
    ]
    return (
        " to ".join(dict.fromkeys((f"{min(known):.3g}", f"{max(known):.3g}"))) + " ms per query"
        if known
        else "not known"
    )


def _rank_text(row: Row) -> str:
    return f"{row['rank']:.0f}" if math.isfinite(row["rank"]) else ""


def _regret(row: Row) -> str:
    return difference(row["regret_mean"], measures.of(row))


def best_cells(board: Board, setting: Setting) -> str:
    """The best cells that runs ended with, drawn; "" where they are not known."""
    found = setting.details.get("best", [])
    if not found:
        return ""
    figures = "".join(_cell_figure(board, setting, item) for item in found)
    heading = element("h3", escaped(wording.heading(setting.rows[0])))
    return element("div", heading + element("div", figures, class_="cells"), class_="setting", **attributes(setting))


def _cell_figure(board: Board, setting: Setting, item: Row) -> str:
    arch, total, measure = int(item["cell"]), max(int(item["of_runs"]), 1), setting.measure
    by = ", ".join(f"{board.looks[name].label} {count}" for name, count in item["by"].items() if name in board.looks)
    seen = (
        ""
        if item["seen"] == item["test"]
        else f"seen by the search {wording.seen_measure(setting.reference).text(item['seen'])} (rank {item['seen_rank']:,}), "
    )
    what = setting.reference.get("optimum_is") or measure.what
    facts = (
        f"{what} {measure.text(item['test'])}, rank {item['test_rank']:,} of {item['of']:,}; {seen}"
        f"{item['runs']:,} of {total:,} runs ended here: {by}"
    )
    drawn, words = _drawn(setting, item)
    caption = f"<strong>cell {arch}</strong> {escaped(facts)} {element('code', escaped(words))}"
    return element("figure", drawn + element("figcaption", caption), class_="cell-card")


def _drawn(setting: Setting, item: Row) -> tuple[str, str]:
    """The picture of a cell, where its space has one, and how the cell is written."""
    arch, labels, space = int(item["cell"]), item.get("labels"), setting.details.get("space", {})
    if labels is None:
        return drawing.cell_svg(arch, page=True), cell.to_string(arch)
    words = ", ".join(f"{name}={label}" for name, label in labels.items())
    if not space.get("roles"):
        return "", words
    operations = next(iter(space["decisions"].values()))
    ops = [operations.index(label) for label in labels.values()]
    return drawing.graph_svg(f"Cell {arch}", ops, operations, space["roles"], page=True), cells.string_of(
        list(labels.values())
    )
