"""The answer of a board in a sentence, from the tests that rank its rows: the same in the terminal, on the page and in files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasbench_lab.leaderboard.parts import Row, difference
from nasbench_lab.stats import measures, standings

_MANY = 4  # names that are listed; of more, how many they are


def of(rows: Sequence[Row], tests: Row) -> str:
    """What the tests say of the rows of a setting: who is best and by how much, or who may be; "" of a single row.

    Rows that are marked (`study.replays`: found peeking, or not checked) are named with their mark.

    Args:
        rows: of one setting, best first.
        tests: as `stats.standings.of` gives them, or as they stand in leaderboard.json.
    """
    said = _told(rows, tests)
    return said and said + _marks(rows)


def _marks(rows: Sequence[Row]) -> str:
    marked = {str(row["strategy"]): str(row["mark"]) for row in rows if row.get("mark")}
    return f" Mind: {'; '.join(f'{name}: {mark}' for name, mark in marked.items())}." if marked else ""


def _told(rows: Sequence[Row], tests: Row) -> str:
    names, pairs = _known(tests)
    if len(names) < 2:
        return ""
    if few := standings.too_few(tests):
        return f"Nothing is told apart. {few}"
    first, others = names[0], names[1:]
    shared = [str(row["strategy"]) for row in rows if row["rank"] == 1]
    alike = not_told_apart(tests)
    lead, seeds = pairs[first, names[1]], f"{tests['runs']} seeds"
    if len(shared) > 1:
        further = [name for name in alike if name not in shared]
        rest = (
            f"; {_listed(further)} {'is' if len(further) == 1 else 'are'} not told apart from them" if further else ""
        )
        return f"{_listed(shared)} share the best mean ({seeds}){rest}."
    by = _amount(lead, rows[0], tests["by"])
    if not alike:
        said = f"{first} is best: {by} over {names[1]} ({_interval(lead, rows[0], tests['by'])}{_p(lead)}, {seeds})"
        return f"{said}{_followers(names[1:], pairs)}."
    more = "" if names[1] not in alike else _more_from(lead)
    if len(alike) == len(others):
        return f"No strategy is told apart from {first}, which has the best mean ({by} over {names[1]}, {seeds}){more}."
    return f"{first} has the best mean, but is not told apart from {_listed(alike)} ({seeds}){more}."


def not_told_apart(tests: Row) -> list[str]:
    """The strategies that the tests of a setting do not tell apart from the one with the best mean, best first."""
    names, pairs = _known(tests)
    return [name for name in names[1:] if not pairs[names[0], name]["separated"]]


def overall(sections: Sequence[tuple[Sequence[Row], Row]], across: Row) -> str:
    """The same of a whole board: of one setting its sentence, of several who is unbeaten on how many of them."""
    if not sections:
        return ""
    if len(sections) == 1:
        return of(*sections[0])
    said = _unbeaten(sections, across)
    return said and said + _marks([row for rows, _ in sections for row in rows])


def _unbeaten(sections: Sequence[tuple[Sequence[Row], Row]], across: Row) -> str:
    if across:
        return str(across["verdict"])
    if all(standings.too_few(tests) for _, tests in sections):
        return "Nothing is told apart: too few seeds."
    unbeaten: dict[str, list[str]] = {}
    for rows, _ in sections:
        for row in rows:
            if row["rank_low"] == 1:
                unbeaten.setdefault(str(row["strategy"]), []).append(str(row["table"]))
    if not unbeaten:
        return ""
    most = max(map(len, unbeaten.values()))
    best = [name for name, tables in unbeaten.items() if len(tables) == most]
    where = ("both" if most == 2 else f"all {most}") if most == len(sections) else f"{most} of {len(sections)}"
    kind = "tables" if len({str(rows[0]["table"]) for rows, _ in sections}) == len(sections) else "settings"
    verb = "is" if len(best) == 1 else "are"
    return f"{_listed(best)} {verb} unbeaten on {where} {kind}, by the tests of each."


def _known(tests: Row) -> tuple[list[str], dict[tuple[str, str], Row]]:
    """Strategies of which something is known, best first, and their pairs."""
    pairs = {
        (pair["one"], pair["other"]): pair
        for pair in tests.get("pairs", ())
        if pair["difference"] is not None and pair["difference"] == pair["difference"]
    }
    named = {name for pair in pairs for name in pair}
    return [name for name in tests.get("strategies", ()) if name in named], pairs


def _followers(names: Sequence[str], pairs: dict[tuple[str, str], Row]) -> str:
    """The second and the third, where they are not told apart."""
    if len(names) < 2 or pairs[names[0], names[1]]["separated"]:
        return ""
    return f"; {names[0]} and {names[1]} are not told apart{_more(pairs[names[0], names[1]])}"


def _more(pair: Row) -> str:
    """How many seeds more would tell a pair apart, if the difference seen is the true one."""
    more = pair["more_seeds"]
    if more is None or more != more or not 0 < more <= 10_000:
        return ""
    return f": {more:,.0f} more seeds would" if more > 1 else ": one more seed would"


def _more_from(pair: Row) -> str:
    """The same, where it has to be said of whom."""
    more = _more(pair)
    return f"{more} tell it from {pair['other']}" if more else ""


def _amount(pair: Row, row: Row, by: str) -> str:
    """A difference with its unit."""
    value = pair["difference"]
    if by == "hypervolume":
        return f"+{value:.3g} of the hypervolume"
    measure = measures.of(row)
    if measure.percent:
        return f"+{value:.{_decimals(value)}f} points"
    return f"better by {difference(value, measure)}" + ("" if measure.unit in ("", "1") else f" ({measure.unit})")


def _interval(pair: Row, row: Row, by: str) -> str:
    low, high = pair["low"], pair["high"]
    if low is None or low != low:
        return ""
    if by == "hypervolume" or not measures.of(row).percent:
        return f"{low:.3g} to {high:.3g}, "
    decimals = _decimals(pair["difference"])
    return f"{low:.{decimals}f} to {high:.{decimals}f}, "


def _decimals(points: float) -> int:
    """Two, and of a smaller difference as many as show two of its digits."""
    return 2 if not 0 < abs(points) < 0.01 else 1 - math.floor(math.log10(abs(points)))


def _p(pair: Row) -> str:
    p = pair["p_holm"]
    return "p < .0001" if p < 1e-4 else f"p = {p:.2g}".replace("= 0.", "= .")


def _listed(names: Sequence[str]) -> str:
    if len(names) > _MANY:
        return f"{', '.join(names[:2])} and {len(names) - 2} others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
