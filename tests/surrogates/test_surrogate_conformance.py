"""Every surrogate there is, and variants that differ in more than a number, through the public conformance kit."""

from __future__ import annotations

import re

import pytest
from conftest import skipped_where_absent
from kit import has_what_it_needs, in_a_fresh_process

from nasbench_lab import loading
from nasbench_lab.testing.checks import CheckFailed
from nasbench_lab.testing.surrogate_kit import check_surrogate, fingerprint

# Nothing that is checked depends on how long these learn; as long as they do by default, they do in the slow session.
SHORTER = {"gcn": "gcn:steps=60,members=2", "gbdt": "gbdt:iterations=20", "mlp": "mlp:steps=100"}
UPDATES = "an update tells"  # fits ten times: in the slow session, but of a few
VARIANTS = (
    "gp:kernel=wl",
    "mlp:features=path,loss=nll,steps=100",
    "forest:trees=10,kind=random,features=one_hot",
    "knn:neighbours=1",
)
SPECS = (*(SHORTER.get(name, name) for name in loading.names("surrogates")), *VARIANTS)
APART = "same predictions in a fresh process"  # below, of all in one; each in its own in the slow session


def slow_of(spec: str) -> tuple[str, ...]:
    """How the names of the checks begin that are of the slow session."""
    return (APART,) if spec in ("gp", "bayes_linear", "knn", "mlp:steps=100") else (APART, UPDATES)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(
            check,
            id=f"{spec}: {check.name}",
            marks=pytest.mark.slow if spec in SHORTER or check.name.startswith(slow_of(spec)) else (),
        )
        for spec in (*SPECS, *SHORTER)
        for check in check_surrogate(spec)
    ],
)
def test_conformance(check):
    with skipped_where_absent():
        check()


def test_same_predictions_in_a_fresh_process_with_another_hash_seed():
    specs = [spec for spec in SPECS if spec not in VARIANTS and has_what_it_needs("surrogates", spec)]
    here = {spec: fingerprint(lambda spec=spec: loading.build("surrogates", spec)) for spec in specs}
    assert in_a_fresh_process("surrogates", specs) == here


@pytest.mark.parametrize("name", loading.names("surrogates"))
def test_scikit_learn_can_clone_it(name):
    base = pytest.importorskip("sklearn.base")
    with skipped_where_absent():
        model = loading.load("surrogates", name)()
    assert base.clone(model).get_params() == model.get_params()


REGRESSOR = """
import numpy as np

class Mine:
    def fit(self, X, y):
        {fit}
        return self

    def predict(self, X):
        return {predict}
"""
FEATURES = """
import numpy as np
from dataclasses import dataclass
from nasbench_lab import FeatureSurrogate

@dataclass
class Mine(FeatureSurrogate):
    def learn(self, inputs, targets, rng):
        {fit}

    def moments(self, inputs):
        return {predict}
"""


@pytest.mark.parametrize(
    ("text", "fit", "predict", "said"),
    [
        (REGRESSOR, "raise KeyError('oops')", "X[:, 0]", r"KeyError: 'oops' \(.*mine\.py:6\)$"),
        (REGRESSOR, "pass", "{}['a']", r"KeyError: 'a' \(.*mine\.py:10\)$"),
        (REGRESSOR, "pass", "X[1:, 0]", r"predict returns an array of shape \(99,\) for 100 rows"),
        (REGRESSOR, "pass", "1.0", r"predict returns an array of shape \(\) for 100 rows"),
        (REGRESSOR, "pass", "(X[:, 0], X[:, 0])", "predicts 2 numbers a row instead of one"),
        (FEATURES, "raise KeyError('oops')", "0", r"KeyError: 'oops' \(.*mine\.py:9\)$"),
        (FEATURES, "pass", "(inputs[1:, 0], inputs[1:, 0])", r"mean has shape \(\d+,\) for \d+ rows"),
        (FEATURES, "pass", "inputs[:, 0]", "moments returns .*, not a pair of means and standard deviations"),
    ],
)
def test_what_goes_wrong_in_an_authors_code_is_said_with_its_place(tmp_path, text, fit, predict, said):
    (tmp_path / "mine.py").write_text(text.replace("{fit}", fit).replace("{predict}", predict))
    first, second, *_ = check_surrogate(str(tmp_path / "mine.py"))
    try:
        first()
    except CheckFailed as error:
        assert re.search(said, str(error))
        return
    with pytest.raises(CheckFailed, match=said):
        second()
