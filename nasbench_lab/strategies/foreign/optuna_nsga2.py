"""Optuna's NSGA-II sampler, for one objective or several (Deb et al. 2002).

Optuna's code and defaults, see `_optuna`, but for a population of 20 rather than 50, as budgets here are hundreds of
queries. Our own is `nsga2`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasbench_lab.strategies.foreign._optuna import OptunaStrategy, optuna


@dataclass
class OptunaNsga2(OptunaStrategy):
    """`optuna.samplers.NSGAIISampler`.

    Attributes:
        population: cells per generation.
    """

    initial: int = 20
    population: int = 20

    paper = "Deb et al. 2002, doi:10.1109/4235.996017; Akiba et al. 2019, arXiv:1907.10902"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population < 2:
            raise ValueError(f"population must be at least 2, got {self.population}")

    def sampler(self, seed: int) -> Any:
        return optuna().samplers.NSGAIISampler(seed=seed, population_size=self.population)
