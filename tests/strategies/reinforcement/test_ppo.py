from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.reinforcement.ppo import PPO
from nasbench_lab.study.runner import search


def started(options=(2, 4, 3), **settings):
    strategy = PPO(**settings)
    strategy.start(Task(Space(options), (1,)), 0)
    return strategy


def entropy(strategy) -> float:
    p = strategy.probabilities
    return float(-(p * np.log(p, where=p > 0, out=np.zeros_like(p))).sum())


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.9), st.floats(0, 1))
def test_its_gradient_is_torchs_of_the_clipped_objective(seed, clip, bonus):
    torch = pytest.importorskip("torch")
    rng, options = np.random.default_rng(seed), (2, 4, 3)
    strategy = started(options, clip=clip, entropy=bonus)
    strategy._policy.descend(rng.normal(size=(3, 4)) * (strategy.probabilities > 0))
    archs = rng.integers(24, size=7)
    choices = strategy.task.space.choices[archs].astype(np.int64)
    before, advantages = rng.uniform(0.05, 0.9, (7, 3)), rng.normal(size=7)
    ours = strategy._gradient(choices, before, advantages)

    loss = torch.zeros((), dtype=torch.float64)
    logits = [torch.tensor(np.log(strategy.probabilities[e, :n]), requires_grad=True) for e, n in enumerate(options)]
    for e, row in enumerate(logits):
        p = torch.softmax(row, 0)
        ratio, gain = p[choices[:, e]] / torch.tensor(before[:, e]), torch.tensor(advantages)
        objective = torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
        loss = loss - objective.mean() / 3 + bonus * (p * p.log()).sum() / 3
    loss.backward()
    for e, (row, n) in enumerate(zip(logits, options, strict=True)):
        assert ours[e, :n] == pytest.approx(row.grad.numpy(), abs=1e-9)
        assert not ours[e, n:].any()


@pytest.mark.parametrize(
    ("before", "advantage", "flat"),
    [(0.25, 1.0, True), (0.25, -1.0, False), (0.75, 1.0, False), (0.75, -1.0, True), (0.5, 1.0, False)],
)
def test_the_clip_stops_what_has_gone_far_enough_and_nothing_else(before, advantage, flat):
    """One decision, two options, now even; a chance of a quarter has doubled, one of three quarters has shrunk."""
    strategy = started((2,), entropy=0.0, clip=0.2)
    gradient = strategy._gradient(np.array([[0]]), np.array([[before]]), np.array([advantage]))
    assert (not gradient.any()) == flat
    if not flat:
        assert np.sign(gradient[0]).tolist() == [-advantage, advantage]


def test_a_batch_moves_no_probability_far_beyond_the_clip():
    def after(clip):
        strategy = started((2, 2), batch=2, epochs=300, learning_rate=0.01, clip=clip, entropy=0.0)
        for arch, score in ((0, 90.0), (3, 10.0)):
            strategy.tell(Result(Query(arch, 1), score, 1.0))
        return strategy.probabilities[0, 0]

    assert after(0.2) == pytest.approx(0.6, abs=0.06)  # even chances times 1.2; momentum coasts on a little
    assert after(1e9) > 0.9


def test_entropy_falls_and_the_best_cell_becomes_likely():
    evaluator, strategy = Additive((3, 3, 3)), PPO()
    best = evaluator.task.space.row(int(evaluator.val.argmax()))
    entropies, chances = [], []
    for queries in (1, 60, 200):
        search(strategy, evaluator, seed=1, max_queries=queries)
        entropies.append(entropy(strategy))
        chances.append(np.prod([strategy.probabilities[e, choice] for e, choice in enumerate(best)]))
    assert entropies[0] > entropies[1] > entropies[2]
    assert chances[2] > 10 * chances[0]


def test_the_bonus_keeps_entropy():
    ends = []
    for bonus in (0.0, 0.1, 1.0):
        strategy = PPO(entropy=bonus)
        search(strategy, Additive((3, 3, 3)), seed=2, max_queries=200)
        ends.append(entropy(strategy))
    assert ends[0] < ends[1] < ends[2]


def test_a_late_result_is_weighed_by_the_chances_it_was_asked_with():
    strategy = started((3, 3), batch=2)
    query = strategy.ask()
    asked = strategy._chances(query.arch)
    others = [arch for arch in range(9) if arch != query.arch]
    for arch, score in ((others[0], 90.0), (others[-1], 10.0)):  # an update in between
        strategy.tell(Result(Query(arch, 1), score, 1.0))
    strategy.tell(Result(query, 50.0, 1.0))
    assert np.array_equal(strategy._batch[0][1], asked)
    assert not np.array_equal(strategy._chances(query.arch), asked)


def test_failures_and_equal_scores_teach_nothing():
    strategy = started((3, 3), batch=2)
    before = strategy.probabilities
    for arch, score in ((0, float("nan")), (1, 50.0), (2, 50.0), (3, float("nan"))):
        strategy.tell(Result(Query(arch, 1), score, 1.0))
    assert np.array_equal(strategy.probabilities, before)


@pytest.mark.parametrize(
    "arguments",
    [{"batch": 1}, {"epochs": 0}, {"learning_rate": 0}, {"clip": 0.0}, {"entropy": -1.0}, {"clip": float("nan")}],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="need"):
        PPO(**arguments)
