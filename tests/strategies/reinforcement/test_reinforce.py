from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.reinforcement.reinforce import Reinforce
from nasbench_lab.study.runner import search


@pytest.mark.parametrize("options", [(5,) * 6, (2, 4, 3)])
def test_its_steps_are_torchs_autograd_and_adam_on_the_same_samples(options):
    torch = pytest.importorskip("torch")
    space, rng = Space(options), np.random.default_rng(0)
    strategy = Reinforce(learning_rate=0.05, momentum=0.8)
    strategy.start(Task(space, (1,)), 7)
    logits = [torch.tensor(np.log(strategy.probabilities[e, :n]), requires_grad=True) for e, n in enumerate(options)]
    optimizer = torch.optim.Adam(logits, lr=0.05)
    numerator = weight = 0.0
    for _ in range(200):
        arch, reward = space.sample(rng), float(rng.uniform(10, 95))
        strategy.tell(Result(Query(arch, 1), reward, 1.0))
        numerator, weight = 0.8 * numerator + 0.2 * reward, 0.8 * weight + 0.2
        log_p = sum(torch.log_softmax(row, 0)[choice] for row, choice in zip(logits, space.row(arch), strict=True))
        optimizer.zero_grad()
        (-log_p * (reward - numerator / weight)).backward()
        optimizer.step()
    expected = [torch.softmax(row, 0).detach().numpy() for row in logits]
    for e, n in enumerate(options):
        assert strategy.probabilities[e, :n] == pytest.approx(expected[e], abs=1e-9)
        assert not strategy.probabilities[e, n:].any()


def test_the_policy_starts_nearly_uniform():
    strategy = Reinforce()
    strategy.start(Task(Space((5, 5)), (1,)), 0)
    assert strategy.probabilities == pytest.approx(0.2, abs=2e-3)


def test_samples_follow_the_policy():
    strategy = Reinforce(learning_rate=0.3)
    search(strategy, Additive((3, 4)), seed=0, max_queries=40)
    rows = np.array([strategy.task.space.row(strategy.propose().arch) for _ in range(8000)])
    for edge, count in enumerate((3, 4)):
        shares = np.bincount(rows[:, edge], minlength=count) / 8000
        assert shares == pytest.approx(strategy.probabilities[edge, :count], abs=0.025)


def entropy(strategy) -> float:
    p = strategy.probabilities
    return float(-(p * np.log(p, where=p > 0, out=np.zeros_like(p))).sum())


def test_entropy_falls_and_the_best_cell_becomes_likely():
    evaluator = Additive((3, 3, 3))
    evaluator.val = 10 * evaluator.val
    strategy = Reinforce(learning_rate=0.05)
    entropies, chances = [], []
    best = evaluator.task.space.row(int(evaluator.val.argmax()))
    for queries in (1, 100, 400):
        search(strategy, evaluator, seed=1, max_queries=queries)
        entropies.append(entropy(strategy))
        chances.append(np.prod([strategy.probabilities[e, choice] for e, choice in enumerate(best)]))
    assert entropies[0] > entropies[1] > entropies[2]
    assert chances[2] > 5 * chances[0]


def test_a_failed_result_changes_nothing():
    strategy = Reinforce()
    search(strategy, Additive(), seed=0, max_queries=5)
    before = strategy.probabilities
    strategy.tell(Result(Query(0, 9), float("nan"), 1.0))
    assert np.array_equal(strategy.probabilities, before)


def test_the_policy_shown_is_a_copy():
    strategy = Reinforce()
    search(strategy, Additive(), seed=0, max_queries=2)
    strategy.probabilities[:] = 0
    assert strategy.probabilities.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("arguments", [{"learning_rate": 0}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="learning_rate > 0"):
        Reinforce(**arguments)
