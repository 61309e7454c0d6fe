"""Damaged files of every kind: never another number, never an exception of somebody else's.

`DAMAGES=3000 pytest -m slow tests/files/test_damages.py` tries 3,000 of each kind.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")

from damages import damaged, kinds

from nasbench_lab.core import LabError

KINDS = (
    "leaderboard.json", "leaderboard.md", "curves.csv", "details.json", "manifest.json", "runs", "table", "shard", "cache",
    "checkpoint of a training", "checkpoint of a supernet", "outcome of an experiment",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    found = kinds(tmp_path_factory.mktemp("whole"))
    assert set(found) == set(KINDS)
    return found


def tried(kind, count, seed=0) -> Counter:
    content, known = kind.path.read_bytes(), kind.read(kind.path)
    rng, found = np.random.default_rng(seed), Counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zipfile comments on what it finds
            for number in range(count):
                kind.path.write_bytes(damaged(rng, content))
                try:
                    assert kind.read(kind.path) == known, f"damage {number} is another number"
                    found["same"] += 1
                except LabError as error:
                    assert str(kind.path) in str(error), (
                        f"damage {number} is an error that does not name the file: {error}"
                    )
                    found["error"] += 1
    finally:
        kind.path.write_bytes(content)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_an_error_or_the_same_numbers(kind, whole):
    assert tried(whole[kind], 25).total() == 25


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damages_of_every_kind(kind, whole):
    count = int(os.environ.get("DAMAGES", "300"))
    found = tried(whole[kind], count, seed=1)
    print(f"{kind}: {dict(found)}")
    assert found.total() == count
