"""Any regressor with `fit` and `predict`, scikit-learn's or somebody's, on rows of features, as it is.

`sklearn.ensemble:ExtraTreesRegressor:n_estimators=300` is short for `regressor:estimator=(...)` with these defaults; how an
estimator is named: `surrogates/_estimators.py`. It sees rows that describe cells and scores of zero mean and unit spread.
All randomness is the run's generator's: every `random_state` that is None, and numpy's global one meanwhile.

The spread is what the estimator says of itself: `predict(return_std=True)`, quantiles (by `predict(quantiles=...)`, or three
fits of one that learns a quantile), or the disagreement of members whose mean it is and that have each learned from a
bootstrap sample, the trees of a random forest. Where it says nothing, `folds` copies are fitted, each without its part of
the rows; their disagreement, plus a noise such that 90% intervals hold what was withheld, is the spread (Vovk 2015,
cross-conformal; Krogh & Vedelsby 1995; `_rows.added_noise`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates import _estimators
from nasbench_lab.surrogates._rows import LEAST_NOISE, FeatureSurrogate, added_noise, folds, spaced

Spread = Literal["own", "folds"]
_TREES = "sklearn.ensemble:ExtraTreesRegressor"
_FEW = 8  # rows that most searches begin with, and fits of a fold
_PROBE = 64  # made-up rows that an estimator must be able to learn before any run; fewer it may refuse


@dataclass
class Regressor(FeatureSurrogate):
    """A regressor on rows of features; see the module's docstring.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
        estimator: its spec: module:Class with parameters, or file.py:name of a class, an instance or a function.
        spread: "own" takes what the estimator says where it says something, "folds" asks copies in any case.
        folds: copies, each fitted without its part; at least 2.
    """

    estimator: str = _TREES
    spread: Spread = "own"
    folds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.estimator = _estimators.written(self.estimator)
        if self.folds < 2 or self.spread not in get_args(Spread):
            raise ValueError(f"need folds >= 2 and spread own or folds, got {self.folds} and {self.spread!r}")
        if problem := _problem(self.estimator):
            raise ValueError(problem)

    @property
    def requires(self) -> tuple[str, ...]:
        """The packages that the estimator is of."""
        return ("sklearn",) if self.estimator == _TREES else _estimators.packages(_estimators.made(self.estimator))

    def instead(self, space: Space) -> str:
        """See `Surrogate.instead`; and what is predicted where an estimator cannot learn from few rows."""
        least, error = _least_rows(self.estimator)
        few = (
            f"cannot be fitted to fewer than {least} rows ({error}); until then, the mean of the scores"
            if least > _FEW
            else ""
        )
        return "; ".join(filter(None, (super().instead(space), few)))

    def learn(self, inputs: FloatArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """Fit the estimator, and what its spread takes; of fewer rows than it can learn from, their mean is predicted."""
        self.members_: list[Any] = []
        self.noise_ = 0.0
        quantile = _estimators.quantile_parameter(_estimators.made(self.estimator)) if self.spread == "own" else ""
        if quantile:
            self.quantiles_ = [self._fitted(inputs, targets, rng, **{quantile: p}) for p in _estimators.MIDDLE]
            return
        self.quantiles_ = []
        self.fitted_ = self._fitted(inputs, targets, rng)
        self.own_ = self.spread == "own" and _estimators.own_moments(self.fitted_, inputs[:2]) is not None
        if not self.own_:
            self._cross_fit(inputs, targets, rng)

    def _fitted(self, inputs: FloatArray, targets: FloatArray, rng: np.random.Generator, **values: Any) -> Any:
        estimator = _estimators.seeded(_estimators.made(self.estimator), rng)
        if values:
            estimator.set_params(**values)
        try:
            _estimators.fitted(estimator, inputs, targets, rng)
            _estimators.predicted(estimator, inputs[:1])
        except Exception:
            if len(targets) >= _least_rows(self.estimator)[0]:
                raise
            return _Mean(float(targets.mean()))
        return estimator

    def _cross_fit(self, inputs: FloatArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """Copies that were each fitted without a part, and the noise that their errors on it show."""
        _, rows = np.unique(inputs, axis=0, return_inverse=True)
        count = min(self.folds, int(rows.max()) + 1)
        self.noise_ = 1.0
        if count < 2:
            return
        part: IntArray = folds(rows.reshape(-1), count, rng)
        self.members_ = [self._fitted(inputs[part != k], targets[part != k], rng) for k in range(count)]
        errors = np.empty(len(targets))
        for k, member in enumerate(self.members_):
            errors[part == k] = targets[part == k] - _estimators.predicted(member, inputs[part == k])
        some = self.inputs_[np.unique(spaced(self.row_of_))]
        self.noise_ = added_noise(errors**2, 2.0 * self._disagreement(some))

    def _disagreement(self, inputs: FloatArray) -> FloatArray:
        """(m,) variance of what the copies predict."""
        variance: FloatArray = np.var([_estimators.predicted(member, inputs) for member in self.members_], axis=0)
        return variance

    def moments(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `FeatureSurrogate.moments`."""
        if self.quantiles_:
            low, mean, high = (_estimators.predicted(each, inputs) for each in self.quantiles_)
            return mean, _at_least((high - low) / 2.0)
        if self.own_ and (own := _estimators.own_moments(self.fitted_, inputs)):
            return own[0], _at_least(own[1])
        variance = self._disagreement(inputs) if self.members_ else np.zeros(len(inputs))
        return _estimators.predicted(self.fitted_, inputs), _at_least(np.sqrt(variance + self.noise_))


class _Mean:
    """In place of an estimator that cannot learn from so few."""

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def predict(self, inputs: FloatArray) -> FloatArray:
        return np.full(len(inputs), self.mean)


def _at_least(std: FloatArray) -> FloatArray:
    return np.maximum(std, np.sqrt(LEAST_NOISE))


@lru_cache(maxsize=128)
def _problem(spec: str) -> str:
    """Why an estimator cannot be a surrogate, found on made-up rows before anything runs; "" where it can."""
    error = _tried(spec, _PROBE)
    return f"cannot be fitted to {_PROBE} rows of numbers: {error}" if error else ""


@lru_cache(maxsize=128)
def _least_rows(spec: str) -> tuple[int, str]:
    """How many made-up rows an estimator needs, by bisection between 1 and 64, and what it says of one less."""
    below, enough, said = 0, _PROBE, ""
    while enough - below > 1:
        middle = (below + enough) // 2
        if error := _tried(spec, middle):
            below, said = middle, error
        else:
            enough = middle
    return enough, said


def _tried(spec: str, count: int) -> str:
    """What an estimator says that cannot be fitted to so many made-up rows; "" where it can."""
    rng = stream(0, 7)
    inputs = rng.standard_normal((count, 20))
    estimator = _estimators.seeded(_estimators.made(spec), rng)
    try:
        with warnings.catch_warnings(action="ignore"):  # of made-up rows
            _estimators.fitted(estimator, inputs, inputs[:, 0], rng)
            _estimators.predicted(estimator, inputs)
            _estimators.own_moments(estimator, inputs)
    except Exception as error:  # somebody's code
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""
