"""`tables import FILE --decisions ...`: a table of the user's own from a Parquet or CSV file; what was meant is named or refused.

Without the names of columns the file is looked at, and a command is proposed.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.core import SIZES, FloatArray, LabError, known_direction, once
from nasbench_lab.errors import counted, nth
from nasbench_lab.files import bounded, paths
from nasbench_lab.spaces import named, written
from nasbench_lab.spaces.space import MOST, Space
from nasbench_lab.tables import brought
from nasbench_lab.tables.formats import frames
from nasbench_lab.tables.formats.named_columns import Columns, joined
from nasbench_lab.tables.table import Table

NUMBERS = 1 << 26  # rows times columns of a file
_SPACE_FILE = 1 << 24  # bytes; tens of thousands of listed cells
_MANY, _FAR = 20, 10  # values of which some can be far from the others, and how far, in widths of the middle half
_COUNTED = 10**12  # combinations that are told in full
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
_NUMERIC = (*_VAL, *_TEST, *_SECONDS, *_SCORES, *_COSTS)  # what columns of numbers are called
_LOWER = ("loss", "mse", "error", "err", "rmse", "mae", "perplexity")


def read(path: Path, asked: Columns, *, source: str = "", licence: str = "") -> tuple[Table, list[str]]:
    """The table, and what the user should know about it.

    Raises:
        LabError: unreadable, a column that is not there or holds what it cannot, or none named: then with a proposal.
    """
    blanks = _blanks(frames.columns(path)) if path.exists() and path.suffix in frames.SUFFIXES else {}
    back = {short: name for name, short in blanks.items()}
    frame = frames.read(path, rows=MOST, numbers=NUMBERS, texts=[back.get(c, c) for c in asked.decisions])
    frame.columns = pd.Index([blanks.get(name, name) for name in frame.columns.map(str)])
    for kind in (brought.UNREAD, brought.MISSING):
        frame.attrs[kind] = {blanks.get(c, c): why for c, why in frame.attrs.get(kind, {}).items()}
    if len(frame.columns) == 1 and (other := set(frame.columns[0]) & set(";\t|")):
        raise LabError(f"{path}: its columns seem to be separated by {other.pop()!r}; a CSV file has commas")
    if not asked.decisions or not (asked.val or asked.test):
        raise LabError(proposal(path, frame, asked))
    space = _space(asked.space)
    columns = {"decisions": asked.decisions, "val": asked.val, "test": asked.test, "metrics": asked.metrics}
    for option, given in columns.items():
        once(given, f"--{'metric' if option == 'metrics' else option}")
    try:
        table = Table.from_frame(
            frame, name=asked.name or path.name.split(".")[0], seconds=asked.seconds, unit=asked.unit,
            better=asked.better or "higher", space=space, source=source or f"imported from {path.name}", licence=licence,
            **columns,
        )  # fmt: skip
    except LabError as error:
        raise LabError(f"{path}: {error}") from error
    said = [f"blanks at the ends of names of columns are left out: {', '.join(map(repr, blanks))}"] if blanks else []
    return table, said + _notes(table, frame, asked, space)


def _blanks(names: Sequence[str]) -> dict[str, str]:
    """Names of columns with blanks at their ends -> the names without, where these are no other column's."""
    stripped = [name.strip() for name in names]
    return {
        n: short
        for n, short in zip(names, stripped, strict=True)
        if short not in ("", n) and stripped.count(short) == 1
    }


def _far(frame: pd.DataFrame, columns: Iterable[str]) -> Iterator[str]:
    """Of columns of numbers, the few values that lie far from all others, also in their logarithms where all are positive."""
    for column in columns:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
        known = values[np.isfinite(values)]
        if len(known) < _MANY:
            continue
        far = _outside(values, known)
        if (known > 0).all():
            far &= _outside(np.log(np.where(values > 0, values, np.nan)), np.log(known))
        places = np.flatnonzero(far)
        # one number again and again stands for what is missing, more often than not
        code = len(np.unique(values[places])) == 1
        if 0 < len(places) <= (len(known) // 4 if code else max(1, len(known) // 50)):
            shown = ", ".join(f"{values[i]:g} ({nth(int(i))})" for i in places[:3])
            some = ", ..." if len(places) > 3 else ""
            low, high = np.quantile(known, [0.25, 0.75])
            yield (
                f"column {column!r}: {counted(len(places), 'value')} far from the other {len(known) - len(places):,} "
                f"(half of which lie in {low:g} to {high:g}), taken as given: {shown}{some}"
            )


def _outside(values: FloatArray, known: FloatArray) -> NDArray[np.bool_]:
    """Which values are further from the middle half of the known ones than ten times its width."""
    low, high = np.quantile(known, [0.25, 0.75])
    return np.asarray((values < low - _FAR * (high - low)) | (values > high + _FAR * (high - low)))


def _notes(table: Table, frame: pd.DataFrame, asked: Columns, space: Space | None) -> list[str]:
    used = _columns(asked, frame)
    notes = []
    if table.scored:
        notes.append(f"there is no test score of its own: runs are scored on {table.scored}")
    if not asked.better and _better(asked) == "lower":
        named = ", ".join(map(repr, (*asked.val, *asked.test)))
        notes.append(
            f"higher scores are taken to be better, though {named} sounds like the contrary: then say --better lower"
        )
    if not asked.seconds:
        notes.append("there are no times: every query costs 1 simulated second")
    if not asked.unit:
        notes.append(
            'scores are shown as they are, under the name "score"; --unit says what they are in, --unit % of percentages'
        )
    if space is not None and list(asked.decisions) != [each.name for each in space.decisions]:
        pairs = zip(asked.decisions, space.decisions, strict=True)
        notes.append("decisions are taken in order: " + ", ".join(f"{column} is {each.name}" for column, each in pairs))
    combined = math.prod(len(each.options) for each in table.space.decisions)
    if space is None and table.space.size < combined:
        many = f"{combined:,}" if combined < _COUNTED else f"{float(combined):.1e}" if combined < 1e300 else "so many"
        notes.append(
            f"{table.space.size:,} of the {many} combinations of these options are there: the space has no others, and a "
            "search proposes none"
        )
    numbers = [d.name for d in table.space.decisions if len(d.options) == table.space.size > 2]
    if numbers and len(table.space.decisions) > 1:
        notes.append(f"decision {numbers[0]!r} is different in every row: is it a number of the row, and no decision?")
    notes += _far(frame, dict.fromkeys(name for name in used if name and name not in asked.decisions))
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


def proposal(path: Path, frame: pd.DataFrame, asked: Columns) -> str:
    """What the columns of a file may be, as a command to be corrected: what was said already is kept."""
    if len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ";\t|"):
        raise LabError(f"{path} has one column, {frame.columns[0][:80]!r}: write it with commas between the columns")
    free = _cleared(frame.drop(columns=list(_columns(asked, frame)), errors="ignore"))
    guess = _said(asked, guessed(free))
    words = ["nasbench-lab", "tables", "import", str(path), "--name", asked.name or path.name.split(".")[0]]
    words += ["--decisions", joined(guess.decisions) or "COL,COL,..."]
    words += ["--val", joined(guess.val)] if guess.val else []
    words += ["--test", joined(guess.test)] if guess.test else []
    words += [] if guess.val or guess.test else ["--val", "COL"]
    words += ["--seconds", guess.seconds] if guess.seconds else []
    costs = [metric if known_direction(metric) else f"{metric}:lower" for metric in guess.metrics]
    words += [word for metric in costs for word in ("--metric", metric)]
    words += ["--better", guess.better] if asked.better or guess.better == "lower" else []
    words += ["--unit", asked.unit] if asked.unit else []
    words += ["--space", asked.space] if asked.space else []
    shown = ", ".join(frame.columns[:40]) + (", ..." if len(frame.columns) > 40 else "")
    return (
        f"{path} is a table of your own: say which columns are the decisions (--decisions) and which are scores (--val, "
        f"--test). It has {counted(len(frame), 'row')} and the columns {shown}. {_left_out(free)}Perhaps:\n  {shlex.join(words)}"
    )


def _cleared(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns of numbers as such in which fields of blanks stand."""
    found = frame.copy()
    for name in [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]:
        blank = brought.blank(frame[name])
        if 0 < blank.sum() < len(blank) and pd.to_numeric(frame[name][~blank], errors="coerce").notna().all():
            found[name] = pd.to_numeric(frame[name].mask(blank), errors="coerce")
    return found


def _left_out(frame: pd.DataFrame) -> str:
    """Columns that are called scores or costs and are not proposed as such, and why."""
    said = []
    for name in [
        name for name in map(str, frame) if _says(name, _NUMERIC) and not pd.api.types.is_numeric_dtype(frame[name])
    ]:
        bad = pd.to_numeric(frame[name], errors="coerce").isna().to_numpy() & ~brought.blank(frame[name])
        if bad.any() and not bad.all():
            row = int(np.argmax(bad))
            said.append(f"column {name!r}, {nth(row)}: {str(frame[name].iloc[row])[:40]!r} is not a number")
    return f"Left out: {'; '.join(said[:3])}. " if said else ""


def _columns(asked: Columns, frame: pd.DataFrame) -> set[str]:
    """The columns that a user has named."""
    metrics = brought.metric_columns(asked.metrics, frame).values()
    return {*asked.decisions, *asked.val, *asked.test, *metrics, *filter(None, [asked.seconds])}


def _said(asked: Columns, guess: Columns) -> Columns:
    """What a user said, and a guess for the rest; scores of one kind are not guessed beside those of the other."""
    kept = {name: value for name, value in vars(asked).items() if value}
    scores = {"val": asked.val, "test": asked.test} if asked.val or asked.test else {}
    found = replace(guess, **scores | kept)
    return found if asked.better else replace(found, better=_better(found))


def _better(columns: Columns) -> str:
    """Which scores are better, by what they are called."""
    scores = (*columns.val, *columns.test)
    return "lower" if scores and all(_says(name, _LOWER) for name in scores) else "higher"


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
    # of two rows every column has two values: fractions that differ may be scores as well
    decisions = [
        n for n in decisions if frame[n].nunique() < len(frame) or n not in numbers or (frame[n] % 1 == 0).all()
    ]
    found = Columns("", tuple(decisions), tuple(val), tuple(test), seconds, tuple(costs))
    return replace(found, better=_better(found))


def _alike(columns: list[str]) -> list[str]:
    """The trials of one score: the first column, and those that are called the same but for a number or letter at the end."""
    return [name for name in columns if _TRIAL.sub("", name) == _TRIAL.sub("", columns[0])]


def _says(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)
