"""Every surrogate there is, and variants that differ in more than a number, through the public conformance kit."""

from __future__ import annotations

import pytest
from conftest import skipped_where_absent

from nasbench_lab import loading

VARIANTS = (
    "gp:kernel=wl",
    "mlp:features=path,loss=nll",
    "forest:trees=10,kind=random,features=one_hot",
    "knn:neighbours=1",
)


@pytest.mark.surrogates(*loading.names("surrogates"), *VARIANTS)
def test_conformance(surrogate_check):
    with skipped_where_absent():
        surrogate_check()


@pytest.mark.parametrize("name", loading.names("surrogates"))
def test_scikit_learn_can_clone_it(name):
    base = pytest.importorskip("sklearn.base")
    with skipped_where_absent():
        model = loading.load("surrogates", name)()
    assert base.clone(model).get_params() == model.get_params()
