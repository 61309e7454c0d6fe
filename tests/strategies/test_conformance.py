"""Every strategy there is, and the documented variants, through the public conformance kit."""

from __future__ import annotations

import pytest

from nasbench_lab import loading

VARIANTS = (
    "random_search:replacement=true",
    "local_search:improvement=best",
    "regularized_evolution:population=50,sample=10",
    "reinforce:learning_rate=0.5",
)


@pytest.mark.strategies(*loading.names("strategies"), *VARIANTS)
def test_conformance(strategy_check):
    strategy_check()
