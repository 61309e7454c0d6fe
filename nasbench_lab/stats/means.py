"""Means over seeds with their 95% intervals, as the rows of reports: `name`, `name_lo`, `name_hi`; and in words.

Bootstrap (`intervals.mean_interval`) from 20 seeds on, Student's t with fewer, none with one or two: with two its half-width is
9 times the difference between them, which says nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.stats import agreement, intervals

Row = dict[str, Any]
_FEWEST = 3


def row(name: str, values: FloatArray) -> Row:
    """Mean of those of (R,) values that are known, and the ends of its interval; what is not finite is None (strict JSON)."""
    values = values[~np.isnan(values)]
    if len(values) < intervals.FEWEST:
        mean, low, high = agreement.paired(values)
    else:
        mean = float(values.mean())
        low, high = (float(end[0]) for end in intervals.mean_interval(values[:, None]))
    if len(values) < _FEWEST:
        low = high = math.nan
    ends = {name: mean, f"{name}_lo": low, f"{name}_hi": high}
    return {key: value if math.isfinite(value) else None for key, value in ends.items()}


def shown(row: Row, name: str, digits: int | None) -> str:
    """Mean ± half of its interval, with so many decimals, or with four significant digits; empty where there is none."""
    if row[name] is None:
        return ""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    half = "" if low is None or high is None else f" ±{_number((high - low) / 2, digits)}"
    return _number(row[name], digits) + half


def _number(number: float, digits: int | None) -> str:
    if digits is None:
        return f"{number:.4g}"
    return f"{number:.{digits}f}" if abs(number) < 1e5 else f"{number:.1e}"
