"""How much do numbers and rankings move when a table is read as others read it? The same seeds, reading by reading.

Every reading of `tables.readings` is a study of its own beside the plain one: the same strategies, table, seeds and
budget. Compared are each strategy's mean accuracy, the order of the strategies (Kendall's tau-b, interval over seeds) and
which pairs are separated (paired tests with Holm, `significance`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.files import markdown
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import decimals, wording
from nasbench_lab.leaderboard.rebuild import entries
from nasbench_lab.leaderboard.wording import Block
from nasbench_lab.stats import agreement, intervals, measures, significance
from nasbench_lab.stats.measures import Measure
from nasbench_lab.study import execute
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.store import MEASURED
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog
from nasbench_lab.tables.readings import READINGS, REAL_TIME, named

Content = dict[str, Any]
DEFAULTS = (
    "random_search",
    "local_search",
    "regularized_evolution",
    "reinforce",
    "genetic",
    "tournament_evolution",
    "simulated_annealing",
    "estimation_of_distribution",
)  # cheap, and some of them close to each other


class Scores(NamedTuple):
    """What the runs of one reading came to.

    Attributes:
        values: (R, S) reported scores at the end of every run, larger is better.
        found: which pairs of strategies they separate.
        decided: real seconds of deciding in a run, of the strategy that took longest.
        unit: one point of the scores, see `Measure.scale`; what tells scores apart sees points.
        sign: what scores are multiplied by where people read them.
    """

    values: FloatArray
    found: significance.Comparison
    decided: float
    unit: float = 1.0
    sign: int = 1

    @property
    def points(self) -> FloatArray:
        """The same in points."""
        return self.values / self.unit

    @property
    def order(self) -> set[tuple[int, int]]:
        """Pairs (better, worse) that are separated."""
        return {(int(a), int(b)) for a, b in np.argwhere(self.found.better)}


def audit(
    table: str,
    strategies: Sequence[str] = DEFAULTS,
    *,
    search: int | str | None = None,
    seeds: int = 50,
    max_queries: int = 100,
    readings: Sequence[str] = tuple(READINGS),
    runs: Path = Path("results/audit"),
    progress: Callable[[int, int], None] | None = None,
) -> Content:
    """Replay every reading of a table.

    Args:
        table: name or path.
        strategies: at least two specs; cheap ones, each reading runs them anew.
        search: schedule searched on; the longest if left out, which is what the tools that are replayed read.
        seeds: runs per strategy and reading, the same for all.
        max_queries: budget. Added real time matters only under a budget in simulated seconds: there, what so many
            queries of a random cell take.
        readings: names, in the order of the answer.
        runs: folder of the runs; finished ones are not repeated.
        progress: called with (readings done, readings in all).

    Returns:
        {"table", "search", "strategies", "seeds", "max_queries", "max_seconds", "decided", "plain", "readings"}, JSON values.

    Raises:
        LabError: fewer than two strategies, or anything that does not exist.
    """
    if len(strategies) < 2:
        raise LabError(f"an audit compares strategies: name two or more, got {', '.join(strategies) or 'none'}")
    loaded = catalog.load(table)
    chosen = search or max(loaded.schedules)
    task = StudyTask(table, search=chosen, max_queries=max_queries, trials="mean")
    last = chosen if isinstance(chosen, int) else max(loaded.schedules)
    seconds = round(max_queries * float(loaded.schedule(last).seconds[:, -1].mean()))
    timed = replace(task, max_queries=math.inf, max_seconds=seconds)
    study = Study(tuple(strategies), (task,), seeds, title=f"Audit of {loaded.label}")
    chosen_readings = {name: named(name) for name in readings}
    plain, rows = {task: _scores(study, task, runs)}, []
    for done, (name, reading) in enumerate(chosen_readings.items(), start=1):
        base = timed if name == REAL_TIME else task
        if base not in plain:
            plain[base] = _scores(study, base, runs)
        rows.append({"reading": name, "what": reading.what, **_read(study, base, name, plain[base], runs)})
        if progress:
            progress(done, len(chosen_readings))
    means = dict(zip(strategies, (loaded.sign * plain[task].values.mean(axis=0)).tolist(), strict=True))
    measure = {} if loaded.measure.plain else {"unit": loaded.unit, "better": loaded.better}
    return measure | {
        "table": loaded.label,
        "digest": loaded.digest,
        "search": str(chosen) if loaded.counts_epochs or isinstance(chosen, str) else wording.FULL,
        "strategies": list(strategies),
        "seeds": seeds,
        "max_queries": max_queries,
        "max_seconds": seconds,
        "decided": plain[timed].decided if timed in plain else None,
        "plain": {"means": means, "separated": _pairs(strategies, plain[task].order)},
        "readings": rows,
    }


def _read(study: Study, base: StudyTask, reading: str, plain: Scores, runs: Path) -> Content:
    """What a reading changes, or why it cannot be had of this table."""
    try:
        read = _scores(study, replace(base, evaluator=f"tabular:reading={reading}"), runs)
    except LabError as error:
        return {"possible": False, "why_not": str(error)}
    return {"possible": True, "why_not": "", **_difference(study.strategies, plain, read)}


def _scores(study: Study, task: StudyTask, runs: Path) -> Scores:
    chosen = replace(study, tasks=(task,))
    plan = resolve(chosen)
    execute.run(plan, runs)
    columns, decided = [], 0.0
    scored = next(iter(plan.tables.values()))  # each of them is a reading of the one table
    unit = scored.measure.scale(scored.truth)
    for entry in entries(execute.collect(plan, runs)):
        last = entry.runs.last("incumbent")
        if np.isnan(last).any():
            raise LabError(f"a run of {entry.strategy} ended without an answer; allow more queries")
        columns.append(entry.setting.test_of(entry.runs.seeds, last))
        decided = max(decided, float(entry.runs.total(MEASURED).sum()) / len(last))
    values = np.stack(columns, axis=1)
    return Scores(values, significance.compare(values / unit), decided, unit, scored.sign)


def _difference(strategies: Sequence[str], plain: Scores, read: Scores) -> Content:
    unit, sign = plain.unit, plain.sign
    changes = sign * (read.values - plain.values)
    low, high = (unit * end for end in intervals.mean_interval(changes / unit))
    tau = agreement.rankings(plain.points, read.values / unit)
    lost, gained = plain.order - read.order, read.order - plain.order
    turned = {(a, b) for a, b in lost if (b, a) in gained}
    return {
        "changes": [
            {"strategy": name, "mean": float(mean), "change": float(change), "low": float(a), "high": float(b)}
            for name, mean, change, a, b in zip(
                strategies, sign * read.values.mean(axis=0), changes.mean(axis=0), low, high, strict=True
            )
        ],
        "tau": tau.tau,
        "tau_low": tau.low,
        "tau_high": tau.high,
        "pairs": len(plain.found.first),
        "separated_plain": len(plain.order),
        "separated": len(read.order),
        "lost": _pairs(strategies, lost - turned),
        "gained": _pairs(strategies, gained - {(b, a) for a, b in turned}),
        "turned": _pairs(strategies, turned),
    }


def _pairs(strategies: Sequence[str], order: set[tuple[int, int]]) -> list[str]:
    return [f"{strategies[a]} > {strategies[b]}" for a, b in sorted(order)]


def blocks(content: Content) -> list[Block]:
    """All that is shown of the audit of one table, for the page and the terminal alike."""
    seen = content["search"] if content["search"] in ("all", "oracle") else wording.seen(content["search"])
    measure = measures.of(content)
    said = "accuracy in percent" if measure.plain else f"score, {measure.unit}"
    setting = f"{content['table']}: {seen}, {content['max_queries']} queries, {content['seeds']} seeds"
    names, means = content["strategies"], content["plain"]["means"]
    possible = [row for row in content["readings"] if row["possible"]]
    separated = f"{len(content['plain']['separated'])} of {len(names) * (len(names) - 1) // 2}"
    rows = [("(as it is meant)", "each split is read as what it is", _span(measure, means.values()), "", separated, "")]
    heads = ("reading", "what is read as what", measure.name, "tau", "pairs separated", "which come and go")
    each = [_changes(measure, name, means[name], possible) for name in names]
    return [
        Block(setting, heads, rows + [_moved(measure, row) for row in possible], _note(content), (0, 1, 2, 5)),
        Block(
            f"{content['table']}: every strategy",
            ("strategy", "as it is meant", *(row["reading"] for row in possible)),
            each,
            f"Reported {said}; then how far each reading moves it, in {measure.points}, with a 95% interval over the same "
            f"seeds (none below {intervals.FEWEST} seeds).",
            (0,),
        ),
    ]


def _note(content: Content) -> str:
    """The terms of the table, and what is not in it."""
    measure = measures.of(content)
    plain, impossible = (
        content["plain"]["separated"],
        [f"{row['reading']} ({row['why_not']})" for row in content["readings"] if not row["possible"]],
    )
    about = [
        f"{measure.name.title()}: reported by the worst and by the best strategy; below it, the smallest and the largest "
        f"change, in {measure.points}.",
        "Tau: Kendall's tau-b between the order of the strategies as it is meant and as it is read (1: the same order, 0: "
        "unrelated orders), with a 95% interval over seeds.",
        "Pairs separated: pairs of strategies whose difference is significant, before → after (paired tests, Holm, 5%); "
        "lost: no longer significant; gained: newly significant; turned: significant the other way round.",
        f"Separated as it is meant: {', '.join(plain) or 'none'}.",
    ]
    if impossible:
        about.append(f"Not on this table: {'; '.join(impossible)}.")
    if content["decided"] is not None:
        about.append(
            f"{REAL_TIME} is compared under {content['max_seconds']:,} simulated seconds in place of the queries; deciding "
            f"took at most {content['decided']:.2g} real seconds a run on this machine."
        )
    return " ".join(about)


def _moved(measure: Measure, row: Content) -> tuple[str, ...]:
    """A reading's line: how far accuracies, order and significant differences move."""
    ends = f" ({row['tau_low']:.2f} – {row['tau_high']:.2f})" if math.isfinite(row["tau_low"]) else ""
    return (
        row["reading"],
        row["what"],
        _span(measure, (change["change"] for change in row["changes"]), sign="+"),
        f"{row['tau']:.2f}{ends}" if math.isfinite(row["tau"]) else "",
        f"{row['separated_plain']} → {row['separated']} of {row['pairs']}",
        "; ".join(f"{kind} {', '.join(row[kind])}" for kind in ("lost", "gained", "turned") if row[kind]),
    )


def _changes(measure: Measure, name: str, mean: float, readings: Sequence[Content]) -> tuple[str, ...]:
    """A strategy's line: what it reports, and how far every reading moves that."""
    cells = []
    for row in readings:
        (change,) = [change for change in row["changes"] if change["strategy"] == name]
        half = (change["high"] - change["low"]) / 2
        cells.append(
            _text(measure, change["change"], "+") + (f" ± {measure.text(half)}" if math.isfinite(half) else "")
        )
    return name, measure.text(mean), *cells


def _span(measure: Measure, values: Iterable[float], sign: str = "") -> str:
    known = list(values)
    return f"{_text(measure, min(known), sign)} to {_text(measure, max(known), sign)}"


def _text(measure: Measure, value: float, sign: str) -> str:
    return f"{value:{sign}.2f}" if measure.percent else f"{value:{sign}.4g}"


def to_markdown(content: Content) -> str:
    """The audit of one table as a section of a page."""
    lines = []
    for level, block in zip(("##", "###"), blocks(content), strict=True):
        lines += [
            f"{level} {markdown.text(block.title)}",
            "",
            *markdown.table(block.heads, decimals.even(block.rows)),
            "",
            block.note,
            "",
        ]
    return "\n".join(lines)


def write(contents: Sequence[Content], folder: Path) -> list[Path]:
    """Write audit.md and audit.json.

    Raises:
        LabError: the folder cannot be written.
    """
    head = (
        "# What readings of the tables change\n\n`nasbench-lab audit`; the readings are described in docs/audit.md.\n"
    )
    page = "\n".join([head, *map(to_markdown, contents)])
    plain = json.loads(json.dumps(contents), parse_constant=lambda _: None)  # nan becomes null
    texts = {"audit.md": page, "audit.json": json.dumps(plain, indent=1) + "\n"}
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in texts]
