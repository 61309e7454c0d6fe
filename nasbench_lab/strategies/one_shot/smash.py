"""SMASH: a hypernetwork makes the weights of any cell, uniform cells train it, the best of random ones is the answer.

Brock et al. (ICLR 2018). A cell's operations (one-hot, what reaches no output as `none`) go through a small network to a
code, and every convolution is a linear function of a constant and the code, scaled to the norm a fresh convolution has. (The
authors' hypernetwork reads a constant too, and starts from orthogonal matrices; both matter: with unit coefficients and no
constant the weights it makes do not learn in 30 epochs of digits.)
Stem, residual blocks, last norm and classifier are ordinary weights, trained along. Then uniform cells are ranked with
the weights made for them, as in the paper.

Deviations: the code is read by one linear map per convolution, where the paper's hypernetwork is itself convolutional and
reads a map of the memory banks; stem, blocks and classifier learn by the SGD of the other one-shot strategies, where theirs
share the hypernetwork's Adam (rate 1e-3, betas 0.5 and 0.999, epsilon 1e-4, a cosine to 0, no decay, as in the authors'
code); without the paper's last step of perturbing the best cell.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import Stateful
from nasbench_lab.strategies.one_shot._ranked import Ranked
from nasbench_lab.training import cost
from nasbench_lab.training.network import Network
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.supernet import Choices, Supernet, path, plan


@dataclass
class Smash(Ranked):
    """One-shot search through hypernetworks.

    Attributes:
        code: length of the code a cell is turned into.
        hyper_learning_rate: of Adam on the hypernetwork, the first.
    """

    code: int = 16
    hyper_learning_rate: float = 1e-3

    recalibrates = False
    paper = "Brock et al. 2018, arXiv:1708.05344"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code < 1:
            raise ValueError(f"code must be at least 1, got {self.code}")
        if self.hyper_learning_rate <= 0:
            raise ValueError(f"hyper_learning_rate must be positive, got {self.hyper_learning_rate}")
        if self.calibration:
            raise ValueError(
                f"smash scores with the statistics of the batch: calibration must be 0, got {self.calibration}"
            )

    def begin(self) -> None:
        super().begin()
        with seeded(int(self.rng.integers(2**31))):
            self.hyper = _Hypernetwork(self.weights.network, self.code).to(self.weights.device)
        self._optimizer = torch.optim.Adam(
            self.hyper.parameters(), self.hyper_learning_rate, betas=(0.5, 0.999), eps=1e-4, fused=True
        )

    def train(self, number: int) -> None:
        for step, batch in enumerate(self.weights.batches(number)):
            arch = self.task.space.sample(self.rng)
            done = (number + step / self.weights.steps) / self.epochs
            self._optimizer.param_groups[0]["lr"] = self.hyper_learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            for optimizer in (self.weights.optimizer, self._optimizer):
                optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(self.logits(arch, batch.images), batch.labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.weights.step()
            self._optimizer.step()
            self.weights.charge(path(arch), len(batch.images), cost.PASSES)

    def search(self, count: int) -> None:
        for _ in range(count):
            self.score(self.task.space.sample(self.rng))

    @torch.no_grad()
    def accuracy(self, arch: int, images: Tensor, labels: Tensor, calibration: Sequence[Tensor] = ()) -> float:
        """Accuracy of a cell with the weights made for it, %; norms take the statistics of the batch at hand, always."""
        self.weights.charge(path(arch), len(images), 1)
        return 100 * float((self.logits(arch, images).argmax(1) == labels).float().mean())

    @property
    def diverged(self) -> bool:
        return super().diverged or not all(bool(p.isfinite().all()) for p in self.hyper.parameters())

    def network(self, arch: int) -> Network:
        """A copy of a cell's network with the weights made for it, in training mode."""
        filled = copy.deepcopy(self.weights.network)
        with torch.no_grad():
            filled.load_state_dict(self.hyper(arch), strict=False)
        return filled.standalone(arch)

    def logits(self, arch: int, images: Tensor) -> Tensor:
        """What the cell answers with the weights made for it."""
        made = self.hyper(arch)
        with self.weights.autocast():
            out: Tensor = functional_call(self.weights.network, made, (images, path(arch)))
        return out.float()

    def parts(self) -> dict[str, Stateful]:
        return super().parts() | {"hyper": self.hyper, "hyper_optimizer": self._optimizer}


class _Hypernetwork(nn.Module):
    """A cell -> the weights of the convolutions it computes, by their names in the supernet."""

    def __init__(self, network: Supernet, code: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(30, 4 * code), nn.ReLU(), nn.Linear(4 * code, code))
        found = {name: p for name, p in network.named_parameters() if ".convs." in name}
        self._names = {name: name.replace(".", "_") for name in found}
        self.bases = nn.ParameterDict(
            {
                self._names[name]: nn.Parameter(torch.randn(1 + code, *p.shape) / math.sqrt(p.numel()))
                for name, p in found.items()
            }
        )

    def forward(self, arch: int) -> dict[str, Tensor]:
        device = next(self.parameters()).device
        ops = torch.tensor(cell.live_choices()[arch].tolist(), device=device)
        own = self.encode(functional.one_hot(ops, 5).float().reshape(-1))
        code = torch.cat([torch.ones(1, device=device), own])  # what all cells share, and what is this one's
        wanted = _computed(path(arch))
        made = {}
        for name, key in self._names.items():
            if name.split(".")[-2] in wanted:
                basis = self.bases[key]
                raw = torch.tensordot(code, basis, dims=1)
                fresh = math.sqrt(len(raw) / 3)  # norm of uniform weights within +- 1 / sqrt(fan in)
                made[name] = raw * (fresh / (raw.norm() + 1e-8))
        return made


def _computed(choices: Choices) -> set[str]:
    """The convolutions of a cell, `op-edge` as the supernet names them."""
    edges = plan(choices).edges
    return {f"{op}-{e}" for node in edges for op in (cell.CONV1, cell.CONV3) for e in node[op]}
