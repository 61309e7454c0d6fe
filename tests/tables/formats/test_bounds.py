"""Small files that ask for much: memory in proportion to the file, and an end. One record, archive or frame for every way."""

from __future__ import annotations

import bz2
import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import few
from official_data import made, whole, write

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.spaces import cell
from nasbench_lab.study import store
from nasbench_lab.study.study import read_study
from nasbench_lab.tables import predicted, stored
from nasbench_lab.tables.formats import importing, official
from nasbench_lab.tables.formats.tidy import read_tidy

PEAK = 400 << 20  # bytes; a whole table of 200 epochs and three trials takes 150 million


@pytest.fixture(autouse=True)
def _little_memory():
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PEAK, f"{peak:,} bytes"


OWN = made(0)["12"]
RAW = next(iter(OWN["all_results"].values()))


def training(**changes):
    return RAW | changes


def state(datasets, raw, **changes):
    results = {(dataset, seed): raw for dataset, seeds in datasets.items() for seed in seeds}
    return OWN | {"all_results": results, "dataset_seed": datasets} | changes


def empty(epochs, names=("x-valid",)):
    """A training of which nothing is known, of any length: a few bytes."""
    curves = {
        name: {} for name in ("train_acc1es", "train_losses", "train_times", "eval_acc1es", "eval_losses", "eval_times")
    }
    return training(epochs=epochs, eval_names=list(names), **curves)


RECORDS = {
    "many seeds": {"12": state({"cifar10-valid": list(range(300))}, empty(12))},
    "many datasets": {"12": state({f"d{i}": [1] for i in range(300)}, empty(12))},
    "many evaluation sets": {"12": state({"cifar10-valid": [1]}, empty(12, [f"s{i}" for i in range(300)]))},
    "one evaluation set again and again": {"12": state({"cifar10-valid": [1]}, empty(12, ["x-valid"] * 3000))},
    "a training twice": {"12": state({"cifar10-valid": [1, 1]}, empty(12))},
    "many schedules": {str(last): state({"cifar10-valid": [1]}, empty(last)) for last in range(1, 60)},
    "ten to the ninth epochs": {"1000000000": state({"cifar10-valid": [1]}, empty(10**9))},
    "epochs that are none": {"12": state({"cifar10-valid": [1]}, empty(10**9))},
    "an endless latency": {"12": state({"cifar10-valid": [1]}, training(latency=[1.0] * 5000))},
    "sets that are numbers": {"12": state({"cifar10-valid": [1]}, training(eval_names=range(10**9)))},
    "long curves": {"1000": state({f"d{i}": list(range(8)) for i in range(8)}, empty(1000, official._SPLITS))},
    "a path as dataset": {"12": state({"../../x": [1]}, RAW)},
}


@pytest.mark.parametrize(
    "name", few(RECORDS, "a training twice", "many schedules", "ten to the ninth epochs", "a path as dataset")
)
def test_a_small_record_is_refused_and_takes_little(name, tmp_path):
    try:
        folder = write(tmp_path / "simple", {0: RECORDS[name]})
    except pickle.PicklingError:
        pytest.fail("a record that cannot be written")
    with pytest.raises(LabError):
        importing.read(folder)
    assert sorted(os.listdir(tmp_path)) == ["simple"]


def test_a_record_of_few_numbers_makes_tables_of_few(tmp_path):
    """One training of 1,000 epochs that knows its last: 633 bytes took gigabytes."""
    last = {"x-valid@999": 50.0}
    raw = empty(1000) | {"eval_acc1es": last, "eval_times": {f"x-valid@{i}": 1.0 for i in range(1000)}}
    raw |= {"train_times": dict.fromkeys(range(1000), 1.0), "eval_names": ["x-valid", "x-test"]}
    raw["eval_acc1es"] = last | {"x-test@999": 49.0}
    folder = write(tmp_path / "simple", {0: {"1000": state({f"d{i}": [1] for i in range(40)}, raw)}})
    found = importing.read(folder).tables
    assert len(found) == 40
    assert {table.schedules[1000].epochs for table in found} == {(1000,)}


@pytest.mark.parametrize("view", few(["latency", "seeds", "names"], "latency"))
def test_a_view_without_end_is_not_gone_through(view, tmp_path):
    """Ten to the twelfth equal numbers, of one."""
    torch = pytest.importorskip("torch")
    endless = torch.zeros(1).expand(10**12)
    raw, content = empty(12), whole({0: made(0)})
    raw |= {"latency": endless} if view == "latency" else {"eval_names": endless} if view == "names" else {}
    own = state({"cifar10-valid": endless if view == "seeds" else [1]}, raw) if view != "seeds" else state({}, raw)
    if view == "seeds":
        own["dataset_seed"] = {"cifar10-valid": endless}
    content["arch2infos"] = {0: {"12": own}}
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(LabError):
        importing.read(tmp_path / "x.pth")


def npz(path, header, **arrays):
    content = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}
    np.savez_compressed(path, **content)
    return path


def lying(path, shape, dtype="<f8", count=16):
    """A member whose header says more than it has."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", head.getvalue() + bytes(count))
    return path


HEADER = {
    "format": 1,
    "name": "x",
    "metrics": [],
    "about": {"rows": "class"},
    "schedules": {"12": {"epochs": [12], "one_run": True}},
}


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 62, 1 << 62), (0, 1 << 62), (1 << 31, 2), (-1, -8)])
def test_a_shape_without_numbers_takes_no_memory(shape, tmp_path):
    path = lying(tmp_path / "x.npz", shape)
    for read in (stored.read, predicted.read):
        with pytest.raises(LabError):
            read(path)


def test_rows_of_bytes_are_not_made_into_more_numbers_than_a_table_has(tmp_path):
    wide = np.zeros((6466, 4096, 2), np.uint8)  # 50 MB, a hundred kilobytes in the file, 1 GB as numbers
    path = npz(tmp_path / "x.npz", HEADER, **{"12/val_trials": wide}, **{
        f"12/{name}": np.zeros((6466, 1), np.uint8) for name in ("val", "test", "test_trials", "seconds")
    }, metrics=np.zeros((6466, 0)))  # fmt: skip
    assert path.stat().st_size < 200_000
    with pytest.raises(LabError, match="numbers, a table has"):
        stored.read(path)


def test_a_header_is_not_as_long_as_a_table(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", header=np.frombuffer(b"[" * (1 << 24), np.uint8))
    with pytest.raises(LabError, match="too many for a header"):
        stored.read(tmp_path / "x.npz")


def test_what_unpacks_without_end_is_left(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(40):
            with archive.open(f"a{i}.npy", "w") as member:
                for _ in range(16):
                    member.write(bytes(1 << 20))
    with pytest.raises(LabError, match="unpacks to 671,088,640 bytes"):
        stored.read(tmp_path / "x.npz")


ARCHS = [cell.to_string(arch) for arch in range(cell.SPACE.size)]


@pytest.mark.parametrize("content", [
    {"index": pa.array(np.zeros(1 << 21, np.int8))},
    {f"c{i}": pa.array(np.zeros(20_000, np.int8)) for i in range(2000)},
    {"index": pa.array(range(100)), "arch": pa.DictionaryArray.from_arrays(np.zeros(100, np.int8), ["x" * (1 << 22)])},
    {"index": pa.array([[0] * 10] * 1000)},
    {"index": pa.array([{"a": 1}] * 10)},
    {"index": pa.array([b"x" * 100] * 10)},
], ids=["rows", "columns", "long texts", "lists", "structures", "bytes"])  # fmt: skip
def test_parquet_of_more_than_a_table(content, tmp_path):
    pq.write_table(pa.table(content), tmp_path / "x.parquet")
    with pytest.raises(LabError, match="cannot be read as parquet"):
        read_tidy(tmp_path / "x.parquet")
    with pytest.raises(LabError, match="not a run file"):
        store.read(tmp_path / "x.parquet")


def test_texts_and_categories_are_still_read(tmp_path):
    frame = pd.DataFrame({"arch": pd.Categorical(ARCHS), "x/12/val": 50.0, "x/12/test": 49.0, "x/12/seconds": 1.0})
    frame.to_parquet(tmp_path / "x.parquet")
    (table,) = read_tidy(tmp_path / "x.parquet")
    assert table.name == "x"


@pytest.mark.parametrize("content", [
    b"index" + b",a" * 1_000_000 + b"\n", b"index,a\n" + b"1,2\n" * 2_000_000, b"index\n" + b"x" * 10_000_000,
    b"index,a\n" + b'"' + b"\n" * 5_000_000, b"\0" * 1000, b",".join(b"%d" % i for i in range(5000)) + b"\n" + b",\n" * 40_000,
    b'"\n"' + b",a" * 1_000_000 + b"\n", b"index,a,a\n" + b"1,2,3\n" * 5, b"index\r" + b"1\r" * 2_000_000,
], ids=["columns", "rows", "a cell", "a quote", "zeros", "both", "columns behind a quote", "twice", "old line ends"])  # fmt: skip
def test_csv_of_more_than_a_table(content, tmp_path):
    """A million columns of one name took pandas hours."""
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(LabError):
        read_tidy(tmp_path / "x.csv")


@pytest.mark.parametrize("text", [
    '{"a": 1e400}', '{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 2}', "[" * 100_000, '{"a":' * 100_000,
    '{"a": ' + "9" * 5000 + "}", '{"a": 1', "", '{"a": 1}x', '"\\ud800',
], ids=range(11))  # fmt: skip
def test_json_that_is_refused(text):
    with pytest.raises(ValueError, match="."):
        bounded.parsed(text.encode())


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "[" * 100_000, "x" * 2_000_000, "a." * 3000 + "b = 1", "\x00"])
def test_studies_that_are_refused(text, tmp_path):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(LabError, match=r"x\.toml"):
        read_study(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "read", [stored.read, importing.read, read_tidy, read_study, store.read], ids=lambda f: f.__name__
)
def test_a_pipe_or_a_device_is_no_file(read, tmp_path):
    for suffix in (".npz", ".csv", ".parquet", ".pth", ".pickle", ".pickle.pbz2", ".toml", ".csv.gz"):
        (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
        with pytest.raises(LabError):
            read(tmp_path / f"zero{suffix}")
        os.mkfifo(tmp_path / f"pipe{suffix}")
        with pytest.raises(LabError):
            read(tmp_path / f"pipe{suffix}")


@pytest.mark.slow
def test_a_bomb_of_bzip2_is_left(tmp_path):
    packer = bz2.BZ2Compressor()
    content = b"".join(packer.compress(b"N" * (1 << 20)) for _ in range(2)) + packer.flush()
    (tmp_path / "simple").mkdir()
    (tmp_path / "simple" / "000000.pickle.pbz2").write_bytes(content)
    (tmp_path / "x.pickle.pbz2").write_bytes(content)
    for path in (tmp_path / "simple", tmp_path / "x.pickle.pbz2"):
        with pytest.raises(LabError, match="more than"):
            importing.read(path)
