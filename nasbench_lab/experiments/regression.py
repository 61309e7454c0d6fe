"""Did a strategy get worse than its committed row? For continuous integration: `nasbench-lab compare --baseline DIR`.

The rows of a results folder hold mean, standard deviation and number of seeds; the strategy is run again, and Welch's
one-sided t-test asks whether its mean fell. Over all rows compared, the chance of any false alarm is at most `alpha`
(Holm); unchanged code gives the same records, so that nothing is left to chance. docs/statistics.md has measured rates.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from nasbench_lab import trust
from nasbench_lab.core import LabError
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import written
from nasbench_lab.leaderboard.parts import Leaderboard
from nasbench_lab.stats import measures, shares, significance
from nasbench_lab.study.plan import Plan
from nasbench_lab.study.study import Study, load_study

Row = dict[str, Any]
ALPHA = 0.01  # chance of any false alarm in one comparison
_SAME = ("table", "score", "search", "budget", "policy", "strategy")


class Verdict(NamedTuple):
    """One row now and then.

    Attributes:
        where: setting and strategy, in words.
        what: the score that rows are ranked by.
        then, now: its means.
        p: one-sided, Holm-adjusted over all rows compared.
        detectable: the fall (of scores of which lower ones are better, the rise) that would be found with power 80%; 0
            where no run differs, and nothing is known of how far runs may lie apart.
        worse: whether p is at most alpha.
        sign: -1 where lower scores are better.
    """

    where: str
    what: str
    then: float
    now: float
    p: float
    detectable: float
    worse: bool
    sign: int = 1


def against(rows: Sequence[Row], tables: dict[str, str], folder: Path, *, alpha: float = ALPHA) -> list[Verdict]:
    """Compare rows with the committed ones of the same strategy and setting.

    Args:
        rows: of a new leaderboard.
        tables: name -> digest of the tables they were made with.
        folder: results folder with leaderboard.json and manifest.json.
        alpha: chance of any false alarm.

    Raises:
        LabError: no baseline there, one of another table, no row in common, or none that can be tested.
    """
    if not 0 < alpha < 1:
        raise LabError(f"alpha must lie between 0 and 1, got {alpha}")
    committed = {_key(row): row for row in written.read_rows(folder)["rows"]}
    _check_tables(tables, folder)
    pairs = [(committed[_key(row)], row) for row in rows if _key(row) in committed]
    if not pairs:
        known = ", ".join(sorted({key[-1] for key in committed}))
        raise LabError(
            f"nothing to compare with {folder}: it has no such strategy and setting; its rows are of {known}"
        )
    found = [welch(_spread(_summary(then)), _spread(_summary(now))) for then, now in pairs]
    if all(math.isnan(p) for p, _ in found):
        raise LabError(f"nothing can be tested against {folder}: no row has a mean of two seeds or more, there and now")
    adjusted = significance.holm(np.array([p for p, _ in found])).tolist()
    return [
        _verdict(then, now, p, _reach(error, alpha / len(pairs)), alpha)
        for (then, now), p, (_, error) in zip(pairs, adjusted, found, strict=True)
    ]


def _reach(error: float, alpha: float) -> float:
    """The fall that is found with the usual power, one-sided."""
    return float(stats.norm.isf(alpha) + stats.norm.ppf(significance.POWER)) * error


def _spread(summary: Summary) -> Summary:
    """The same with no error where it is what rounding left of equal scores."""
    return summary._replace(error=0.0) if summary.error < 1e-9 * min(1.0, abs(summary.mean) or 1.0) else summary


def _verdict(then: Row, now: Row, p: float, reach: float, alpha: float) -> Verdict:
    where = f"{now['strategy']} on {now['table']} → {now['score']}, {now['budget']}"
    sign = _sign(now)
    return Verdict(where, _by(now), sign * _mean(then), sign * _mean(now), p, reach, p <= alpha, sign)


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in _SAME)


def _by(row: Row) -> str:
    return "hypervolume" if row.get("hypervolume_mean") is not None else "test"


def _sign(row: Row) -> int:
    """-1 where rows are ranked by scores of which lower ones are better."""
    return measures.of(row).sign if _by(row) == "test" else 1


def _mean(row: Row) -> float:
    """The mean, larger is better."""
    return float("nan") if row[f"{_by(row)}_mean"] is None else _sign(row) * float(row[f"{_by(row)}_mean"])


class Summary(NamedTuple):
    """Mean over seeds, larger is better, its standard error, and how many seeds."""

    mean: float
    error: float
    runs: int


def _summary(row: Row) -> Summary:
    """Mean, its standard error, and seeds; where a row has no standard deviation, by its interval (a little wide)."""
    runs = int(row["runs"])
    if _by(row) == "test":
        sd = row["test_sd"]
        return Summary(_mean(row), math.nan if sd is None else float(sd) / math.sqrt(runs), runs)
    low, high = row["hypervolume_lo"], row["hypervolume_hi"]
    known = None not in (low, high) and runs > 1
    error = (high - low) / (2 * float(stats.t.ppf(0.975, runs - 1))) if known else math.nan
    return Summary(_mean(row), error, runs)


def welch(then: Summary, now: Summary) -> tuple[float, float]:
    """One-sided p-value of "now is lower", and the standard error of the difference; a run without an answer is worse."""
    error = math.hypot(then.error, now.error)
    if math.isnan(now.mean) and not math.isnan(then.mean):
        return 0.0, error
    fall = then.mean - now.mean
    if abs(fall) < 1e-9 * min(1.0, max(abs(then.mean), abs(now.mean)) or 1.0):
        return 1.0, error
    if math.isnan(fall + error):
        return math.nan, math.nan
    if error == 0:  # all seeds agreed then, and all agree now, on another score
        return (0.0 if fall > 0 else 1.0), error
    parts = [(s.error**4 / (s.runs - 1)) for s in (then, now) if s.runs > 1]
    return float(stats.t.sf(fall / error, error**4 / sum(parts))), error


def _digests(folder: Path) -> dict[str, str]:
    path = folder / "manifest.json"
    try:
        tables = sealed.read_json(path)["tables"]
        return {str(name): str(facts["digest"]) for name, facts in tables.items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error!r}") from error


def in_words(verdicts: Sequence[Verdict], folder: Path, alpha: float) -> str:
    """What to print."""
    worse = sum(verdict.worse for verdict in verdicts)
    lines = [f"Against {folder}: {worse} of {len(verdicts)} rows significantly worse"]
    lines[0] += f" (one-sided Welch test, chance of any false alarm at most {shares.percent(alpha)}, Holm)"
    for each in sorted(verdicts, key=lambda verdict: (not verdict.worse, verdict.where)):
        then, now = (f"{x:.4g}" if math.isfinite(x) else "not every run answered" for x in (each.then, each.now))
        state = "WORSE" if each.worse else "?    " if math.isnan(each.p) else "ok   "
        line = f"  {state}  {each.where}: {each.what} {then} then, {now} now"
        line += ", p unknown" if math.isnan(each.p) else f", p = {each.p:.2g}"
        reach = f"; a {'fall' if each.sign > 0 else 'rise'} of {each.detectable:.2g} would be found with power 80%"
        lines.append(line + (reach if math.isfinite(each.detectable) and each.detectable > 0 else ""))
    return "\n".join(lines)


def study_of(folder: Path, strategies: Sequence[str], seeds: int | None, trusted: Sequence[str] | None = ()) -> Study:
    """The study of a results folder, with all its strategies or the ones named, and its seeds or another number.

    Args:
        folder: of the baseline.
        strategies: to run of it; all if none is named.
        seeds: how many; the folder's if None.
        trusted: whose code may be run all the same; see `trust.untrusted`.

    Raises:
        LabError: not a results folder, or it names somebody's code that nobody has named or trusts.
    """
    study = load_study(folder)
    named = [("strategies", spec) for spec in study.strategies if not strategies]
    named += [("evaluators", task.evaluator) for task in study.tasks]
    for kind, spec in named:
        if others := trust.untrusted(kind, spec, trusted):
            names = " ".join(f"--trust {shlex.quote(name)}" for name in others)
            raise LabError(
                f"the baseline {folder} names {spec!r}, which is somebody's code: name the strategies to run, or {names}"
            )
    return replace(study, strategies=tuple(strategies) or study.strategies, seeds=seeds or study.seeds)


def check(board: Leaderboard, plan: Plan, folder: Path, *, alpha: float = ALPHA) -> list[Verdict]:
    """Compare a new leaderboard with a committed one; see `against`."""
    return against(json.loads(written.to_json(board))["rows"], _tables(plan), folder, alpha=alpha)


def check_tables(plan: Plan, folder: Path) -> None:
    """Before anything runs: raises LabError where a committed board is of another table than what is searched."""
    _check_tables(_tables(plan), folder)


def _tables(plan: Plan) -> dict[str, str]:
    """The digests of what a plan searches and scores on."""
    return {name: plan.tables[name].digest for task in plan.study.tasks for name in (task.table, *task.scored_on)}


def _check_tables(tables: dict[str, str], folder: Path) -> None:
    for name, digest in _digests(folder).items():
        if tables.get(name, digest) != digest:
            raise LabError(f"table {name!r} is another one now: {tables[name][:12]}, the baseline has {digest[:12]}")
