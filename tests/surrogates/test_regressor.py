"""Somebody's regressors as surrogates: by spec, by file, as instances; what they say of their spread, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from conftest import skipped_where_absent

import nasbench_lab
from nasbench_lab import LabError, extras, loading, sources, trust
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.model_based.gp_bo import GpBo
from nasbench_lab.study.given import named
from nasbench_lab.surrogates import _estimators
from nasbench_lab.testing.surrogate_kit import check_surrogate, scores

PIPELINE = "sklearn.pipeline:Pipeline:steps=(scale=(sklearn.preprocessing:StandardScaler),fit=(sklearn.svm:SVR:C=10.0))"
TREES = "sklearn.ensemble:ExtraTreesRegressor:n_estimators=20"
FOREST = "regressor:estimator=(sklearn.ensemble:RandomForestRegressor:n_estimators=10),spread=folds,folds=3"
PLAIN = '''"""Ridge without a base class, parameters or scikit-learn."""
import numpy as np
class Plain:
    def fit(self, X, y):
        self.mean, self.weights = y.mean(), np.linalg.solve(X.T @ X + 10 * np.eye(X.shape[1]), X.T @ (y - y.mean()))
        return self
    def predict(self, X):
        return self.mean + X @ self.weights
def made():
    return Plain()
ready = Plain()
'''
SAMPLE = np.random.default_rng(0).choice(cell.SPACE.size, 400, replace=False)
TRAIN, UNSEEN = SAMPLE[:100], SAMPLE[100:]


def fitted(spec, seed=0):
    return loading.build("surrogates", spec).fit(TRAIN, scores(TRAIN), np.random.default_rng(seed))


@pytest.mark.needs("sklearn")
@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{spec}: {check.name}", marks=pytest.mark.slow if "fresh" in check.name else ())
        for spec in (TREES, PIPELINE)
        for check in check_surrogate(spec)
    ],
)
def test_conformance_of_a_forest_and_of_a_pipeline(check):
    with skipped_where_absent():
        check()


def test_conformance_of_an_object_without_any_base(tmp_path):
    (tmp_path / "plain.py").write_text(PLAIN)
    for check in check_surrogate(f"{tmp_path / 'plain.py'}:Plain"):
        check()


@pytest.mark.parametrize("name", ["Plain", "made", "ready"])
def test_a_class_a_function_and_an_instance_in_a_file_are_the_same(name, tmp_path):
    (tmp_path / "plain.py").write_text(PLAIN)
    mean = fitted(f"{tmp_path / 'plain.py'}:{name}").predict(UNSEEN)[0]
    assert np.allclose(mean, fitted(f"{tmp_path / 'plain.py'}:Plain").predict(UNSEEN)[0])
    ready = loading.load("surrogates", f"{tmp_path / 'plain.py'}:ready")
    assert not hasattr(ready, "mean")  # a copy learns


@pytest.mark.needs("sklearn")
@pytest.mark.parametrize(
    ("estimator", "folds"),
    [
        (TREES, True),
        (f"{TREES},bootstrap=True", False),
        ("sklearn.ensemble:RandomForestRegressor:n_estimators=20", False),
        ("sklearn.linear_model:BayesianRidge", False),
        ("sklearn.ensemble:BaggingRegressor:n_estimators=5,max_features=0.5", False),
        ("sklearn.linear_model:QuantileRegressor:alpha=0.01", False),
        ("sklearn.ensemble:GradientBoostingRegressor:loss=quantile,n_estimators=20", False),
        ("sklearn.ensemble:GradientBoostingRegressor:n_estimators=20", True),
        ("sklearn.neighbors:KNeighborsRegressor", True),
        (PIPELINE, True),
    ],
)
def test_the_spread_is_the_estimators_own_where_it_has_one(estimator, folds):
    model = fitted(estimator)
    assert bool(model.members_) is folds
    mean, std = model.predict(UNSEEN)
    assert len(np.unique(std)) > 10  # it differs from cell to cell
    low, high = mean - 1.645 * std, mean + 1.645 * std
    if folds:  # what the estimator says itself is its own affair
        inside = np.mean((low <= scores(UNSEEN)) & (scores(UNSEEN) <= high))
        assert 0.8 < inside < 0.99, inside
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(UNSEEN)[0], mean)


@pytest.mark.needs("sklearn")
def test_every_random_state_is_the_generators_unless_it_is_given():
    first, again, other = (fitted(TREES, seed).predict(UNSEEN)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    fixed = [fitted(f"{TREES},random_state=3", seed).predict(UNSEEN)[0] for seed in (1, 2)]
    assert np.array_equal(*fixed)


@pytest.mark.needs("sklearn")
def test_an_instance_is_written_as_the_spec_that_builds_it():
    from sklearn.ensemble import ExtraTreesRegressor, VotingRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    assert _estimators.written(ExtraTreesRegressor(n_estimators=20)) == TREES
    assert _estimators.written(Pipeline([("scale", StandardScaler()), ("fit", SVR(C=10.0))])) == PIPELINE
    for each in (
        VotingRegressor([("a", Ridge(alpha=2)), ("b", SVR())], weights=[1, 2]),
        GaussianProcessRegressor(RBF(3.0) + WhiteKernel(), normalize_y=True),
    ):
        spec = _estimators.written(each)
        assert _estimators.written(_estimators.made(spec)) == spec
        assert repr(_estimators.made(spec)) == repr(each)
    assert GpBo(surrogate=ExtraTreesRegressor(20)) == GpBo(surrogate=TREES)


@pytest.mark.needs("sklearn")
def test_a_search_is_led_by_one_and_says_what_it_was_made_with():
    from sklearn.neighbors import KNeighborsRegressor

    strategy = GpBo(surrogate=KNeighborsRegressor(3))
    assert strategy.requires == ("sklearn",)
    frames = [nasbench_lab.search(strategy, "toy", max_queries=14) for _ in range(2)]
    assert frames[0]["arch"].tolist() == frames[1]["arch"].tolist()
    assert named([strategy]) == (["gp_bo:surrogate=(sklearn.neighbors:KNeighborsRegressor:n_neighbors=3)"], {})
    assert "scikit-learn" in sources.versions(strategy)


@pytest.mark.needs("sklearn")
def test_assess_takes_instances_beside_specs(tmp_path):
    from sklearn.linear_model import BayesianRidge

    frame = nasbench_lab.assess(BayesianRidge(), "knn", table="toy", train=[20], seeds=1, out=tmp_path)
    assert set(frame["surrogate"]) == {"sklearn.linear_model:BayesianRidge", "knn"}


def test_an_edited_estimator_is_another_one(tmp_path):
    from nasbench_lab.surrogates.regressor import Regressor

    file, found = tmp_path / "plain.py", []
    for text in (PLAIN, PLAIN.replace("10 *", "20 *")):
        file.write_text(text)
        found.append(sources.assessment_digest(Regressor, f"{file}:Plain"))
    assert found[0] != found[1]
    inside = f"regressor:estimator=(sklearn.pipeline:Pipeline:steps=(a=({file}:Plain)))"
    assert file.resolve() in sources.files_in(inside)
    assert str(file) in loading.located(inside)


def test_somebodys_code_inside_of_a_list_is_seen_before_it_is_run():
    assert trust.untrusted("surrogates", "regressor:estimator=(a.b:C:steps=(x=(d.e:F),y=(g.py:H)))", ()) == [
        "a.b:C", "d.e:F", "g.py:H",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("json:JSONDecoder", "has fit and predict; JSONDecoder"),
        ("regressor:estimator=knn", "is a surrogate itself"),
        ("sklearn.linear_model:Ridge:no_such=3", "cannot be built: .*no_such"),
        (
            "sklearn.linear_model:Ridge:alpha=-3",
            "cannot be fitted to 64 rows of numbers: InvalidParameterError: .*alpha",
        ),
        (
            "sklearn.linear_model:LogisticRegression",
            "a surrogate predicts scores; .*LogisticRegression' is a classifier",
        ),
        ("sklearn.linear_model:NoSuch", "has no class 'NoSuch'"),
        ("regressor:estimator=(sklearn.linear_model:Ridge),folds=1", "folds >= 2"),
    ],
)
def test_what_cannot_be_one_is_refused_in_one_sentence(spec, said):
    if "sklearn" in spec:
        pytest.importorskip("sklearn")
    with pytest.raises(LabError, match=said) as error:
        loading.build("surrogates", spec)
    assert "\n" not in str(error.value)


def test_an_instance_that_no_spec_describes_is_refused():
    class Mine:
        def fit(self, X, y): ...

        def predict(self, X): ...

    for value, said in ((Mine(), "no get_params; put the instance into a file"), (5, "with fit and predict; got 5")):
        with pytest.raises(LabError, match=said):
            _estimators.written(value)


def test_scikit_learn_that_is_not_installed_is_said_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(extras, "absent", lambda package: package == "sklearn")
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(LabError, match=r"needs sklearn, which is not installed.*pip install"):
        loading.build("surrogates", TREES)


@pytest.mark.needs("sklearn")
def test_of_too_few_their_mean_is_predicted_and_no_mistake_is_hidden():
    model = loading.build("surrogates", "sklearn.neighbors:KNeighborsRegressor:n_neighbors=5")
    mean, std = model.fit(TRAIN[:3], np.array([1.0, 2.0, 6.0])).predict(UNSEEN)
    assert np.allclose(mean, 3.0)
    assert (std > 0).all()


def test_an_estimator_that_refuses_few_rows_says_so_before_it_runs(tmp_path):
    path = tmp_path / "picky.py"
    path.write_text(
        "class Picky:\n    def fit(self, X, y):\n        if len(y) < 20: raise RuntimeError('too few')\n        self.m = y.mean()\n"
        "    def predict(self, X):\n        return X[:, 0] * 0 + self.m\n"
    )
    said = loading.build("surrogates", f"{path}:Picky").instead(cell.SPACE)
    assert said == "cannot be fitted to fewer than 20 rows (RuntimeError: too few); until then, the mean of the scores"
    path.with_name("plain.py").write_text(PLAIN)
    assert loading.build("surrogates", f"{tmp_path / 'plain.py'}:Plain").instead(cell.SPACE) == ""
