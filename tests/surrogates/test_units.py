"""A unit decides nothing: the same scores, a power of ten smaller or larger, are predicted and searched alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nasbench_lab import loading
from nasbench_lab.core import stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import runner
from nasbench_lab.tables.table import Table

UNITS = (1.0, 2.0**-23, 2.0**-40, 2.0**30)  # powers of two, so that scaling rounds nothing


def table(unit: float) -> Table:
    rng = np.random.default_rng(5)
    frame = pd.MultiIndex.from_product([range(4), range(3), list("abc"), list("xy")], names=list("pqrs")).to_frame(
        index=False
    )
    loss = (
        0.3 * frame.p
        + (frame.q - 1.2) ** 2
        + (frame.r == "b")
        - 0.7 * (frame.s == "x")
        + rng.normal(0, 0.2, len(frame))
    )
    frame["loss"] = unit * (loss - 1.0)
    return Table.from_frame(frame, name="mine", decisions=list("pqrs"), val=["loss"], better="lower", unit="loss")


@pytest.mark.parametrize("spec", ["gp", "bayes_linear", "knn"])
def test_predictions_are_in_proportion(spec: str) -> None:
    found = []
    for unit in UNITS:
        own, model = table(unit), loading.build("surrogates", spec)
        archs = np.arange(0, own.space.size, 5)
        model.fit(archs, own.sign * own.last.val[archs, -1], stream(0, 1), space=own.space)
        mean, std = model.predict(np.arange(own.space.size))
        found.append((mean / unit, std / unit))
    for mean, std in found[1:]:
        np.testing.assert_allclose(mean, found[0][0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(std, found[0][1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("spec", ["gp_bo", "tpe", "bayes_linear_ts", "portfolio", "local_search", "mcts"])
def test_a_search_asks_the_same(spec: str) -> None:
    asked = []
    for unit in UNITS:
        records = runner.search(loading.build("strategies", spec), Tabular(table(unit)), seed=3, max_queries=25).records
        asked.append([record.result.query.arch for record in records])
    assert asked[1:] == asked[:1] * (len(UNITS) - 1)
