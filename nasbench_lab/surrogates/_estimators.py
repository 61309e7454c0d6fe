"""Somebody's regressors, scikit-learn's and what looks like them: built from a spec, described by one, and what each can say.

    sklearn.ensemble:ExtraTreesRegressor:n_estimators=300      a class and its parameters, as Python literals
    my_models.py:model                                         an instance in a file, or a function that returns one
    sklearn.pipeline:Pipeline:steps=(scale=(sklearn.preprocessing:StandardScaler),fit=(sklearn.svm:SVR))

A parameter that is an estimator itself is a spec in parentheses; several with names, as in a pipeline, are listed by name.
Nothing here imports scikit-learn: an estimator is what has `fit` and `predict`.
"""

from __future__ import annotations

import copy
import inspect
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nasbench_lab import imports, loading
from nasbench_lab.core import FloatArray, LabError

MIDDLE = (0.15865525393145707, 0.5, 0.8413447460685429)  # of a normal number: one standard deviation about the median


# From a spec, and to one


def made(spec: str) -> Any:
    """A new estimator that was not fitted.

    Raises:
        ValueError: there is none of this name with these parameters, or it has no `fit` and `predict`.
        LabError: the module cannot be imported; `MissingPackage` where a package of an extra is not installed.
    """
    found = _built(spec)
    kind = getattr(found, "_estimator_type", "") or _kind(found)
    if kind in ("classifier", "clusterer", "outlier_detector", "density_estimator"):
        raise ValueError(f"a surrogate predicts scores; {spec!r} is a {kind.replace('_', ' ')}")
    if not (callable(getattr(found, "fit", None)) and callable(getattr(found, "predict", None))):
        raise ValueError(f"a surrogate has fit and predict; {type(found).__name__} of {spec!r} has not")
    return found


def _kind(estimator: Any) -> str:
    """What scikit-learn's tags say it is, where it has such; "" where not."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return ""
    try:
        return str(estimator.__sklearn_tags__().estimator_type or "")
    except Exception:  # tags of others may fail in ways of their own, and say nothing then
        return ""


def _built(spec: str) -> Any:
    head, raw = loading.split_spec(spec)
    found = loading.load("surrogates", head)
    if loading.is_surrogate(found):
        raise ValueError(f"{head!r} is a surrogate itself: name it without regressor:estimator=")
    values = {name: _value(text) for name, text in raw.items()}
    call: Any = found
    if inspect.isroutine(call) and not loading.module_of(head)[0].endswith(".py"):
        raise ValueError(
            f"{head!r} is a function; a class is named, or a function in a file of yours: my_models.py:model"
        )
    if inspect.isclass(found) or inspect.isroutine(found):
        try:
            return found(**values)
        except TypeError as error:
            raise ValueError(f"{spec!r} cannot be built: {error}") from error
    own = copy.deepcopy(found)
    return own.set_params(**values) if values else own


def _value(text: str) -> Any:
    """A parameter's value: estimators by name, an estimator, a literal, or the text itself."""
    if listed := loading.named_list(text):
        return [(name, _built(each)) for name, each in listed.items()]
    value = loading.literal(text)
    return _built(text) if isinstance(value, str) and loading.module_of(loading.split_spec(text)[0])[0] else value


def written(surrogate: Any) -> str:
    """The spec of an instance or a class; a spec is its own.

    Raises:
        LabError: no spec describes it: its class is of a script or a notebook, or a parameter cannot be written down.
    """
    if isinstance(surrogate, str):
        return surrogate
    cls = surrogate if inspect.isclass(surrogate) else type(surrogate)
    if not (hasattr(cls, "fit") or hasattr(cls, "get_params")):
        raise LabError(f"a surrogate is a spec, or a class or an instance with fit and predict; got {surrogate!r:.60}")
    if cls.__module__ == "__main__" or not getattr(sys.modules.get(cls.__module__), "__file__", None):
        raise LabError(
            f"{cls.__name__} is of a script or a notebook; put it into a file and name that: my_models.py:model"
        )
    if surrogate is cls:
        return _head(cls)
    if not hasattr(surrogate, "get_params"):
        raise LabError(
            f"{cls.__name__} has no get_params; put the instance into a file and name it: my_models.py:model"
        )
    given = surrogate.get_params(deep=False)
    changed = {name: value for name, value in given.items() if _text(value) != _text(_default(cls, name))}
    return loading.written(
        _head(cls), {name: _text(value, f"{cls.__name__}: {name}") for name, value in changed.items()}
    )


def _head(cls: type[Any]) -> str:
    """A class's shortest public name: a surrogate's of this package, or module:Class without modules that begin with `_`."""
    own = [name for name, module in loading.leaves("surrogates").items() if module == cls.__module__]
    if own:
        return own[0]
    file = getattr(sys.modules[cls.__module__], "__file__", "")
    if cls.__module__.startswith(imports.PREFIX):
        return f"{file}:{cls.__qualname__}"
    module = cls.__module__
    while module.rpartition(".")[2].startswith("_"):
        above = module.rpartition(".")[0]
        if getattr(sys.modules.get(above), cls.__qualname__, None) is not cls:
            break
        module = above
    return f"{module}:{cls.__qualname__}"


def _default(cls: type[Any], name: str) -> Any:
    parameter = inspect.signature(cls).parameters.get(name)
    return inspect.Parameter.empty if parameter is None else parameter.default


def _text(value: Any, what: str = "") -> str:
    """A value as a spec has it; of one that cannot be written "?", or an error where `what` names it."""
    value = value.item() if isinstance(value, np.generic) else value
    if hasattr(value, "get_params") and not inspect.isclass(value):
        return written(value)
    pairs = isinstance(value, (list, tuple)) and value and all(map(_is_named, value))
    if pairs:
        return ",".join(f"{name}=({written(each)})" for name, each in value)
    text = value if isinstance(value, str) else repr(value)
    if type(_value_of_text(text)) is type(value) and _value_of_text(text) == value:
        return text
    if what:
        raise LabError(
            f"{what} cannot be written down, got {value!r:.60}; put the instance into a file and name it: my_models.py:model"
        )
    return "?"


def _value_of_text(text: str) -> Any:
    return None if text == "?" or loading.named_list(text) else loading.literal(text)


def _is_named(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and hasattr(value[1], "get_params")
    )


# What all have in common


def _parameters(estimator: Any) -> dict[str, Any]:
    """Its parameters and those of estimators in it, `step__name`; none where it does not tell."""
    return dict(estimator.get_params(deep=True)) if hasattr(estimator, "get_params") else {}


def packages(estimator: Any) -> tuple[str, ...]:
    """The installed packages that its class and those of its parameters are of, as they are imported; sorted."""
    parts = [estimator, *_parameters(estimator).values()]
    parts += [each[1] for part in parts if isinstance(part, (list, tuple)) for each in part if _is_named(each)]
    roots = {type(part).__module__.partition(".")[0] for part in parts}
    known = {*sys.stdlib_module_names, "nasbench_lab", "numpy", "scipy"}
    return tuple(sorted(root for root in roots - known if _installed(root)))


def _installed(root: str) -> bool:
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is not None and not root.startswith(imports.PREFIX) and not imports.authored(file)


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """The same, each `random_state` in it that is None drawn from `rng`; one that its author fixed stays."""
    free = [n for n, v in sorted(_parameters(estimator).items()) if v is None and n.split("__")[-1] == "random_state"]
    if free:
        estimator.set_params(**{name: int(rng.integers(2**31)) for name in free})
    elif getattr(estimator, "random_state", 0) is None:
        estimator.random_state = int(rng.integers(2**31))
    return estimator


def fitted(estimator: Any, inputs: FloatArray, targets: FloatArray, rng: np.random.Generator) -> Any:
    """It, fitted. What it draws from the global generators, as support vectors do unasked, is decided by `rng`, too."""
    with _decided(int(rng.integers(2**32))):
        estimator.fit(inputs, targets)
    return estimator


@contextmanager
def _decided(seed: int) -> Iterator[None]:
    """What is drawn from the global generators inside is this seed's; they are given back as they were."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - given back below
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def predicted(estimator: Any, inputs: FloatArray, **options: Any) -> FloatArray:
    """(m,) its predictions, or (q, m) where it gives q of each.

    Raises:
        ValueError: not one finite number a row.
    """
    with _decided(len(inputs)):  # the same question, the same answer
        values = estimator.predict(inputs, **options)
    parts = values if isinstance(values, tuple) else (values,)
    arrays = [np.asarray(part, dtype=np.float64) for part in parts]
    if odd := [each.shape for each in arrays if each.size % len(inputs) or not each.size]:
        raise ValueError(
            f"{type(estimator).__name__}.predict returns an array of shape {odd[0]} for {len(inputs)} rows"
        )
    found = np.stack([each.reshape(len(inputs), -1).T for each in arrays])
    found = found.reshape(-1, len(inputs))
    if not np.isfinite(found).all():
        raise ValueError(f"{type(estimator).__name__} predicts what is not finite")
    if not options and len(found) != 1:
        raise ValueError(f"{type(estimator).__name__} predicts {len(found)} numbers a row instead of one")
    return found if options else found[0]


# What an estimator says of its own uncertainty


def own_moments(estimator: Any, inputs: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Mean and spread (m,) as a fitted estimator tells them: `return_std`, `quantiles`, or its members' disagreement."""
    takes = inspect.signature(_last(estimator).predict).parameters
    if "return_std" in takes:
        mean, std = predicted(estimator, inputs, return_std=True)
        if (std < 0).any():
            raise ValueError(f"{type(estimator).__name__} predicts a negative standard deviation, {std.min():.3g}")
        return mean, std
    if "quantiles" in takes:
        low, middle, high = predicted(estimator, inputs, quantiles=list(MIDDLE))
        return middle, (high - low) / 2.0
    each = np.array(list(_by_member(estimator, inputs)))
    mean = predicted(estimator, inputs)
    if len(each) < 2 or not np.allclose(each.mean(axis=0), mean, atol=1e-6):
        return None
    return mean, each.std(axis=0)


def _last(estimator: Any) -> Any:
    """The regressor at the end of a pipeline."""
    return _last(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def _by_member(estimator: Any, inputs: FloatArray) -> Iterator[FloatArray]:
    """What each member of a fitted ensemble, a bootstrapped forest's tree say, predicts; nothing of what is none.

    Nothing either where all have learned from the same rows: these they agree on, which says little about others (intervals
    that should hold 90% held 63 and 79% of new cells after 50 and 200, of `digits`).
    """
    if hasattr(estimator, "steps"):
        inputs, estimator = estimator[:-1].transform(inputs), estimator.steps[-1][1]
    members = getattr(estimator, "estimators_", None) if getattr(estimator, "bootstrap", False) else None
    columns = getattr(estimator, "estimators_features_", None)
    for number, member in enumerate(members if isinstance(members, list) else ()):
        if not hasattr(member, "predict"):
            return
        yield predicted(member, inputs if columns is None else inputs[:, columns[number]])


def quantile_parameter(estimator: Any) -> str:
    """The parameter that says which quantile an estimator learns; "" where it learns another thing."""
    values = _parameters(estimator)
    for name, value in values.items():
        before, _, last = name.rpartition("__")
        loss = next(
            (values[key] for key in (f"{before}__{k}".strip("_") for k in ("loss", "objective")) if key in values), ""
        )
        alone = last == "quantile" and not loss and isinstance(value, float)
        if alone or (last in ("quantile", "alpha") and loss == "quantile"):
            return name
    return ""
