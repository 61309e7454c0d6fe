"""Runs in few files: nothing is lost at whatever moment it stops, nothing is read twice, and folders of before are read."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.files import writing
from nasbench_lab.study import execute, jobs, recorded, runs, shelf, store
from nasbench_lab.study.plan import Plan, resolve
from nasbench_lab.study.study import Study, StudyTask


@pytest.fixture(scope="module")
def plan() -> Plan:
    return resolve(Study(("random_search",), (StudyTask("toy", max_queries=4),), seeds=60))


@pytest.fixture(scope="module")
def blocks(plan) -> list[jobs.Done]:
    """Sixty runs, three to a block."""
    job = jobs.of_group(plan, plan.groups[0])
    return [jobs.run(job.of(range(first, first + 3))) for first in range(0, 60, 3)]


def add(kept, done) -> None:
    kept.add(done.content, store.decoded(done.content, "nobody"))


def kept_in(plan, out):
    return shelf.Shelf(out).of(plan.groups[0])


def files(out):
    return sorted(path.name for path in (out / "runs").glob("*.parquet"))


def whole(plan, out) -> str:
    return store.digest(execute.collect(plan, out)[0][1].columns)


@pytest.fixture(scope="module")
def digest(plan, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("whole")
    execute.run(plan, out)
    return whole(plan, out)


@pytest.mark.parametrize(
    "order", [lambda n: n, lambda n: -n, lambda n: n ^ 3, lambda n: n * 7 % 20], ids=["up", "down", "near", "any"]
)
def test_whatever_the_order_files_stay_few_and_become_one(plan, blocks, digest, tmp_path, order, request):
    kept, most = kept_in(plan, tmp_path), 0
    for done in (blocks[number] for number in sorted(range(20), key=order)):
        add(kept, done)
        most = max(most, len(files(tmp_path)))
    assert kept.seeds == [range(60)]
    assert most <= 16 or "any" in request.node.name
    kept.tidy(range(60))
    assert len(files(tmp_path)) == 1
    assert whole(plan, tmp_path) == digest


def test_what_stops_while_files_become_one_loses_nothing(plan, blocks, digest, tmp_path, monkeypatch):
    """At every removal, as if it had been the last thing that was done."""
    for moment in range(4):
        out = tmp_path / str(moment)
        kept = kept_in(plan, out)
        for done in blocks[:5]:
            add(kept, done)
        left = iter(range(moment))

        def unlink(path, missing_ok=False, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            os.unlink(path)

        with monkeypatch.context() as patched:
            patched.setattr("pathlib.Path.unlink", unlink)
            with pytest.raises(KeyboardInterrupt):
                kept.tidy(range(15))
        assert len(files(out)) == 5 - moment
        again = kept_in(plan, out)
        assert again.seeds == [range(15)]
        assert recorded.runs_of(out, plan.groups[0].id, range(15)).seeds.tolist() == list(range(15))
        assert [seed for part in shelf.each(sorted((out / "runs").glob("*.parquet"))) for seed in part.seeds] == list(
            range(15)
        )
        again.tidy(range(15))
        assert len(files(out)) == 1


def test_a_disk_that_is_full_leaves_what_was_there(plan, blocks, tmp_path, monkeypatch):
    kept = kept_in(plan, tmp_path)
    for done in blocks[:5]:
        add(kept, done)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, "fsync", full)
        with pytest.raises(LabError, match="No space left"):
            kept.tidy(range(15))
    assert kept_in(plan, tmp_path).seeds == [range(15)]


def test_a_file_of_whole_size_is_left_as_it_is(plan, blocks, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "_ROWS", 40)  # ten runs
    kept = kept_in(plan, tmp_path)
    for done in blocks:
        add(kept, done)
    kept.tidy(range(60))
    sizes = [len(store.read(path).seeds) for path in sorted((tmp_path / "runs").glob("*.parquet"))]
    assert sum(sizes) == 60
    assert max(sizes) <= 10
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    kept_in(plan, tmp_path).tidy(range(60))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == before


def test_looking_what_is_left_reads_no_records_of_files_that_were_found_whole(plan, tmp_path, monkeypatch):
    execute.run(plan, tmp_path)
    monkeypatch.setattr(store, "read", lambda path: pytest.fail(f"{path} was read"))
    assert kept_in(plan, tmp_path).seeds == [range(60)]


@pytest.mark.parametrize("content", ["", "{}", '{"whole": 3}', '{"whole": {"x": 1}}', "not JSON"])
def test_an_index_that_is_damaged_is_none(plan, tmp_path, content):
    execute.run(plan, tmp_path)
    (tmp_path / "runs" / shelf.INDEX).write_text(content)
    assert kept_in(plan, tmp_path).seeds == [range(60)]


def test_a_folder_of_before_is_read_gone_on_with_and_made_few(plan, blocks, digest, tmp_path):
    """Blocks as they were written until this: a name for every seed in `ended`, and no index."""
    (tmp_path / "runs").mkdir()
    for number, done in enumerate(blocks[:18]):
        found = store.decoded(done.content, "nobody")
        ended = {str(seed): why for seed, why in found.ended.items()}
        meta = {
            "header": found.header,
            "ended": ended,
            "files": {},
            "sha256": store._seal(found.header, ended, found.columns),
        }
        meta[store.MEASURED] = store.digest({"measured": found.columns[store.MEASURED]})
        table = pa.table(dict(found.columns)).replace_schema_metadata({b"nasbench_lab": json.dumps(meta).encode()})
        pq.write_table(table, tmp_path / "runs" / f"random_search-toy-{plan.groups[0].id}-{3 * number:06d}.parquet")
    assert recorded.runs_of(tmp_path, plan.groups[0].id, range(54)).seeds.tolist() == list(range(54))
    done: list[int] = []
    execute.run(plan, tmp_path, progress=lambda count, _total: done.append(count))
    assert done[0] == 54
    assert whole(plan, tmp_path) == digest
    assert len(files(tmp_path)) == 1


def test_a_run_costs_few_bytes_beyond_its_records(plan, blocks, tmp_path):
    kept = kept_in(plan, tmp_path)
    for done in blocks:
        add(kept, done)
    kept.tidy(range(60))
    (path,) = (tmp_path / "runs").glob("*.parquet")
    found = store.read(path)
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.table(dict(found.columns)), bare, compression="zstd")
    many = store.encoded(found.header, found.columns, found.ended, {})
    assert (len(many) - bare.stat().st_size) / 60 < 120
    assert len(runs.Endings.of(found.ended).stretches) == 1
    assert np.array_equal(found.seeds, np.arange(60))
