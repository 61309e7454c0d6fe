"""Files that would do something when read: at every entry point they are refused and nothing happens."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official_data import made, whole, write

from nasbench_lab import extras
from nasbench_lab.core import LabError
from nasbench_lab.files import unpickle
from nasbench_lab.interop import nats_bench
from nasbench_lab.tables import catalog, stored
from nasbench_lab.tables.fetching import nb201 as fetching
from nasbench_lab.tables.formats import importing, monolith, nats_simple, torch_file
from nasbench_lab.tables.formats.official import is_state, trials_of
from nasbench_lab.tables.formats.tidy import read_tidy


class Evil:
    """Makes a folder when it is loaded."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def entries(tmp_path, evil):
    """Name -> (file with `evil` in it, what reads it)."""
    record = made(0)
    record["12"]["all_results"]["cifar10", 111]["train_acc5es"] = evil
    content = whole({0: record})
    folder = write(tmp_path / "simple", {0: record})
    other = write(tmp_path / "meta", {0: made(0)})
    (other / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": [], "x": evil})))
    (tmp_path / "a.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content)))
    if not extras.absent("torch"):
        import torch

        torch.save(content, tmp_path / "zip.pth")
        torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "hw.pickle").write_bytes(pickle.dumps({"nasbench201": {"cifar10": evil}}))
    np.savez(tmp_path / "table.npz", header=np.array([evil], dtype=object))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(evil))
    (tmp_path / "p.parquet").write_bytes(pickle.dumps(evil))
    (tmp_path / "c.csv").write_bytes(pickle.dumps(evil))
    (tmp_path / "seeds").write_bytes(pickle.dumps({(0,) * 6: evil}))
    (tmp_path / "short").write_bytes(pickle.dumps(evil))
    return {
        "folder": (folder, importing.read),
        "folder's meta": (other, importing.read),
        "two processes": (folder, lambda path: list(nats_simple.rows(path, workers=2))),
        "compat": (folder, lambda path: nats_bench.nats(path).get_more_info(0, "cifar10")),
        "single file": (tmp_path / "a.pickle.pbz2", importing.read),
        "torch zip": (tmp_path / "zip.pth", importing.read),
        "torch legacy": (tmp_path / "old.pth", importing.read),
        "hardware": (tmp_path / "hw.pickle", importing.read),
        "table": (tmp_path / "table.npz", stored.read),
        "pickle as table": (tmp_path / "plain.npz", stored.read),
        "by name": (tmp_path / "plain.npz", lambda path: catalog.load(str(path))),
        "parquet": (tmp_path / "p.parquet", importing.read),
        "csv": (tmp_path / "c.csv", importing.read),
        "fetched seeds": (tmp_path / "seeds", fetching._per_seed),
        "fetched frame": (tmp_path / "short", fetching._short),
    }


ENTRIES = ["folder", "folder's meta", "two processes", "compat", "single file", "torch zip", "torch legacy", "hardware", "table",
           "pickle as table", "by name", "parquet", "csv", "fetched seeds", "fetched frame"]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_file_that_would_make_a_folder_is_refused_and_makes_none(entry, tmp_path):
    if entry.startswith("torch"):
        pytest.importorskip("torch")
    found = entries(tmp_path, Evil(tmp_path / "made"))
    assert set(found) == set(ENTRIES)
    path, read = found[entry]
    with pytest.raises(LabError) as error:
        read(path)
    assert not (tmp_path / "made").exists()
    if entry not in ("table", "pickle as table", "by name", "parquet", "csv"):
        assert "asks for 'posix.mkdir'" in str(error.value)


def test_they_would_indeed(tmp_path):
    entries(tmp_path, Evil(tmp_path / "made"))
    pickle.loads(bz2.decompress((tmp_path / "simple" / "000000.pickle.pbz2").read_bytes()))
    assert (tmp_path / "made").is_dir()


def test_the_command_line_says_it_in_one_message(lab, tmp_path):
    path, _ = entries(tmp_path, Evil(tmp_path / "made"))["single file"]
    code, _, err = lab("tables", "import", path, "--out", tmp_path / "data")
    assert (code, "asks for 'posix.mkdir'" in err, "Traceback" in err) == (2, True, False)
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "made").exists()


def bombs(tmp_path):
    """Small files that stand for much."""
    (tmp_path / "simple").mkdir()
    (tmp_path / "simple" / "000000.pickle.pbz2").write_bytes(
        bz2.compress(b"\x8e" + (1 << 33).to_bytes(8, "little") + bytes(1 << 26))
    )
    yield tmp_path / "simple"
    for name, opcode in (("lists.pickle.pbz2", b"]"), ("marks.pickle.pbz2", b"("), ("none.pickle.pbz2", b"N")):
        (tmp_path / name).write_bytes(bz2.compress(opcode * (1 << 26) + b"."))
        yield tmp_path / name
    with gzip.open(tmp_path / "x.csv.gz", "wb") as file:
        for _ in range(5):
            file.write(b"0" * (1 << 26))
    yield tmp_path / "x.csv.gz"
    many = pa.table({"index": pa.array(np.zeros(1 << 22, np.int8)), "a/12/val": pa.array(np.zeros(1 << 22))})
    pq.write_table(many, tmp_path / "x.parquet")
    yield tmp_path / "x.parquet"
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"N" * (1 << 26))
    yield tmp_path / "x.pth"


@pytest.mark.slow
def test_what_unpacks_to_far_too_much_is_refused_early(tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in bombs(tmp_path):
        with pytest.raises(
            LabError, match="more than|cannot be read|unpacks to more|no instruction|ends|more memory|nested|rows"
        ):
            importing.read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_200_000  # kB


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "_UNPACKED", 1 << 20)
    np.savez_compressed(tmp_path / "x.npz", header=np.zeros(1 << 21, np.uint8))
    with pytest.raises(LabError, match="unpacks to 2,097"):
        stored.read(tmp_path / "x.npz")


def test_a_parquet_of_too_many_rows_is_not_read(tmp_path):
    many = pa.table({"index": pa.array(np.zeros(1 << 20, np.int8)), "a/12/val": pa.array(np.zeros(1 << 20))})
    pq.write_table(many, tmp_path / "x.parquet")
    with pytest.raises(LabError, match="it has 1,048,576 rows"):
        read_tidy(tmp_path / "x.parquet")


RECORD = pickle.dumps(made(0), 4)


def read_record(content: bytes) -> None:
    """What an import does with a record's bytes."""
    found = unpickle.loads(content, "it")
    if isinstance(found, dict):
        for key, state in found.items():
            if is_state(state):
                trials_of(state, 12 if key == "12" else 200)


@given(at=st.integers(0, len(RECORD) - 1), byte=st.integers(0, 255))
@settings(max_examples=100)
def test_a_flipped_byte_of_a_record_is_an_answer_or_an_error(at, byte):
    content = bytearray(RECORD)
    content[at] = byte
    with contextlib.suppress(LabError):
        read_record(bytes(content))


def damaged(rng: np.random.Generator, whole: bytes) -> bytes:
    content = bytearray(whole)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(len(content))), int(rng.integers(1, 30))
        match int(rng.integers(4)):
            case 0:
                content[at] = int(rng.integers(256))
            case 1:
                del content[at : at + length]
            case 2:
                content[at:at] = content[at : at + length]
            case _:
                content[at : at + length] = rng.bytes(length)
        content = content or bytearray(b".")
    return bytes(content)


@pytest.mark.slow
def test_twelve_thousand_damaged_records_are_answers_or_errors():
    """A record of few epochs, so that many can be read; with the 24,000 of test_unpickle."""
    small = made(0)
    for trial in small["200"]["all_results"].values():
        trial["train_losses"] = {}
    content = pickle.dumps({"12": small["12"]}, 4)
    rng = np.random.default_rng(5)
    for _ in range(12_000):
        with contextlib.suppress(LabError):
            read_record(damaged(rng, content))


@pytest.mark.slow
def test_damaged_files_of_every_format_are_answers_or_errors(tmp_path):
    torch = pytest.importorskip("torch")
    record = {0: made(0)}
    rng = np.random.default_rng(6)
    buffers = {
        "x.pickle.pbz2": bz2.compress(pickle.dumps(whole(record))),
        "x.npz": (catalog.EMBEDDED / "toy.npz").read_bytes(),
    }
    for name, new in (("zip.pth", True), ("old.pth", False)):
        buffer = io.BytesIO()
        torch.save({"weights": torch.arange(50), "state": record[0]["12"]}, buffer, _use_new_zipfile_serialization=new)
        buffers[name] = buffer.getvalue()
    frame = pd.DataFrame({"index": np.arange(15625), "a/12/val": 50.0, "a/12/test": 50.0, "a/12/seconds": 1.0})
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    buffers["x.parquet"] = buffer.getvalue()
    readers = {"x.pickle.pbz2": monolith.read_pickle, "x.npz": stored.read, "zip.pth": torch_file.load, "old.pth": torch_file.load,
               "x.parquet": read_tidy}  # fmt: skip
    import warnings

    for name, content in buffers.items():
        for _ in range(150):
            (tmp_path / name).write_bytes(damaged(rng, content))
            with contextlib.suppress(LabError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile and numpy comment on what they find
                readers[name](tmp_path / name)
