"""ImageNet16-120 from small batches in the published form: found, checked, read without running anything, cut to 120."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.training import imagenet16


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eleven batches of 40 images whose first pixel is their number and whose labels run through 1..1000."""
    rng = np.random.default_rng(0)
    place = tmp_path / "ImageNet16"
    place.mkdir()
    for number, name in enumerate(imagenet16.MD5):
        data = rng.integers(256, size=(40, 768), dtype=np.uint8)
        data[:, 0] = number
        labels = [*range(1, 13), 120, 121, 1000, *rng.integers(1, 1001, size=25).tolist()]
        entry = {"data": data, "labels": labels, "mean": data.mean(axis=0)}
        publish(monkeypatch, place / name, pickle.dumps(entry, number % 6))
    return tmp_path


def publish(monkeypatch: pytest.MonkeyPatch, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    monkeypatch.setattr(imagenet16, "MD5", {**imagenet16.MD5, path.name: hashlib.md5(content).hexdigest()})


@pytest.mark.parametrize("inside", [True, False])
def test_read(folder: Path, inside: bool) -> None:
    splits = imagenet16.load([folder / "absent", folder / "ImageNet16" if inside else folder])
    raw = [pickle.loads((folder / "ImageNet16" / name).read_bytes()) for name in imagenet16.MD5]
    for split, entries in (("train", raw[:10]), ("test", raw[10:])):
        images, labels = splits[split]
        kept = [
            (image, label - 1)
            for e in entries
            for image, label in zip(e["data"], e["labels"], strict=True)
            if label <= 120
        ]
        assert (images.dtype.name, labels.dtype.name) == ("uint8", "int64")
        np.testing.assert_array_equal(images, np.stack([image for image, _ in kept]).reshape(-1, 3, 16, 16))
        np.testing.assert_array_equal(labels, [label for _, label in kept])
        assert (labels.min(), labels.max()) == (0, 119)
    assert set(splits["train"][0][:, 0, 0, 0].tolist()) == set(range(10))


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=rf"no ImageNet16 in {tmp_path}.*registration.*val_data"):
        imagenet16.load([tmp_path])


def test_a_batch_is_missing(folder: Path) -> None:
    (folder / "ImageNet16" / "train_data_batch_7").unlink()
    with pytest.raises(LabError, match=r"cannot read .*train_data_batch_7: No such file"):
        imagenet16.load([folder])


def test_a_batch_is_another_file(folder: Path) -> None:
    path = folder / "ImageNet16" / "train_data_batch_3"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LabError, match="train_data_batch_3 is not the published file"):
        imagenet16.load([folder])


def test_a_hostile_batch_does_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not have the published hash; if it had, its code would still not run."""
    made = folder / "made"
    content = b"cposix\nmkdir\n(S'" + str(made).encode() + b"'\ntR."
    (folder / "ImageNet16" / "val_data").write_bytes(content)
    with pytest.raises(LabError, match="not the published file"):
        imagenet16.load([folder])
    publish(monkeypatch, folder / "ImageNet16" / "val_data", content)
    with pytest.raises(LabError, match=r"val_data asks for 'posix\.mkdir'"):
        imagenet16.load([folder])
    assert not made.exists()


@pytest.mark.parametrize("entry", [
    [1, 2], {"data": np.zeros((2, 768), np.uint8)}, {"data": np.zeros((2, 3072), np.uint8), "labels": [1, 2]},
    {"data": np.zeros((2, 768)), "labels": [1, 2]}, {"data": np.zeros((3, 768), np.uint8), "labels": [1, 2]},
    {"data": np.zeros((2, 768), np.uint8), "labels": ["a", "b"]},
])  # fmt: skip
def test_something_else(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: object) -> None:
    publish(monkeypatch, folder / "ImageNet16" / "train_data_batch_1", pickle.dumps(entry))
    with pytest.raises(LabError, match="train_data_batch_1 is no batch"):
        imagenet16.load([folder])


def test_the_published_hashes() -> None:
    assert len({bytes.fromhex(md5) for md5 in imagenet16.MD5.values()}) == 11
    assert all(len(md5) == 32 for md5 in imagenet16.MD5.values())
