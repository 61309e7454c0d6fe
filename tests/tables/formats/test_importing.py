"""Official files in every format: what comes out, what is said about it, and that hostile ones do nothing."""

from __future__ import annotations

import bz2
import copy
import dataclasses
import hashlib
import pickle
from types import SimpleNamespace

import nats_bench
import numpy as np
import pytest
from conftest import make_table
from official_data import ARCHS, REAL, loaded, made, present, torch_saved, whole, write

from nasbench_lab.cli import tables as cli_tables
from nasbench_lab.core import LabError
from nasbench_lab.interop import from_api
from nasbench_lab.interop import nats_bench as ours
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import importing, nats_export
from nasbench_lab.tables.formats import official as records
from nasbench_lab.tables.stored import read
from nasbench_lab.tables.table import Table

LAB = {arch: made(arch) for arch in ARCHS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("official") / "NATS-tss-v1_0-3ffb9-simple", LAB)


def arrays(tables):
    return {(table.name, name): values for table in tables for name, values in table._arrays()}


def same_numbers(left, right) -> None:
    left, right = arrays(left), arrays(right)
    assert left.keys() == right.keys()
    for key, values in left.items():
        assert np.array_equal(values, right[key], equal_nan=True), key


@pytest.fixture(scope="module")
def expected(folder):
    return importing.read(folder).tables


def in_every_format(tmp_path, content):
    """Files with all records in one, by format; names that promise no MD5."""
    (tmp_path / "mine.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content[0], 4)))
    (tmp_path / "second.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content[0], 2)))
    yield tmp_path / "mine.pickle.pbz2"
    yield tmp_path / "second.pickle.pbz2"
    yield torch_saved(tmp_path / "zip.pth", content[1], legacy=False)
    yield torch_saved(tmp_path / "old.pth", content[1], legacy=True)


def test_every_format_gives_the_same_tables(tmp_path, expected):
    for path in in_every_format(tmp_path, (whole(LAB), whole(LAB, ("less", "full")))):
        found = importing.read(path)
        same_numbers(found.tables, expected)
        assert found.notes == [f"15,622 of 15,625 cells are not in it, first 1 {cell.to_string(1)}"]


@pytest.mark.slow
def test_live_objects_give_the_same_tables(folder, expected):
    nas_201_api = pytest.importorskip("nas_201_api")

    lazy = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
    eager = nats_bench.create(whole(LAB), "tss", fast_mode=False, verbose=False)
    older = nas_201_api.NASBench201API(whole(LAB, ("less", "full")), verbose=False)
    for api in (lazy, eager, older):
        same_numbers([from_api.table(api, table.name) for table in expected], expected)
    assert not lazy.arch2infos_dict  # it was not made to hold what it was asked for
    with pytest.raises(LabError, match="has no 'digits'; it has cifar10, cifar100, ImageNet16-120"):
        from_api.table(eager, "digits")
    with pytest.raises(LabError, match="got int"):
        from_api.table(3)


def test_objects_of_ours_give_the_same_tables(folder, expected):
    """Over official records, in one dictionary or in a folder, and over tables, which are what they were."""
    for api in (
        ours.create(folder, fast_mode=True),
        ours.create(folder),
        ours.create(whole(LAB)),
        ours.nats(*expected),
    ):
        same_numbers([from_api.table(api, table.name) for table in expected], expected)
    digits = catalog.load("digits")
    assert from_api.table(ours.nats(digits), "digits") is digits
    with pytest.raises(LabError, match="has no 'cifar10'; it has digits"):
        from_api.table(ours.nats(digits))


def test_an_object_without_records_is_refused():
    names = [cell.to_string(0)]
    api = SimpleNamespace(meta_archs=names, arch2infos_dict={0: {"12": 3}}, evaluated_indexes=[0])
    with pytest.raises(LabError, match="cell 0: expected results with a state_dict, got int"):
        from_api.tables(api)


@pytest.mark.parametrize("source", ["made", "real"])
def test_what_the_tables_hold_is_what_the_official_package_says(source, folder):
    if source == "real" and not present():
        pytest.skip("needs ../shared/data/official")
    path = folder if source == "made" else REAL
    api, tables = nats_bench.create(str(path), "tss", fast_mode=True, verbose=False), importing.read(path).tables
    assert [table.name for table in tables] == ["cifar10", "cifar100", "ImageNet16-120"]
    for table in tables:
        trained = "cifar10-valid" if table.name == "cifar10" else table.name
        assert list(table.schedules) == [12, 200]
        assert table.measured[list(ARCHS)].all()
        assert table.measured.sum() == 3
        for last, schedule in table.schedules.items():
            curve = last == 12 or table.name == "cifar10"
            assert schedule.epochs == (tuple(range(1, last + 1)) if curve else (200,))
            for arch in ARCHS:
                state = api.query_meta_info_by_index(arch, str(last))
                for kind, dataset in (("val", trained), ("test", table.name)):
                    seeds = table.about["seeds"][str(last)][kind]
                    values = getattr(schedule, f"{kind}_trials")[arch]
                    known = [int(s) for s, v in zip(seeds, values.T, strict=True) if not np.isnan(v).all()]
                    assert known == state.get_dataset_seeds(dataset)
                for i, epoch in enumerate(schedule.epochs):
                    for t, seed in enumerate(table.about["seeds"][str(last)]["val"]):
                        if not np.isnan(schedule.val_trials[arch, i, t]):
                            info = api.get_more_info(arch, trained, epoch - 1, hp=str(last), is_random=int(seed))
                            assert schedule.val_trials[arch, i, t] == info["valid-accuracy"]
                    info = api.get_more_info(arch, trained, epoch - 1, hp=str(last), is_random=False)
                    assert schedule.val[arch, i] == pytest.approx(info["valid-accuracy"], rel=1e-12)
                    cost = info["train-all-time"] + info["valid-per-time"]
                    assert schedule.seconds[arch, i] == pytest.approx(cost, abs=1e-8)
                info = api.get_more_info(arch, table.name, hp=str(last), is_random=False)
                assert schedule.test[arch] == pytest.approx(info["test-accuracy"], rel=1e-12)
        costs = [api.get_cost_info(arch, table.name, hp="200") for arch in ARCHS]
        at = list(ARCHS)
        assert table.metrics["params_m"][at].tolist() == [c["params"] for c in costs]
        assert table.metrics["flops_m"][at].tolist() == [c["flops"] for c in costs]
        assert table.metrics["latency_ms/nats_bench"][at] == pytest.approx(
            [1000 * c["latency"] for c in costs], rel=1e-8
        )


def test_ori_test_of_cifar100_and_imagenet_is_never_read():
    """It contains the validation images; without it the tables are the same."""
    stripped = copy.deepcopy(LAB[0])
    for state in stripped.values():
        for (dataset, _), trial in state["all_results"].items():
            if dataset in ("cifar100", "ImageNet16-120"):
                trial["eval_names"].remove("ori-test")
                for part in ("eval_acc1es", "eval_losses", "eval_times"):
                    trial[part] = {key: value for key, value in trial[part].items() if not key.startswith("ori-test")}
    from nasbench_lab.tables.formats.collect import rows_of

    for key in ("12", "200"):
        both = [rows_of(records.trials_of(record[key], int(key)), int(key)) for record in (LAB[0], stripped)]
        assert str(both[0]) == str(both[1])


def test_the_first_files_short_schedule_has_only_cifar10_valid(tmp_path):
    """NAS-Bench-201 v1.0: the table then says which test it has."""
    content = copy.deepcopy(whole(LAB, ("less", "full")))
    for schedules in content["arch2infos"].values():
        less = schedules["less"]
        less["dataset_seed"] = {"cifar10-valid": less["dataset_seed"]["cifar10-valid"]}
        less["all_results"] = {k: v for k, v in less["all_results"].items() if k[0] == "cifar10-valid"}
    found = importing.read(torch_saved(tmp_path / "x.pth", content, legacy=True))
    assert [list(table.schedules) for table in found.tables] == [[12, 200], [200], [200]]
    assert any("cifar10, 12 epochs: test is that of the training on 25k images" in note for note in found.notes)
    expected = LAB[11]["12"]["all_results"]["cifar10-valid", 777]["eval_acc1es"]["ori-test@11"]
    assert expected in found.tables[0].schedules[12].test_trials[11]


def test_disagreeing_params_are_those_of_seed_888(tmp_path):
    record = copy.deepcopy(LAB[11])
    for (_, seed), trial in record["200"]["all_results"].items():
        if seed != 888:
            trial["params"] = 9.0
    (table, *_) = importing.read(write(tmp_path / "x", {11: record})).tables
    assert table.metrics["params_m"][11] == LAB[11]["200"]["all_results"]["cifar10", 888]["params"]


@pytest.mark.slow
def test_several_processes_read_the_same(tmp_path):
    many = {arch: made(arch) for arch in range(66)}
    folder = write(tmp_path / "x", many)
    seen = []
    one = importing.read(folder, workers=1)
    two = importing.read(folder, workers=2, progress=lambda *numbers: seen.append(numbers))
    same_numbers(one.tables, two.tables)
    assert seen[-1] == (66, 66)


def test_the_command_line_imports_and_says_what_is_missing(lab, folder, tmp_path, monkeypatch, expected):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    code, out, _ = lab("tables", "import", folder)
    assert code == 0
    assert "cifar100: 3 of 15,625 cells, schedules 12, 200" in out
    assert "note: 15,622 of 15,625 cells are not in it, first 1 |nor_conv_3x3~0|" in out
    same_numbers([catalog.load(name) for name in ("cifar10", "cifar100", "ImageNet16-120")], expected)
    assert "MIT (D-X-Y/NATS-Bench" in lab("tables", "info", "cifar10")[1].replace("\n", " ")
    assert "cifar10" in lab("tables", "list")[1]
    code, _, err = lab("compare", "random_search", "--table", "cifar10", "--seeds", "2", "--out", tmp_path / "r")
    assert (code, "nasbench-lab: " in err, "15622 cells" in err) == (2, True, True), err


def test_files_are_found_in_torch_home_as_the_official_packages_do(lab, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(folder.parent))
    assert lab("tables", "import", folder.name)[0] == 0
    code, _, err = lab("tables", "import", "nothing.pth")
    assert (code, err) == (2, f"nasbench-lab: no such file: nothing.pth (nor {folder.parent}/nothing.pth)\n")


def test_nothing_is_installed_unless_all_is(lab, folder, blocked, tmp_path, monkeypatch):
    code, _, err = lab("tables", "import", folder, "--out", blocked)
    assert (code, "cannot write" in err) == (2, True)
    target = tmp_path / "data"
    (target / "cifar100.npz").mkdir(parents=True)  # the second of three cannot be put there
    assert lab("tables", "import", folder, "--out", target)[0] == 2
    assert sorted(path.name for path in target.iterdir() if path.is_file() and path.name != "cifar10.npz") == []


@pytest.mark.parametrize(
    "name", ["NATS-tss-v1_0-3ffb9.pickle.pbz2", "NAS-Bench-201-v1_0-e61699.pth", "NAS-Bench-201-v1_1-096897.pth"]
)
def test_who_bears_an_official_name_must_be_that_file(tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes(b"cut short")
    with pytest.raises(LabError, match=r"is not the published file: its MD5 is .*another name"):
        importing.read(tmp_path / name)
    path = next(
        p
        for p in in_every_format(tmp_path, (whole(LAB), whole(LAB, ("less", "full"))))
        if p.suffix == (tmp_path / name).suffix
    )
    digits = hashlib.md5(path.read_bytes()).hexdigest()[:5]
    right = path.rename(
        tmp_path
        / f"{'NATS-tss-v1_0' if name.endswith('pbz2') else 'NAS-Bench-201-v1_1'}-{digits}{name[name.index('.') :]}"
    )
    assert len(importing.read(right).tables) == 3


def change(record, schedule="12", key=("cifar100", 111), **changes):
    record = copy.deepcopy(record)
    record[schedule]["all_results"][key] |= changes
    return record


@pytest.mark.parametrize(("records", "message"), [
    (lambda: {1: LAB[0]}, "holds cell 0, its name says 1"),
    (lambda: {0: [1]}, "is no record of NATS-Bench"),
    (lambda: {0: {"12": {}}}, "is no record of NATS-Bench"),
    (lambda: {0: {"13 ": LAB[0]["12"]}}, "an official schedule is"),
    (lambda: {0: {"90": LAB[0]["12"]}}, "has 12 epochs where 90 should be"),
    (lambda: {0: change(LAB[0], epochs=10**9)}, "has 1000000000 epochs where 12 should be"),
    (lambda: {0: change(LAB[0], epochs="12")}, "not as the benchmark writes it"),
    (lambda: {0: change(LAB[0], eval_acc1es={"x-valid@0": "high"})}, "not as the benchmark writes it"),
    (lambda: {0: change(LAB[0], eval_acc1es={f"{s}@{i}": 200.0 for i in range(12) for s in ("x-valid", "x-test")})}, "val must lie in 0..100"),
    (lambda: {0: change(LAB[0], params=[1])}, "not as the benchmark writes it"),
    (lambda: {0: change(LAB[0], train_times=None)}, "without its cost"),
    (lambda: {0: {k: {**v, "arch_str": "|x~0|"} for k, v in LAB[0].items()}}, "cannot be read"),
    (lambda: {0: {k: {**v, "arch_index": 9} for k, v in LAB[0].items()}}, "another index"),
    (lambda: {0: {k: {**v, "dataset_seed": {"cifar10": [5]}} for k, v in LAB[0].items()}}, "not as the benchmark writes it"),
    (lambda: {99999: LAB[0]}, "cells are numbered 0..15624"),
])  # fmt: skip
def test_a_wrong_record_is_refused_by_name(tmp_path, records, message):
    folder = write(tmp_path / "x", records(), meta=False)
    with pytest.raises(LabError, match="(?s)" + message):
        importing.read(folder)


def test_a_wrong_folder_is_refused(tmp_path, folder):
    with pytest.raises(LabError, match="holds no records"):
        importing.read(tmp_path)
    write(tmp_path / "x", {0: LAB[0]}, meta=False)
    (tmp_path / "x" / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": ["|other~0|"]})))
    with pytest.raises(LabError, match="its cells are not those"):
        importing.read(tmp_path / "x")
    broken = write(tmp_path / "y", {0: LAB[0]})
    content = (broken / "000000.pickle.pbz2").read_bytes()
    for wrong in (content[:-900], content[: len(content) // 2], b"", b"BZh9" + bytes(50)):
        (broken / "000000.pickle.pbz2").write_bytes(wrong)
        with pytest.raises(LabError, match=r"000000\.pickle\.pbz2"):
            importing.read(broken)


def test_a_single_file_must_be_one(tmp_path):
    for content in ({}, {"meta_archs": []}, [1], {**whole(LAB), "meta_archs": ["|other~0|"]},
                    {**whole(LAB), "arch2infos": {5: whole(LAB)["arch2infos"][0]}}):  # fmt: skip
        for path in in_every_format(tmp_path, (content, content)):
            with pytest.raises(LabError, match=path.name):
                importing.read(path)
    shared = whole(LAB)
    shared["arch2infos"][1] = shared["arch2infos"][0]
    (tmp_path / "x.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(shared)))
    with pytest.raises(LabError, match="another cell's"):
        importing.read(tmp_path / "x.pickle.pbz2")


def test_round_trip_through_the_exported_folder(tmp_path, expected):
    nats_export.write(expected, tmp_path / "out")
    again = importing.read(tmp_path / "out").tables
    assert [table.digest for table in again] == [table.digest for table in expected]
    meta = tmp_path / "out" / "meta.pickle.pbz2"
    plain = pickle.loads(bz2.decompress(meta.read_bytes()))
    del plain["nasbench_lab"]
    meta.write_bytes(bz2.compress(pickle.dumps(plain)))
    same_numbers(importing.read(tmp_path / "out").tables, expected)  # from the records alone


def test_what_the_folder_says_of_the_whole_is_believed_only_with_its_records(tmp_path, expected):
    table = dataclasses.replace(expected[1], metrics={**expected[1].metrics, "proxy/x": np.arange(15625.0)})
    nats_export.write([table], tmp_path / "out")
    assert "proxy/x" in importing.read(tmp_path / "out").tables[0].metrics
    path = tmp_path / "out" / "000011.pickle.pbz2"
    record = pickle.loads(bz2.decompress(path.read_bytes()))
    record["12"]["all_results"]["cifar100", 111]["eval_acc1es"]["x-valid@3"] = 1.25
    path.write_bytes(bz2.compress(pickle.dumps(record)))
    (found,) = importing.read(tmp_path / "out").tables
    assert "proxy/x" not in found.metrics
    assert found.schedules[12].val[11, 3] == 1.25
    path.unlink()
    assert importing.read(tmp_path / "out").tables[0].measured.sum() == 2


@pytest.mark.slow
def test_real_records_round_trip(tmp_path):
    if not present():
        pytest.skip("needs ../shared/data/official")
    tables = importing.read(REAL).tables
    nats_export.write(tables, tmp_path / "out")
    assert [t.digest for t in importing.read(tmp_path / "out").tables] == [t.digest for t in tables]
    assert set(loaded(tmp_path / "out")) == set(ARCHS)


def test_a_full_table_is_not_replaced_by_a_part_of_it_unless_forced(tmp_path) -> None:
    full = make_table("cifar10")
    schedule = full.schedules[12]
    few = np.arange(cell.SPACE.size) < 3
    part = dataclasses.replace(
        schedule,
        val=np.where(few[:, None], schedule.val, np.nan),
        val_trials=np.where(few[:, None, None], schedule.val_trials, np.nan),
        test=np.where(few, schedule.test, np.nan),
        test_trials=np.where(few[:, None], schedule.test_trials, np.nan),
    )
    smaller = Table("cifar10", {12: part}, {}, {})
    full.save(tmp_path / "cifar10.npz")
    with pytest.raises(LabError, match="has 15,625 cells and would be replaced by one of 3; nothing was written"):
        cli_tables._install([smaller], tmp_path, force=False)
    assert read(tmp_path / "cifar10.npz").digest == full.digest
    cli_tables._install([smaller], tmp_path, force=True)
    assert read(tmp_path / "cifar10.npz").digest == smaller.digest
