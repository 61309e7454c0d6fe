"""Runs in parts answer as the same runs in one, and stretches of seeds say what a mapping of each would."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import LabError, Query, Record, Result
from nasbench_lab.study import runs, store
from nasbench_lab.study.runner import Run

HEADER = {"strategy": "made up", "evaluator": {"objectives": ["val"]}}
CELLS = 12
ENDS = ("queries", "seconds", "strategy")


def record(order: int, rng: np.random.Generator) -> Record:
    query = Query(int(rng.integers(CELLS)), 12)
    val = math.nan if rng.random() < 0.1 else float(rng.normal())
    return Record(
        order, Result(query, val, 1.5), order + rng.random(), int(rng.integers(-1, CELLS)), float(rng.random())
    )


def made(seed: int, count: int) -> Run:
    rng = np.random.default_rng(seed)
    return Run([record(order, rng) for order in range(count)], ENDS[seed % 3 if seed % 7 else 0])


@st.composite
def lengths(draw):
    """Lengths of runs of consecutive seeds, and where they are cut into parts."""
    counts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=14))
    cuts = draw(st.sets(st.integers(1, len(counts)), max_size=4))
    return counts, sorted({0, len(counts), *cuts})


def block(counts, first, stop):
    rows = store.rows_of({seed: made(seed, counts[seed]) for seed in range(first, stop)})
    return runs.of(HEADER, rows.columns, rows.ended, {})


@settings(deadline=None)
@given(lengths())
def test_what_is_asked_of_parts_is_what_is_asked_of_the_whole(drawn):
    counts, cuts = drawn
    whole = block(counts, 0, len(counts))
    parts = runs.joined([block(counts, a, b) for a, b in pairwise(cuts)][::-1])
    hit = np.arange(CELLS) % 5 == 0
    for of in (whole, parts):
        assert of.counts.tolist() == counts
        assert of.seeds.tolist() == list(range(len(counts)))
        assert dict(of.ended) == {seed: made(seed, count).ended for seed, count in enumerate(counts)}
    asked = (
        lambda of: of.incumbents_at_queries(np.array([1, 2, 5, 100])),
        lambda of: of.incumbents_at_seconds(np.array([0.0, 0.5, 2.5, 9.0])),
        lambda of: of.first(hit),
        lambda of: of.total("seconds"),
        lambda of: of.last("incumbent"),
        lambda of: of.last("finished"),
        lambda of: of.columns["val"],
    )
    for question in asked:
        np.testing.assert_allclose(question(parts), question(whole), rtol=1e-12)
    assert store.digest(parts.columns) == store.digest(whole.columns)
    some = list(range(0, len(counts), 2))
    assert store.digest(parts.only(some).columns) == store.digest(whole.only(some).columns)
    by_hand = [
        next((i + 1 for i, r in enumerate(made(s, n).records) if r.incumbent >= 0 and hit[r.incumbent]), math.inf)
        for s, n in enumerate(counts)
    ]
    assert whole.first(hit).tolist() == by_hand


@given(st.dictionaries(st.integers(0, 40), st.sampled_from(ENDS)))
def test_stretches_say_what_each_seed_says(ended):
    found = runs.Endings.of(ended)
    assert dict(found) == ended
    assert found == ended
    assert found.seeds.tolist() == sorted(ended)
    assert len(found) == len(ended)
    assert [seed for each in found.ranges for seed in each] == sorted(ended)
    within = found.within(range(5, 20))
    assert dict(within) == {seed: why for seed, why in ended.items() if 5 <= seed < 20}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8))), st.integers(0, 20), st.integers(0, 20))
def test_what_is_lacking_is_what_is_wanted_and_not_there(pairs, first, count):
    there = [range(start, start + size) for start, size in pairs]
    wanted, known = range(first, first + count), {n for each in there for n in each}
    assert [n for each in runs.lacking(wanted, there) for n in each] == [n for n in wanted if n not in known]
    assert [n for each in runs.merged(there) for n in each] == sorted(known)


def test_records_of_a_large_file_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_LARGE", 10)
    path = tmp_path / "x.parquet"
    store.write(path, HEADER, {seed: made(seed, 5) for seed in range(6)})
    small = tmp_path / "y.parquet"
    store.write(small, HEADER, {seed: made(seed, 2) for seed in range(6, 9)})
    kept, whole = store.stored(path), store.read(path)
    assert not isinstance(kept.columns, dict)
    assert isinstance(store.stored(small).columns, dict)
    assert store.digest(kept.columns) == store.digest(whole.columns)
    together = store.join([store.stored(small), kept])
    assert together.seeds.tolist() == list(range(9))
    assert together.last("arch").tolist() == [*whole.last("arch"), *store.read(small).last("arch")]
    store.write(path, HEADER, {seed: made(seed + 1, 5) for seed in range(6)})
    with pytest.raises(LabError, match="was changed while it was read"):
        kept.last("arch")
    path.unlink()
    with pytest.raises(LabError, match="cannot be read any more"):
        kept.last("arch")
