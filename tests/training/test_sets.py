"""Image sets by name: who is trained, validated and tested on what, and whether the name says how."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import LabError
from nasbench_lab.training import cifar, imagenet16, sets
from nasbench_lab.training.data import Images
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.sets import HALVES, halves, open_data
from nasbench_lab.training.trainer import train


def numbered(count: int, side: int, classes: int) -> cifar.Split:
    """Images whose first two pixels are their number, labels that go round."""
    images = np.random.default_rng(count).integers(256, size=(count, 3, side, side), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return images, np.arange(count) % classes


def numbers(split: tuple[torch.Tensor, torch.Tensor]) -> list[int]:
    pixels = split[0][:, 0, 0, :2].long()
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


@pytest.fixture(autouse=True)
def _stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of 400 and 200 images stand for the real ones; how these are read is tested elsewhere."""
    torch.set_num_threads(1)
    stored = {
        "cifar10": {"train": numbered(400, 32, 10), "test": numbered(200, 32, 10)},
        "cifar100": {"train": numbered(400, 32, 100), "test": numbered(200, 32, 100)},
        "ImageNet16-120": {"train": numbered(400, 16, 120), "test": numbered(200, 16, 120)},
    }
    monkeypatch.setattr(cifar, "load", lambda name, folders, **_: stored[name])
    monkeypatch.setattr(imagenet16, "load", lambda folders: stored["ImageNet16-120"])
    monkeypatch.setattr(sets, "_VAL_OF_TRAIN", 50)


def official(name: str, count: int) -> dict[str, list[object]]:
    """An official file of the right form: the list of `val` begins as it should."""
    val = [*HALVES[name].begins, *range(count - count // 2 + len(HALVES[name].begins), count)]
    rest = sorted(set(range(count)) - set(val))
    return {HALVES[name].val: ["int", [str(i) for i in val]], HALVES[name].other: ["int", [str(i) for i in rest]]}


@pytest.mark.parametrize(("name", "sizes", "classes", "side"), [
    ("cifar10-valid", (200, 200, 200), 10, 32), ("cifar10", (400, 50, 200), 10, 32),
    ("cifar100", (400, 100, 100), 100, 32), ("ImageNet16-120", (400, 100, 100), 120, 16),
])  # fmt: skip
def test_sizes(name: str, sizes: tuple[int, ...], classes: int, side: int) -> None:
    data = open_data(name)
    assert isinstance(data, Images)
    parts = [data.part(0, 0), data.held_out("val"), data.held_out("test")]
    assert tuple(len(x) for x, _ in parts) == tuple(len(y) for _, y in parts) == sizes
    assert (data.classes, data.inputs, data.size, data.train_size) == (classes, 3, side, sizes[0])
    for images, labels in parts:
        assert torch.equal(labels, torch.tensor(numbers((images, labels))) % classes)  # every image kept its label
        assert abs(float(data.normalise(images).mean())) < 0.5


def test_who_sees_what() -> None:
    searched = open_data("cifar10-valid")
    train_on, validated = set(numbers(searched.part(0, 0))), set(numbers(searched.held_out("val")))
    assert train_on.isdisjoint(validated)
    assert train_on | validated == set(range(400))
    assert numbers(searched.held_out("test")) == list(range(200))
    scored = open_data("cifar10")
    assert numbers(scored.held_out("val")) == list(range(50))
    assert set(numbers(scored.held_out("val"))) <= set(numbers(scored.part(0, 0))) == set(range(400))
    assert torch.equal(scored.held_out("test")[0], searched.held_out("test")[0])
    for name in ("cifar100", "ImageNet16-120"):
        data = open_data(name)
        val, test = numbers(data.held_out("val")), numbers(data.held_out("test"))
        assert sorted(val + test) == list(range(200))
        assert val == sorted(val)
        assert sorted(numbers(data.part(0, 0))) == list(range(400))


@pytest.mark.parametrize("name", list(HALVES))
def test_own_split_is_fixed_and_named(name: str, tmp_path: Path) -> None:
    assert open_data(name, folder=tmp_path).name == f"{name}, own split"
    rest, val, is_official = halves(name, 50_000, [tmp_path])
    again = halves(name, 50_000, [tmp_path])
    assert not is_official
    np.testing.assert_array_equal(val, again[1])
    np.testing.assert_array_equal(np.sort(np.concatenate([rest, val])), np.arange(50_000))
    assert len(rest) == len(val) == 25_000
    assert val[:6].tolist() == [1, 2, 5, 6, 7, 10]  # never to change: outcomes depend on it


@pytest.mark.parametrize("name", list(HALVES))
def test_the_official_split_is_used_where_it_lies(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = official(name, 400 if name == "cifar10-valid" else 200)
    (tmp_path / HALVES[name].file).write_text(json.dumps(content))
    expected = [int(i) for i in content[HALVES[name].val][1]]  # type: ignore[attr-defined]
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    for folder in (None, tmp_path / "absent", tmp_path):
        data = open_data(name, folder=folder)
        assert data.name == name
        assert numbers(data.held_out("val")) == expected


@pytest.mark.parametrize(("change", "message"), [
    (lambda c: c["xtest"][1].pop(), "share nothing"),
    (lambda c: c["xtest"][1].__setitem__(0, "1"), "share nothing"),
    (lambda c: c["xvalid"][1].reverse(), "beginning 1, 3, 4"),
    (lambda c: c["xvalid"][1].__setitem__(0, "x"), "not a split"),
    (lambda c: c.pop("xvalid"), "not a split.*xvalid"),
])  # fmt: skip
def test_a_split_that_is_not_the_benchmarks(change: Callable[[Any], object], message: str, tmp_path: Path) -> None:
    content = official("cifar100", 200)
    change(content)
    (tmp_path / HALVES["cifar100"].file).write_text(json.dumps(content))
    with pytest.raises(LabError, match=message):
        open_data("cifar100", folder=tmp_path)
    (tmp_path / HALVES["cifar100"].file).write_text("[]")
    with pytest.raises(LabError, match="not a split"):
        open_data("cifar100", folder=tmp_path)


def test_digits_and_unknown_names() -> None:
    assert isinstance(open_data("digits"), Digits)
    with pytest.raises(
        LabError, match=r"'mnist'; there are digits, cifar10-valid, cifar10, cifar100, ImageNet16-120, synth"
    ):
        open_data("mnist")


def test_folders_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Path]] = []
    stored = imagenet16.load([])

    def load(folders: list[Path]) -> dict[str, cifar.Split]:
        seen.append(folders)
        return stored

    monkeypatch.setattr(imagenet16, "load", load)
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    open_data("ImageNet16-120", folder=str(tmp_path))
    open_data("ImageNet16-120")
    monkeypatch.delenv("NASBENCH_LAB_DATA")
    open_data("ImageNet16-120")
    chosen, user = tmp_path / "chosen", tmp_path / "home" / "nasbench_lab"
    assert seen == [[tmp_path, chosen, user], [chosen, user], [user]]


def test_the_trainer_takes_them_and_the_outcome_says_which_split() -> None:
    recipe = Recipe(epochs=1, channels=4, cells=1, batch=64, crop=2)
    outcome = train(1462, open_data("ImageNet16-120"), recipe, seed=0)
    assert outcome.data == "ImageNet16-120, own split"
    assert 0 <= outcome.val[0] <= 100
