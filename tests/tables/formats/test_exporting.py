"""Tables in other tools' formats: read by these tools, or read back, with the same numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import nats_bench
import numpy as np
import pandas as pd
import pytest
from conftest import make_table

from nasbench_lab.core import LabError
from nasbench_lab.interop import nats_bench as compat
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import exporting, importing, nats_export, own
from nasbench_lab.tables.formats.named_columns import Columns
from nasbench_lab.tables.formats.tidy import read_tidy
from nasbench_lab.tables.table import Table

CELLS = (0, 5, 284, 1462, 15624)


@pytest.fixture(scope="module")
def digits() -> Table:
    return catalog.load("digits")


def test_digits_are_read_by_the_official_package_and_give_our_numbers(digits, tmp_path):
    assert nats_export.write([digits], tmp_path / "digits-simple", archs=CELLS) == 5
    api = nats_bench.create(str(tmp_path / "digits-simple"), "tss", fast_mode=True, verbose=False)
    schedule, hp = digits.last, str(digits.last.epochs[-1])
    for arch in CELLS:
        for i, epoch in enumerate(schedule.epochs):
            info = api.get_more_info(arch, "digits", epoch - 1, hp=hp, is_random=False)
            assert info["valid-accuracy"] == pytest.approx(schedule.val[arch, i], abs=1e-6)
            assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(schedule.seconds[arch, i])
            for t, seed in enumerate((777, 888, 999)):
                if not np.isnan(schedule.val_trials[arch, i, t]):
                    one = api.get_more_info(arch, "digits", epoch - 1, hp=hp, is_random=seed)
                    assert one["valid-accuracy"] == schedule.val_trials[arch, i, t]
        assert info["test-accuracy"] == pytest.approx(schedule.test[arch], abs=1e-6)
        costs = api.get_cost_info(arch, "digits", hp)
        assert costs["params"] == digits.metrics["params_m"][arch]
        assert costs["flops"] == digits.metrics["flops_m"][arch]
        assert costs == {**compat.nats(digits).get_cost_info(arch, "digits", hp), "latency": None}
    best, accuracy = api.find_best("digits", "x-valid", hp=hp, enforce_all=False)
    assert accuracy == pytest.approx(max(schedule.val[list(CELLS), -1]), abs=1e-6)
    assert best in CELLS


@pytest.mark.slow
def test_the_whole_of_digits_comes_back_with_the_same_digest(digits, tmp_path):
    exporting.export([digits], "nats-simple", tmp_path / "out")
    found = importing.read(tmp_path / "out", workers=2)
    assert [table.digest for table in found.tables] == [digits.digest]
    assert found.notes == []


def test_tables_of_several_datasets_share_a_folder(tmp_path):
    tables = [
        make_table(name, epochs=(1, 2, 12), seed=i, seeds={"12": {"val": ["1", "2"], "test": ["1", "2"]}})
        for i, name in enumerate(("cifar10", "cifar100"))
    ]
    nats_export.write(tables, tmp_path / "both", archs=CELLS)
    api = nats_bench.create(str(tmp_path / "both"), "tss", fast_mode=True, verbose=False)
    for table in tables:
        valid, _, cost, _ = api.simulate_train_eval(5, table.name, hp="12")
        assert valid in table.last.val_trials[5, -1]
        assert cost == pytest.approx(table.last.seconds[5, -1])
        test = api.get_more_info(5, table.name, hp="12", is_random=2)["test-accuracy"]
        assert test == table.last.test_trials[5, 1]
    with pytest.raises(LabError, match="same dataset"):
        nats_export.write([tables[0], tables[0]], tmp_path / "x")
    with pytest.raises(LabError, match="is not empty"):
        nats_export.write(tables, tmp_path / "both")


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["toy", "made"])
def test_frames_come_back_with_the_same_numbers(format, name, lab, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    metrics = {"latency_ms/x": np.where(np.arange(15625) % 3, np.nan, 1.5), "trials": np.ones(15625)}
    make_table(
        "made", epochs=(3, 200), trials=2, metrics=metrics, seeds={"200": {"val": ["7", "8"], "test": ["7", "8"]}}
    ).save(tmp_path / "data" / "made.npz")
    table = catalog.load(name)
    path = tmp_path / f"out.{format}"
    assert lab("tables", "export", name, "--format", format, "--out", path)[0] == 0
    (found,) = read_tidy(path)
    assert (found.name, list(found.schedules), list(found.metrics)) == (
        name,
        list(table.schedules),
        list(table.metrics),
    )
    for key, values in table._arrays():
        assert np.array_equal(dict(found._arrays())[key], values, equal_nan=True), key
    assert found.last.epochs == table.last.epochs


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("labels", [[2**70, 2**70 + 1, 2**70 + 3], [-(2**63) - 1, 7, 9], [1, 2**64, 2**80]])
def test_labels_of_more_than_64_bits_come_back(format, labels, tmp_path):
    frame = pd.DataFrame({"self": pd.Series(labels, dtype=object), "v": [1.0, 3.0, 2.0]})
    table = Table.from_frame(frame, name="mine", decisions="self", val="v")
    path = exporting.export([table], format, tmp_path / f"mine.{format}")
    found, _ = own.read(path, Columns(decisions=("self",), val=("mine/1/val",)))
    assert found.space == table.space
    assert found.truth.tolist() == table.truth.tolist()


def test_syne_tune_has_labels_of_more_than_64_bits_as_texts(tmp_path):
    frame = pd.DataFrame({"n": pd.Series([2**70, 2**71], dtype=object), "v": [1.0, 3.0]})
    table = Table.from_frame(frame, name="mine", decisions="n", val="v")
    path = exporting.export([table], "syne-tune", tmp_path / "out")
    categories = json.loads((path / "configspace.json").read_text())["hp_n"]["domain_kwargs"]["categories"]
    assert pd.read_parquet(path / "hyperparameters.parquet")["hp_n"].tolist() == categories == [str(2**70), str(2**71)]


def test_frames_have_documented_columns_and_units(digits):
    frame = digits.frame()
    last = digits.last.epochs[-1]
    assert len(frame) == 15625
    assert frame["arch"][1462] == cell.to_string(1462)
    assert frame["index"].tolist() == list(range(15625))
    assert np.array_equal(frame[f"digits/{last}/val"], digits.last.val[:, -1])
    assert np.array_equal(frame[f"digits/{last}/val@2/seed888"], digits.last.val_trials[:, 1, 1], equal_nan=True)
    assert np.array_equal(frame[f"digits/{last}/test/seed777"], digits.last.test_trials[:, 0])
    assert np.array_equal(frame[f"digits/{last}/seconds@1"], digits.last.seconds[:, 0])
    assert np.array_equal(frame["digits/params_m"], digits.metrics["params_m"])
    assert frame.attrs["digest"] == digits.digest
    assert frame.attrs["units"]["val"].startswith("percent")
    assert "CC BY 4.0" in frame.attrs["licence"]


def test_syne_tune_has_every_cell_trial_and_epoch(digits, tmp_path):
    """As `syne_tune.blackbox_repository.blackbox_tabular.deserialize` reads it; without test scores."""
    path = exporting.export([digits], "syne-tune", tmp_path / "out")
    metadata = json.loads((path / "metadata.json").read_text())
    values = np.load(path / "objectives_evaluations.npy")
    epochs = np.load(path / "fidelities_values.npy")
    cells = pd.read_parquet(path / "hyperparameters.parquet")
    space = json.loads((path / "configspace.json").read_text())
    fidelity = json.loads((path / "fidelityspace.json").read_text())
    assert list(space) == list(cells.columns) == [f"hp_x{i}" for i in range(6)]
    assert space["hp_x0"] == {"domain_cls": "Categorical", "domain_kwargs": {"categories": list(cell.OPS)}}
    assert fidelity == {"hp_epoch": {"domain_cls": "Integer", "domain_kwargs": {"lower": 1, "upper": int(epochs[-1])}}}
    assert values.shape == (1, 15625, 3, len(epochs), 2)
    assert metadata["objectives_names"] == ["metric_valid_error", "metric_elapsed_time"]
    assert metadata["task_names"] == ["digits"]
    for arch in CELLS:
        assert tuple(cells.loc[arch]) == tuple(cell.OPS[op] for op in cell.ops(arch))
        errors = 1 - digits.last.val_trials[arch].T / 100
        assert np.allclose(values[0, arch, :, :, 0], errors, atol=1e-6, equal_nan=True)
        assert np.allclose(values[0, arch, 0, :, 1], digits.last.seconds[arch], rtol=1e-6)
    assert len(cells.drop_duplicates()) == 15625


def test_syne_tune_has_every_schedule_and_says_what_is_missing(lab, digits, tmp_path, monkeypatch):
    """A blackbox each; scores of trials that were not run are nan and said, or filled by the cell's mean."""
    two = replace(digits, schedules={**digits.schedules, 3: _first(digits.last, 3)})
    path = exporting.export([two], "syne-tune", tmp_path / "two")
    searched, other = (np.load(p / "objectives_evaluations.npy") for p in (path, path / "schedule_6"))
    assert (two.default_search, searched.shape[3], other.shape[3]) == (3, 3, 6)
    assert {each.name for each in path.iterdir()} - {"schedule_6"} == {
        each.name for each in (path / "schedule_6").iterdir()
    }
    lacking = digits.last.val_trials.copy()
    lacking[digits.space.classes % 3 > 0, :, 1:] = np.nan  # two thirds have one training
    some = replace(
        digits, schedules={6: replace(digits.last, val_trials=lacking)}, about={**digits.about, "rows": "cell"}
    )
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    some.save(tmp_path / "digits.npz")
    code, _, err = lab("tables", "export", "digits", "--format", "syne-tune", "--out", tmp_path / "with_nan")
    share = np.isnan(lacking).mean()
    assert (code, f"{share:.0%} of the scores of digits, 6 epochs, are nan" in err, "--fill" in err) == (0, True, True)
    code, _, err = lab("tables", "export", "digits", "--format", "syne-tune", "--fill", "--out", tmp_path / "filled")
    assert (code, err) == (0, "")
    there, filled = (
        np.load(tmp_path / name / "objectives_evaluations.npy")[0, ..., 0] for name in ("with_nan", "filled")
    )
    assert np.isfinite(filled).all()
    known = np.isfinite(there)
    assert np.array_equal(filled[known], there[known])
    means = np.broadcast_to(1 - digits.last.val[:, None, :] / 100, filled.shape)
    assert np.allclose(filled[~known], means[~known], atol=1e-6)
    code, _, err = lab("tables", "export", "digits", "--format", "csv", "--fill", "--out", tmp_path / "a.csv")
    assert (code, "fill is for syne-tune" in err) == (2, True)


def _first(schedule, count):
    """A schedule's first epochs, as one of its own."""
    cut = {name: getattr(schedule, name)[:, :count] for name in ("val", "seconds", "val_trials")}
    return replace(schedule, epochs=schedule.epochs[:count], **cut)


def test_thousands_of_files_are_announced_before_they_are_written(digits, tmp_path):
    notes = exporting.notes([digits], "nats-simple", tmp_path / "many")
    assert notes == [f"15,626 files, one a cell and `meta`, go into {tmp_path / 'many'}"]
    assert exporting.notes([digits], "csv") == []


def test_what_cannot_be_exported_is_said(lab, digits, tmp_path, blocked):
    code, _, err = lab("tables", "export", "digits", "--format", "xml")
    assert (code, "allowed: nats-simple, csv, parquet, syne-tune" in err) == (2, True)
    assert "csv holds one table, got 2" in lab("tables", "export", "digits", "toy", "--format", "csv")[2]
    for format in exporting.FORMATS:
        with pytest.raises(LabError, match="cannot write|not empty"):
            exporting.export([digits], format, blocked.with_suffix(f".{format}"))
    for name in ("exported", "exported.txt", "exported.parquet.csv.gz"):
        with pytest.raises(LabError, match="a csv file is called something.csv, got"):
            exporting.export([digits], "csv", tmp_path / name)


def test_a_stand_in_for_test_scores_is_announced(digits):
    frame = pd.DataFrame({"a": [1, 2, 3], "acc": [1.0, 2.0, 3.0]})
    table = Table.from_frame(frame, name="mine", decisions=["a"], val=["acc"])
    (note,) = exporting.notes([table, digits], "csv")
    assert "mine has no test score of its own" in note
    assert table.scored in note
