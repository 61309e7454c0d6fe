"""Ready-made spaces and problems, each with the real library of somebody's; skipped where that is not installed.

`nox -s clients` runs these with all of them.
"""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest

import nasbench_lab
from nasbench_lab.core import LabError, Task
from nasbench_lab.extras import MissingPackage, absent
from nasbench_lab.interop import ax, configspace, gymnasium, hyperopt, nevergrad, objectives, pymoo
from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.testing.small_spaces import SPACES
from nasbench_lab.testing.strategy_kit import HashEvaluator

MIXED = Space([Decision("op", ("conv", "pool")), Decision("width", (8, 16, 32), ordered=True), Decision("one", (5,))])
LISTED = next(space for space in SPACES.values() if space.listed is not None)


def function(space):
    return nasbench_lab.objective(HashEvaluator(Task(space, (1,))))


@pytest.fixture
def library():
    """A library of the dependency group `clients`; what it warns of is its own affair."""

    def found(name):
        if absent(name):
            pytest.skip(f"{name} is of the dependency group `clients`: nox -s clients")
        return importlib.import_module(name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield found


@pytest.mark.needs("ConfigSpace")
def test_a_configuration_is_a_cell():
    """Ordered decisions are ordinal, labels are as they are; a configuration and its vector can be asked for."""
    from ConfigSpace import CategoricalHyperparameter, OrdinalHyperparameter

    found, f = configspace.to_configspace(MIXED), function(MIXED)
    assert isinstance(found["op"], CategoricalHyperparameter)
    assert isinstance(found["width"], OrdinalHyperparameter)
    assert list(found["width"].sequence) == [8, 16, 32]
    found.seed(0)
    for configuration in found.sample_configuration(10):
        arch = f.index(configuration)
        assert arch == f.index(dict(configuration))
        assert naming.labels(MIXED, arch) == {name: str(value) for name, value in dict(configuration).items()}
    cells = configspace.to_configspace("toy")
    cells.seed(1)
    toy = nasbench_lab.objective("toy")
    for configuration in cells.sample_configuration(5):
        assert toy.index(configuration) == toy.index([configuration[each.name] for each in cell.SPACE.decisions])


def test_hyperopt_minimises_a_table(library):
    library("hyperopt")
    from hyperopt import fmin, space_eval, tpe

    f = nasbench_lab.objective("toy")
    space = hyperopt.to_hyperopt(f)
    best = fmin(f.loss, space, algo=tpe.suggest, max_evals=25, rstate=np.random.default_rng(0), show_progressbar=False)
    assert f.queries == 25
    assert f.index(space_eval(space, best)) == f.best


def test_nevergrad_minimises_a_table(library):
    ng = library("nevergrad")
    for f in (nasbench_lab.objective("toy"), function(MIXED)):
        parametrisation = nevergrad.to_nevergrad(f)
        parametrisation.random_state.seed(0)
        best = ng.optimizers.OnePlusOne(parametrisation, budget=20).minimize(f.loss)
        assert f.queries == 20
        assert f.index(best.value) in {record.result.query.arch for record in f.records}


@pytest.mark.parametrize("objectives_", [("val",), ("val", "params_m")])
def test_pymoo_minimises_a_table(library, objectives_):
    library("pymoo")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    f = nasbench_lab.objective("toy", objectives=objectives_)
    found = minimize(
        pymoo.to_pymoo(f), NSGA2(pop_size=8, sampling=IntegerRandomSampling()), ("n_gen", 3), seed=1, verbose=False
    )
    assert f.queries == 24
    best = np.atleast_2d(found.F)
    assert best.shape[1] == len(objectives_)
    assert best[:, 0].min() == -max(record.result.val for record in f.records)


def test_pymoo_pays_nothing_for_cells_that_do_not_exist(library):
    library("pymoo")
    f = function(LISTED)
    problem, every = (
        pymoo.to_pymoo(f),
        np.stack(np.unravel_index(np.arange(np.prod(LISTED.options)), LISTED.options), 1),
    )
    out = problem.evaluate(every, return_as_dictionary=True)
    assert f.queries == LISTED.size == int((out["G"] <= 0).sum())
    assert np.isfinite(out["F"][out["G"] <= 0]).all()


def test_gymnasium_walks_a_table(library):
    library("gymnasium")
    from gymnasium.utils.env_checker import check_env

    check_env(gymnasium.to_gymnasium("toy"), skip_render_check=True)
    for f in (nasbench_lab.objective("toy"), function(LISTED)):
        env = gymnasium.to_gymnasium(f)
        env.reset(seed=3)
        env.action_space.seed(0)
        for number in range(12):
            seen, reward, terminated, truncated, info = env.step(env.action_space.sample())
            assert (terminated, truncated, f.queries) == (True, False, number + 1)
            assert reward == info["score"] == f.records[-1].result.val
            assert f.space.index(tuple(seen.tolist())) == info["arch"]


def test_parameters_for_ax_are_plain_dictionaries():
    """Nothing of Ax is needed; what it proposes, one value a name, is a cell."""
    found = ax.to_ax(MIXED)
    assert found[0] == {
        "name": "op", "value_type": "str", "type": "choice", "values": ["conv", "pool"], "is_ordered": False,
        "sort_values": False,
    }  # fmt: skip
    assert (found[1]["value_type"], found[1]["values"], found[1]["is_ordered"]) == ("int", [8, 16, 32], True)
    assert (found[2]["type"], found[2]["value"]) == ("fixed", 5)
    f = function(MIXED)
    assert f.index({"op": "pool", "width": 32, "one": 5}) == MIXED.index((1, 2, 0))
    mixed = ax.to_ax(Space([Decision("a", (1, 2.5)), Decision("b", ("x", 1))]))
    assert [(each["value_type"], each["values"]) for each in mixed] == [("float", [1.0, 2.5]), ("str", ["x", "1"])]


MADE = {
    "hyperopt": hyperopt.to_hyperopt, "nevergrad": nevergrad.to_nevergrad, "pymoo": pymoo.to_pymoo,
    "gymnasium": gymnasium.to_gymnasium, "ConfigSpace": configspace.to_configspace,
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_not_installed_is_said_with_the_line_that_installs_it(name, monkeypatch):
    monkeypatch.setattr("nasbench_lab.extras.absent", lambda package: package == name or absent(package))
    with pytest.raises(MissingPackage, match=rf"needs {name}, which is not installed.*pip install"):
        MADE[name]("toy")


def test_what_has_no_space_is_refused():
    assert objectives.space_of("toy") == objectives.space_of(nasbench_lab.load_table("toy")) == cell.SPACE
    for wrong in (5, None, [1]):
        with pytest.raises(LabError, match="a space is that of an objective or a table"):
            objectives.space_of(wrong)
