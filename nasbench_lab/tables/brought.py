"""A table of somebody's own, from a frame with a row per configuration.

Decisions are columns of labels: numbers are ordered and keep their scale, words are not ordered (an ordered pandas
category is), True and False are words. The space is the product of the options where every combination is there, else
the list of those that are. Cells are in lexicographic order, whatever the order of the rows, so that two tables of one
space agree about it.

Scores, T validation and S test columns:

    T >= 1, S >= 1   search sees the mean over the validation columns, the score is the mean over the test columns
    T >= 2, S = 0    search sees a row's first trial, the score is the mean of its others
    T = 1, S = 0     search and score are the same number, and every board says so
    T = 0, S >= 1    the same two with the test columns

A row may lack some of several trials, of each kind never all; where trials of one kind are split it needs two. A field of
blanks is as missing as one of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import core
from nasbench_lab.errors import LabError, counted, nth, offered
from nasbench_lab.spaces import written
from nasbench_lab.spaces.decisions import Decision, number_in, text_of
from nasbench_lab.spaces.space import MOST, Space
from nasbench_lab.tables.schedule import FloatArray, Schedule, known_mean

if TYPE_CHECKING:
    import pandas as pd

LAST = 1  # what the one schedule of a table is called whose epochs are not counted
_SHOWN = 4  # rows, columns or labels in a message

MISSING = (
    "missing"  # of a frame's attributes: column -> the place of its first label that is missing, and what stands there
)
UNREAD = "unread"  # of a frame's attributes: columns of its file that are of a kind that is not read, and which


def read(
    frame: pd.DataFrame,
    *,
    name: str,
    decisions: Sequence[str],
    val: Sequence[str],
    test: Sequence[str],
    seconds: str,
    metrics: Sequence[str] | Mapping[str, str],
    better: str,
    unit: str,
    space: Space | None,
    source: str,
    licence: str,
) -> dict[str, Any]:
    """The arguments of `table.Table`, which says what these are.

    Raises:
        LabError: see there.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise LabError(f"a table is made of a pandas frame, got {type(frame).__name__}")
    if space is not None and not isinstance(space, Space):
        raise LabError(f"space must be a nasbench_lab.Space, got {space!r}"[:200])
    decisions, val, test = map(_names, (decisions, val, test))
    columns = metric_columns(metrics, frame)
    _check_columns(
        frame,
        decisions=decisions,
        val=val,
        test=test,
        seconds=(seconds,) if seconds else (),
        metrics=tuple(columns.values()),
    )
    if not decisions or not (val or test):
        raise LabError("a table needs columns of decisions, and of validation or test scores")
    if not len(frame):
        raise LabError("there is no row")
    made, archs = _placed(frame, decisions, space, name)
    order = np.argsort(archs)
    scores = _scores(frame, val, test, order)
    if unit == "%" and better == "higher":
        _check_percent(frame, (*val, *test))
    cost = _numbers(frame, seconds, whole=True) if seconds else np.ones(len(order))
    if (cost < 0).any():
        row = int(np.argmax(cost < 0))
        raise LabError(f"column {seconds!r}, {nth(row)}: seconds must not be negative, got {cost[row]:g}")
    schedule = Schedule(
        epochs=(LAST,), val=scores.val[:, None], val_trials=scores.val_trials[:, None, :], test=scores.test,
        test_trials=scores.test_trials, seconds=cost[order, None],
    )  # fmt: skip
    about = {
        "title": f"{made.size:,} configurations of {', '.join(decisions)}",
        "dataset": name,
        "source": source or "not said at import",
        "licence": licence or "not said at import",
        "counts_epochs": False,
        "seeds": {str(LAST): scores.seeds},
        "units": {"seconds": "simulated seconds" if seconds else "1 per query: the table has no times"},
    }
    return {
        "name": name,
        "schedules": {LAST: schedule},
        "metrics": {metric: _numbers(frame, column, whole=True)[order] for metric, column in columns.items()},
        "about": about | ({"scored": scores.scored} if scores.scored else {}),
        "space": made,
        "unit": unit or "score",
        "better": better,
    }


def _check_percent(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse shares that are called percent, in one column beside others that are not as well."""
    for column in columns:
        if np.nanmax(_numbers(frame, column, whole=False)) <= 1:
            raise LabError(
                f"accuracies in percent are all at most 1 in column {column!r}: multiply them by 100, or say another unit"
            )


def metric_columns(metrics: Sequence[str] | Mapping[str, str], frame: pd.DataFrame) -> dict[str, str]:
    """Name of a metric -> its column. The name of "lat:lower" says which values are better; its column is "lat".

    Raises:
        LabError: a direction that is not "lower" or "higher".
    """
    if isinstance(metrics, Mapping):
        for column, end in metrics.items():
            if core.directed(f"{column}:{end}") != (column, end):
                raise LabError(f"metric {column!r}: 'lower' or 'higher' values are better, got {end!r}")
        return {f"{column}:{end}": column for column, end in metrics.items()}
    for name in _names(metrics):
        column, colon, end = name.rpartition(":")
        if colon and name not in frame.columns and column in frame.columns and core.directed(name)[0] == name:
            raise LabError(f"metric {column!r}: 'lower' or 'higher' values are better, got {end!r}")
    return {name: name if name in frame.columns else core.directed(name)[0] for name in _names(metrics)}


class _Scored(NamedTuple):
    """(A,) and (A, T) scores, what the trials are called, and what stands for a test score, in words."""

    val: FloatArray
    val_trials: FloatArray
    test: FloatArray
    test_trials: FloatArray
    seeds: dict[str, list[str]]
    scored: str


def _scores(frame: pd.DataFrame, val: Sequence[str], test: Sequence[str], order: NDArray[np.int64]) -> _Scored:
    if val and test:
        seen, own = _trials(frame, val, 1)[order], _trials(frame, test, 1)[order]
        seeds = {"val": list(val) if len(val) > 1 else [], "test": list(test) if len(test) > 1 else []}
        return _Scored(known_mean(seen), _several(seen), known_mean(own), _several(own), seeds, "")
    columns = tuple(val or test)
    kind = "validation" if val else "test"
    if len(columns) == 1:
        same = _trials(frame, columns, 1)[order]
        scored = f"{kind}, which the search sees too" if test else "validation: the table has no test score"
        return _Scored(same[:, 0], _several(same), same[:, 0], _several(same), {"val": [], "test": []}, scored)
    trials = _trials(frame, columns, 2)[order]
    place = np.argsort(np.isnan(trials), axis=1, kind="stable")  # known ones first, in the order of the columns
    packed = np.take_along_axis(trials, place, axis=1)
    rest = packed[:, 1:]
    seeds = {"val": [], "test": list(columns[1:])}
    scored = f"the mean of the {kind} trials that the search does not see ({len(columns) - 1} of {len(columns)}: " + (
        f"all but {columns[0]})" if not np.isnan(trials).any() else "all but a row's first)"
    )
    return _Scored(packed[:, 0], _several(packed[:, :1]), known_mean(rest), rest, seeds, scored)


def _several(trials: FloatArray) -> FloatArray:
    """Trials, where there are several: of one nobody knows whether it is a mean."""
    return trials if trials.shape[1] > 1 else np.empty((len(trials), 0))


def _trials(frame: pd.DataFrame, columns: Sequence[str], least: int) -> FloatArray:
    """(A, T) the numbers of columns, in which every row has `least` that are known."""
    values = np.stack([_numbers(frame, column, whole=len(columns) == 1) for column in columns], axis=1)
    known = (~np.isnan(values)).sum(axis=1)
    if (known < least).any():
        row = int(np.argmax(known < least))
        needs = "a score" if least == 1 else "two scores, one for the search and one it does not see,"
        raise LabError(
            f"{nth(row)}: needs {needs} in {', '.join(columns)}; {counted(int((known < least).sum()), 'row', 'has')} not"
        )
    return values


def _names(given: Any) -> tuple[str, ...]:
    """Names of columns, one or several."""
    found = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(each, str) for each in found):
        raise LabError(f"columns are named by texts, got {found!r}")
    return found


def _check_columns(frame: pd.DataFrame, **used: Sequence[str]) -> None:
    """Every column is there, once, and serves one purpose."""
    there = list(map(str, frame.columns))
    if len(set(there)) < len(there):
        raise LabError(f"column {next(c for c in there if there.count(c) > 1)!r} is given twice")
    purpose: dict[str, str] = {}
    for kind, columns in used.items():
        for column in columns:
            if column in frame.attrs.get(UNREAD, {}):
                raise LabError(f"column {column!r} holds {frame.attrs[UNREAD][column]}, which is not read")
            if column not in frame.columns:
                raise LabError(f"there is no column {column!r}{offered(column, there[:40], 'there are')}")
            if column in purpose:
                raise LabError(f"column {column!r} cannot be both {purpose[column]} and {kind}")
            purpose[column] = kind


def _numbers(frame: pd.DataFrame, column: str, *, whole: bool) -> FloatArray:
    """(A,) a column of finite numbers; nan, where something may be missing, is what is missing."""
    import pandas as pd

    given_as = frame[column].dtype
    if pd.api.types.is_bool_dtype(given_as):
        raise LabError(f"column {column!r} holds true and false, not numbers")
    if given_as.kind not in "iufOU" and not isinstance(given_as, pd.CategoricalDtype | pd.StringDtype):
        raise LabError(f"column {column!r} holds {given_as}, not numbers")
    odd = [
        v
        for v in frame[column]
        if not isinstance(v, (str, int, float, np.integer, np.floating)) or v is True or v is False
    ]
    if odd := [v for v in odd if v is not None and v is not pd.NA]:
        raise LabError(f"column {column!r} holds {str(odd[0])[:40]!r}, which is no number")
    values = pd.to_numeric(
        frame[column].astype(object) if frame[column].dtype == "category" else frame[column], errors="coerce"
    )
    found = np.asarray(values, dtype=np.float64)
    given = ~blank(frame[column])
    for bad, said in ((given & np.isnan(found), "is not a number"), (np.isinf(found), "is not finite")):
        if bad.any():
            row = int(np.argmax(bad))
            raise LabError(f"column {column!r}, {nth(row)}: {str(frame[column].iloc[row])[:40]!r} {said}")
    if whole and np.isnan(found).any():
        raise LabError(f"column {column!r}, {nth(int(np.argmax(np.isnan(found))))}: the number is missing")
    return found


def _placed(
    frame: pd.DataFrame, columns: Sequence[str], space: Space | None, name: str
) -> tuple[Space, NDArray[np.int64]]:
    """The space of the rows, and the cell that each row is."""
    labels = [_labels(frame, column) for column in columns]
    try:
        decisions = (
            _given(written.enumerable(space), columns)
            if space
            else [_decision(c, each) for c, each in zip(columns, labels, strict=True)]
        )
        codes = [
            _codes(decision, column, each.values)
            for decision, column, each in zip(decisions, columns, labels, strict=True)
        ]
        rows = np.stack(codes, axis=1)
        _check_once(frame, columns, rows)
        made = space or _space(decisions, rows, name)
        return made, _found(made, rows, frame, columns)
    except ValueError as error:
        raise LabError(str(error)) from error


def blank(values: pd.Series[Any]) -> NDArray[np.bool_]:
    """(A,) where nothing stands in a column, or blanks."""
    texts = () if values.dtype.kind in "iufb" else values
    missing: NDArray[np.bool_] = values.isna().to_numpy(copy=True)
    missing[[row for row, text in enumerate(texts) if isinstance(text, str) and not text.strip()]] = True
    return missing


class _Labels(NamedTuple):
    """The labels of a column, row by row, and their order where the column says it."""

    values: list[Any]
    order: tuple[Any, ...] | None


def _labels(frame: pd.DataFrame, column: str) -> _Labels:
    import pandas as pd

    values = frame[column]
    if odd := [
        v for v in values if not isinstance(v, (str, int, float, bool, np.generic)) and not pd.api.types.is_scalar(v)
    ]:
        raise LabError(f"column {column!r} holds {type(odd[0]).__name__}s; a label is a number or a text")
    missing = blank(values)
    if missing.any():
        row = int(np.argmax(missing))
        place, text = frame.attrs.get(MISSING, {}).get(column, (row, ""))
        said = (
            f"{text.strip()[:40]!r} is read as a missing label"
            if place == row and text.strip()
            else "the label is missing"
        )
        raise LabError(f"column {column!r}, {nth(row)}: {said}; write what it means, for example 'none'")
    order = None
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        order = tuple(each for each in values.dtype.categories if each in set(values))
    plain = [v.item() if isinstance(v, np.generic) else v for v in values.tolist()]
    return _Labels([v.strip() if isinstance(v, str) else v for v in plain], order)


def _decision(column: str, labels: _Labels) -> Decision:
    """The decision of a column: its options are the labels that occur."""
    if labels.order is not None:
        return Decision(column, labels.order, ordered=True)
    distinct = set(labels.values)
    if all(isinstance(v, str) and number_in(v) is not None for v in distinct):  # as in a CSV file
        whole = all(v.lstrip("+-").isdigit() for v in distinct)
        distinct = {int(v) if whole else float(v) for v in distinct}
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in distinct):
        return Decision(column, tuple(sorted(distinct)), ordered=True)
    return Decision(column, tuple(sorted({text_of(v) for v in distinct})))


def _given(space: Space, columns: Sequence[str]) -> list[Decision]:
    """The decisions of a space, in the order of the columns: by name, or where no name is the same in that order."""
    by_name = {each.name: each for each in space.decisions}
    if len(columns) != len(by_name):
        raise LabError(f"{space.name} has {len(by_name)} decisions, {', '.join(by_name)}; got {len(columns)} columns")
    elsewhere = [c for c, name in zip(columns, by_name, strict=True) if c != name and (c in by_name or name in columns)]
    if elsewhere:  # a column that has another decision's name is that decision
        raise LabError(
            f"the decisions of {space.name} are {','.join(by_name)}, in this order; got {','.join(columns)}, where "
            f"{elsewhere[0]!r} would stand for another"
        )
    return list(space.decisions)


def _codes(decision: Decision, column: str, labels: list[Any]) -> NDArray[np.int64]:
    known = {label: decision.number(label) for label in set(labels)}
    return np.array([known[label] for label in labels], dtype=np.int64)


def _check_once(frame: pd.DataFrame, columns: Sequence[str], rows: NDArray[np.int64]) -> None:
    _, first, back, counts = np.unique(rows, axis=0, return_index=True, return_inverse=True, return_counts=True)
    if len(first) < len(rows):
        group = back.reshape(-1)
        one = int(np.argmax(counts[group] > 1))
        other = int(np.flatnonzero(group == group[one])[1])
        raise LabError(
            f"{nth(one)} and {nth(other)} are the same configuration, {_said(frame, columns, one)}; "
            f"{counted(len(rows) - len(first), 'row', 'is')} given more than once. "
            "Put trials of one configuration side by side, in columns"
        )


def _space(decisions: list[Decision], rows: NDArray[np.int64], name: str) -> Space:
    """The product, where all of it is there and can be enumerated, else the list; up to a million cells."""
    if len(rows) > MOST:
        raise LabError(f"a table has {MOST:,} configurations at most, got {len(rows):,}")
    whole = 1
    for decision in decisions:
        whole *= len(decision.options)
    product = whole == len(rows) and len(decisions) <= written.DIMENSIONS
    return Space(decisions, listed=None if product else np.unique(rows, axis=0), name=name)


def _found(space: Space, rows: NDArray[np.int64], frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """(A,) the cell of every row; every cell has one."""
    archs = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows.tolist()):
        try:
            archs[i] = space.index(row)
        except ValueError:
            raise LabError(f"{nth(i)}: {space.name} has no cell {_said(frame, columns, i)}") from None
    if len(archs) < space.size:
        missing = np.setdiff1d(np.arange(space.size), archs)
        labels = [text_of(d.options[o]) for d, o in zip(space.decisions, space.row(int(missing[0])), strict=True)]
        raise LabError(
            f"{len(missing):,} of {space.size:,} cells of {space.name} are missing, first {', '.join(labels)}"
        )
    return archs


def _said(frame: pd.DataFrame, columns: Sequence[str], row: int) -> str:
    return ", ".join(f"{column}={text_of(frame[column].iloc[row])}" for column in columns[:_SHOWN]) + (
        ", ..." if len(columns) > _SHOWN else ""
    )
