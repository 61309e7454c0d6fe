"""What the scripts of NATS-Bench's and naszilla's authors do with the official object, done with ours.

Their loops (random search, regularised evolution, REINFORCE, BOHB) are written anew here, call by call as theirs ask; naszilla
and syne-tune themselves are run where `nox -s clients` has installed them.
"""

from __future__ import annotations

import collections
import importlib
import pickle
import random
import sys
import warnings
from unittest import mock

import nats_bench
import numpy as np
import pytest
from nats_bench.genotype_utils import topology_str2structure
from official_data import ARCHS, made, write

from nasbench_lab.extras import absent
from nasbench_lab.interop import nas_201
from nasbench_lab.interop import nats_bench as ours
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import exporting
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
BUDGET = 3e4  # simulated seconds


def benchmark(name):
    """A table of the official shape: two schedules, validation after each of the first one's epochs."""
    rng = np.random.default_rng(len(name))
    size, ends = cell.SPACE.size, rng.uniform(20, 90, cell.SPACE.size)

    def schedule(epochs):
        val = ends[:, None] * (0.6 + 0.4 * np.array(epochs) / 200) + rng.normal(0, 0.2, (size, len(epochs)))
        seconds = np.full((size, 1), 10.0) * np.array(epochs) + 5
        return Schedule(tuple(epochs), val, val[:, -1] - 1, seconds, np.empty((*val.shape, 0)), np.empty((size, 0)))

    schedules = {12: schedule(range(1, 13)), 200: schedule((200,))}
    return Table(name, schedules, {"params_m": cell.params_m(name)}, {"kind": "synthetic", "dataset": name})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The three tables where an imported benchmark's would lie."""
    place = tmp_path_factory.mktemp("three")
    for name in DATASETS:
        benchmark(name).save(place / f"{name}.npz")
    return place


@pytest.fixture
def installed(folder, monkeypatch):
    """As `python -m nasbench_lab.interop.nats_bench script.py` leaves the process for the script."""
    names = ("nats_bench", "nats_bench.api_topology", "nats_bench.api_size", "nas_201_api")
    for name in names:
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name, nats_bench))
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(folder))
    ours.stand_in()


def structure(options):
    """A cell as the scripts hold it: an object with `tostr()`."""
    return topology_str2structure(cell.to_string(cell.SPACE.index(options)))


def drawn(rng):
    return tuple(rng.randrange(len(cell.OPS)) for _ in cell.EDGES)


def random_wo_share(api, dataset, rng):
    """Cells drawn until the seconds are spent."""
    seen = []
    while not seen or seen[-1][3] < BUDGET:
        options = drawn(rng)
        accuracy, _, _, total = api.simulate_train_eval(structure(options), dataset, hp="12")
        seen.append((accuracy, options, structure(options), total))
    return seen


def regularized_ea(api, dataset, rng, *, proxy=True):
    """Ageing evolution, on 12 epochs or on all that the object says there are."""
    population, seen = collections.deque(maxlen=10), []
    while len(population) < 10 or seen[-1][3] < BUDGET:
        if len(population) < 10:
            options = drawn(rng)
        else:
            parent = list(max(rng.sample(list(population), 3))[1])
            parent[rng.randrange(len(parent))] = rng.randrange(len(cell.OPS))
            options = tuple(parent)
        hp = "12" if proxy else api.full_train_epochs
        accuracy, _, _, total = api.simulate_train_eval(structure(options), dataset, hp=hp)
        population.append((accuracy, options))
        seen.append((accuracy, options, structure(options), total))
    return seen


def without_proxy(api, dataset, rng):
    return regularized_ea(api, dataset, rng, proxy=False)


def reinforce(api, dataset, rng):
    """A policy gradient on the logits of every edge, with a moving average as baseline."""
    numbers, logits, mean, seen = np.random.default_rng(rng.randrange(100)), np.zeros((6, 5)), 0.0, []
    while not seen or seen[-1][3] < BUDGET:
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        options = tuple(int(numbers.choice(5, p=row)) for row in chances)
        reward, _, _, total = api.simulate_train_eval(structure(options), dataset, hp="12")
        mean = 0.9 * mean + 0.1 * reward
        logits += 0.01 * (reward - mean) * (np.eye(5)[list(options)] - chances)
        seen.append((reward, options, structure(options), total))
    return seen


def bohb(api, dataset, rng):
    """Successive halving on real budgets, cut to epochs that count from 0; configurations are ConfigSpace's."""
    space = configurations()
    space.seed(rng.randrange(100))
    seen = []
    for _ in range(6):
        left = [tuple(int(cell.OPS.index(each[name])) for name in each) for each in space.sample_configuration(9)]
        for budget in (12 / 9, 4.0, 12.0):
            scored = []
            for options in left:
                found = api.simulate_train_eval(structure(options), dataset, iepoch=int(budget) - 1, hp="12")
                seen.append((found[0], options, structure(options), found[3]))
                scored.append((100 - found[0], options))
            left = [options for _, options in sorted(scored)[: max(1, len(left) // 3)]]
    return seen


def configurations():
    from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace

    space = ConfigurationSpace()
    for source, target in cell.EDGES:
        space.add(CategoricalHyperparameter(f"{target}<-{source}", cell.OPS))
    return space


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("loop", [random_wo_share, regularized_ea, without_proxy, reinforce, bohb])
def test_a_loop_runs_to_its_end_and_saves_its_results(loop, dataset, installed, tmp_path):
    """The object is made without a path, shown in a log, asked for the best cell's trainings at the end, and results are kept."""
    if loop is bohb and absent("ConfigSpace"):
        pytest.skip("needs ConfigSpace: nox -s clients")
    api = importlib.import_module("nats_bench").create(None, "tss", fast_mode=True, verbose=False)
    assert "15625" in f"{api}"
    everything = {}
    for seed in (1, 2):
        api.reset_time()
        seen = loop(api, dataset, random.Random(seed))
        totals = [each[3] for each in seen]
        assert totals == sorted(totals)
        assert totals[-1] == api.used_time == pytest.approx(sum(np.diff([0.0, *totals])))
        best = max(seen, key=lambda each: each[0])
        said = api.query_info_str_by_arch(best[2], "200")
        assert best[2].tostr() in said
        assert dataset in said
        assert said != api.query_info_str_by_arch(best[2], "12")
        current = [
            api.query_index_by_arch(max(seen[: end + 1], key=lambda each: each[0])[2]) for end in range(len(seen))
        ]
        assert current[-1] == cell.SPACE.index(best[1])
        everything[seed] = {"all_archs": current, "all_total_times": totals}
    place = tmp_path / "results.pth"
    place.write_bytes(pickle.dumps(everything))
    assert pickle.loads(place.read_bytes()) == everything


def test_what_a_loop_is_told_is_what_the_table_holds(installed):
    """12 epochs of its own schedule, all of 200 with the whole one, and an epoch counted from 0."""
    api, table = ours.create(None, "tss", fast_mode=True, verbose=False), catalog.load("cifar100")
    arch = topology_str2structure(api.arch(1462))
    for hp, epoch, expected in (
        ("12", None, table.schedules[12].val[1462, -1]),
        ("12", 0, table.schedules[12].val[1462, 0]),
        (api.full_train_epochs, None, table.schedules[200].val[1462, -1]),
    ):
        assert api.simulate_train_eval(arch, "cifar100", iepoch=epoch, hp=hp)[0] == expected


def losses(api, dataset, arch):
    """What naszilla asks for: every training's x-valid, and its ori-test, in errors."""
    index = api.query_index_by_arch(cell.to_string(arch))
    searched = api.query_by_index(index, "cifar10-valid" if dataset == "cifar10" else dataset)
    scored = api.query_by_index(index, dataset)
    val = [searched[seed].get_eval("x-valid")["accuracy"] for seed in searched]
    test = [scored[seed].get_eval("ori-test")["accuracy"] for seed in scored]
    return 100 - np.mean(val), 100 - np.mean(test)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(("kind", "last"), [(nas_201.Nas201, 200), (ours.Nats, 12)])
def test_naszillas_questions_have_answers(kind, last, dataset, installed):
    """Of both versions of nas_201_api, which mean different schedules; ori-test of two datasets is the mean of their halves."""
    table = catalog.load(dataset)
    schedule = table.schedules[last]
    api = kind(ours.create(None).trainings)
    for arch in (0, 1462, 15624):
        val, test = losses(api, dataset, arch)
        assert val == pytest.approx(100 - schedule.val[arch, -1])
        both = schedule.test[arch] if dataset == "cifar10" else (schedule.val[arch, -1] + schedule.test[arch]) / 2
        assert test == pytest.approx(100 - both)


@pytest.mark.parametrize("dataset", DATASETS)
def test_naszillas_questions_are_answered_as_the_official_object_answers(dataset, tmp_path):
    folder = write(tmp_path / "simple", {arch: made(arch) for arch in ARCHS})
    official, own = (module.create(str(folder), "tss", fast_mode=True, verbose=False) for module in (nats_bench, ours))
    for arch in ARCHS:
        official.get_more_info(arch, dataset)
        assert losses(own, dataset, arch) == losses(official, dataset, arch)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("loop", ["random_search", "evolution_search", "local_search"])
def test_naszilla_itself_searches_our_tables(loop, dataset, installed, monkeypatch):
    """Its own class of the benchmark and its own searches; what it imports for other benchmarks and models is not there."""
    if absent("naszilla") or absent("torch"):
        pytest.skip("needs naszilla: nox -s clients")
    for name in (
        "nasbench", "nasbench301", "tensorflow", "naszilla.meta_neural_net", "naszilla.bo.bo.probo",
        "naszilla.gcn.model", "naszilla.gcn.train_gcn", "naszilla.nas_bench_101.cell_101", "naszilla.nas_bench_301.cell_301",
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())
    monkeypatch.delitem(sys.modules, "naszilla.nas_benchmarks", raising=False)  # it keeps the official class it found
    searches = importlib.import_module("naszilla.nas_algorithms")
    space = importlib.import_module("naszilla.nas_benchmarks").Nasbench201(dataset=dataset)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 -- what naszilla draws from
    found = getattr(searches, loop)(space, total_queries=40, verbose=0)
    assert len(found) >= 40
    last = 12 if type(space.nasbench) is ours.Nats else 200
    schedule = catalog.load(dataset).schedules[last]
    for each in found:
        val = schedule.val[cell.from_string(each["spec"]["string"]), -1]
        assert each["val_loss"] == pytest.approx(100 - val)


def test_syne_tune_itself_searches_an_exported_table(tmp_path, monkeypatch):
    """Read by its own code, and searched by its random search and ASHA in simulated time."""
    if absent("syne_tune"):
        pytest.skip("needs syne-tune: nox -s clients")
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "runs"))
    warnings.simplefilter("ignore")  # what it warns of is its own affair; pytest puts the filters back
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository.blackbox_tabular import deserialize
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.optimizer.baselines import ASHA, RandomSearch

    table = catalog.load("digits")
    path = exporting.export([table], "syne-tune", tmp_path / "digits", fill=True)
    box = deserialize(str(path))["digits"]
    cells = box.hyperparameters
    for arch in (0, 1462):
        values = box.objective_function(dict(cells.loc[arch]), seed=0)
        assert values[-1, 0] == pytest.approx(1 - table.last.val_trials[arch, -1, 0] / 100, abs=1e-6)
        assert values[-1, 1] == pytest.approx(table.last.seconds[arch, -1], rel=1e-5)
    for scheduler in (
        RandomSearch(box.configuration_space, metrics=["metric_valid_error"], random_seed=1),
        ASHA(box.configuration_space, metric="metric_valid_error", time_attr="hp_epoch",
             max_t=int(table.last.epochs[-1]), random_seed=1),
    ):  # fmt: skip
        backend = UserBlackboxBackend(box, elapsed_time_attr="metric_elapsed_time", seed=0)
        tuner = Tuner(
            backend, scheduler, StoppingCriterion(max_num_trials_finished=12), n_workers=2, save_tuner=False,
            sleep_time=0, print_update_interval=1e9, callbacks=[SimulatorCallback()],
        )  # fmt: skip
        tuner.run()
        assert tuner.tuning_status.num_trials_finished >= 12
