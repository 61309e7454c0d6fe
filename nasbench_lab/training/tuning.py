"""Tuning one cell's training: learning rate, weight decay, momentum and batch by Gaussian process and expected improvement.

Trial 0 is the recipe itself, then a Sobol start, then `SingleTaskGP` with `LogExpectedImprovement` (Ament et al. 2023)
from botorch, on the unit cube: log10 lr, log10 weight decay, log10(1 - momentum) and log2 batch, each linear in its
range. Validation is noisy, so EI improves on the best posterior mean among the points tried, and the winner is the
trial with the best posterior mean, not the luckiest one.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.seeding import seeded

BATCHES = (32, 64, 128, 256)  # what the fused engine can run and 4,096 canvases divide into
_LR, _DECAY, _MOMENTUM = (-2.5, -0.3), (-5.5, -2.0), (-2.0, -0.3)  # log10; of momentum: log10(1 - m)


@dataclass(frozen=True)
class Trial:
    """One training while tuning: its recipe and its final validation accuracy, percent; nan if it diverged."""

    recipe: Recipe
    val: float


def decode(point: list[float], base: Recipe) -> Recipe:
    """A point of the unit cube as a recipe; numbers rounded to three digits, so that they can be written down."""
    lr, decay, momentum = (
        10 ** (low + u * (high - low)) for u, (low, high) in zip(point, (_LR, _DECAY, _MOMENTUM), strict=False)
    )
    batch = BATCHES[round(point[3] * (len(BATCHES) - 1))]
    return replace(base, lr=_short(lr), weight_decay=_short(decay), momentum=round(1 - momentum, 4), batch=batch)


def encode(recipe: Recipe) -> list[float]:
    """The inverse of `decode`, clipped to the cube."""
    logs = (
        math.log10(max(recipe.lr, 1e-9)),
        math.log10(max(recipe.weight_decay, 1e-9)),
        math.log10(1 - recipe.momentum),
    )
    point = [(x - low) / (high - low) for x, (low, high) in zip(logs, (_LR, _DECAY, _MOMENTUM), strict=True)]
    point.append(math.log2(recipe.batch / BATCHES[0]) / (len(BATCHES) - 1))
    return [min(max(u, 0.0), 1.0) for u in point]


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def proposals(base: Recipe, trials: int, *, seed: int = 0) -> Generator[Recipe, float, tuple[Recipe, list[Trial]]]:
    """Recipes to try, one after another: each is answered (`send`) by its final validation accuracy.

    The answer is in percent; nan counts as the worst seen. Returned is the best recipe found, and all trials.

    Args:
        base: the recipe to start from; only lr, weight decay, momentum and batch change.
        trials: trainings in all, the base recipe's included.
        seed: of the Sobol start and of the search; the same values give the same recipes.

    Raises:
        ValueError: fewer than two trials.
    """
    if trials < 2:
        raise ValueError(f"tuning needs at least 2 trials, got {trials}")
    start = min(trials, max(4, trials // 3))
    engine = torch.quasirandom.SobolEngine(4, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    sobol = engine.draw(start - 1).tolist()
    done: list[Trial] = []
    for number in range(trials):
        if number == 0:
            recipe = base
        elif number < start:
            recipe = decode(sobol[number - 1], base)
        else:
            recipe = decode(_next(done, seed + number), base)
        done.append(Trial(recipe, (yield recipe)))
    means = _posterior_means(done)
    return done[int(np.argmax(means))].recipe, done


def _data(done: list[Trial]) -> tuple[Tensor, Tensor]:
    x = torch.tensor([encode(trial.recipe) for trial in done], dtype=torch.float64)
    values = np.array([trial.val for trial in done])
    worst = float(np.nanmin(values)) if not np.isnan(values).all() else 0.0
    # A failure or a collapse says "bad", not how bad: without the floor one of them would flatten the model elsewhere.
    floor = max(worst, float(np.nan_to_num(np.nanmedian(values))) - 15.0)
    y = torch.tensor(np.maximum(np.nan_to_num(values, nan=worst), floor), dtype=torch.float64)
    return x, y.unsqueeze(-1)


def _model(done: list[Trial]) -> tuple[SingleTaskGP, Tensor]:
    import warnings

    x, y = _data(done)
    scaled = (y - y.mean()) / (y.std() if float(y.std()) > 0 else 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        model = SingleTaskGP(x, scaled, outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model, x


def _posterior_means(done: list[Trial]) -> list[float]:
    model, x = _model(done)
    with torch.no_grad():
        means: list[float] = model.posterior(x).mean.squeeze(-1).tolist()
    return [m if math.isfinite(t.val) else -math.inf for m, t in zip(means, done, strict=True)]


def _next(done: list[Trial], seed: int) -> list[float]:
    """The point with the largest expected improvement."""
    with seeded(seed):
        model, x = _model(done)
        with torch.no_grad():
            best = model.posterior(x).mean.max()
        bounds = torch.tensor([[0.0] * 4, [1.0] * 4], dtype=torch.float64)
        point, _ = optimize_acqf(LogExpectedImprovement(model, best_f=best), bounds, 1, num_restarts=4, raw_samples=64)
    found: list[float] = point[0].tolist()
    return found
