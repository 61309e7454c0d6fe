r"""Leaderboards as a LaTeX table for a paper: booktabs, several settings side by side, a caption that says what was done.

Of the preamble it needs `\usepackage{booktabs}`; LaTeX itself reads UTF-8 since 2018. Names in other scripts than Latin need
XeLaTeX or LuaLaTeX.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from nasbench_lab.core import whole
from nasbench_lab.errors import LabError
from nasbench_lab.leaderboard import details, protocols, verdict, wording
from nasbench_lab.leaderboard.parts import Row, difference
from nasbench_lab.stats import measures, shares, standings

Spread = Literal["interval", "plusminus", "none"]
ESCAPED = MappingProxyType({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}",
    "→": r"$\rightarrow$", "↓": r"$\downarrow$", "≥": r"$\geq$", "–": "--", "×": r"$\times$", "²": r"$^2$", "±": r"$\pm$",
})  # fmt: skip
_MARK = r"$^{\ast}$"


class _Setting(NamedTuple):
    """One column of a table."""

    rows: dict[str, Row]
    tests: Row
    alike: frozenset[str]  # not told apart from the one with the best mean

    @property
    def shared(self) -> Row:
        """A row, for what all of them share."""
        return next(iter(self.rows.values()))


def escaped(text: str) -> str:
    """A text as LaTeX prints it: on one line, nothing in it is a command."""
    return "".join(ESCAPED.get(letter, letter) for letter in re.sub(r"\s+", " ", text) if letter.isprintable())


def table(boards: Sequence[Mapping[str, Any]], *, spread: str = "interval", columns: int = 4, label: str = "") -> str:
    """One table of all settings of some boards, strategies as rows.

    Args:
        boards: what leaderboard.json files hold; the settings of all of them stand side by side, in order.
        spread: beside the mean its 95% "interval", "plusminus" half of it, or "none".
        columns: settings side by side; further ones below them.
        label: of the table; tab:leaderboard if left out.

    Returns:
        a `table` environment. The best mean of a column is bold; a star marks strategies that its tests do not tell apart
        from the best. Strategies are in the order of their mean place; a dash: not compared there.

    Raises:
        LabError: another spread, no column, or nothing to print.
    """
    if not re.fullmatch(r"[\w:.+-]*", label):
        raise LabError(f"a label has letters, digits and : . + - _ alone, got {label!r}")
    if spread not in get_args(Spread):
        raise LabError(f"spread must be {', '.join(get_args(Spread))}, got {spread!r}")
    columns = whole(columns, "columns", least=1)
    try:
        settings = [setting for board in boards for setting in _settings(board)]
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(
            f"a board cannot be printed, its leaderboard.json is not as one is written: {error!r}"
        ) from error
    if not settings:
        raise LabError("there is no row to print")
    names = _ordered(settings)
    heads = _heads(settings)
    parts = [
        _part(settings[i : i + columns], [[line[0], *line[1:][i : i + columns]] for line in heads], names, spread)
        for i in range(0, len(settings), columns)
    ]
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_caption(settings, spread)}}}",
        f"  \\label{{{label or 'tab:leaderboard'}}}",
        *"\n\n  \\medskip\n".join("\n".join(f"  {line}" for line in part) for part in parts).split("\n"),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _part(settings: Sequence[_Setting], heads: Sequence[Sequence[str]], names: Sequence[str], spread: str) -> list[str]:
    """The lines of some settings side by side."""
    rows = ([escaped(name), *(_cell(each, name, spread) for each in settings)] for name in names)
    return [
        f"\\begin{{tabular}}{{l{'r' * len(settings)}}}",
        r"  \toprule",
        *(f"  {line} \\\\" for line in (" & ".join(map(escaped, texts)) for texts in heads)),
        r"  \midrule",
        *(f"  {' & '.join(row)} \\\\" for row in rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]


def _settings(board: Mapping[str, Any]) -> list[_Setting]:
    """The settings of a board, in the order of its references."""
    found = []
    for reference, tests in zip(board.get("references", ()), board.get("tests", ()), strict=True):
        own = [row for row in board["rows"] if details.key_of(row) == details.key_of(reference)]
        if own:
            alike = frozenset(() if standings.too_few(tests) else verdict.not_told_apart(tests))
            found.append(_Setting({str(row["strategy"]): row for row in own}, tests, alike))
    return found


def _ordered(settings: Sequence[_Setting]) -> list[str]:
    """All strategies by mean place over the settings that have them."""
    places: dict[str, list[float]] = {}
    for each in settings:
        for name, row in each.rows.items():
            rank = row["rank"]
            places.setdefault(name, []).append(math.inf if rank is None or rank != rank else float(rank))
    return sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))


def _heads(settings: Sequence[_Setting]) -> list[list[str]]:
    """Lines of a heading over all settings: the tables, of one table alone what tells its columns apart, what is measured."""
    rows = [each.shared for each in settings]
    units = [wording.VOLUME if "hypervolume_mean" in row else wording.scores_of(row) for row in rows]
    apart = zip(*protocols.apart(rows)[1], strict=True) if _of_one(settings) else ()
    return [["strategy", *_names(settings)], *(["", *texts] for texts in apart), ["", *units]]


def _of_one(settings: Sequence[_Setting]) -> bool:
    """Whether all settings are of one table; then the heading, else the caption says how they differ."""
    return len({(each.shared["table"], each.shared["score"]) for each in settings}) == 1


def _names(settings: Sequence[_Setting]) -> list[str]:
    """The tables; those that are there several times among others numbered, for the caption to name them."""
    rows = [each.shared for each in settings]
    names = [wording.searched(row["table"], row["kind"], row["score"]) for row in rows]
    if _of_one(settings):
        return names
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _cell(setting: _Setting, name: str, spread: str) -> str:
    row = setting.rows.get(name)
    if row is None:
        return "--"
    by = "hypervolume" if "hypervolume_mean" in row else "test"
    mean, low, high = (_known(row[f"{by}_{end}"]) for end in ("mean", "lo", "hi"))
    if math.isnan(mean):
        return "--"
    text = _number(mean, row, by)
    text = f"\\textbf{{{text}}}" if row["rank"] == 1 else text
    best = [other for other in setting.rows.values() if other["rank"] == 1]
    alike = name in setting.alike or (row["rank"] == 1 and len(best) > 1 and not standings.too_few(setting.tests))
    return text + _around(low, high, row, by, spread) + (_MARK if alike else "")


def _around(low: float, high: float, row: Row, by: str, spread: str) -> str:
    if spread == "none" or math.isnan(low) or math.isnan(high):
        return ""
    if spread == "plusminus":
        return f" {{\\scriptsize$\\pm${_plain(_size((high - low) / 2, row, by))}}}"
    return f" {{\\scriptsize[{_number(low, row, by)}, {_number(high, row, by)}]}}"


def _number(value: float, row: Row, by: str) -> str:
    return _plain(shares.decimal(value, 4) if by == "hypervolume" else measures.of(row).text(value))


def _size(value: float, row: Row, by: str) -> str:
    return shares.decimal(value, 4) if by == "hypervolume" else difference(value, measures.of(row))


def _plain(text: str) -> str:
    """A number's text in LaTeX."""
    plain = re.sub(r"e([+-]?)0*(\d+)$", lambda found: f"\\times10^{{{found[1].lstrip('+')}{found[2]}}}", text)
    return f"${plain}$" if plain != text or text.startswith("-") else text


def _known(value: Any) -> float:
    return math.nan if value is None else float(value)


def _caption(settings: Sequence[_Setting], spread: str) -> str:
    """What was done: the protocol, how many seeds, what the signs stand for."""
    rows = [each.shared for each in settings]
    done = ", ".join(protocols.apart(rows)[0]) if _of_one(settings) else protocols.together(_names(settings), rows)
    done = f". {done[0].upper()}{done[1:]}" if done else ""
    shown = {
        "interval": "; in brackets 95\\% intervals",
        "plusminus": "; $\\pm$ half of the 95\\% interval",
        "none": "",
    }[spread if any(_has_interval(row) for each in settings for row in each.rows.values()) else "none"]
    plain = all(measures.of(row).plain for row in rows)
    fronts = ["hypervolume_mean" in row for row in rows]
    what = wording.noted("Mean test accuracy of the cell that a search recommends at the end", plain=plain)
    what = what if any(measures.of(row).tested for row in rows) else what.replace("test ", "")
    volume = "Mean normalised hypervolume of all cells queried, as a share of the exact front's"
    what = volume if all(fronts) else f"{what}, and {volume.lower()} where that is said" if any(fronts) else what
    alpha = {float(each.tests["alpha"]) for each in settings if each.tests.get("alpha")} or {0.05}
    stars = (
        f"{_MARK}: not told apart from the best (sign-flip tests of paired means, Holm's correction over all pairs, "
        f"{100 * max(alpha):g}\\%)"
    )
    few = [standings.too_few(each.tests) for each in settings]
    told = "; nothing is told apart, as seeds are too few" if all(few) else f"; {stars}"
    told += ", where seeds are not too few for that" if any(few) and not all(few) else ""
    return f"{escaped(what)}{shown}{escaped(done)}. Bold: the best mean{told}."


def _has_interval(row: Row) -> bool:
    by = "hypervolume" if "hypervolume_mean" in row else "test"
    return not math.isnan(_known(row[f"{by}_lo"]))
