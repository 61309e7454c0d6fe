"""ENAS: a recurrent controller draws cells, all cells share weights, REINFORCE moves the controller (Pham et al. 2018).

Turn by turn, once per epoch: every step of the weights trains the path of one cell drawn from the controller; then the
controller takes `controller_steps` steps of Adam, each on `aggregate` drawn cells, whose reward is the accuracy on one
validation batch plus a small multiple of the entropy, less a moving average of rewards. The answer is the best of ten
drawn cells on one batch each. Settings are those of NAS-Bench-201's own runs (250 epochs, 310 in the first version of their
settings; batch 128, rate 0.05 to 0.0005, 50 controller steps of 20 cells), its controller too: two LSTM layers of 32,
logits 2.5 tanh(x / 5).

As in Pham et al.'s code the entropy counts as a number, its own gradient is not taken, and the moving average goes on from
cell to cell (in NAS-Bench-201's runs entropy has a gradient, and the average moves once an epoch).

Deviations: validation images are not augmented; NAS-Bench-201's runs draw a hundred cells, not ten, for the last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import Kept, OneShot, Stateful, best_of
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.supernet import path

_HIDDEN, _LAYERS, _TEMPERATURE, _RANGE = 32, 2, 5.0, 2.5


@dataclass
class Enas(OneShot):
    """Efficient neural architecture search.

    Attributes:
        controller_steps: of Adam on the controller, per epoch.
        aggregate: cells of a step.
        controller_learning_rate: of Adam, with betas 0 and 0.999, epsilon 1e-3.
        entropy_weight: of the entropy in the reward (an accuracy in [0, 1]).
        baseline_decay: of the moving average.
        select: cells drawn for the answer.
        score_batch: validation images of a reward.
    """

    batch: int = 128
    learning_rate: float = 0.05
    learning_rate_end: float = 0.0005
    weight_decay: float = 2.5e-4
    controller_steps: int = 50
    aggregate: int = 20
    controller_learning_rate: float = 1e-3
    entropy_weight: float = 1e-4
    baseline_decay: float = 0.99
    select: int = 10
    score_batch: int = 128

    paper = "Pham et al. 2018, arXiv:1802.03268"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.aggregate, self.select, self.score_batch) < 1 or self.controller_steps < 0:
            raise ValueError(f"need aggregate, select, score_batch >= 1 and controller_steps >= 0, got {self}")
        if self.controller_learning_rate <= 0 or self.entropy_weight < 0 or not 0 <= self.baseline_decay < 1:
            raise ValueError(
                f"need controller_learning_rate > 0, entropy_weight >= 0 and 0 <= baseline_decay < 1, got {self}"
            )

    def begin(self) -> None:
        with seeded(int(self.rng.integers(2**31))):
            self.controller = _Controller().to(self.weights.device)
        self._optimizer = torch.optim.Adam(
            self.controller.parameters(), self.controller_learning_rate, betas=(0.0, 0.999), eps=1e-3
        )
        self._kept = Kept(baseline=None)

    def advance(self, number: int) -> int:
        generator = self.weights.generator(number)
        with torch.no_grad():
            drawn, _, _ = self.controller(self.weights.steps, generator)
        for batch, arch in zip(self.weights.batches(number), _indices(drawn), strict=True):
            self.weights.learn(batch.images, batch.labels, path(arch))
        for step in range(self.controller_steps):
            self._teach(number * self.controller_steps + step, generator)
        with torch.no_grad():
            drawn, _, _ = self.controller(self.select, generator)
        return best_of(self.weights, _indices(drawn), self.score_batch, number)

    def _teach(self, turn: int, generator: torch.Generator) -> None:
        """One step of the controller."""
        chosen, log_chance, entropy = self.controller(self.aggregate, generator)
        accuracies = self.weights.accuracies(_indices(chosen), self.score_batch, turn)
        advantages = []
        for accuracy, uncertainty in zip(accuracies, entropy.detach().tolist(), strict=True):
            reward = accuracy / 100 + self.entropy_weight * uncertainty
            before = self._kept["baseline"]
            after = reward if before is None else before - (1 - self.baseline_decay) * (before - reward)
            self._kept["baseline"] = after
            advantages.append(reward - after)
        self._optimizer.zero_grad()
        surrogate_loss(log_chance, advantages).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.controller.parameters(), 5.0)
        self._optimizer.step()

    def entropy(self) -> float:
        """Of the controller's distribution over all cells, a sixth per edge."""
        every = torch.tensor(cell.SPACE.choices, dtype=torch.long, device=self.weights.device)
        with torch.no_grad():
            _, log_chance, _ = self.controller(every)
        return float(-(log_chance.double().exp() * log_chance.double()).sum()) / 6

    def parts(self) -> dict[str, Stateful]:
        return {"controller": self.controller, "controller_optimizer": self._optimizer, "kept": self._kept}


def surrogate_loss(log_chance: Tensor, advantages: Sequence[float]) -> Tensor:
    """What has the policy gradient: - mean of log p(cell) x advantage, over (n,) drawn cells."""
    return -(log_chance * torch.tensor(advantages, dtype=log_chance.dtype, device=log_chance.device)).mean()


class _Controller(nn.Module):
    """An autoregressive distribution over cells: the operation of an edge depends on those of the edges before."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(1, _HIDDEN))
        self.embedding = nn.Embedding(5, _HIDDEN)
        self.layers = nn.ModuleList(nn.LSTMCell(_HIDDEN, _HIDDEN) for _ in range(_LAYERS))
        self.head = nn.Linear(_HIDDEN, 5)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, chosen: int | Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Draw that many cells, or say how probable given ones are.

        Args:
            chosen: n, or (n, 6) operations.
            generator: to draw with.

        Returns:
            (n, 6) operations, (n,) log probabilities, (n,) sums of the entropies of the six choices.
        """
        count = chosen if isinstance(chosen, int) else len(chosen)
        x = self.start.expand(count, -1)
        states: list[tuple[Tensor, Tensor] | None] = [None] * _LAYERS
        picks, log_chances, entropies = [], [], []
        for edge in range(6):
            for i, layer in enumerate(self.layers):
                states[i] = state = layer(x, states[i])
                x = state[0]
            log_p = torch.log_softmax(_RANGE * torch.tanh(self.head(x) / _TEMPERATURE), dim=1)
            if isinstance(chosen, int):
                drawn = torch.multinomial(log_p.detach().exp(), 1, generator=generator)[:, 0]
            else:
                drawn = chosen[:, edge]
            picks.append(drawn)
            log_chances.append(log_p.gather(1, drawn[:, None])[:, 0])
            entropies.append(-(log_p.exp() * log_p).sum(dim=1))
            x = self.embedding(drawn)
        return torch.stack(picks, 1), torch.stack(log_chances, 1).sum(1), torch.stack(entropies, 1).sum(1)


def _indices(chosen: Tensor) -> list[int]:
    """(n, 6) operations -> n cells."""
    found: list[int] = cell.SPACE.indices(chosen.cpu().numpy()).tolist()
    return found
