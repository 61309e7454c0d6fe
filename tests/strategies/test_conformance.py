"""Every strategy there is, and the documented variants, through the public conformance kit."""

from __future__ import annotations

import pytest

from nasbench_lab import loading

VARIANTS = (
    "random_search:replacement=true",
    "local_search:improvement=best",
    "regularized_evolution:population=50,sample=10",
    "reinforce:learning_rate=0.5",
    "successive_halving:eta=2",
    "asha:eta=2",
    "tpe:weights=uniform",
    "bohb:num_samples=4,random_fraction=0,min_bandwidth=0.3,bandwidth_factor=1,replacement=true",
    "genetic:crossover=one-point",
    "mcts:prior=0.0,temperature=inf,initial=0",
    "q_learning:shaped=false,uniform=0.5556,learning_rate=0.01",
    "simulated_annealing:cooling=linear",
    "gp_bo:acquisition=thompson,candidates=climb",
    "gp_bo:acquisition=its,candidates=mutation,batch=3",
)


@pytest.mark.strategies(*loading.names("strategies"), *VARIANTS)
def test_conformance(strategy_check):
    strategy_check()
