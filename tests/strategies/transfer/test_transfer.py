"""Transfer: what is learned from other datasets helps where they are alike, and does little harm where they are not."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from conftest import few
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from nasbench_lab import extras, loading
from nasbench_lab.core import LabError, Result, Task
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.transfer._sources import sources_of, with_shuffled_sources
from nasbench_lab.strategies.transfer.transfer_gp import TransferGp
from nasbench_lab.strategies.transfer.zero_shot_prior import ZeroShotPrior, mean_rank
from nasbench_lab.surrogates._canonical import pool_of
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._rgpe import leave_one_out, misranked, ranking_weights

RNG = np.random.default_rng(0)
SMALL = Space((3, 4, 3, 2))
META = pytest.param("meta_bayes_linear", marks=pytest.mark.needs("torch"))
MEAN = pytest.param("meta_bayes_linear:expected=mean", marks=pytest.mark.needs("torch"))
NAMES = ("transfer_gp", "zero_shot_prior", META, MEAN)


@pytest.fixture(autouse=True)
def _one_meta_training(monkeypatch):
    """Seconds are saved where all seeds share one."""
    if not extras.absent("torch"):
        monkeypatch.setattr("nasbench_lab.strategies.transfer.meta_bayes_linear._VARIANTS", 1)


def additive(space: Space, seed: int) -> np.ndarray:
    return 50.0 + 5.0 * space.one_hot @ np.random.default_rng(seed).normal(size=space.one_hot.shape[1])


# a function of what the network does, as accuracy is
TARGET = 50.0 + 5.0 * encodings.FEATURES["structure"]() @ np.random.default_rng(1).normal(size=24) / 24**0.5
ALIKE = np.exp(TARGET / 20.0) + np.random.default_rng(2).normal(scale=0.2, size=len(TARGET))  # other units, some noise


def task_with(space: Space = cell.SPACE, **sources: np.ndarray) -> Task:
    return Task(space, (12,), known={f"source/{name}": values for name, values in sources.items()})


def step(strategy, values=TARGET) -> int:
    query = strategy.ask()
    strategy.tell(Result(query, float(values[query.arch]), 1.0))
    return query.arch


def run(strategy, task: Task, count: int, values=TARGET, seed: int = 0) -> list[int]:
    strategy.start(task, seed)
    return [step(strategy, values) for _ in range(count)]


def best_rank(name: str, task: Task) -> float:
    """Rank of the best of three cells asked for, the geometric mean over 16 seeds.

    After three, one run's logarithm of it differs from another's by up to 3, as there is one cell that a model chose.
    """
    runs = [run(loading.build("strategies", name), task, 3, seed=seed) for seed in range(16)]
    return float(np.exp(np.mean([np.log(1 + (max(TARGET[asked]) < TARGET).sum()) for asked in runs])))


# --- RGPE's weights on constructed tasks


def test_a_source_that_ranks_right_takes_the_weight():
    y = np.arange(12.0)
    weights = ranking_weights(np.stack([np.exp(y), RNG.permutation(y), RNG.permutation(y)]), y, 200, RNG)
    assert weights[0] > 0.95
    assert weights.sum() == pytest.approx(1.0)


def test_a_source_that_ranks_backwards_gets_nothing():
    y = np.arange(12.0)
    target = y.copy()
    target[[0, 1]] = target[[1, 0]]
    assert ranking_weights(np.stack([-y, target]), y, 200, RNG).tolist() == [0.0, 1.0]


def test_many_useless_sources_do_not_dilute():
    """Each of 50 noise sources may win a few bootstrap samples by luck; the guard leaves them out."""
    y = np.arange(15.0)
    target = y + np.where(np.arange(15) % 5 == 0, 1.5, 0.0)
    noise = np.stack([RNG.permutation(y) for _ in range(50)])
    assert ranking_weights(np.concatenate([noise, target[None]]), y, 100, RNG)[-1] == pytest.approx(1.0)


def test_equal_models_share():
    y = np.arange(6.0)
    assert ranking_weights(np.stack([y, y]), y, 10, RNG).tolist() == [0.5, 0.5]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8), st.randoms())
def test_misranked_counts_pairs(y, random):
    predicted = [random.randint(0, 5) for _ in y]
    wrong = misranked(np.array(predicted, float), np.array(y, float))
    pairs = [[(p < q) != (a < b) for q, b in zip(predicted, y, strict=True)] for p, a in zip(predicted, y, strict=True)]
    assert wrong.tolist() == np.array(pairs, float).tolist()


def test_leave_one_out_is_what_the_others_predict():
    archs = RNG.choice(cell.SPACE.size, 12, replace=False)
    pool = pool_of(cell.SPACE)
    rows, y = pool.row_of[archs], (TARGET[archs] - 50) / 10
    model = PoolGP(pool.parts)
    model.extend(rows.tolist())
    model.fit(y)
    found = leave_one_out(model, y)
    for i in range(12):
        others = np.delete(np.arange(12), i)
        kernel = prior_covariance(model, rows)
        inner = kernel[np.ix_(others, others)] + (model.noise + 1e-8) * np.eye(11)
        expected = model.mean + kernel[i, others] @ np.linalg.solve(inner, y[others] - model.mean)
        assert found[i] == pytest.approx(expected, abs=1e-5)


def prior_covariance(model: PoolGP, rows: np.ndarray) -> np.ndarray:
    """That of a model that has seen nothing."""
    return PoolGP(model.parts, theta=model.theta).covariance(rows)


# --- the strategies


@pytest.mark.parametrize("spec", ["transfer_gp", META])
def test_without_a_source_it_is_the_cold_start(spec):
    with_source_draws = run(loading.build("strategies", spec), task_with(), 8)
    design = run(loading.build("strategies", "gp_bo"), task_with(), 8)
    assert with_source_draws[:2] == design[:2]
    if spec == "transfer_gp":
        assert with_source_draws == design


@pytest.mark.parametrize("name", few(NAMES, "transfer_gp", "zero_shot_prior"))
def test_a_source_that_is_alike_helps(name):
    assert best_rank(name, task_with(alike=ALIKE)) < 0.5 * best_rank(name, task_with())


@pytest.mark.parametrize("name", few(NAMES, "zero_shot_prior"))
def test_a_shuffled_source_does_not(name):
    task = task_with(alike=ALIKE)
    assert best_rank(f"{name}{',' if ':' in name else ':'}shuffled=true", task) > 2 * best_rank(name, task)


@pytest.mark.parametrize("name", NAMES)
def test_pickled_mid_run_and_repeated_it_goes_on_alike(name):
    task = task_with(alike=ALIKE)
    strategy = loading.build("strategies", name)
    first = run(strategy, task, 5)
    copy = pickle.loads(pickle.dumps(strategy))
    rest = [step(strategy) for _ in range(3)]
    assert [step(copy) for _ in range(3)] == rest
    assert run(loading.build("strategies", name), task, 8) == first + rest


@pytest.mark.parametrize("name", NAMES)
def test_sources_with_gaps_and_any_space(name):
    values, source = additive(SMALL, 3), additive(SMALL, 4)
    source[::3] = np.nan
    task = task_with(SMALL, gaps=source, empty=np.full(SMALL.size, np.nan))
    strategy = loading.build("strategies", name)
    asked = run(strategy, task, SMALL.size, values)
    assert sorted(asked) == list(range(SMALL.size))
    assert strategy.ask() is None


@pytest.mark.parametrize("name", NAMES)
def test_pending_and_failed_cells(name):
    strategy = loading.build("strategies", name)
    run(strategy, task_with(alike=ALIKE), 4)
    queries = [strategy.ask() for _ in range(4)]
    assert len({query.arch for query in queries}) == 4
    for query in reversed(queries):
        strategy.tell(Result(query, float("nan"), 1.0))
    assert step(strategy) not in {query.arch for query in queries}


def test_shuffling_keeps_scores_and_leaves_other_knowledge():
    task = task_with(a=ALIKE)
    task = replace(task, known={**task.known, "params_m": TARGET})
    dealt = with_shuffled_sources(task, np.random.default_rng(1))
    assert sorted(dealt.known["source/a"]) == sorted(ALIKE)
    assert abs(spearmanr(dealt.known["source/a"], ALIKE)[0]) < 0.05
    assert np.array_equal(dealt.known["params_m"], TARGET)
    assert list(sources_of(task)) == ["a"]


def test_zero_shot_follows_the_mean_rank_then_moves_to_neighbours():
    values, source = additive(SMALL, 3), additive(SMALL, 3)
    source[int(values.argmax())] = 0.0  # the best cell is one that the source thinks nothing of
    strategy = ZeroShotPrior(trust=4)
    asked = run(strategy, task_with(SMALL, a=source), 5, values)
    assert asked[:4] == np.argsort(-source)[:4].tolist()
    best = max(asked[:4], key=lambda arch: values[arch])
    free = [arch for arch in SMALL.neighbours_of(best) if arch not in asked[:4]]
    assert asked[4] == max(free, key=lambda arch: source[arch])


def test_mean_rank_averages_and_puts_the_unknown_last():
    ranks = mean_rank([np.array([1.0, 5.0, 3.0, np.nan]), np.array([10.0, 40.0, 30.0, 20.0])])
    assert np.argsort(-ranks).tolist() == [1, 2, 0, 3] or np.argsort(-ranks).tolist() == [1, 2, 3, 0]
    assert ranks[3] == pytest.approx(1.5)


@pytest.mark.needs("torch")
@pytest.mark.slow
def test_meta_training_is_the_same_again():
    from nasbench_lab.surrogates import _meta_linear

    task = task_with(alike=ALIKE)
    strategy = loading.build("strategies", "meta_bayes_linear")
    strategy.start(task, 0)
    first = strategy._model.expected
    _meta_linear.trained.cache_clear()
    strategy.start(task, 0)
    assert np.array_equal(strategy._model.expected, first)


@pytest.mark.needs("torch")
def test_before_any_result_the_meta_trained_head_expects_what_sources_say():
    strategy = loading.build("strategies", "meta_bayes_linear")
    strategy.start(task_with(alike=ALIKE), 0)
    assert spearmanr(strategy._model.expected, TARGET)[0] > 0.8


@pytest.mark.needs("torch")
def test_what_was_learned_is_left_out_where_it_was_shuffled():
    """The kernel without it is chosen by marginal likelihood, and the second cell is all that it costs."""
    chosen = {}
    for shuffled in (False, True):
        strategy = loading.build("strategies", f"meta_bayes_linear:shuffled={shuffled}".lower())
        asked = run(strategy, task_with(alike=ALIKE), 25)
        expected = strategy._model.expected.copy()
        expected[asked[0]] = -np.inf
        assert asked[1] in np.flatnonzero(expected > expected.max() - 1e-5)
        choice = strategy._model.choice_
        chosen[shuffled] = [part.name for part in choice.candidates[choice.chosen]]
    assert "expected" in chosen[False]
    assert "expected" not in chosen[True]


def test_weights_move_to_the_source_and_away_from_a_dealt_one():
    weights = {}
    for shuffled in (False, True):
        strategy = TransferGp(shuffled=shuffled)
        run(strategy, task_with(alike=ALIKE), 10)
        weights[shuffled] = strategy._model.weights[0]
    assert weights[False] > 0.5 > weights[True]


@pytest.mark.parametrize(
    "spec",
    [
        "transfer_gp:source_cells=1",
        "transfer_gp:bootstraps=0",
        "transfer_gp:surrogate=gp",
        "zero_shot_prior:trust=0",
        *(
            pytest.param(f"meta_bayes_linear:{wrong}", marks=pytest.mark.needs("torch"))
            for wrong in ("source_cells=1", "expected=nothing", "residual=false")
        ),
    ],
)
def test_bad_parameters_are_refused(spec):
    with pytest.raises(LabError):
        loading.build("strategies", spec)
