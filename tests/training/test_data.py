"""Data: splits without overlap, streams that depend on nothing but their arguments, augmentation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from nasbench_lab.training.data import Images, augmentation, of_epoch
from nasbench_lab.training.digits import Clutter, Digits, base_images, fixed, stream, synthesise


def test_splits_share_no_base_image() -> None:
    base = base_images()
    assert {name: len(images) for name, (images, _) in base.items()} == {"train": 897, "val": 450, "test": 450}
    seen = [row.tobytes() for images, _ in base.values() for row in images]
    assert len(seen) == 1797
    assert len(set(seen)) == 1797
    for _, labels in base.values():
        counts = np.bincount(labels) / len(labels)
        assert counts.min() > 0.09
        assert counts.max() < 0.11


def test_stream_depends_on_seed_and_part_only() -> None:
    first = stream(5, 3, 64, Clutter())
    stream(5, 0, 10, Clutter())
    again = stream(5, 3, 64, Clutter())
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], stream(5, 4, 64, Clutter())[0])
    assert not np.array_equal(first[0], stream(6, 3, 64, Clutter())[0])


def test_held_out_canvases_are_fixed_and_differ() -> None:
    data = Digits(held_out_size=50)
    torch.testing.assert_close(data.held_out("val")[0], Digits(held_out_size=50).held_out("val")[0])
    assert not torch.equal(data.held_out("val")[0], data.held_out("test")[0])
    assert fixed("val", 50, Clutter())[0].dtype == np.float32


@settings(max_examples=20, deadline=None)
@given(
    size=st.sampled_from([8, 12, 16]), fragments=st.integers(0, 4), side=st.integers(1, 8), noise=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_canvases(size: int, fragments: int, side: int, noise: float, seed: int) -> None:
    clutter = Clutter(size, fragments, side, noise)
    images, labels = synthesise("train", 20, clutter, np.random.default_rng(seed))
    assert images.shape == (20, 1, size, size)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert set(labels.tolist()) <= set(range(10))


def test_the_digit_is_whole_on_its_canvas() -> None:
    images, labels = synthesise("val", 30, Clutter(fragments=0, noise=0.0), np.random.default_rng(0))
    base, base_labels = base_images()["val"]
    ink = images / 3.0 + 0.2
    for image, label in zip(ink[:, 0], labels, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (8, 8)).reshape(-1, 8, 8)
        found = [np.abs(windows - b).max(axis=(1, 2)).min() < 1e-5 for b in base[base_labels == label]]
        assert any(found)


@pytest.mark.parametrize("arguments", [{"size": 10}, {"size": 4}, {"fragment": 9}, {"fragments": -1}, {"noise": -0.1}])
def test_bad_clutter(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        Clutter(**arguments)


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="train, val, test"):
        synthesise("all", 3, Clutter(), np.random.default_rng(0))


def _images(count: int = 40) -> Images:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    y = torch.randint(5, (count,), generator=generator)
    mean, std = (127.0, 127.0, 127.0), (64.0, 64.0, 64.0)
    return Images("toy", train=(x, y), val=(x[:10], y[:10]), test=(x[10:20], y[10:20]), classes=5, mean=mean, std=std)


def test_epochs_are_permutations_that_depend_on_the_epoch() -> None:
    data = _images()
    first, labels = data.part(1, 0)
    assert not torch.equal(first, data.part(1, 1)[0])
    torch.testing.assert_close(first, data.part(1, 0)[0])
    assert sorted(labels.tolist()) == sorted(data.part(2, 5)[1].tolist())


def test_normalise_and_errors() -> None:
    data = _images()
    assert abs(float(data.normalise(data.held_out("val")[0]).mean())) < 0.2
    with pytest.raises(ValueError, match="val and test"):
        data.held_out("train")
    split = (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 7]))
    with pytest.raises(ValueError, match=r"label in 0\.\.4"):
        Images("bad", train=split, val=split, test=split, classes=5, mean=(0.0,), std=(1.0,))


def test_augmentation_is_a_flip_and_a_shift() -> None:
    images = torch.rand(64, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 1.0
    draw = partial(augmentation, count=64, flip=True, crop=2, device=torch.device("cpu"))
    out = draw(1)(images)
    torch.testing.assert_close(out, draw(1)(images))
    assert not torch.equal(out, draw(2)(images))
    assert torch.equal(out[10:30], draw(1).of(10, 30)(images[10:30]))
    padded = torch.nn.functional.pad(images, (2,) * 4)
    for i in range(64):
        views = [padded[i, :, a : a + 8, b : b + 8] for a in range(5) for b in range(5)]
        candidates = [v for view in views for v in (view, _mirrored(padded[i], view))]
        assert any(torch.equal(out[i], c) for c in candidates) or _is_mirrored_shift(out[i], images[i])
    assert augmentation(1, 64, flip=False, crop=0, device=torch.device("cpu"))(images) is images


def _mirrored(_: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    return view.flip(-1)


def _is_mirrored_shift(out: torch.Tensor, image: torch.Tensor) -> bool:
    padded = torch.nn.functional.pad(image.flip(-1), (2,) * 4)
    return any(torch.equal(out, padded[:, a : a + 8, b : b + 8]) for a in range(5) for b in range(5))


@pytest.mark.parametrize("data", [_images(), Digits(part_size=32, held_out_size=8)], ids=["stored", "stream"])
def test_a_pool_holds_every_seeds_part(data: Images | Digits) -> None:
    images, labels, order = data.pool([3, 5, 3], 1)
    for seed, positions in zip((3, 5, 3), order, strict=True):
        expected = data.part(seed, 1)
        torch.testing.assert_close((images[positions], labels[positions]), expected)


def test_augmentation_of_seeds_is_that_of_each() -> None:
    data = _images()
    x = data.normalise(data.held_out("val")[0])
    both = of_epoch(data, [3, 5], 1, flip=True, crop=2)
    each = [of_epoch(data, [seed], 1, flip=True, crop=2).of(4, 14)(x) for seed in (3, 5)]
    assert torch.equal(both.of(4, 14)(torch.cat([x, x])), torch.cat(each))
