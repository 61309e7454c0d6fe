"""How far the noise of a table itself, which no interval over seeds contains, moves the differences of a board."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.leaderboard.parts import Entry, Row, Setting
from nasbench_lab.stats.repeated import Noise


def add(setting: Setting, members: Sequence[Entry], tests: Row) -> None:
    """How far a table measured anew would move the difference of every pair: a standard deviation, `table_sd`, of scores.

    Of the cells that runs ended with, which it takes as given: with w_ct what training t of cell c counts in the mean of a
    strategy's scores, and s_c^2 the variance of one training, the root of sum s_c^2 (w_ct,one - w_ct,other)^2. It is what a
    bootstrap over trainings comes to, without its randomness and without what so few trainings would make it too small by.
    """
    if setting.noise is None or setting.front is not None:
        return
    weights = {
        entry.strategy: _weights(setting, setting.noise, entry)
        for entry in members
        if (entry.runs.last("incumbent") >= 0).all()  # not of runs without an answer
    }
    variances = setting.noise.repeated.sd**2
    for pair in tests["pairs"]:
        if pair["one"] in weights and pair["other"] in weights:
            apart = weights[pair["one"]] - weights[pair["other"]]
            pair["table_sd"] = float(f"{math.sqrt(float((apart**2).sum(axis=1) @ variances)):.6g}")


def _weights(setting: Setting, noise: Noise, entry: Entry) -> FloatArray:
    """(C, T) what every training counts in the mean over a strategy's runs."""
    known = ~np.isnan(noise.repeated.trials)
    rows = noise.row[entry.runs.last("incumbent").astype(np.int64)]
    found = np.zeros(known.shape)
    if setting.shares is None:
        np.add.at(found, rows, (known / known.sum(axis=1, keepdims=True))[rows])
    else:
        for row, seed in zip(rows.tolist(), entry.runs.seeds.tolist(), strict=True):
            found[row] += setting.shares(seed, row)
    return found / len(rows)
