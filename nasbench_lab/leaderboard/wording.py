"""A leaderboard in words: headings, cells, references and notes, for page, terminal and leaderboard.md alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from nasbench_lab.errors import queries
from nasbench_lab.files import markdown
from nasbench_lab.leaderboard import decimals, verdict
from nasbench_lab.leaderboard.parts import FRONT_COLUMNS, Leaderboard, Row, difference
from nasbench_lab.stats import across, intervals, measures, shares, standings

MARKDOWN = (
    "rank",
    "strategy",
    "test %",
    "95% interval",
    "median",
    "regret",
    "val regret",
    "more seeds",
    "queries",
    "to optimum",
    "reached",
    "ms/query",
)

INTERVAL = "95% interval"
VOLUME = "hypervolume share"  # of the exact front's
_MEANING = MappingProxyType(
    {  # head of a column -> the name under which `columns` explains it
        "rank": "rank_low",
        "more seeds": "seeds_to_next",
        "median": "test_median",
        "regret": "regret_mean",
        "val regret": "val_regret_mean",
        "mean rank": "rank_mean",
        "to optimum": "queries_to_optimum_mean",
        "reached": "reached_optimum",
        "ms/query": "decision_seconds_per_query",
        VOLUME: "hypervolume_mean",
    }
)
FULL = "full"  # how a search of a table that counts no epochs is called
_OF_OPTIMUM = ("to optimum", "reached")
_SURE = 0.5  # chance below which columns of the best cell say that another may be the best
_MOST_DIGITS = 6  # of an interval that is narrow

FRONT_MARKDOWN = ("rank", "strategy", VOLUME, "95% interval", *MARKDOWN[2:])


def heads_of(row: Row, reference: Row | None = None) -> tuple[str, ...]:
    """The heads of a row's cells; with the references of its setting those of the optimum say how sure it is, if it is not."""
    heads: tuple[str, ...] = FRONT_MARKDOWN if "hypervolume_mean" in row else MARKDOWN
    heads = tuple(scores_of(row) if head == "test %" else head for head in heads)
    if (other := seen_measure(row)).unit != measures.of(row).unit:
        heads = tuple(f"val regret, {other.unit}" if head == "val regret" else head for head in heads)
    found = reference or {}
    chance = None if "optimum_is" in found else found.get("optimum_chance")  # then nobody says when it was found
    if chance is not None and chance < _SURE:
        heads = tuple(f"{head} ({shares.percent(chance)} sure)" if head in _OF_OPTIMUM else head for head in heads)
    place = heads.index("queries")
    return (*heads[:place], *(("seconds",) if _timed(row) else ()), *heads[place:])


def meaning(head: str, columns: Mapping[str, str]) -> str:
    """What the numbers under a head mean, by the `columns` of its leaderboard; "" where that is not known."""
    if head == INTERVAL:
        return (
            "where the mean over seeds lies: 95% interval by studentised bootstrap, wider where nearly all runs agree, as a rare "
            "miss need not be among them"
        )
    scores = head.startswith(("test ", "score "))
    name, sure, chance = head.partition(",")[0].partition(" (")
    said = columns.get("test_mean" if scores else _MEANING.get(name, name if sure else head), "")
    for shown, column in _MEANING.items():  # a reader of a board knows its heads, not the columns of its files
        said = re.sub(rf"\b{column}\b", f"{shown!r}", said)
    if not sure or scores:
        return said
    best = "a best cell is one with the best mean of its trainings, which is the best of all with probability"
    return f"{said}; {best} {chance.split()[0]}"


def explained(board: Leaderboard) -> dict[str, str]:
    """Every head of a leaderboard's tables of rows, with what it means, in their order."""
    heads = dict.fromkeys(head for section in board.sections for head in heads_of(section.rows[0], section.reference))
    return {head: meaning(head, board.columns) for head in heads}


def _timed(row: Row) -> bool:
    """Whether the budget is one of simulated seconds: what was used of it is then shown."""
    return str(row["budget"]).endswith(" s")


def cells_of(row: Row) -> tuple[str, ...]:
    """A row as the texts under `heads_of` it, for the page and the terminal alike."""
    bound = "≥ " if row["reached_optimum"] < 1 else ""
    front: tuple[str, ...] = ()
    if "hypervolume_mean" in row:
        ends = row["hypervolume_lo"], row["hypervolume_hi"]
        front = _share(row["hypervolume_mean"]), _interval(*ends, 4, row["runs"] < intervals.FEWEST)
    return (
        _range(row["rank_low"], row["rank_high"]),
        row["strategy"]
        + (f" ({row['mark']})" if row.get("mark") else "")
        + (f" ({row['unanswered']} of {row['runs']} runs without an answer)" if row["unanswered"] else ""),
        *front,
        score(row["test_mean"], row),
        _scores(row["test_lo"], row["test_hi"], row),
        score(row["test_median"], row),
        difference(row["regret_mean"], measures.of(row)),
        difference(row["val_regret_mean"], seen_measure(row)),
        seeds(row["seeds_to_next"]),
        *((_text(row["seconds"], 0),) if _timed(row) else ()),
        _text(row["queries"], 0),
        bound + _text(row["queries_to_optimum_mean"], 0),
        shares.percent(row["reached_optimum"]) if row["reached_optimum"] == row["reached_optimum"] else "",
        _text(1e3 * row["decision_seconds_per_query"], 3),
    )


def _interval(low: float, high: float, digits: int, few: bool) -> str:
    """An interval; where there is none why, if there are too few seeds, and nothing if not all runs have an answer."""
    if low != low:
        return f"from {intervals.FEWEST} seeds on" if few else ""
    while low < high and digits < _MOST_DIGITS and _text(low, digits) == _text(high, digits):
        digits += 1  # an interval that is narrow is not shown as none
    return f"{_text(low, digits)} – {_text(high, digits)}"


def unit_of(row: Row) -> str:
    """The unit of a row's scores, and an arrow down where lower ones are better."""
    measure = measures.of(row)
    return measure.unit + ("" if measure.sign > 0 else " ↓")


def scores_of(row: Row) -> str:
    """The head above a row's scores: whether they are of a test, and their unit."""
    what = "test" if measures.of(row).tested else "score"
    unit = unit_of(row)
    return unit if unit.partition(" ")[0] == what else f"{what} {unit}"


def seen_measure(row: Row) -> measures.Measure:
    """How a size of what the search sees is read: in the searched table's unit, which need not be the scored table's."""
    other = row.get("val_unit")
    return measures.Measure(other) if isinstance(other, str) and other else measures.of(row)


def score(value: float, row: Row) -> str:
    """A score as people read it: percentages with two decimals, anything else with four significant digits or more."""
    return measures.of(row).text(value)


def _scores(low: float, high: float, row: Row) -> str:
    """An interval of scores."""
    measure = measures.of(row)
    digits = measure.digits
    if low != low or measure.percent:
        return _interval(low, high, 2, row["runs"] < intervals.FEWEST)
    most = measure.digits + measures.SIGNIFICANT
    while low < high and digits < most and measure.text(low, digits) == measure.text(high, digits):
        digits += 1
    return f"{measure.text(low, digits)} – {measure.text(high, digits)}"


def _range(low: float, high: float) -> str:
    return _text(low, 0) if not low < high else f"{low:.0f}–{high:.0f}"


def seeds(more: float) -> str:
    """A number nobody would run is not worth its digits."""
    if more == math.inf:
        return "equal"
    return "" if more != more else "> 10,000" if more > 10_000 else f"{more:,.0f}"


def _share(value: float) -> str:
    return shares.decimal(value, 4) if math.isfinite(value) else ""


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def heading(row: Row) -> str:
    """What the rows of a setting share, in words."""
    policy = f" ({row['policy']})" if row["policy"] else ""
    table = labelled(row["table"], row["kind"])
    scored = f", scored on {row['scored']}" if row.get("scored") else ""
    return f"{table} → {row['score']}: {sees(row)}, {row['budget']}, seeds: {row['runs']}{scored}{policy}"


def labelled(table: str, kind: str) -> str:
    """A table's name, with its kind where it is not measured."""
    return table if kind == "measured" else f"{table} ({kind})"


def searched(table: str, kind: str, score: str) -> str:
    """A table and, where it is another, the one that runs are scored on."""
    return labelled(table, kind) + ("" if score == table else f" → {score}")


def sees(row: Row) -> str:
    """What the search of a row sees, in words."""
    return noted(seen(str(row["search"])), plain=measures.of(row).plain)


def noted(words: str, *, plain: bool) -> str:
    """What is said of accuracies, of any scores where these are not `plain` percentages."""
    return words if plain else words.replace("accuracy", "score")


def seen(search: str) -> str:
    """What a search sees, in words: a schedule's last epoch, "all" or "oracle"."""
    named = {"oracle": "mean test accuracy (oracle)", "all": "validation of all schedules", FULL: "validation"}
    return named.get(search, f"{search}-epoch validation")


AGREEMENT = "How the rankings agree"
AGREEMENT_HEADS = ("one setting", "another", "strategies", "tau", "95% interval", "along the run", "95% interval")
AGREEMENT_NOTE = (
    "Kendall's tau-b between the orders of the strategies by mean test accuracy, at the end and on average along the "
    "run, in two settings; 1: the same order, 0: none in common. Intervals: bootstrap over seeds, the same for all."
)


def agreement_cells(row: Row) -> tuple[str, ...]:
    """A row of `Leaderboard.agreements` as the texts under `AGREEMENT_HEADS`."""
    cells = [row["one"], row["other"], str(row["strategies"])]
    for key in ("end", "along"):
        tau, low, high = (row[f"{key}_{what}"] for what in ("tau", "low", "high"))
        cells += [_text(tau, 2), _interval(low, high, 2, tau == tau)]
    return tuple(cells)


def footing(reference: Row) -> str:
    """The exact references of a setting, in words."""
    at = queries(str(reference["random_queries"])) + (" (the rows' mean)" if "quer" not in reference["budget"] else "")
    random = (
        f"{score(reference['random_test'], reference)} after {at} and " if reference["random_test"] is not None else ""
    )
    ever = (
        f", which is its choice at some time in {shares.percent(reference['random_chance_of_optimum'])} of searches of all cells"
        if reference["random_chance_of_optimum"] is not None and reference["random_chance_of_optimum"] < 0.995
        else ""
    )
    front = (
        f" The exact front has {reference['front']} points and normalised hypervolume {reference['front_hypervolume']:.5f}, of "
        f"which the column {VOLUME!r} has shares."
        if "front" in reference
        else ""
    )
    if "optimum_is" in reference:
        return (
            f"Runs are scored on trainings that they did not search. Regret is to {score(reference['optimum'], reference)}, the "
            f"best {reference['optimum_is']} of a cell{_chance(reference)}; a lucky run's may be negative. "
            "When the best cell was found is not said, as it is not known which one that is."
        )
    by = "by the mean of what the search sees" if _one_trial(reference) else "by what the search sees"
    return (
        f"Exact: optimum {score(reference['optimum'], reference)}{_chance(reference)}; best {by} "
        f"{score(reference['best_by_search'], reference)}; "
        f"random search without replacement expects {random}{queries(shares.count(reference['random_queries_to_optimum']))} "
        f"until it has tried an optimum{ever}.{front}"
    )


def _one_trial(reference: Row) -> bool:
    """Whether a search is answered by something else than the mean."""
    return any(word in str(reference.get("policy", "")) for word in ("trials=sample", "noise"))


def _chance(reference: Row) -> str:
    """How sure it is, by a table's repeated trainings, that its best cell is the best."""
    chance = reference.get("optimum_chance")
    if chance is None:
        return ""
    return f" (the best of all, as far as its trainings tell, with probability {shares.percent(chance)})"


def own_noise(tests: Row) -> str:
    """What the noise of the table itself does to the first difference of a board; "" where it is not known."""
    first = tests.get("strategies", ())[:2]
    pairs = [
        pair
        for pair in tests.get("pairs", ())
        if [pair["one"], pair["other"]] == list(first) and pair.get("table_sd", 0) > 0
    ]
    return "".join(
        f"The table's own noise: trained anew, the cells that {pair['one']} and {pair['other']} ended with would move their "
        f"difference of {pair['difference']:.3g} by {pair['table_sd']:.2g} (SD), which no interval here contains."
        for pair in pairs
    )


class Block(NamedTuple):
    """A table as texts: its title, the answer in a sentence, the note below it; `words` are the columns that are no numbers."""

    title: str
    heads: Sequence[str]
    rows: list[tuple[str, ...]]
    note: str
    words: tuple[int, ...]
    answer: str = ""


def blocks(board: Leaderboard, *, doubts: bool = False) -> list[Block]:
    """All that is shown of a leaderboard, in order; `doubts`: heads say how sure the optimum is, as on the page."""
    found = [
        Block(
            heading(section.rows[0]),
            heads_of(section.rows[0], section.reference if doubts else None),
            [cells_of(row) for row in section.rows],
            " ".join(
                filter(None, (footing(section.reference), own_noise(section.tests), standings.too_few(section.tests)))
            ),
            (1,),
            verdict.of(section.rows, section.tests),
        )
        for section in board.sections
    ]
    if board.agreements:
        rows = [agreement_cells(row) for row in board.agreements]
        found.append(Block(AGREEMENT, AGREEMENT_HEADS, rows, noted(AGREEMENT_NOTE, plain=board.in_percent), (0, 1)))
    if board.overall:
        rows = [standings.overall_cells(row) for row in board.overall]
        note = noted(standings.OVERALL_NOTE, plain=board.in_percent)
        found.append(Block(standings.OVERALL, standings.OVERALL_HEADS, rows, note, (0,)))
    if board.across:
        rows = [across.cells(row) for row in board.across["rows"]]
        found.append(Block(across.TITLE, across.HEADS, rows, f"{board.across['verdict']} {across.NOTE}", (0, 6)))
    return found


def answer(board: Leaderboard) -> str:
    """The whole board in a sentence."""
    return verdict.overall([(section.rows, section.tests) for section in board.sections], board.across)


def _measured(board: Leaderboard) -> str:
    """What the columns of scores hold."""
    if board.in_percent:
        return "Test accuracy in percent"
    lower = any(measures.of(row).sign < 0 for row in board.rows)
    return "Test score in the table's unit" + (" (↓: lower is better)" if lower else "")


def _regret(board: Leaderboard) -> str:
    """What the columns of regrets hold."""
    if board.in_percent:
        return "Regret: points below the best test accuracy; val regret: below the best score the search could see."
    return (
        "Regret: how much worse than the best test score, in the table's unit; val regret: than the best score the search "
        "could see."
    )


def to_markdown(board: Leaderboard) -> str:
    """The leaderboard as a page: one table per setting, the exact references below it, columns explained at the end."""
    lines = [f"# {markdown.text(board.title)}", ""]
    if len(board.sections) > 1 and (said := answer(board)):
        lines += [f"**{markdown.text(said)}**", ""]
    for note in board.notes:
        lines += [f"> {markdown.line(note)}", ""]
    for block in blocks(board):
        lines += [f"## {markdown.text(block.title)}", ""]
        lines += [f"**{markdown.text(block.answer)}**", ""] if block.answer else []
        lines += [*markdown.table(block.heads, decimals.even(block.rows)), "", block.note, ""]
    if any(name in board.columns for name in FRONT_COLUMNS):
        error = "error" if board.in_percent else "score"
        lines += [
            f"{VOLUME.capitalize()}: of all cells queried at the highest fidelity, on test {error} and the other objectives, "
            "each min-max over the space with reference (1, 1), as a share of the exact front's; rows are ranked by it.",
            "",
        ]
    lines += [
        "Rank: rows are in order of their means; 1–3 says that the tests cannot exclude ranks 1 to 3, so that all rows "
        "with a 1 may be the best (sign-flip tests of paired means, Holm over all pairs, 5%; leaderboard.json has every "
        "pair). More seeds: how many would separate it from the next row with 80% power if the difference seen is the "
        "true one; 0: it is separated. "
        f"{_measured(board)}, of the cell the search would recommend at the end, mean over seeds with 95% "
        f"studentised bootstrap interval (from {intervals.FEWEST} seeds on; docs/statistics.md: how often it covers), wider "
        "where nearly all seeds agree: a miss that no seed met is taken to cost what a cell drawn blindly would. "
        f"{_regret(board)} To "
        "optimum: mean queries until the incumbent was a best cell; with ≥ some runs never got there and count with "
        "their length. Seconds: simulated, used on average. ms/query: real time the strategy spent deciding.",
        "",
    ]
    return "\n".join(lines)
