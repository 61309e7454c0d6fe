from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import make_table
from other_tables import TABLES

from nasbench_lab.core import LabError
from nasbench_lab.tables import catalog, headers, stored


def rewritten(path, target, change):
    """A table's file with another header, as an earlier version wrote it, say."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    member = next(name for name in headers.MEMBERS if name in arrays)
    header = json.loads(arrays[member].tobytes())
    change(header)
    arrays[member] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    np.savez_compressed(target, allow_pickle=False, **arrays)
    return target


def older(header):
    del header["cells"]


def partial(by_class=False):
    """A table whose cell 7, or whose class of it, has no validation score."""
    found = make_table("part", epochs=(3, 12), source="a test", **({"rows": "class"} if by_class else {}))
    names = ("val", "test", "seconds", "val_trials", "test_trials")
    arrays = {name: getattr(found.schedules[12], name).copy() for name in names}
    rows = slice(7, 8)
    if by_class:
        from nasbench_lab.spaces import cell

        arrays = {name: values[cell.representatives()] for name, values in arrays.items()}
        rows = cell.SPACE.classes == cell.SPACE.classes[7]
    arrays["val"][rows, 0] = np.nan
    arrays["val_trials"][rows, 0] = np.nan
    return dataclasses.replace(found, schedules={12: dataclasses.replace(found.schedules[12], **arrays)})


@pytest.mark.parametrize("name", catalog.available())
def test_a_header_says_what_the_whole_table_says(name, tmp_path):
    path, whole = catalog.find(name), catalog.load(name)
    found = headers.read(path)
    assert (found.kind, found.dataset, found.schedules) == (whole.kind, whole.dataset, tuple(whole.schedules))
    assert (found.cells, found.source) == (int(whole.measured.sum()), whole.about["source"])
    assert headers.read(rewritten(path, tmp_path / "old.npz", older)) == found


@pytest.mark.parametrize("by_class", [False, True])
def test_cells_are_counted_on_saving_and_in_files_that_do_not_say(tmp_path, by_class):
    part = partial(by_class)
    path = part.save(tmp_path / "part.npz")
    old = rewritten(path, tmp_path / "old.npz", older)
    assert headers.read(path).cells == headers.read(old).cells == int(part.measured.sum()) < 15_625
    assert stored.read(old).digest == stored.read(path).digest == part.digest


def test_another_number_of_cells_in_the_header_is_refused(tmp_path):
    path = partial().save(tmp_path / "part.npz")
    forged = rewritten(path, tmp_path / "forged.npz", lambda header: header.update(cells=15_625))
    with pytest.raises(LabError, match="15,624 cells are complete, its header says otherwise"):
        stored.read(forged)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense", b"no archive at all"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(LabError, match=r"bad\.npz is not a nasbench_lab table, or is damaged"):
        headers.read(tmp_path / "bad.npz")


def test_a_foreign_archive_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    with pytest.raises(LabError, match="it has no header"):
        headers.read(tmp_path / "foreign.npz")
    for header in (b"[]", b"{}", b'{"about": {}, "name": "x", "schedules": {"x": 1}, "metrics": []}', b"\xff"):
        np.savez(tmp_path / "odd.npz", header=np.frombuffer(header, dtype=np.uint8))
        with pytest.raises(LabError, match="is not a nasbench_lab table"):
            headers.read(tmp_path / "odd.npz")


def test_a_header_that_unpacks_to_too_much_is_not_unpacked(tmp_path):
    path = tmp_path / "large.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", b"\0" * (1 << 28))
    with pytest.raises(LabError, match="cannot be read|is not|larger|unpacks"):
        headers.read(path)


def test_a_damaged_and_a_foreign_file_are_a_line_each(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04nonsense")
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    partial().save(tmp_path / "part.npz")
    code, out, err = lab("tables", "list")
    assert (code, err) == (0, "")
    assert out.count("cannot be read") == 2
    rows = {row["table"]: row for row in json.loads(lab("tables", "list", "--json")[1])}
    assert set(rows) == {"bad", "foreign", "part", *(path.stem for path in catalog.EMBEDDED.glob("*.npz"))}
    assert "it has no header" in rows["foreign"]["error"]
    assert (rows["part"]["cells"], rows["part"]["source"], rows["part"]["error"]) == (15_624, "a test", "")
    assert rows["toy"] == {
        "table": "toy", "kind": "synthetic", "dataset": "toy", "space": "nas-bench-201", "schedules": [12], "cells": 15_625,
        "source": "python -m nasbench_lab.tables.synthetic", "where": "embedded", "error": "",
    }  # fmt: skip


def test_listing_tables_reads_no_arrays_and_loads_neither_pandas_nor_the_cells(tmp_path):
    code = (
        "import sys, zipfile; from nasbench_lab.cli import app; real = zipfile.ZipFile.open; read = []\n"
        "def opened(self, item, *a, **k): read.append(getattr(item, 'filename', item)); return real(self, item, *a, **k)\n"
        "zipfile.ZipFile.open = opened\n"
        "sys.argv = ['nasbench-lab', 'tables', 'list', '--json']\n"
        "try: app.main()\n"
        "except SystemExit: pass\n"
        "print(sorted(set(read)), [m for m in ('pandas', 'nasbench_lab.spaces.cell', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "['header.npy', 'networks.npy'] []"


@pytest.mark.parametrize("by_class", [False, True])
def test_a_file_of_another_space_is_listed_without_that_of_nas_bench_201(tmp_path, by_class):
    """Its cells are counted from its own classes where its header does not say how many are complete."""
    found = TABLES["ssim"]()
    arrays = {name: getattr(found.last, name).copy() for name in ("val", "val_trials", "test", "test_trials")}
    gone = found.space.classes == found.space.classes[7]
    for values in arrays.values():
        values[gone] = np.nan
    about = {**found.about, **({"rows": "class"} if by_class else {})}
    part = dataclasses.replace(found, schedules={1: dataclasses.replace(found.last, **arrays)}, about=about)
    if by_class:  # members of a class share all they have
        seconds = part.last.seconds[part.space.representatives]
        metrics = {name: values[part.space.representatives] for name, values in part.metrics.items()}
        part = dataclasses.replace(
            part, schedules={1: dataclasses.replace(part.last, seconds=seconds)}, metrics=metrics
        )
    path = part.save(tmp_path / "part.npz")
    expected = (found.space.size - int(gone.sum()), "four")
    for file in (path, rewritten(path, tmp_path / "older.npz", older)):
        assert (headers.read(file).cells, headers.read(file).space) == expected
