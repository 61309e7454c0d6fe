"""NATS-Bench's size space: official records of networks written by their channels, beside what `nats_bench` makes of them."""

from __future__ import annotations

import bz2
import copy
import itertools
import pickle

import nats_bench
import numpy as np
import pytest
from official_data import SIZES, made, trial

from nasbench_lab.core import LabError
from nasbench_lab.interop.nats_bench import create
from nasbench_lab.spaces import cell, named, naming
from nasbench_lab.tables.formats import importing
from nasbench_lab.tables.formats.official import names_of, state_of

NAMES = [":".join(map(str, c)) for c in itertools.product(range(8, 65, 8), repeat=5)]
ARCHS = (0, 77, 32767)
LASTS = {"01": 1, "12": 12, "90": 90}
SEED = 777


def record(arch: int) -> dict[str, dict]:
    """A record as the benchmark has it: one training for each hyper-parameter set."""
    rng = np.random.default_rng(arch)
    found = {}
    for key, last in LASTS.items():
        state = copy.deepcopy(state_of(0, [trial(rng, 0, dataset, SEED, last) for dataset in SIZES]))
        state |= {"arch_index": arch, "arch_str": NAMES[arch]}
        found[key] = state
    return found


RECORDS = {arch: record(arch) for arch in ARCHS}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "NATS-sss-v1_0-50262-simple"
    path.mkdir()
    for arch, content in RECORDS.items():
        (path / f"{arch:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content, 4)))
    meta = {"meta_archs": NAMES, "total_archs": len(NAMES), "arch2infos": None, "evaluated_indexes": set()}
    (path / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta, 4)))
    return path


def check(tables):
    assert [table.name for table in tables] == [f"nats-size-{d}" for d in ("cifar10", "cifar100", "ImageNet16-120")]
    for table in tables:
        assert table.space == named.nats_size()
        assert list(table.schedules) == [1, 12, 90]
        assert table.default_search == 12
        assert np.flatnonzero(table.measured).tolist() == list(ARCHS)


def test_the_official_order():
    assert list(names_of(named.nats_size())) == NAMES
    assert naming.labels(named.nats_size(), 77)["layer_5"] == "48"
    assert names_of(cell.SPACE)[6111] == cell.to_string(6111)


def test_a_folder_gives_what_the_official_package_reads(folder):
    found = importing.read(folder)
    check(found.tables)
    assert found.notes[0] == "32,765 of 32,768 cells are not in it, first 1 8:8:8:8:16"
    api = nats_bench.create(str(folder), "sss", fast_mode=True, verbose=False)
    for table in found.tables:
        for arch, last in itertools.product(ARCHS, (12, 90)):
            searched = "cifar10-valid" if table.dataset == "cifar10" else table.dataset
            hp = f"{last:02d}"
            info = api.get_more_info(arch, searched, hp=hp, is_random=SEED)
            schedule = table.schedules[last]
            assert schedule.val[arch, -1] == pytest.approx(info["valid-accuracy"])
            split = "ori-test" if table.dataset == "cifar10" else "x-test"
            scored = api.query_by_index(arch, table.dataset, hp=hp)[SEED].get_eval(split)["accuracy"]
            assert table.schedules[last].test[arch] == pytest.approx(scored)


def test_the_official_object_over_sizes(folder):
    """Both spaces are behind `interop.nats_bench.create`."""
    official = nats_bench.create(str(folder), "sss", fast_mode=True, verbose=False)
    ours = create(str(folder), "sss", fast_mode=True, verbose=False)
    assert (ours.is_size, ours.full_epochs_in_paper, ours.avaliable_hps) == (True, 90, ["01", "12", "90"])
    for arch, hp in itertools.product(ARCHS, LASTS):
        for dataset in SIZES:
            expected = official.get_more_info(arch, dataset, hp=hp, is_random=SEED)
            found = ours.get_more_info(arch, dataset, hp=hp, is_random=SEED)
            assert {k: v for k, v in found.items() if k != "comment"} == {
                k: v for k, v in expected.items() if k != "comment"
            }
            assert ours.get_cost_info(arch, dataset, hp) == official.get_cost_info(arch, dataset, hp)
        assert ours.query_info_str_by_arch(NAMES[arch], hp) == official.query_info_str_by_arch(NAMES[arch], hp)
        assert ours.arch(arch) == official.arch(arch) == NAMES[arch]
    for hp in ("12", "90"):
        expected = official.find_best("cifar100", "valid", hp=hp, enforce_all=False)
        assert ours.find_best("cifar100", "valid", hp=hp, enforce_all=False) == expected
    config = ours.get_net_config(77, "cifar100")
    assert (config["name"], config["channels"], config["num_classes"]) == ("infer.shape.tiny", NAMES[77], 100)


def test_one_file_gives_the_same(folder, tmp_path):
    whole = {"meta_archs": NAMES, "total_archs": len(NAMES), "arch2infos": RECORDS, "evaluated_indexes": set(ARCHS)}
    path = tmp_path / "mine.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps(whole, 4)))
    for one, other in zip(importing.read(path).tables, importing.read(folder).tables, strict=True):
        for last in one.schedules:
            assert np.array_equal(one.schedules[last].val, other.schedules[last].val, equal_nan=True)
            assert np.array_equal(one.schedules[last].test, other.schedules[last].test, equal_nan=True)


def test_a_folder_without_meta_is_known_by_its_records(folder):
    (folder / "meta.pickle.pbz2").unlink()
    check(importing.read(folder).tables)


def test_networks_of_two_spaces_are_refused(folder, tmp_path):
    (folder / "000003.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(made(3), 4)))
    with pytest.raises(LabError, match="another space than nats-size"):
        importing.read(folder)
    both = {**RECORDS, 3: dict(made(3))}
    whole = {"meta_archs": NAMES, "total_archs": len(NAMES), "arch2infos": both, "evaluated_indexes": set()}
    (tmp_path / "mine.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(whole, 4)))
    with pytest.raises(LabError, match="two spaces"):
        importing.read(tmp_path / "mine.pickle.pbz2")


@pytest.mark.parametrize("names", [NAMES[::-1], NAMES[:-1], [], ["8:8:8:8:7"], "8:8:8:8:8", None])
def test_another_order_is_refused(folder, names):
    meta = {"meta_archs": names, "total_archs": 3, "arch2infos": None, "evaluated_indexes": set()}
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta, 4)))
    with pytest.raises(LabError, match="order"):
        importing.read(folder)
