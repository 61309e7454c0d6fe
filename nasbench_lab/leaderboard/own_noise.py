"""How far the noise of a table itself, which no interval over seeds contains, moves the differences of a board."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_lab.leaderboard.parts import Entry, Row, Setting


def add(setting: Setting, members: Sequence[Entry], tests: Row) -> None:
    """How far a table measured anew would move the difference of every pair: a standard deviation, `table_sd`, of scores.

    Of the cells that runs ended with, which it takes as given: with w the share of runs that ended with a cell, s^2 / n the
    variance of the mean of its n trainings, the root of sum (w_one - w_other)^2 s^2 / n. It is what a bootstrap over trainings
    comes to, without its randomness and without what so few trainings would make it too small by.
    """
    if setting.noise is None or setting.front is not None:
        return
    rows, variances = setting.noise.row, setting.noise.variances
    shares = {}
    for entry in members:
        last = entry.runs.last("incumbent")
        if (last >= 0).all():  # not of runs without an answer
            shares[entry.strategy] = np.bincount(rows[last.astype(np.int64)], minlength=len(variances)) / len(last)
    for pair in tests["pairs"]:
        if pair["one"] in shares and pair["other"] in shares:
            apart = shares[pair["one"]] - shares[pair["other"]]
            pair["table_sd"] = float(f"{math.sqrt(float(apart**2 @ variances)):.6g}")
