"""The whole surface of the official object, `create` and what it takes; the official package is the oracle."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nats_bench
import numpy as np
import pytest
from conftest import few
from official_data import ARCHS, REAL, loaded, made, present, whole, write

from nasbench_lab.core import LabError
from nasbench_lab.interop.nats_bench import NATStopology, create, nats
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import importing


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
def ours(folder):
    return nats(folder)


@pytest.fixture(scope="module")
def over_tables(folder):
    return nats(*importing.read(folder).tables)


ROOT = Path(__file__).parents[2]
MUTATORS = {"update", "state_dict", "load_state_dict", "create_from_state_dict", "debug_test", "update_train_info",
            "update_eval", "update_OLD_eval", "update_latency", "reset_eval", "judge_valid"}  # fmt: skip


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_") and not name.startswith("reset_pseudo")}


def test_all_that_the_official_objects_have_is_there(official, ours, over_tables):
    """But for what records are written with."""
    state = official.query_meta_info_by_index(11, "200")
    pairs = [(official, ours), (official, over_tables), (state, ours.query_meta_info_by_index(11, "200"))]
    pairs.append((state.query("cifar100", 888), over_tables.query_by_index(11, "cifar100", 200)[888]))
    for theirs, own in pairs:
        assert public(theirs) - public(own) - MUTATORS - {"reset_latency"} == set(), own
    one, other = state.query("cifar10", 777), ours.query_by_index(11, "cifar10", "200")[777]
    for name in ("train_acc1es", "train_losses", "train_times", "eval_acc1es", "eval_losses", "epochs", "flop"):
        assert getattr(other, name) == getattr(one, name), name
    if official.archive_dir == str(REAL):  # made records say nothing of classes
        assert other.get_config(None) == one.get_config(None)
        assert official.get_net_config(11, "cifar100") == ours.get_net_config(11, "cifar100")
    assert other.get_config(len)["genotype"] == len(ours.arch(11))
    assert ours.get_net_param(11, "cifar10", None, hp="200") == dict.fromkeys(state.get_dataset_seeds("cifar10"))


def test_what_is_printed_is_what_the_official_object_prints(official, ours, over_tables, capsys):
    for hp in ("12", "200"):
        assert ours.query_info_str_by_arch(284, hp) == official.query_info_str_by_arch(284, hp)
        assert ours.query_by_arch(ours.arch(284), hp) == official.query_by_arch(official.arch(284), hp)
    official.show(0)
    expected = capsys.readouterr().out
    ours.show(0)
    assert capsys.readouterr().out == expected
    over_tables.show(0)
    assert "top1 = " in capsys.readouterr().out
    over_tables.show()
    assert capsys.readouterr().out.count("epochs") == 2 * len(over_tables.evaluated_indexes)


def test_create_takes_what_the_official_one_takes(folder, ours, monkeypatch, tmp_path):
    made = whole(loaded(folder), ("12", "200"))
    for source in (str(folder), folder, made, importing.read(folder).tables):
        api = create(source, "tss", fast_mode=False, verbose=False)
        assert (
            api.get_more_info(0, "cifar10", hp=200, is_random=777)["test-accuracy"]
            == (ours.get_more_info(0, "cifar10", hp="200", is_random=777)["test-accuracy"])
        )
    with pytest.raises(ValueError, match="search_space must be one of tss"):
        create(str(folder), "nas")
    with pytest.raises(LabError, match="not the space 'sss'"):
        create(str(folder), "sss")
    with pytest.raises(LabError, match="meta_archs, arch2infos"):
        create({"a": 1}, "tss")
    home = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    home.symlink_to(folder)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert create(None, "tss", True, False).archive_dir == str(home)


def test_fast_mode_knows_what_was_asked_for(official, folder):
    fresh = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
    api = NATStopology(str(folder), True, False)
    assert api.evaluated_indexes == fresh.evaluated_indexes == set()
    for each in (fresh, api):
        each.get_cost_info(11, "cifar100")
    assert api.evaluated_indexes == fresh.evaluated_indexes == {11}
    expected = fresh.find_best("cifar100", "valid", hp="12", enforce_all=False)
    assert api.find_best("cifar100", "valid", hp="12", enforce_all=False) == expected
    assert api.find_best("cifar100", "valid", hp="12")[0] in ARCHS
    with pytest.raises(LabError, match="is not in"):
        api.get_more_info(5, "cifar10")
    assert api.evaluated_indexes == {11}


def test_reload_takes_records_from_another_folder(folder, tmp_path):
    other = write(tmp_path / "other", {11: made(11)})
    api = create(str(folder), "tss")
    before = api.find_best("cifar100", "valid", hp="12")
    api.clear_params(11)
    api.reload(str(other), 11)
    assert api.get_more_info(11, "cifar100", hp="12", is_random=False) == create(str(other), "tss").get_more_info(
        11, "cifar100", hp="12", is_random=False
    )
    api.reload(str(folder))
    api.reload(str(folder), 11)
    assert api.find_best("cifar100", "valid", hp="12") == before
    for wrong in (tmp_path, None):
        with pytest.raises(LabError):
            api.reload(wrong)


def test_it_can_be_pickled(ours, over_tables):
    for api in (ours, over_tables):
        again = pickle.loads(pickle.dumps(api))
        for one in (api, again):
            one.reset_time()
        assert [again.simulate_train_eval(0, "cifar100", hp="200") for _ in range(3)] == [
            api.simulate_train_eval(0, "cifar100", hp="200") for _ in range(3)
        ]


def test_arguments_have_older_names_too(ours):
    assert ours.get_more_info(11, "cifar100", use_12epochs_result=True, is_random=False) == ours.get_more_info(
        11, "cifar100", hp="12", is_random=False
    )
    assert list(ours.query_by_index(11, "cifar10", False)) == list(ours.query_by_index(11, "cifar10", "200"))
    assert ours.find_best("cifar10", "valid", FLOP_max=20, Param_max=1, hp=200) == ours.find_best(
        "cifar10", "valid", flop_max=20, param_max=1, hp="200"
    )
    assert ours.get_cost_info(11, "cifar10", hp="less") == ours.get_cost_info(11, "cifar10", hp="12")


def test_limits_hold_where_costs_are_not_known():
    toy = catalog.load("toy")
    flops = np.full(cell.SPACE.size, np.nan)
    best = int(np.nanargmax(toy.last.val[:, -1]))
    flops[[7, 8]] = 10.0, 30.0
    api = nats(replace(toy, metrics={**toy.metrics, "flops_m": flops}))
    assert api.find_best("toy", "valid", flop_max=20)[0] == 7
    assert api.find_best("toy", "valid", flop_max=1) == (-1, None)
    assert api.find_best("toy", "train") == (-1, None)
    assert api.find_best("toy", "valid")[0] == best


def test_the_best_of_all_cells_is_found_at_once(over_tables):
    """What the table says at once is what its cells say one by one."""
    api = nats("toy")
    begin = time.perf_counter()
    found = api.find_best("toy", "test")
    assert time.perf_counter() - begin < 0.5  # 0.05 on a quiet machine: benchmarks say so
    assert found == (found[0], api.query_meta_info_by_index(found[0]).get_metrics("toy", "x-test")["accuracy"])
    some = [5, 6, 7]
    for dataset, split in (("toy", "x-valid"), ("toy", "ori-test")):
        means = api.trainings.scored(dataset, split, 12, some)[0]
        each = [api.query_meta_info_by_index(arch).get_metrics(dataset, split)["accuracy"] for arch in some]
        assert means.tolist() == each
    for dataset, split in (("cifar10-valid", "x-valid"), ("cifar10", "ori-test"), ("cifar100", "ori-test")):
        means = over_tables.trainings.scored(dataset, split, 200, ARCHS)[0]
        each = [over_tables.query_meta_info_by_index(a, 200).get_metrics(dataset, split)["accuracy"] for a in ARCHS]
        assert means.tolist() == each


def test_a_script_that_imports_nats_bench_runs_as_it_is(tmp_path):
    """Its own imports, its arguments, its last lines; the official part that is not ours is the official one's."""
    (tmp_path / "script.py").write_text(
        "import pickle, sys\n"
        "from nats_bench import create\n"
        "from nats_bench.api_topology import NATStopology, ALL_BASE_NAMES\n"
        "from nats_bench.genotype_utils import topology_str2structure\n"
        "api = create(sys.argv[1], 'tss', fast_mode=True, verbose=False)\n"
        "arch = topology_str2structure(api[7])\n"
        "accuracy, _, _, total = api.simulate_train_eval(arch, 'toy', hp='12')\n"
        "print(api.query_info_str_by_arch(arch, '12'))\n"
        "pickle.dump({'all': [accuracy, total]}, open('results.pth', 'wb'))\n"
        "print(ALL_BASE_NAMES, __name__)\n"
    )
    command = [sys.executable, "-m", "nasbench_lab.interop.nats_bench", "script.py", "toy"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['NATS-tss-v1_0-3ffb9'] __main__"
    assert "top1 = " in done.stdout
    assert (tmp_path / "results.pth").stat().st_size > 0
