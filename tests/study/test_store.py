from __future__ import annotations

import math
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Additive
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import LabError, Query, Record, Result
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study import store
from nasbench_lab.study.runner import Run, search

HEADER = {"strategy": "random_search", "evaluator": {"objectives": ["val"]}, "x": [1, None]}


def runs_of(lengths, first=0):
    return {
        seed: search(RandomSearch(True), Additive(), seed=seed, max_queries=n) for seed, n in enumerate(lengths, first)
    }


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "block.parquet"
    store.write(path, HEADER, runs_of([5, 8, 2]))
    return path


def test_what_is_written_is_read(tmp_path):
    made = runs_of([5, 8, 2], first=3)
    store.write(tmp_path / "deep" / "block.parquet", HEADER, made)
    runs = store.read(tmp_path / "deep" / "block.parquet")
    assert runs.header == store.read_foot(tmp_path / "deep" / "block.parquet").header == HEADER
    assert runs.seeds.tolist() == [3, 4, 5]
    assert runs.counts.tolist() == [5, 8, 2]
    assert runs.ended == dict.fromkeys([3, 4, 5], "queries")
    for name, values in store.columns_of(made).items():
        assert np.array_equal(runs.columns[name], values)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["block.parquet"]


def test_columns_hold_one_row_per_record_in_order_of_seed_and_answer():
    record = Record(0, Result(Query(3, 9, 0.5), math.nan, 4.0, {"params_m": 1.5}), 4.5, -1, 0.1)
    columns = store.columns_of({7: Run([record], "queries"), 2: Run([record], "queries")}, ("val", "params_m"))
    assert columns["seed"].tolist() == [2, 7]
    row = {name: values[0] for name, values in columns.items() if name != "val"}
    assert row == {
        "seed": 2, "order": 0, "arch": 3, "epochs": 9, "incumbent": -1, "seconds": 4.0, "finished": 4.5, "decided": 0.1, "params_m": 1.5,
    }  # fmt: skip
    assert math.isnan(columns["val"][0])


def test_the_digest_covers_all_but_the_measured_column():
    columns = store.columns_of(runs_of([5]))
    digest = store.digest(columns)
    assert store.digest(columns | {"decided": columns["decided"] + 1}) == digest
    for name in set(columns) - {"decided"}:
        assert store.digest(columns | {name: columns[name] + 1}) != digest


def test_a_run_without_records_survives(tmp_path):
    store.write(tmp_path / "x.parquet", HEADER, {4: Run([], "seconds"), 5: Run([], "seconds")})
    runs = store.read(tmp_path / "x.parquet")
    assert runs.counts.tolist() == [0, 0]
    assert (runs.incumbents_at_queries(np.array([1, 5])) == -1).all()
    assert (runs.incumbents_at_seconds(np.array([1.0])) == -1).all()
    assert np.isinf(runs.first(np.ones(18, bool))).all()
    assert np.isnan(runs.last("incumbent")).all()
    assert runs.total("seconds").tolist() == [0, 0]


def test_questions_about_runs_agree_with_their_records(block):
    runs, made = store.read(block), runs_of([5, 8, 2])
    points = [1, 3, 5, 100]
    by_hand = [[r.records[min(n, len(r.records)) - 1].incumbent for n in points] for r in made.values()]
    assert runs.incumbents_at_queries(np.array(points)).tolist() == by_hand
    times = [0.0, 20.0, 60.0, 1e9]
    by_hand = [[([-1] + [x.incumbent for x in r.records if x.finished <= t])[-1] for t in times] for r in made.values()]
    assert runs.incumbents_at_seconds(np.array(times)).tolist() == by_hand
    hit = np.zeros(18, bool)
    hit[[r.records[-1].incumbent for r in made.values()][0]] = True
    by_hand = [next((i + 1 for i, x in enumerate(r.records) if hit[x.incumbent]), math.inf) for r in made.values()]
    assert runs.first(hit).tolist() == by_hand
    assert runs.last("finished").tolist() == [r.records[-1].finished for r in made.values()]
    assert runs.total("seconds") == pytest.approx([sum(x.result.seconds for x in r.records) for r in made.values()])


def test_joined_blocks_are_one_block_in_order_of_seed(tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    store.write(paths[0], HEADER, runs_of([3, 4], first=2))
    store.write(paths[1], HEADER, runs_of([5, 6], first=0))
    joined = store.join([store.read(path) for path in paths])
    assert joined.seeds.tolist() == [0, 1, 2, 3]
    assert joined.counts.tolist() == [5, 6, 3, 4]
    assert store.digest(joined.columns) == store.digest(store.columns_of(runs_of([5, 6]) | runs_of([3, 4], first=2)))


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_file_gives_a_lab_error_or_the_same_records(block, tmp_path_factory, data):
    whole = block.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "zero", "drop"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "flip":
        mask = data.draw(st.integers(1, 255))
        damaged = whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :]
    elif kind == "cut":
        damaged = whole[:at]
    elif kind == "zero":
        damaged = whole[:at] + bytes(min(64, len(whole) - at)) + whole[at + 64 :]
    else:
        damaged = whole[:at] + whole[at + data.draw(st.integers(1, 50)) :]
    path = block.parent / "damaged.parquet"
    path.write_bytes(damaged)
    try:
        runs = store.read(path)
    except LabError as error:
        assert "damaged" in str(error)
        return
    original = store.read(block)
    assert store.digest(runs.columns) == store.digest(original.columns)
    assert (runs.header, runs.ended, runs.seeds.tolist()) == (original.header, original.ended, original.seeds.tolist())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_run_file_is_refused(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    for read in (store.read, store.read_foot):
        with pytest.raises(LabError, match="not a run file"):
            read(path)


def test_somebody_elses_parquet_missing_files_and_folders_are_refused(tmp_path):
    pq.write_table(pa.table({"seed": [1], "name": ["x"]}), tmp_path / "other.parquet")
    for path in (tmp_path / "other.parquet", tmp_path / "nothing.parquet", tmp_path):
        with pytest.raises(LabError, match="not a run file"):
            store.read(path)
        with pytest.raises(LabError, match="not a run file"):
            store.read_foot(path)


def test_edited_records_are_found(block, tmp_path):
    table = pq.read_table(block)
    values = table.column("val").to_numpy().copy()
    values[0] += 0.01
    edited = table.set_column(table.column_names.index("val"), "val", pa.array(values))
    pq.write_table(edited, tmp_path / "edited.parquet")
    with pytest.raises(LabError, match="does not match its digest"):
        store.read(tmp_path / "edited.parquet")


def test_an_edited_header_or_ending_is_found(block, tmp_path):
    table = pq.read_table(block)
    for old, new in ((b'"random_search"', b'"local_search"'), (b'"queries"', b'"seconds"')):
        meta = {key: value.replace(old, new) for key, value in table.schema.metadata.items()}
        pq.write_table(table.replace_schema_metadata(meta), tmp_path / "edited.parquet")
        with pytest.raises(LabError, match="does not match its digest"):
            store.read(tmp_path / "edited.parquet")


def test_a_folder_that_cannot_be_written_is_a_lab_error(blocked):
    with pytest.raises(LabError, match="cannot write"):
        store.write(blocked / "x.parquet", HEADER, runs_of([2]))


def test_an_interrupted_write_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    store.write(path, HEADER, runs_of([2]))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nasbench_lab.files.writing.os.fsync", full)
    with pytest.raises(LabError, match="No space left"):
        store.write(path, HEADER, runs_of([3]))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writing_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.write(tmp_path / "x.parquet", HEADER, runs_of([2]))
