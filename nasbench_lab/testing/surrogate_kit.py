"""What every surrogate must do, as named checks: the surrogates' half of the conformance kit (`testing`).

Scores are made up: additive in the live operations of a cell, or in the options of a small space, with noise of its own
for every cell.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import core, loading
from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.spaces import cell
from nasbench_lab.stats import shares
from nasbench_lab.surrogates import FeatureSurrogate, _estimators
from nasbench_lab.testing.checks import Check, CheckFailed, in_fresh_process, leaves_global_states_alone, require
from nasbench_lab.testing.small_spaces import SPACES

BY_CHANCE = 0.001  # how often a surrogate that ranks at random passes "better than chance"
_TRAIN, _HELD_OUT = 100, 500  # cells
_HALF = next(kind for kind, space in SPACES.items() if space.listed is not None)  # seen in part, too
_LEAST_COVER = 0.6  # of intervals that say 90%
_METHODS = ("fit", "predict", "quantiles", "sample", "update", "believe", "alike", "get_params", "set_params")
Archs = NDArray[np.int64]


def check_surrogate(load: Any) -> Iterator[Check]:
    """The checks of one surrogate, each a callable with a name.

    Args:
        load: a spec ("mlp:members=3", "pkg.module:Class", "file.py"); a class or function without arguments that makes
            the surrogate; any other regressor, class or instance. A class that another process cannot import fails the
            fresh-process check: give its spec.

    Yields:
        named checks; none runs before it is called.
    """
    if not isinstance(load, str) and not inspect.isroutine(load) and not loading.is_surrogate(load):
        load = _estimators.written(load)
    spec = load if isinstance(load, str) else f"{load.__module__}:{load.__qualname__}"
    make: Callable[[], Any] = (lambda: _built(load)) if isinstance(load, str) else load
    kit, over = _Kit(make, spec), list[str]()

    def _check(name: str, function: Callable[[], None], *, first: bool = False) -> Check:
        return Check(name, function, over=over, first=first)

    yield _check("is a dataclass whose fields are its parameters, and can be cloned", kit.is_surrogate, first=True)
    yield _check("predicts a finite mean and a positive spread for every cell asked for", kit.predicts, first=True)
    yield _check("predicts in the unit of the scores, whatever it is", kit.units)
    yield _check("leaves what it is given as it was", kit.leaves_arguments)
    yield _check("same generator, same predictions", kit.same_generator)
    yield _check("same predictions in a fresh process with another PYTHONHASHSEED", kit.fresh_process)
    yield _check("leaves the global random states of random, numpy and torch alone", kit.global_states)
    yield _check(
        f"ranks cells it has not seen better than chance ({shares.percent(BY_CHANCE, 1)} pass by chance)", kit.ranks
    )
    yield _check(f"90% intervals cover {shares.percent(_LEAST_COVER)} or more of what it has not seen", kit.covers)
    yield _check("quantiles are in order", kit.quantiles)
    yield _check("samples are decided by the generator, and differ", kit.samples)
    yield _check("survives two scores, equal scores and repeated cells", kit.little)
    yield _check("refuses nan, infinity, one score, and more scores than cells, with a ValueError", kit.refuses)
    yield _check("works on small spaces of every kind", kit.small_space)
    yield _check("predicts alike what it calls alike", kit.alike)
    yield _check("can be pickled when fitted", kit.pickling)
    yield _check("an update tells what a fit to the same scores tells", kit.updates)
    yield _check("goes on after it was told to believe what is pending", kit.believes)
    yield _check("starts anew when fitted again", kit.refit)


def _built(spec: str) -> Any:
    """The surrogate of a spec. Where it is of a regressor that does not learn from rows of numbers, what that raises is raised.

    Raises:
        LabError: as `loading.build`, for any other reason.
        CheckFailed: it predicts no number for each row.
    """
    try:
        return loading.build("surrogates", spec)
    except LabError:
        if (estimator := _estimator(spec)) is not None:
            rng = core.stream(13, 3)
            rows = rng.standard_normal((_TRAIN, 20))
            _estimators.fitted(estimator, rows, rows[:, 0], rng)
            found = estimator.predict(rows)
            each = isinstance(found, tuple) or len(np.atleast_1d(found)) == _TRAIN
            require(each, f"predict returns an array of shape {np.shape(found)} for {_TRAIN} rows")
            _estimators.predicted(estimator, rows)
        raise


def _estimator(spec: str) -> Any:
    """The regressor on rows that a spec is of; None where it is of none, or of one that cannot be built."""
    head, given = loading.split_spec(spec)
    try:
        return _estimators.made(given.get("estimator", "") if head == "regressor" else spec)
    except Exception:  # somebody's constructor; `build` has said what is wrong
        return None


def _one_each(moments: Callable[[FloatArray], Any]) -> Callable[[FloatArray], Any]:
    """The method of a `FeatureSurrogate`, whose answers are looked up by row before anybody sees them."""

    def watched(inputs: FloatArray) -> Any:
        found = moments(inputs)
        _require_each(found, len(inputs), "moments", "rows")
        return found

    return watched


def scores(archs: Archs) -> FloatArray:
    """Made-up accuracies of cells, in percent: additive in live operations, plus noise of each cell's own."""
    noise = core.stream(13, 1).standard_normal(cell.SPACE.size)
    level = cell.op_counts(live=True) @ np.array([-6.0, 0.0, 4.0, 6.0, -3.0])
    values: FloatArray = (60.0 + level + noise)[archs]
    return values


def fingerprint(make: Callable[[], Any]) -> str:
    """SHA-256 of predictions, rounded to 6 digits, which is what arithmetic in another order leaves alone."""
    archs, _ = _data()
    model = make().fit(archs[:40], scores(archs[:40]), np.random.default_rng(11))
    mean, std = model.predict(archs[-50:])
    text = " ".join(f"{value:.6g}" for value in (*mean, *std))
    return hashlib.sha256(text.encode()).hexdigest()


def _data() -> tuple[Archs, Archs]:
    """Cells to learn from, and cells of other classes."""
    order = core.stream(13, 2).permutation(cell.SPACE.size)
    train = order[:_TRAIN]
    unseen = order[_TRAIN:][~np.isin(cell.SPACE.classes[order[_TRAIN:]], cell.SPACE.classes[train])]
    return train, unseen[:_HELD_OUT]


class _Kit:
    def __init__(self, make: Callable[[], Any], spec: str) -> None:
        self.make, self.spec = make, spec

    def fitted(self, n: int = 40, seed: int = 3, unit: Callable[[FloatArray], FloatArray] = lambda y: y) -> Any:
        archs = _data()[0][:n]
        return self.make().fit(archs, unit(scores(archs)), np.random.default_rng(seed))

    def is_surrogate(self) -> None:
        model = self.make()
        name = type(model).__name__
        missing = [method for method in _METHODS if not callable(getattr(model, method, None))]
        require(not missing, f"{name} has no {', '.join(missing)}; derive it from nasbench_lab.Surrogate")
        require(is_dataclass(model), f"{name} is not a dataclass")
        parameters = model.get_params()
        own = [field.name for field in fields(model) if field.init]
        require(list(parameters) == own, f"get_params() names {list(parameters)}, the fields are {own}")
        again = type(model)(**parameters).get_params()
        changed = [key for key, value in parameters.items() if again[key] is not value]
        require(not changed, f"the constructor changes {', '.join(changed)}: scikit-learn cannot clone {name}")
        _must_refuse(lambda: model.set_params(no_such_parameter=1), "an unknown parameter")

    def predicts(self) -> None:
        model, asked = self.fitted(), np.arange(0, cell.SPACE.size, 7)
        require(model.fit(asked[:9], scores(asked[:9])) is model, "fit does not return self")
        model = self.fitted()
        if isinstance(model, FeatureSurrogate):
            model.moments = _one_each(model.moments)  # type: ignore[assignment, method-assign]
        predicted = model.predict(asked)
        _require_predictions(predicted, len(asked))
        mean, _ = predicted
        some = np.array([asked[5], asked[5], asked[2]])
        again = self.fitted().predict(some)[0]
        require(np.allclose(again, mean[[5, 5, 2]], rtol=1e-4), "a cell's prediction depends on what else is asked for")

    def units(self) -> None:
        """A straight line through predictions and scores has about slope 1, and errors are of the spread's size."""
        train = _data()[0]
        units: dict[str, Callable[[FloatArray], FloatArray]] = {
            "percent": lambda y: y,
            "minus seconds": lambda y: 40.0 * y - 9000.0,
        }
        for name, unit in units.items():
            y = unit(scores(train))
            mean, std = self.fitted(_TRAIN, unit=unit).predict(train)
            width = float(np.ptp(y))
            inside = (mean > y.min() - width) & (mean < y.max() + width)
            require(
                bool(inside.all()), f"scores in {name} from {y.min():.4g} to {y.max():.4g}, means to {mean.min():.4g}"
            )
            error = float(np.median(np.abs(mean - y)))
            require(error < width / 4, f"scores in {name} that span {width:.4g}: typical error {error:.4g}")
            spread = float(np.median(std))
            require(
                width / 1e5 < spread < width, f"scores in {name} that span {width:.4g}: typical spread {spread:.4g}"
            )

    def leaves_arguments(self) -> None:
        archs = _data()[0][:30].copy()
        y, asked = scores(archs), archs[:5].copy()
        kept = archs.copy(), y.copy(), asked.copy()
        self.make().fit(archs, y, np.random.default_rng(0)).predict(asked)
        same = all(np.array_equal(a, b) for a, b in zip((archs, y, asked), kept, strict=True))
        require(same, "changed the arrays it was given")

    def same_generator(self) -> None:
        asked = _data()[1][:80]
        first, second = (self.fitted(seed=5).predict(asked) for _ in range(2))
        require(_equal(first, second), "two fits with equal generators predict differently")
        archs = _data()[0][:20]
        first, second = (self.make().fit(archs, scores(archs)).predict(asked) for _ in range(2))
        require(_equal(first, second), "two fits without a generator predict differently")

    def fresh_process(self) -> None:
        code = (
            "import sys; from nasbench_lab.testing import surrogate_kit; from nasbench_lab.loading import build;"
            "print(\"\\n\" + surrogate_kit.fingerprint(lambda: build('surrogates', sys.argv[1])))"
        )
        here = fingerprint(self.make)
        require(in_fresh_process(code, self.spec) == here, "the predictions of a fresh process differ")

    def global_states(self) -> None:
        def run() -> None:
            model = self.fitted(20)
            model.predict(_data()[1])
            model.sample(_data()[1], np.random.default_rng(0))

        self.fitted(20)  # loads whatever is to be loaded
        leaves_global_states_alone(run, "the generator that is given")

    def ranks(self) -> None:
        from scipy import stats  # a second to import, which the processes that are started for other checks save

        unseen = _data()[1]
        mean = self.fitted(_TRAIN).predict(unseen)[0]
        found = stats.kendalltau(mean, scores(unseen), alternative="greater")
        passed = bool(found.pvalue < BY_CHANCE)  # nan, of a constant prediction, does not
        require(passed, f"Kendall tau {found.statistic:.3f} on {len(unseen)} cells (p = {found.pvalue:.2g})")

    def covers(self) -> None:
        unseen = _data()[1]
        y = scores(unseen)
        low, high = self.fitted(_TRAIN).quantiles(unseen, (0.05, 0.95))
        cover = float(np.mean((low <= y) & (y <= high)))
        require(cover >= _LEAST_COVER, f"they cover {shares.percent(cover, 1)}")

    def quantiles(self) -> None:
        unseen, levels = _data()[1], (0.05, 0.25, 0.5, 0.75, 0.95)
        found = self.fitted().quantiles(unseen, levels)
        require(len(found) == len(levels), f"{len(found)} quantiles for {len(levels)} probabilities")
        require(all(q.shape == (len(unseen),) for q in found), "not one value per cell and probability")
        require(bool((np.diff(np.stack(found), axis=0) >= 0).all()), "a higher probability has a lower quantile")
        require(bool((found[-1] > found[0]).any()), "all quantiles are equal")

    def samples(self) -> None:
        model, asked = self.fitted(), _data()[1]
        first, again, other = (model.sample(asked, np.random.default_rng(seed)) for seed in (1, 1, 2))
        require(first.shape == (len(asked),) and bool(np.isfinite(first).all()), "not one finite value per cell")
        require(np.array_equal(first, again), "equal generators, other samples")
        require(not np.array_equal(first, other), "other generators, equal samples")

    def little(self) -> None:
        a, b, *_ = _data()[0].tolist()
        for archs, y in (([a, b], [50.0, 60.0]), ([a, a], [50.0, 60.0]), ([a, b, b, a] * 5, [70.0] * 20)):
            model = self.make().fit(np.array(archs), np.array(y), np.random.default_rng(0))
            asked = np.array([a, b, *_data()[1][:50]])
            mean, std = model.predict(asked)
            _require_predictions((mean, std), len(asked))
            require(
                bool(np.isfinite(model.sample(asked, np.random.default_rng(0))).all()), "samples that are not finite"
            )

    def refuses(self) -> None:
        archs = _data()[0]
        for y, what in (
            ([1.0, np.nan, 2.0], "nan"),
            ([1.0, np.inf, 2.0], "infinity"),
            ([1.0], "one score"),
        ):
            _must_refuse(lambda y=y: self.make().fit(archs[: len(y)], np.array(y)), what)  # type: ignore[misc]
        _must_refuse(lambda: self.make().fit(archs[:2], np.arange(3.0)), "more scores than cells")

    def small_space(self) -> None:
        for kind, space in SPACES.items():
            y = space.one_hot @ np.linspace(-5.0, 5.0, space.one_hot.shape[1])
            every = np.arange(space.size)
            for archs in (every[::2], np.repeat(every, 3)) if kind == _HALF else (np.repeat(every, 3),):
                model = self.make().fit(archs, y[archs], np.random.default_rng(0), space=space)
                _require_predictions(model.predict(every), len(every))
            error = float(np.abs(model.predict(every)[0] - y).mean())  # of the fit to all
            spread = float(np.abs(y - y.mean()).mean())
            far = f"{kind}, all cells seen three times: mean error {error:.3g}, as by their average {spread:.3g}"
            require(error < spread or space.size == 1, far)

    def alike(self) -> None:
        for space, archs in ((cell.SPACE, _data()[0][:40]), (SPACES[_HALF], np.arange(6))):
            y = scores(archs) if space == cell.SPACE else archs + 1.0
            model = self.make().fit(archs, y, np.random.default_rng(0), space=space)
            one, group = model.alike(space)
            require(len(group) == space.size, f"alike names a group for {len(group)} of {space.size} cells")
            asked = np.arange(space.size)
            mean, std = model.predict(asked)
            same = np.allclose(mean, mean[one][group], rtol=1e-5) and np.allclose(std, std[one][group], rtol=1e-3)
            require(same, "cells it calls alike are predicted differently")

    def pickling(self) -> None:
        model, asked = self.fitted(), _data()[1]
        copy = pickle.loads(pickle.dumps(model))  # noqa: S301 - its own bytes
        require(_equal(model.predict(asked), copy.predict(asked)), "a pickled copy predicts differently")

    def updates(self) -> None:
        archs, unseen = _data()
        y = scores(archs)
        model = self.fitted(_TRAIN - 10)
        for n in range(_TRAIN - 9, _TRAIN + 1):
            model.update(archs[:n], y[:n], np.random.default_rng(3), refit=n % 5 == 0)
        mean, std = self.fitted(_TRAIN).predict(unseen)
        off = float(np.sqrt(np.mean((model.predict(unseen)[0] - mean) ** 2) / np.mean(std**2)))
        require(off < 0.5, f"means differ by {off:.2f} spreads")

    def believes(self) -> None:
        archs, unseen = _data()
        pending = unseen[:3]
        model = self.fitted()
        model.believe(pending, archs[:40], scores(archs[:40]), np.random.default_rng(3))
        _require_predictions(model.predict(unseen), len(unseen))
        model.update(archs[:41], scores(archs[:41]), np.random.default_rng(3))
        _require_predictions(model.predict(unseen), len(unseen))

    def refit(self) -> None:
        archs, unseen = _data()
        model = self.fitted(60, seed=9).fit(archs[:40], scores(archs[:40]), np.random.default_rng(3))
        require(_equal(model.predict(unseen), self.fitted().predict(unseen)), "what was fitted before shows")


def _require_predictions(predicted: Any, count: int) -> None:
    _require_each(predicted, count, "predict", "cells")
    for name, values in zip(("mean", "std"), predicted, strict=True):
        require(bool(np.isfinite(values).all()), f"{name} is not finite everywhere")
    std = predicted[1]
    require(bool((std > 0).all()), f"std is not positive everywhere: {std.min():.3g}")


def _require_each(predicted: Any, count: int, method: str, asked: str) -> None:
    """A pair of arrays, a number for each of what was asked."""
    pair = isinstance(predicted, (tuple, list)) and len(predicted) == 2
    require(pair, f"{method} returns {str(predicted)[:40]}, not a pair of means and standard deviations")
    for name, values in zip(("mean", "std"), predicted, strict=True):
        require(np.shape(values) == (count,), f"{name} has shape {np.shape(values)} for {count} {asked}")


def _must_refuse(function: Callable[[], object], what: str) -> None:
    try:
        function()
    except ValueError:
        return
    raise CheckFailed(f"takes {what} without a ValueError")


def _equal(first: tuple[FloatArray, ...], second: tuple[FloatArray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
