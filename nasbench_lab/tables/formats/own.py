"""`tables import FILE --decisions ...`: a table of the user's own from a Parquet or CSV file; what was meant is named or refused.

Without the names of columns the file is looked at, and a command is proposed.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd

from nasbench_lab.core import SIZES, LabError, known_direction, once
from nasbench_lab.files import bounded, paths
from nasbench_lab.spaces import named, written
from nasbench_lab.spaces.space import MOST, Space
from nasbench_lab.tables import brought
from nasbench_lab.tables.formats import frames
from nasbench_lab.tables.formats.named_columns import Columns, joined
from nasbench_lab.tables.table import Table

NUMBERS = 1 << 26  # rows times columns of a file
_SPACE_FILE = 1 << 24  # bytes; tens of thousands of listed cells
_FEW = 64  # labels up to which a column of numbers may be a decision
_VAL, _TEST, _SECONDS = ("val",), ("test",), ("seconds", "secs", "time", "runtime", "duration", "elapsed")
_SCORES = (
    "acc",
    "score",
    "loss",
    "mse",
    "error",
    "err",
    "rmse",
    "mae",
    "top1",
    "ssim",
    "iou",
    "f1",
    "auc",
    "perplexity",
)
_COSTS = ("params", "flops", "macs", "latency", "energy")
_TRIAL = re.compile(r"[_\-. ]?(?:seed|run|trial|rep)?[_\-. ]?(?:\d+|[A-Za-z])$")
_LOWER = ("loss", "mse", "error", "err", "rmse", "mae", "perplexity")


def read(path: Path, asked: Columns, *, source: str = "", licence: str = "") -> tuple[Table, list[str]]:
    """The table, and what the user should know about it.

    Raises:
        LabError: unreadable, a column that is not there or holds what it cannot, or none named: then with a proposal.
    """
    frame = frames.read(path, rows=MOST, numbers=NUMBERS, texts=asked.decisions)
    frame.columns = frame.columns.map(str)
    if len(frame.columns) == 1 and (other := set(frame.columns[0]) & set(";\t|")):
        raise LabError(f"{path}: its columns seem to be separated by {other.pop()!r}; a CSV file has commas")
    if not asked.decisions or not (asked.val or asked.test):
        raise LabError(proposal(path, frame))
    space = _space(asked.space)
    columns = {"decisions": asked.decisions, "val": asked.val, "test": asked.test, "metrics": asked.metrics}
    for option, given in columns.items():
        once(given, f"--{'metric' if option == 'metrics' else option}")
    try:
        table = Table.from_frame(
            frame, name=asked.name or path.name.split(".")[0], seconds=asked.seconds, better=asked.better, unit=asked.unit,
            space=space, source=source or f"imported from {path.name}", licence=licence, **columns,
        )  # fmt: skip
    except LabError as error:
        raise LabError(f"{path}: {error}") from error
    return table, _notes(table, frame, asked, space)


def _notes(table: Table, frame: pd.DataFrame, asked: Columns, space: Space | None) -> list[str]:
    used = {
        *asked.decisions,
        *asked.val,
        *asked.test,
        *brought.metric_columns(asked.metrics, frame).values(),
        asked.seconds,
    }
    notes = []
    if table.scored:
        notes.append(f"there is no test score of its own: runs are scored on {table.scored}")
    if not asked.seconds:
        notes.append("there are no times: every query costs 1 simulated second")
    if not asked.unit:
        notes.append(
            'scores are shown as they are, under the name "score"; --unit says what they are in, --unit % of percentages'
        )
    if space is not None and list(asked.decisions) != [each.name for each in space.decisions]:
        pairs = zip(asked.decisions, space.decisions, strict=True)
        notes.append("decisions are taken in order: " + ", ".join(f"{column} is {each.name}" for column, each in pairs))
    numbers = [d.name for d in table.space.decisions if len(d.options) == table.space.size > 2]
    if numbers and len(table.space.decisions) > 1:
        notes.append(f"decision {numbers[0]!r} is different in every row: is it a number of the row, and no decision?")
    if left := [name for name in frame.columns if name not in used]:
        notes.append(f"columns that are not used: {', '.join(left[:20])}" + (", ..." if len(left) > 20 else ""))
    return notes


def _space(given: str) -> Space | None:
    """A space by name, or that of a TOML file."""
    if not given:
        return None
    if not given.endswith(".toml"):
        return named.named(given)
    path = paths.home(given)
    try:
        return written.from_toml(bounded.text(path, _SPACE_FILE), str(path))
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise LabError(f"{path}: {error}") from error


def proposal(path: Path, frame: pd.DataFrame) -> str:
    """What the columns of a file may be, as a command to be corrected."""
    if len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ";\t|"):
        raise LabError(f"{path} has one column, {frame.columns[0][:80]!r}: write it with commas between the columns")
    guess = guessed(frame)
    words = ["nasbench-lab", "tables", "import", str(path), "--name", path.name.split(".")[0]]
    words += ["--decisions", joined(guess.decisions) or "COL,COL,..."]
    words += ["--val", joined(guess.val)] if guess.val else []
    words += ["--test", joined(guess.test)] if guess.test else []
    words += [] if guess.val or guess.test else ["--val", "COL"]
    words += ["--seconds", guess.seconds] if guess.seconds else []
    costs = [metric if known_direction(metric) else f"{metric}:lower" for metric in guess.metrics]
    words += [word for metric in costs for word in ("--metric", metric)]
    words += ["--better", "lower"] if guess.better == "lower" else []
    shown = ", ".join(frame.columns[:40]) + (", ..." if len(frame.columns) > 40 else "")
    return (
        f"{path} is a table of your own: say which columns are the decisions (--decisions) and which are scores (--val, "
        f"--test). It has {len(frame):,} rows and the columns {shown}. Perhaps:\n  {shlex.join(words)}"
    )


def guessed(frame: pd.DataFrame) -> Columns:
    """What the columns may be, by their names and by how many values they have."""
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    val = _alike([name for name in numbers if _says(name, _VAL)])
    test = _alike([name for name in numbers if _says(name, _TEST) and not _says(name, _VAL)])
    seconds = next((name for name in numbers if _says(name, _SECONDS) and name not in (*val, *test)), "")
    kept = {*val, *test, seconds}
    costs = [name for name in numbers if name not in kept and (name in SIZES or _says(name, _COSTS))]
    scores = [n for n in numbers if _says(n, _SCORES) and n not in {*kept, *costs}]
    if not val and not test:
        val = scores
    said = {name for name in numbers if _says(name, (*_VAL, *_TEST, *_SECONDS))}
    rest = [name for name in frame.columns if name not in {*val, *kept, *costs, *scores, *said}]
    most = max(2, len(frame) // 2)
    decisions = [n for n in rest if 1 < frame[n].nunique() <= (min(_FEW, most) if n in numbers else most)]
    better = "lower" if (val or test) and all(_says(name, _LOWER) for name in (*val, *test)) else "higher"
    return Columns("", tuple(decisions), tuple(val), tuple(test), seconds, tuple(costs), better)


def _alike(columns: list[str]) -> list[str]:
    """The trials of one score: the first column, and those that are called the same but for a number or letter at the end."""
    return [name for name in columns if _TRIAL.sub("", name) == _TRIAL.sub("", columns[0])]


def _says(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)
