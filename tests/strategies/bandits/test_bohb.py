from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.bandits.bohb import Bohb
from nasbench_lab.strategies.bandits.hyperband import Hyperband
from nasbench_lab.study.runner import search

SPACE = Space((3, 4, 2))


def told(strategy, results, fidelities=(1, 3, 9)):
    strategy.start(Task(SPACE, fidelities), 0)
    for arch, epochs, score in results:
        strategy.tell(Result(Query(arch, epochs), score, 1.0))
    return strategy


def by_hand(row, archs, least=1e-3):
    """Product Aitchison-Aitken kernels with the rule of thumb, written down plainly."""
    rows, value = [SPACE.row(arch) for arch in archs], 0.0
    widths = []
    for e, count in enumerate(SPACE.options):
        shares = [sum(r[e] == c for r in rows) / len(rows) for c in range(count)]
        width = 1.06 * math.sqrt(1 - sum(p * p for p in shares)) * len(rows) ** (-1 / (4 + 3))
        widths.append(min(max(width, least), (count - 1) / count))
    for centre in rows:
        kernel = 1.0
        for e, count in enumerate(SPACE.options):
            kernel *= 1 - widths[e] if row[e] == centre[e] else widths[e] / (count - 1)
        value += kernel / len(rows)
    return value


@pytest.mark.parametrize("count", [6, 9, 40])
def test_both_densities_are_the_formula(count):
    rng = np.random.default_rng(count)
    archs, scores = rng.integers(24, size=count).tolist(), rng.permutation(count).astype(float).tolist()
    good, bad = told(Bohb(), [(a, 3, s) for a, s in zip(archs, scores, strict=True)]).densities()
    ranked = [arch for _, arch in sorted(zip(scores, archs, strict=True), reverse=True)]
    best = max(4, int(0.15 * count))  # N_min = E + 1
    worst = max(4, count - best)
    everything = [SPACE.row(arch) for arch in range(24)]
    assert good(SPACE.choices) == pytest.approx([by_hand(row, ranked[:best]) for row in everything])
    assert bad(SPACE.choices) == pytest.approx([by_hand(row, ranked[-worst:]) for row in everything])


def test_the_model_is_of_the_most_epochs_with_enough_results():
    low = [(arch, 1, float(arch)) for arch in range(20)]
    middle = [(arch, 3, -float(arch)) for arch in range(5)]
    assert told(Bohb(), low[:5]).densities() is None  # N_min + 2 = 6
    assert set(map(tuple, told(Bohb(), low + middle).densities()[0].centres)) == {SPACE.row(a) for a in range(16, 20)}
    enough = told(Bohb(), [*low, *middle, (5, 3, -5.0)])
    assert set(map(tuple, enough.densities()[0].centres)) == {SPACE.row(a) for a in range(4)}


def test_bandwidths_do_not_depend_on_the_options_numbers():
    rows = SPACE.choices[[0, 3, 5, 9, 17, 20]]
    renamed = rows.copy()
    renamed[:, 1] = np.array([2, 0, 3, 1])[rows[:, 1]]
    strategy = told(Bohb(), [])
    assert strategy._bandwidths(rows) == pytest.approx(strategy._bandwidths(renamed))


def test_a_decision_that_is_always_the_same_keeps_the_least_bandwidth():
    rows = SPACE.choices[[0, 1, 2, 3]]
    assert (rows[:, 0] == 0).all()
    assert told(Bohb(min_bandwidth=0.3), [])._bandwidths(rows)[0] == 0.3


def test_until_there_is_a_model_and_for_the_random_share_it_is_hyperband():
    evaluator = Additive((5,) * 4, fidelities=(1, 3, 9, 27, 81))
    plain, always, model = (
        [r.result.query for r in search(strategy, evaluator, seed=0, max_queries=206).records]
        for strategy in (Hyperband(), Bohb(random_fraction=1.0), Bohb(random_fraction=0.0))
    )
    assert always == plain
    assert model[:7] == plain[:7]  # N_min + 2 with 4 decisions
    assert [query.epochs for query in model] == [query.epochs for query in plain]
    assert model != plain


def test_the_model_finds_better_cells_to_begin_with():
    """Better than uniform cells by more than five standard errors of as many of these."""
    evaluator, began = Additive((5,) * 4), []
    for seed in range(8):  # one run's mean differs from another's by .84, which is a third of what it gains
        records = search(Bohb(), evaluator, seed=seed, max_queries=150).records
        began += [evaluator.val[r.result.query.arch] for r in records if r.result.query.epochs == 1][20:]
    assert np.mean(began) > evaluator.val.mean() + 5 * evaluator.val.std() / np.sqrt(len(began))


def test_cells_begin_once_unless_replacement_is_asked_for():
    evaluator = Additive((3, 3), fidelities=(9,))
    assert len(search(Bohb(), evaluator, seed=0, max_queries=50).records) == 9
    assert len(search(Bohb(replacement=True, random_fraction=0.0), evaluator, seed=0, max_queries=50).records) == 50


def test_failures_are_bad():
    good, bad = told(Bohb(), [(arch, 1, math.nan if arch < 6 else 1.0) for arch in range(12)]).densities()
    assert set(map(tuple, good.centres)) == {SPACE.row(arch) for arch in range(6, 10)}
    assert {SPACE.row(arch) for arch in range(6)} < set(map(tuple, bad.centres))


@pytest.mark.parametrize(
    "arguments",
    [
        {"eta": 1},
        {"random_fraction": 1.1},
        {"top": 0.0},
        {"min_points": -1},
        {"num_samples": 0},
        {"bandwidth_factor": 0.0},
        {"min_bandwidth": 0.0},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Bohb(**arguments)
