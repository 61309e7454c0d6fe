"""What holds across the tables of a board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.leaderboard.parts import Entry, Row, Section, Setting
from nasbench_lab.stats import across, progress

_ROUNDING = 1e-12  # of scores


def of(sections: Sequence[Section], grouped: Sequence[tuple[Setting, list[Entry]]]) -> tuple[Row, list[str]]:
    """What holds across three tables or more, each searched once by the same strategies and scored on itself; else nothing.

    Where only their scores or runs do not let it, a note says why.
    """
    if not grouped:
        return {}, []
    settings, members = zip(*grouped, strict=True)
    names = sorted({entry.strategy for entry in members[0]})
    tables = [setting.table for setting in settings]
    alike = all(sorted(entry.strategy for entry in each) == names for each in members)
    alone = all(setting.front is None and setting.score == setting.table for setting in settings)
    if len(set(tables)) < max(len(tables), across.FEWEST) or not alike or not alone:
        return {}, []
    rows = [[row for name in names for row in section.rows if row["strategy"] == name] for section in sections]
    why = [
        *(
            f"{row['unanswered']} of {row['runs']} runs of {row['strategy']} on {row['table']} ended without an answer"
            for own in rows
            for row in own
            if row["unanswered"] or row["rank"] != row["rank"]
        ),
        *(f"all test scores of {setting.table} are equal" for setting in settings if _flat(setting.truth)),
    ]
    if why:
        return {}, [f"no board across tables: {'; '.join(why)}"]
    spans = [float(setting.truth.max() - setting.truth.mean()) for setting in settings]
    column = {
        key: np.array([[float(row[key]) for row in own] for own in rows]) for key in ("rank_mean", "rank", "rank_low")
    }
    regrets = np.array([[row["regret_mean"] / span for row in own] for own, span in zip(rows, spans, strict=True)])
    found = across.of(
        names,
        tables,
        ranks=column["rank_mean"],
        regrets=regrets,
        val_ranks=np.stack([_val_ranks(setting, each, names) for setting, each in zip(settings, members, strict=True)]),
        places=column["rank"],
        best=column["rank_low"],
    )
    return found, []


def _flat(truth: FloatArray) -> bool:
    """Whether scores differ by rounding at most."""
    return bool(np.ptp(truth) <= _ROUNDING * np.abs(truth).max())


def _val_ranks(setting: Setting, members: Sequence[Entry], names: Sequence[str]) -> FloatArray:
    """(S,) mean ranks over seeds by the score that the search could see of its answers."""
    last = {entry.strategy: entry.runs.last("incumbent").astype(np.int64) for entry in members}
    return progress.mean_ranks(np.stack([setting.seen[last[name]] for name in names], axis=1))
