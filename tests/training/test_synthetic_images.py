"""Images in CIFAR's place: of its sizes and statistics, the same every time, learnable, and named for what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import LabError
from nasbench_lab.training import sets, synthetic
from nasbench_lab.training.problem import make_problem
from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.trainer import train

MEAN, STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "TRAIN", 160)
    monkeypatch.setattr(synthetic, "TEST", 80)
    monkeypatch.setattr(sets, "_VAL_OF_TRAIN", 20)


def test_channels_have_the_means_and_deviations_asked_for() -> None:
    images, labels = synthetic.splits(10, MEAN, STD, train=2000, test=10)["train"]
    assert images.shape == (2000, 3, 32, 32)
    assert images.dtype == np.uint8
    np.testing.assert_allclose(images.mean(axis=(0, 2, 3)), MEAN, atol=1)
    np.testing.assert_allclose(images.std(axis=(0, 2, 3)), STD, atol=1)
    assert set(labels.tolist()) == set(range(10))


def test_they_are_the_same_every_time_and_splits_differ() -> None:
    first = synthetic.splits(10, MEAN, STD, train=20, test=20)
    synthetic.splits.cache_clear()
    again = synthetic.splits(10, MEAN, STD, train=20, test=20)
    np.testing.assert_array_equal(first["train"][0], again["train"][0])
    assert not np.array_equal(first["train"][0], first["test"][0])


@pytest.mark.parametrize("name", sets.SYNTHETIC)
def test_sets_are_split_as_the_real_ones_and_say_what_they_are(name: str, few: None) -> None:
    data = sets.open_data(name, download=False)
    assert data.name.startswith("synthetic images for cifar10")
    assert data.classes == (100 if name.endswith("100") else 10)
    assert data.train_size == (80 if name.endswith("valid") else 160)
    problem = make_problem(name)
    assert problem.described["name"] == name
    assert problem.recipe == make_problem(name.removeprefix("synthetic-")).recipe
    assert problem.shape == make_problem(name.removeprefix("synthetic-")).shape
    assert problem.digest() != make_problem(name.removeprefix("synthetic-")).digest()


def test_they_can_be_learned(few: None) -> None:
    recipe = Recipe(epochs=4, channels=4, cells=1, batch=16, flip=False, crop=0)
    outcome = train(1462, sets.open_data("synthetic-cifar10"), recipe, seed=0)
    assert outcome.loss[-1] < 0.9 * outcome.loss[0]
    assert "synthetic" in outcome.data


def test_a_missing_file_is_no_reason_for_made_up_images(few: None, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "data_folders", lambda: [tmp_path])
    with pytest.raises(LabError, match=r"no cifar-10-binary\.tar\.gz"):
        sets.open_data("cifar10", download=False)
    assert replace(make_problem("cifar10"), recipe=Recipe(epochs=200)).recipe.epochs == 200
    assert torch.is_tensor(sets.open_data("synthetic-cifar100").held_out("val")[0])
