"""Fits the networks of the predicted tables that the package ships: `cifar10-surrogate` and `cifar100-surrogate`.

    NASBENCH_LAB_DATA=/folder/of/the/real/tables python benchmarks/make_surrogates.py [cifar10 cifar100] [--to FOLDER]

Reads the real tables by name, fits four small perceptrons to 2,000 random classes of each, and writes
`<name>-surrogate.npz`, weights only (see `nasbench_lab.tables.predicted`). All other classes are held out: they are
used for nothing but the figures printed and kept in the header. Deterministic: the same table and version of torch give
the same weights; about a minute on one core.

The settings below were chosen on 500 of the 2,000 classes with networks fitted to the other 1,500.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nasbench_lab.core import stream
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, predicted
from nasbench_lab.tables.table import Table

Floats = NDArray[np.float64]
FITTED = 2000  # classes
SEED = 0
_SPLIT = 77  # stream of the split: the one the settings were chosen on, so that held-out classes chose nothing
MEMBERS, WIDTHS, DROPOUT = 4, (64, 64), 0.1
STEPS, BATCH, RATE, DECAY = 6000, 250, 3e-3, 0.02
FLOOR = 0.2  # least scale of a feature: a path that few cells have must not weigh more than that
CHANCE = {"cifar10": 10.0, "cifar100": 1.0}  # percent; what a cell through which nothing passes gets
SOURCE = "networks of benchmarks/make_surrogates.py, fitted to a part of NAS-Bench-201 (Dong & Yang, ICLR 2020)"
LICENCE = "MIT; figures derived from NAS-Bench-201, MIT"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("tables", nargs="*", default=["cifar10", "cifar100"])
    parser.add_argument("--to", type=Path, default=catalog.EMBEDDED)
    options = parser.parse_args()
    for name in options.tables:
        networks = fit(catalog.load(name))
        path = networks.save(options.to / f"{networks.name}.npz")
        print(path, f"{path.stat().st_size / 1e6:.2f} MB", predicted.predict(networks).digest)
        for quantity, figures in networks.about["held_out"].items():
            print(f"  {quantity}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))


def split(seed: int = SEED) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes that are fitted and those that are held out."""
    order = stream(seed, _SPLIT).permutation(cell.CLASSES)
    return np.sort(order[:FITTED]), np.sort(order[FITTED:])


def fit(table: Table) -> predicted.Networks:
    """The networks of a real table, with what they are worth on the classes they have not seen in `about`."""
    chosen, held_out = split()
    columns = list(scores(table).values())
    weights, biases = ensemble(predicted.rows(), class_means(np.stack(columns, axis=1)), chosen)
    cells = np.isin(cell.SPACE.classes, chosen)
    costs = np.concatenate([schedule.seconds for schedule in table.schedules.values()], axis=1)
    seconds = np.linalg.lstsq(predicted.counts()[cells], costs[cells], rcond=None)[0].astype(np.float32)
    about = {
        "title": f"PREDICTED scores of networks fitted to {FITTED:,} of {cell.CLASSES:,} classes of NAS-Bench-201; "
        "nothing was measured",
        "kind": "predicted",
        "dataset": table.name,
        "chance": CHANCE[table.name],
        "fitted": {"classes": FITTED, "cells": int(cells.sum()), "seed": SEED, "digest": table.digest},
        "source": SOURCE,
        "licence": LICENCE,
        "units": {"val": "percent", "test": "percent", "seconds": "simulated seconds"},
    }
    networks = predicted.Networks(f"{table.name}-surrogate", about, tuple(table.schedules), weights, biases, seconds)
    found = worth(table, predicted.predict(networks), held_out)
    about["held_out"] = found
    about["noise"] = {str(last): found[f"val {last}"]["rmse_upper"] for last in table.schedules}
    return networks


def scores(table: Table) -> dict[str, Floats]:
    """(A,) accuracies by name, in the order of the networks' outputs."""
    found = {}
    for last, schedule in table.schedules.items():
        found[f"val {last}"], found[f"test {last}"] = schedule.val[:, -1], schedule.test
    return found


def class_means(values: Floats) -> Floats:
    """(A, Q) -> (C, Q) means over the members of every class, whose differences are noise."""
    classes = cell.SPACE.classes
    sums = np.stack([np.bincount(classes, column) for column in values.T], axis=1)
    means: Floats = sums / np.bincount(classes)[:, None]
    return means


class Fitted(NamedTuple):
    """Layers of all members; see `predicted.Networks`."""

    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]


def ensemble(rows: Floats, accuracy: Floats, chosen: NDArray[np.int64]) -> Fitted:
    """Perceptrons from (C, D) features to -log(100 - accuracy), fitted to the chosen classes that pass anything on."""
    passing = np.asarray(cell.reachable()[np.unique(cell.representatives())].any(axis=1))
    chosen = chosen[passing[chosen]]
    inputs, targets = rows[chosen], -np.log(100.0 - accuracy[chosen])
    shift, scale = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), FLOOR)
    middle, spread = targets.mean(axis=0), targets.std(axis=0)
    weights, biases = train((inputs - shift) / scale, (targets - middle) / spread)
    weights[0][:, inputs.std(axis=0) == 0] = 0.0  # nothing was learned about what never varied
    weights[0] /= scale[:, None]  # standardisation becomes part of the outer layers
    biases[0] -= shift @ weights[0]
    weights[-1] *= spread
    biases[-1] = biases[-1] * spread + middle
    return Fitted(*(tuple(values.astype(np.float32) for values in layers) for layers in (weights, biases)))


def train(inputs: Floats, targets: Floats) -> tuple[list[Floats], list[Floats]]:
    """Mean squared error by AdamW on a one-cycle rate, all members side by side, each with batches of its own."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(SEED)
    widths = (inputs.shape[1], *WIDTHS, targets.shape[1])
    weights = [
        (torch.randn(MEMBERS, a, b, generator=generator) * (1.5 / a) ** 0.5).requires_grad_()
        for a, b in pairwise(widths)
    ]
    biases = [torch.zeros(MEMBERS, 1, width).requires_grad_() for width in widths[1:]]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": DECAY},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    x, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    for _ in range(STEPS):
        batch = torch.stack([torch.randperm(len(x), generator=generator)[:BATCH] for _ in range(MEMBERS)])
        hidden = x[batch]
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < len(weights) - 1:
                kept = torch.rand(hidden.shape, generator=generator) >= DROPOUT
                hidden = torch.nn.functional.silu(hidden) * kept / (1.0 - DROPOUT)
        optimizer.zero_grad()
        ((hidden - y[batch]) ** 2).mean().backward()
        optimizer.step()
        schedule.step()
    found = [[layer.detach().double().numpy() for layer in layers] for layers in (weights, biases)]
    return found[0], [bias[:, 0] for bias in found[1]]


def worth(table: Table, guess: Table, classes: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """How well predictions fit all cells of some classes: rank correlation, R2 and root mean square errors.

    `rmse_upper` is of the better half by prediction, where a search lives; of validation, it is what the header calls
    noise: a query with such noise is about as good a guess of the truth as a real one.
    """
    cells = np.isin(cell.SPACE.classes, classes)
    real, made = scores(table), scores(guess)
    pairs = {name: (real[name][cells], made[name][cells]) for name in real}
    for (last, measured), forecast in zip(table.schedules.items(), guess.schedules.values(), strict=True):
        pairs[f"seconds {last}"] = (measured.seconds[cells, -1], forecast.seconds[cells, -1])
    return {name: _figures(*pair) for name, pair in pairs.items()}


def _figures(real: Floats, made: Floats) -> dict[str, float]:
    errors, upper = real - made, made >= np.median(made)
    figures = {
        "tau": kendalltau(real, made).statistic,
        "r2": 1.0 - (errors**2).mean() / real.var(),
        "rmse": np.sqrt((errors**2).mean()),
        "rmse_upper": np.sqrt((errors[upper] ** 2).mean()),
    }
    return {key: round(float(value), 4) for key, value in figures.items()}


if __name__ == "__main__":
    main()
