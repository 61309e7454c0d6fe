"""Whether a device computes what the CPU does, and a Gaussian process on it; for `benchmarks/gpu.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from benchmarks.measured.on_device import Row, Setting, built, seconds
from nasbench_lab.spaces import cell
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.grouped import Job, Run, Settings
from nasbench_lab.training.networks import CELLS, CHAINS, Networks
from nasbench_lab.training.recipe import CHAIN, DIGITS, Recipe


def correctness(device: str, *, small: bool) -> Row:
    """In double precision, against the CPU alone: how far logits, gradients and weights after three steps are apart.

    One cell of each kind of operation and mixed ones, and chains of each kind; `apart` are largest absolute differences.
    """
    archs = {"cells": _archs_of_kinds(2 if small else 8), "chains": [0, 100, 333, 500, 863][: 2 if small else 5]}
    rows: Row = {}
    for networks, base in ((CELLS, DIGITS), (CHAINS, CHAIN)):
        recipe = replace(base, engine="torch", batch=16, channels=4 if networks is CELLS else 1)
        for way in ("grouped", "each"):
            found = [_after_steps(place, networks, recipe, archs[networks.what], way) for place in ("cpu", device)]
            apart = max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))
            rows[f"{networks.what}, {way}: {device} and cpu"] = apart
        alone = [_after_steps("cpu", networks, recipe, [arch], "grouped")[0] for arch in archs[networks.what]]
        both = zip(alone, _after_steps(device, networks, recipe, archs[networks.what], "grouped"), strict=True)
        rows[f"{networks.what}: together on {device} and each alone on cpu"] = max(
            float((a - b).abs().max()) for a, b in both
        )
    return {"apart": rows, "right": max(rows.values()) < 1e-8}


def _archs_of_kinds(count: int) -> list[int]:
    """Cells of one operation on every edge, then some mixed ones."""
    pure = [
        int(np.flatnonzero((cell.SPACE.choices == op).all(axis=1))[0])
        for op in (cell.CONV3, cell.POOL, cell.CONV1, cell.SKIP)
    ]
    return [*pure, 1462, 11, 284, 4557][:count]


class _Precise(Digits):
    """Canvases in double precision."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        return images.double()


def _after_steps(device: str, networks: Networks, recipe: Recipe, archs: Sequence[int], way: str) -> list[torch.Tensor]:
    """All weights of each after three steps, on the CPU."""
    data = _Precise(part_size=48, held_out_size=16, device=device)
    jobs = [Job(arch, 7, networks.recipe(arch, recipe)) for arch in archs]
    run = Run(jobs, [built(job, data, networks) for job in jobs], data, Settings(way), torch.float64)
    run.epoch(0)
    return [torch.cat([p.detach().double().flatten() for p in n.parameters()]) for n in run.together.export()]


def logits_apart(setting: Setting, device: str) -> float:
    """How far float32 logits of one cell are from those on the CPU: rounding, and TF32 where it is allowed."""
    data = setting.data(setting.recipe.batch)
    network = built(Job(1462, 0, setting.recipe), data).eval()
    images = data.normalise(data.held_out("val")[0][:32])
    with torch.no_grad():
        here = functional.log_softmax(network(images.cpu()), dim=1)
        there = functional.log_softmax(network.to(device)(images), dim=1).cpu()
    return float((here - there).abs().max())


def gaussian_process(device: str, *, small: bool) -> Row:
    """Exact posterior of every row of a space of FC-Net's size given some: on the device, and the same on the CPU."""
    rows, seen, columns = (500, 20, 9) if small else (62_208, 1024, 30)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    y = torch.randn(seen, 1, generator=generator, dtype=torch.float64)

    def posterior(place: str) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        there, targets = x.to(place), y.to(place)

        def run() -> tuple[torch.Tensor, torch.Tensor]:
            q = torch.cdist(there, there[:seen]) * 5**0.5
            k = (1 + q + q * q / 3) * torch.exp(-q)  # Matern 5/2
            root = torch.linalg.cholesky(k[:seen] + 0.1 * torch.eye(seen, device=place, dtype=torch.float64))
            half = torch.linalg.solve_triangular(root, k.T, upper=False)
            white = torch.linalg.solve_triangular(root, targets, upper=False)
            return (half * white).sum(dim=0), 1 - half.square().sum(dim=0)

        return run

    there, here = posterior(device), posterior("cpu")
    apart = max(float((a.cpu() - b).abs().max()) for a, b in zip(there(), here(), strict=True))
    times = {"device": seconds(there, device, least=0.3), "cpu": seconds(here, "cpu", least=0.0, most=3)}
    return {"rows": rows, "seen": seen, **times, "apart": apart}
