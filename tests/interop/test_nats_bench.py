"""The official packages are the oracle: whatever they answer about a record, `interop.nats_bench` answers too."""

from __future__ import annotations

import math

import nats_bench
import numpy as np
import pytest
from conftest import few
from hypothesis import given, settings
from hypothesis import strategies as st
from official_data import ARCHS, REAL, loaded, made, present, whole, write

from nasbench_lab.core import LabError
from nasbench_lab.interop.nats_bench import nats
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import importing

DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")


@pytest.fixture(scope="module", params=few(["made", "real"], "made"))
def folder(request, tmp_path_factory):
    if request.param == "made":
        return write(tmp_path_factory.mktemp("official") / "simple", {arch: made(arch) for arch in ARCHS})
    if not present():
        pytest.skip("needs ../shared/data/official")
    return REAL


@pytest.fixture(scope="module")
def official(folder):
    return nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)


@pytest.fixture(scope="module")
def older(folder):
    """nas-bench-201 on the same records; its own loading of files fails on today's torch."""
    nas_201_api = pytest.importorskip("nas_201_api")

    return nas_201_api.NASBench201API(whole(loaded(folder), ("less", "full")), verbose=False)


@pytest.fixture(scope="module")
def ours(folder):
    return nats(folder)


@pytest.fixture(scope="module")
def over_tables(folder):
    return nats(*importing.read(folder).tables)


def same(left, right, *, exact=True) -> None:
    assert set(left) - {"comment"} == set(right) - {"comment"}
    for key in set(left) - {"comment"}:
        a, b = left[key], right[key]
        assert (a is None) == (b is None), key
        assert a is None or (a == b if exact else math.isclose(a, b, rel_tol=1e-12)), key


def surface():
    for arch in ARCHS:
        for hp in ("12", "200"):
            for dataset in DATASETS:
                for epoch in (None, *range(int(hp))):
                    yield arch, hp, dataset, epoch


PLACES = list(surface())


def check_everything(official, ours, arch, hp, dataset, epoch, *, exact) -> None:
    official.get_more_info(arch, dataset, hp=hp, is_random=False)  # in fast mode it has read the record from here on
    state = official.arch2infos_dict[arch][hp]  # asking for it would copy it whole
    seeds, other_state = state.get_dataset_seeds(dataset), ours.query_meta_info_by_index(arch, hp)
    assert other_state.get_dataset_seeds(dataset) == seeds
    for chosen in (False, *seeds):
        expected = official.get_more_info(arch, dataset, epoch, hp=hp, is_random=chosen)
        same(ours.get_more_info(arch, dataset, epoch, hp=hp, is_random=chosen), expected, exact=exact)
    if epoch is None:
        same(ours.get_cost_info(arch, dataset, hp), official.get_cost_info(arch, dataset, hp), exact=exact)
    for seed in seeds:
        one, other = state.query(dataset, seed), ours.query_by_index(arch, dataset, hp)[seed]
        same(other.get_train(epoch), one.get_train(epoch), exact=exact)
        assert set(other.get_eval_set()) == set(one.get_eval_set())
        if epoch is None:
            same(other.get_times(), one.get_times(), exact=exact)
            assert other.get_latency() == one.get_latency()
        for name in one.get_eval_set():
            try:
                expected = one.get_eval(name, epoch)
            except (KeyError, ValueError):
                with pytest.raises(KeyError):
                    other.get_eval(name, epoch)
            else:
                same(other.get_eval(name, epoch), expected, exact=exact)


@settings(max_examples=60)
@given(data=st.data())
def test_any_answer_of_nats_bench_is_ours(official, ours, data):
    check_everything(official, ours, *data.draw(st.sampled_from(PLACES)), exact=True)


@settings(max_examples=60)
@given(data=st.data())
def test_any_answer_of_nas_bench_201_is_ours(older, ours, data):
    check_everything(older, ours, *data.draw(st.sampled_from(PLACES)), exact=False)


@pytest.mark.slow
def test_every_answer_of_both_is_ours(official, older, ours):
    for place in PLACES:
        check_everything(official, ours, *place, exact=True)
        check_everything(older, ours, *place, exact=False)


def test_over_tables_the_answers_are_the_same_where_tables_have_any(official, over_tables):
    """Validation at every epoch where x-valid was recorded, test at the end, every trial and mean, all times."""
    compared = 0
    for arch, hp, dataset, epoch in PLACES:
        if epoch is not None and 12 < epoch < 197:
            continue
        official.get_more_info(arch, dataset, hp=hp)
        seeds = official.arch2infos_dict[arch][hp].get_dataset_seeds(dataset)
        assert over_tables.query_meta_info_by_index(arch, hp).get_dataset_seeds(dataset) == seeds
        for chosen in (False, *seeds):
            expected = official.get_more_info(arch, dataset, epoch, hp=hp, is_random=chosen)
            found = over_tables.get_more_info(arch, dataset, epoch, hp=hp, is_random=chosen)
            last = epoch in (None, int(hp) - 1)
            wanted = {key for key in expected if key.startswith("valid-") or (last and key.startswith("test-"))}
            wanted -= {key for key in expected if key.startswith("test-")} if dataset == "cifar10-valid" else set()
            both = {key for key in expected if last and key.startswith("valtest-")}  # follows from the two
            assert {key for key in found if not key.startswith("train-")} - {"comment"} == wanted | both
            compare = {*wanted, "train-per-time", "train-all-time"} | (
                both if official.archive_dir == str(REAL) else set()
            )
            for key in compare:
                if not key.endswith("-loss"):
                    exact = "accuracy" in key and chosen is not False and key not in both
                    assert found[key] == pytest.approx(expected[key], rel=0 if exact else 1e-6, abs=0), (
                        key,
                        arch,
                        hp,
                        dataset,
                    )
                    compared += 1
    assert compared > 1000


@pytest.mark.parametrize("hp", ["12", "200"])
@pytest.mark.parametrize("dataset", DATASETS[1:])
def test_simulated_training_costs_what_the_official_one_costs(official, over_tables, ours, dataset, hp):
    for api in (official, over_tables, ours):
        api.reset_time()
    for arch in ARCHS:
        valid, latency, cost, total = official.simulate_train_eval(arch, dataset, hp=hp)
        valid_set = "cifar10-valid" if dataset == "cifar10" else dataset
        seeds = official.query_meta_info_by_index(arch, hp).get_dataset_seeds(valid_set)
        possible = [official.get_more_info(arch, valid_set, hp=hp, is_random=s)["valid-accuracy"] for s in seeds]
        for api in (ours, over_tables):
            found = api.simulate_train_eval(arch, dataset, hp=hp)
            assert found[0] in possible
            assert found[1:] == pytest.approx((latency, cost, total), rel=1e-6)
            assert api.used_time == found[3]


def script(api):
    """A search as NATS-Bench's documentation shows it; what is drawn from trials is left out or averaged."""
    api.reset_time()
    history, best = [], (-1.0, None)
    for index in ARCHS:
        arch = api.arch(index)
        assert api.query_index_by_arch(arch) == index
        _, latency, cost, total = api.simulate_train_eval(arch, dataset="cifar10", hp="12")
        valid = api.get_more_info(index, "cifar10-valid", hp="12", is_random=False)["valid-accuracy"]
        history.append((valid, latency, cost, total))
        best = max(best, (valid, index))
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        info = api.get_more_info(best[1], dataset, hp="200", is_random=False)
        costs = api.get_cost_info(best[1], dataset, hp="200")
        history.append((info["test-accuracy"], costs["flops"], costs["params"], info["train-all-time"]))
    xinfo = api.query_meta_info_by_index(best[1], hp="200")
    history.append(
        tuple(xinfo.get_metrics("cifar100", "x-valid", is_random=888)[key] for key in ("accuracy", "all_time"))
    )
    history.append((xinfo.get_total_epoch(), len(api), len(xinfo.get_dataset_names())))
    history.append(
        tuple(api.str2matrix(api[best[1]]).ravel()) + tuple(len(node) for node in api.str2lists(api[best[1]]))
    )
    return history


def test_a_script_written_for_nats_bench_gives_the_same_numbers(official, ours, over_tables):
    expected = script(official)
    for api in (ours, over_tables):
        for found, wanted in zip(script(api), expected, strict=True):
            assert found == pytest.approx(wanted, rel=1e-6)


def test_find_best_and_statistics(official, ours, over_tables):
    for arch in ARCHS:
        official._prepare_info(arch)
    for dataset, metric in (
        ("cifar10", "valid"),
        ("cifar10", "test"),
        ("cifar100", "valid"),
        ("ImageNet16-120", "test"),
    ):
        for limits in ({}, {"flop_max": 20}, {"param_max": 0.13}):
            expected = official.find_best(dataset, metric, hp="200", enforce_all=False, **limits)
            for api in (ours, over_tables):
                assert api.find_best(dataset, metric, hp="200", **limits) == expected
    assert ours.statistics("cifar100", 200) == official.statistics("cifar100", 200)


def test_unique_strings_are_the_official_ones(official, ours):
    for arch in range(0, 15625, 97):
        assert ours.get_unique_str(arch) == official.get_unique_str(arch)
        assert ours.str2lists(ours.arch(arch)) == official.str2lists(official.arch(arch))
        assert np.array_equal(ours.str2matrix(ours.arch(arch)), official.str2matrix(official.arch(arch)))


def test_trials_are_drawn_by_a_seed_of_its_own(folder):
    def draws(seed):
        api = nats(folder, seed=seed)
        return [api.simulate_train_eval(0, "cifar10", hp="200")[0] for _ in range(20)] + [api.random()]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert len(set(draws(1)[:-1])) == 3


def test_any_table_will_do():
    """Means only, other datasets, one schedule: the synthetic table."""
    api = nats("toy")
    assert (len(api), api.avaliable_hps, len(api.evaluated_indexes)) == (15625, ["12"], 15625)
    info = api.get_more_info(5, "toy", hp="12", is_random=False)
    toy = catalog.load("toy")
    assert info["valid-accuracy"] == pytest.approx(toy.last.val[5, -1], abs=1e-3)
    assert info["test-accuracy"] == pytest.approx(toy.last.test[5], abs=1e-3)
    assert math.isnan(info["train-accuracy"])
    valid, latency, cost, total = api.simulate_train_eval(5, "toy", iepoch=3)
    assert (latency, cost, total) == (None, pytest.approx(toy.last.seconds[5, 1]), cost)
    assert valid in toy.last.val_trials[5, 1]
    assert api.get_cost_info(5, "toy")["params"] == toy.metrics["params_m"][5]


def test_what_is_not_there_is_said(folder, ours, over_tables, tmp_path):
    for api in (ours, over_tables):
        with pytest.raises(ValueError, match="not '90'"):
            api.get_more_info(0, "cifar10", hp="90")
        with pytest.raises(ValueError, match="invalid dataset-name : CIFAR10"):
            api.get_more_info(0, "CIFAR10", hp="12")
        with pytest.raises(ValueError, match="Invalid dataset name"):
            api.simulate_train_eval(0, "cifar10-valid")
        with pytest.raises(ValueError, match="is no cell"):
            api.get_more_info("|x~0|", "cifar10")
        with pytest.raises(ValueError, match="Invalid architecture index 15625"):
            api.query_index_by_arch(15625)
        with pytest.raises(ValueError, match="seed"):
            api.get_more_info(0, "cifar10", hp="200", is_random=5)
        with pytest.raises(ValueError, match="iepoch"):
            api.get_more_info(0, "cifar10", 200, hp="200")
        assert api.query_index_by_arch("|x~0|") == -1
        assert api.query_index_by_arch(cell.to_string(7)) == 7
    with pytest.raises(LabError, match="cell 1 is not in"):
        ours.get_more_info(1, "cifar10")
    with pytest.raises(ValueError, match="was not measured"):
        over_tables.get_more_info(1, "cifar10")
    with pytest.raises(LabError, match="one table per dataset"):
        nats("toy", "toy")
    with pytest.raises(LabError, match="no records"):
        nats(tmp_path)
