from __future__ import annotations

import dataclasses
import io
import json
import pickle
import warnings
import zipfile
from copy import copy

import numpy as np
import pytest
from conftest import make_table, structure_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, stored
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table


def same(a: Table, b: Table) -> bool:
    if (a.name, dict(a.about), list(a.metrics), list(a.schedules)) != (
        b.name,
        dict(b.about),
        list(b.metrics),
        list(b.schedules),
    ):
        return False
    pairs = [(a.metrics[name], b.metrics[name]) for name in a.metrics]
    for last, schedule in a.schedules.items():
        for item in dataclasses.fields(Schedule):
            pairs.append((getattr(schedule, item.name), getattr(b.schedules[last], item.name)))
    return all(np.array_equal(x, y, equal_nan=True) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


@settings(max_examples=8)
@given(
    st.sets(st.integers(1, 300), min_size=1, max_size=4).map(sorted),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.text(max_size=9),
)
def test_what_is_saved_is_read(tmp_path_factory, epochs, trials, one_run, compress, source):
    metrics = {"latency_ms/x": np.where(np.arange(cell.SPACE.size) % 3, np.nan, 1.5)}
    made = make_table("some", epochs=epochs, trials=trials, one_run=one_run, metrics=metrics, source=source)
    path = made.save(tmp_path_factory.mktemp("t") / "deep" / "some.npz", compress=compress)
    read = stored.read(path)
    assert same(read, made)
    assert read.digest == made.digest
    assert [item.name for item in path.parent.iterdir()] == ["some.npz"]


def test_rows_by_class_take_less_room_and_read_back_whole(toy, tmp_path):
    read = stored.read(toy.save(tmp_path / "x.npz"))
    assert same(read, toy)
    plain = dataclasses.replace(toy, about={"rows": "cell"}).save(tmp_path / "y.npz")
    assert (tmp_path / "x.npz").stat().st_size < plain.stat().st_size / 2


def test_the_digest_names_header_and_numbers():
    table = make_table()
    val = table.last.val.copy()
    val[77, 0] += 1e-9
    changed = dataclasses.replace(table, schedules={12: dataclasses.replace(table.last, val=val)})
    digests = {
        t.digest for t in (table, changed, table.renamed("b"), dataclasses.replace(table, about={"source": "x"}))
    }
    assert len(digests) == 4
    assert make_table().digest == table.digest


def with_schedule(**changes) -> Table:
    table = make_table(epochs=(4, 12))
    arrays = {name: change(copy(getattr(table.last, name))) for name, change in changes.items()}
    return dataclasses.replace(table, schedules={12: dataclasses.replace(table.last, **arrays)})


def put(value, *index):
    def change(values):
        values[index] = value
        return values

    return change


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (lambda: dataclasses.replace(make_table(), schedules={}), "no schedule"),
        (lambda: with_schedule(epochs=lambda _: (12, 4)), "epochs must ascend to 12"),
        (lambda: with_schedule(epochs=lambda _: (4, 13)), "epochs must ascend to 12"),
        (lambda: with_schedule(val=lambda v: v[:-1]), "val must have shape"),
        (lambda: with_schedule(val=lambda v: v[:, :1]), "val must have shape"),
        (lambda: with_schedule(test=lambda v: v[:, None]), "test must have shape"),
        (lambda: with_schedule(val_trials=lambda v: v[:, :1]), "val_trials must have shape"),
        (lambda: with_schedule(seconds=lambda v: v[:, :1]), "seconds must have shape"),
        (lambda: with_schedule(val=put(100.1, 5, 0)), "val must lie in 0..100"),
        (lambda: with_schedule(test=put(-0.1, 5)), "test must lie in 0..100"),
        (lambda: with_schedule(test_trials=put(np.inf, 5, 0)), "test_trials must lie"),
        (lambda: with_schedule(seconds=put(-1.0, 5, 0)), "seconds must lie in 0..1e"),
        (lambda: with_schedule(seconds=put(0.0, 5, 1)), "seconds must not fall"),
        (lambda: with_schedule(seconds=put(np.nan, 5, 1)), "without its cost"),
        (lambda: with_schedule(test=put(np.nan, 5)), "without a test score"),
        (lambda: make_table(metrics={"m": np.zeros(3)}), "metric 'm'"),
        (lambda: make_table(metrics={"m": np.full(15625, np.inf)}), "metric 'm'"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(table, message):
    with pytest.raises(LabError) as error:
        table().check()
    assert message in str(error.value)


def test_a_cell_that_was_not_measured_is_allowed_and_known():
    table = with_schedule(val=put(np.nan, 5), test=put(np.nan, 5), seconds=put(np.nan, 5)).check()
    assert not table.measured[5]
    assert table.measured.sum() == 15624


def test_truth_is_mean_test_of_the_longest_schedule():
    short, long = make_table(epochs=(12,)), make_table(epochs=(200,), seed=1)
    table = dataclasses.replace(short, schedules={12: short.last, 200: long.last})
    assert np.array_equal(table.truth, long.last.test)
    assert table.default_search == 12
    assert dataclasses.replace(table, about={"default_search": 200}).default_search == 200
    with pytest.raises(LabError, match="no schedule of 13 epochs; it has 12, 200"):
        table.schedule(13)
    with pytest.raises(LabError, match="no score after 5 epochs"):
        table.schedule(12).column(5)


def test_what_was_not_measured_is_labelled():
    assert make_table("x").label == "x"
    assert make_table("x", kind="predicted").label == "x (predicted)"
    assert make_table("x", kind="synthetic").label == "x (synthetic)"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small compressed file: the toy's arrays, by class."""
    from nasbench_lab.tables import catalog

    return catalog.find("toy")


@settings(max_examples=60)
@given(st.data())
def test_damaged_bytes_give_a_lab_error_or_the_same_table(saved, tmp_path_factory, data):
    whole = saved.read_bytes()
    anywhere = st.integers(0, len(whole) - 1)
    at = data.draw(anywhere | st.integers(0, 300) | st.integers(len(whole) - 900, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "zero"]))
    if kind == "flip":
        damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    else:
        damaged = whole[:at] if kind == "cut" else whole[:at] + bytes(32) + whole[at + 32 :]
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile and numpy comment on what they find
        try:
            assert same(stored.read(path), stored.read(saved))
        except LabError as error:
            assert "damaged" in str(error) or "header" in str(error)


def rewritten(saved, path, **arrays):
    """The file again with some arrays replaced; its digest then no longer fits."""
    with np.load(saved) as archive:
        content = {name: archive[name] for name in archive.files}
    np.savez(path, **(content | arrays))
    return path


def as_header(content) -> np.ndarray:
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([], "format 'list'"),
        ({}, "format None"),
        ({"format": 2}, "format 2, this version reads 1"),
        ({"format": 1}, "do not fit together"),
        ({"format": 1, "about": 3}, "do not fit together"),
        ({"format": 1, "about": {"rows": "class"}, "name": "x", "schedules": {"13": {"epochs": [13], "one_run": True}}, "metrics": []}, "do not fit"),
        ({"format": 1, "about": {"rows": "class"}, "name": "x", "schedules": {"x": {}}, "metrics": []}, "do not fit together"),
        ({"format": 1, "about": {"rows": "class"}, "name": "x", "schedules": {}, "metrics": ["a", "b"]}, "do not fit together"),
        ({"format": 1, "about": {"rows": "class"}, "name": "x", "schedules": {}, "metrics": [], "digest": "0"}, "damaged or edited"),
    ],
)  # fmt: skip
def test_a_header_that_makes_no_sense_is_refused(saved, tmp_path, header, message):
    with pytest.raises(LabError) as error:
        stored.read(rewritten(saved, tmp_path / "x.npz", header=as_header(header)))
    assert message in str(error.value)


def test_edited_numbers_are_found(saved, tmp_path, toy):
    first = np.unique(cell.SPACE.classes, return_index=True)[1]
    test = toy.last.test[first].copy()
    test[0] += 0.01
    with pytest.raises(LabError, match="damaged or edited"):
        stored.read(rewritten(saved, tmp_path / "x.npz", **{"12/test": test}))


class Loaded(Exception):
    """Raised by a pickle when it is loaded."""


class Bomb:
    def __reduce__(self):
        return _explode, ()


def _explode():
    raise Loaded


def test_no_pickle_is_ever_loaded(saved, tmp_path):
    bomb = np.array([Bomb()], dtype=object)
    path = tmp_path / "x.npz"
    np.savez(path, header=bomb)
    for content in (path.read_bytes(), pickle.dumps({"a": Bomb()})):
        path.write_bytes(content)
        with pytest.raises(LabError, match="not a nasbench_lab table"):
            stored.read(path)
    with pytest.raises(LabError):
        stored.read(rewritten(saved, tmp_path / "y.npz", **{"12/val": bomb}))


def test_other_kinds_of_file_are_refused(tmp_path):
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hello.txt", "hello")
    for content in (b"", b"hello", array.getvalue(), archive.getvalue(), b"\x93NUMPY", b"PK\x05\x06" + bytes(18)):
        path = tmp_path / "x.npz"
        path.write_bytes(content)
        with pytest.raises(LabError, match="not a nasbench_lab table"):
            stored.read(path)
    for missing in (tmp_path, tmp_path / "no.npz"):
        with pytest.raises(LabError, match="no such table file"):
            stored.read(missing)


def test_an_unwritable_folder_is_a_lab_error(toy, blocked):
    with pytest.raises(LabError, match="cannot write"):
        toy.save(blocked / "x.npz")


@pytest.mark.parametrize("spoil", [
    lambda s: {"test": s.test / 100}, lambda s: {"val": s.val / 100}, lambda s: {"test_trials": s.test_trials / 100},
    lambda s: {"val_trials": np.concatenate([s.val_trials[..., :1] / 100, s.val_trials[..., 1:]], axis=2)},
    lambda s: {"val": np.concatenate([s.val[:, :1] / 100, s.val[:, 1:]], axis=1)},
    lambda s: {"val": np.where(np.arange(len(s.val))[:, None] == 777, s.val / 100, s.val)},
    lambda s: {"test": np.where(np.arange(len(s.test)) < 9000, s.test / 100, s.test)},
], ids=["test", "val", "test trials", "a trial", "an epoch", "a cell", "cells"])  # fmt: skip
def test_shares_of_one_among_percentages_are_refused(spoil):
    scores = structure_scores(np.arange(cell.SPACE.size)) + np.random.default_rng(0).normal(size=(4, cell.SPACE.size))
    whole, last = make_table(), 12
    measured = dataclasses.replace(
        whole.schedules[last],
        val=scores[:1].T, val_trials=scores[:2].T[:, None], test=scores[2], test_trials=scores[2:].T,
    )  # fmt: skip
    table = dataclasses.replace(whole, schedules={last: measured}).check()
    spoilt = dataclasses.replace(table.schedules[last], **spoil(table.schedules[last]))
    with pytest.raises(LabError, match="accuracies are percentages"):
        dataclasses.replace(table, schedules=table.schedules | {last: spoilt}).check()


def test_a_row_per_class_is_not_written_where_members_differ(tmp_path):
    toy = catalog.load("toy")
    metrics = {**toy.metrics, "own": np.arange(toy.space.size, dtype=float)}
    table = dataclasses.replace(toy, metrics=metrics)
    with pytest.raises(LabError, match="'own' differs within a class"):
        table.save(tmp_path / "t.npz")
    assert not (tmp_path / "t.npz").exists()
    about = {key: value for key, value in table.about.items() if key != "rows"}
    whole = dataclasses.replace(table, about=about)
    whole.save(tmp_path / "t.npz")
    assert np.array_equal(catalog.load(str(tmp_path / "t.npz")).metrics["own"], metrics["own"])
