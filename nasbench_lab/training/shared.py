"""Training shared weights: the supernet, its optimizer, its data and what it has cost, as one value that can be saved.

Weights learn on the training images, what chooses between cells (architecture weights, a controller, a ranking) on the
validation images, which a search may see; test images are not touched. Images, their order and augmentation depend on
(seed, epoch) alone, so a resumed training is exactly the undisturbed one.

A weight that a step gives no gradient stays as it is. (In the code of the papers of 2019 and 2020, PyTorch 1, it went on
with the momentum it had and was decayed, at every step after its first gradient.)

Cost: `seconds` are simulated, multiply-adds at one nominal speed as in `cost`. A forward pass costs one pass, gradients
of activations another, gradients of weights a third; a gradient of architecture weights alone needs the first two.
What no image goes through (a controller, a hypernetwork) is not charged: below 1% of what it is used for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasbench_lab.training import cost, supernet
from nasbench_lab.training.data import Data, augmentation
from nasbench_lab.training.problem import Problem
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.supernet import Choices, Supernet

_ORDER, _NOISE, _SCORED = 20, 21, 22  # spawn keys
_CHUNK = 512  # images of a scored batch


class Batch(NamedTuple):
    """Images and labels of one step: to learn weights on, and, as many, to learn the architecture on."""

    images: Tensor
    labels: Tensor
    val_images: Tensor
    val_labels: Tensor


@dataclass(frozen=True)
class Schedule:
    """How weights learn: SGD with Nesterov momentum, the rate a cosine from `lr` to `lr_end` over `epochs`, step by step.

    Args:
        epochs: passes over the training images. batch: images per step.
        momentum, weight_decay: of SGD. clip: largest norm of a gradient; inf for none.
        bf16: autocast to bfloat16. affine: norms in cells have scale and shift.

    Raises:
        ValueError: a number out of range.
    """

    epochs: int = 50
    batch: int = 64
    lr: float = 0.025
    lr_end: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 5.0
    bf16: bool = False
    affine: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"need epochs >= 1 and batch >= 2, got {self.epochs} and {self.batch}")
        if not (self.lr >= self.lr_end >= 0 and 0 <= self.momentum < 1 and self.weight_decay >= 0 and self.clip > 0):
            raise ValueError(f"need lr >= lr_end >= 0, 0 <= momentum < 1, weight_decay >= 0 and clip > 0, got {self}")

    def rate(self, epoch: float) -> float:
        """The learning rate at a point of the training, in epochs."""
        return self.lr_end + 0.5 * (self.lr - self.lr_end) * (1 + math.cos(math.pi * epoch / self.epochs))


class SharedWeights:
    """A supernet in training.

    Args:
        problem: the data, and with its recipe C, N and augmentation.
        schedule: how weights learn.
        seed: decides everything.
        device: "cpu" or "cuda".

    Attributes:
        network: the supernet. optimizer: of its weights. seconds: simulated, spent so far.
    """

    def __init__(self, problem: Problem, schedule: Schedule, *, seed: int, device: str = "cpu") -> None:
        self.problem, self.schedule, self.seed, self.device = problem, schedule, seed, torch.device(device)
        with seeded(seed):
            self.network = Supernet(problem.shape, affine=schedule.affine).to(self.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), schedule.lr, schedule.momentum, nesterov=schedule.momentum > 0,
            weight_decay=schedule.weight_decay, fused=True,
        )  # fmt: skip
        if schedule.momentum:  # paths get gradients at different times, and a fused step wants all buffers to exist
            for p in self.network.parameters():
                self.optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
        self.seconds = 0.0
        self._data: Data | None = None

    @property
    def data(self) -> Data:
        """Loaded when first used; not part of the state."""
        if self._data is None:
            self._data = self.problem.load(str(self.device))
        return self._data

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": None}

    def generator(self, epoch: int) -> torch.Generator:
        """The epoch's source of noise for gates, on the device."""
        return torch.Generator(self.device).manual_seed(self._number(_NOISE, epoch))

    @property
    def steps(self) -> int:
        """Of an epoch; images that fill no batch are left out, unless there are no others."""
        return max(1, self.problem.images // self.schedule.batch)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The steps of one epoch, the learning rate set before each."""
        recipe, size, data = self.problem.recipe, self.schedule.batch, self.data
        images, labels = data.part(self.seed, epoch)
        val_images, val_labels = data.held_out("val")
        steps = self.steps
        order = self._shuffled(len(val_images), steps * size, _ORDER, epoch)
        drawn = augmentation(  # of a step's training images, then of its validation images
            self._number(_ORDER, epoch), 2 * steps * size, flip=recipe.flip, crop=recipe.crop, device=self.device
        )
        for step in range(steps):
            rate = self.schedule.rate(epoch + step / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            here = slice(step * size, (step + 1) * size)
            chosen = order[here]
            pair = (data.normalise(x) for x in (images[here], val_images[chosen]))
            x, xv = (drawn.of(i * size, (i + 1) * size)(x) for i, x in enumerate(pair, 2 * step))
            yield Batch(x, labels[here], xv, val_labels[chosen])

    def _shuffled(self, count: int, wanted: int, *key: int) -> Tensor:
        """`wanted` positions below `count`: one random order after another."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        orders = [rng.permutation(count) for _ in range(-(-wanted // count))]
        return torch.from_numpy(np.concatenate(orders)[:wanted]).to(self.device)

    def _number(self, tag: int, epoch: int) -> int:
        return int(np.random.SeedSequence(self.seed, spawn_key=(tag, epoch, 1)).generate_state(1, np.uint64)[0] >> 1)

    def charge(self, choices: Choices, images: int, passes: float) -> None:
        """Add the cost of passes of a network over some images."""
        self.seconds += supernet.multiply_adds(self.problem.shape, choices) * images * passes / cost.NOMINAL_SPEED

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 where the schedule wants it."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.schedule.bf16 else nullcontext()

    def loss(self, images: Tensor, labels: Tensor, choices: Choices, gates: Tensor | None = None) -> Tensor:
        """Mean cross-entropy. Nothing is charged: what it costs depends on the gradients that are taken."""
        with self.autocast():
            logits = self.network(images, choices, gates)
        return functional.cross_entropy(logits.float(), labels)

    def learn(self, images: Tensor, labels: Tensor, choices: Choices, gates: Tensor | None = None) -> None:
        """One step of the weights; gates are taken as they are."""
        self.optimizer.zero_grad(set_to_none=True)
        held = None if gates is None else gates.detach()
        self.loss(images, labels, choices, held).backward()  # type: ignore[no-untyped-call]
        self.step()
        self.charge(choices, len(images), cost.PASSES)

    def step(self) -> None:
        """Clip the gradient and move the weights."""
        if self.schedule.clip < math.inf:
            trained = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.schedule.clip)
        self.optimizer.step()

    def gradient(self, images: Tensor, labels: Tensor, choices: Choices, gates: Tensor, wanted: Tensor) -> Tensor:
        """Gradient of the loss with respect to what the gates were made of; the weights' are not computed."""
        loss = self.loss(images, labels, choices, gates)
        (found,) = torch.autograd.grad(loss, [wanted], materialize_grads=True)  # 0 where no gate reaches the output
        self.charge(choices, len(images), cost.PASSES - 1)
        return found

    @torch.no_grad()
    def accuracy(self, arch: int, images: Tensor, labels: Tensor, calibration: Sequence[Tensor] = ()) -> float:
        """Validation accuracy of a cell with the shared weights, %.

        Args:
            arch: the cell.
            images: as the network is fed them. labels: theirs.
            calibration: training images that the norms take their statistics from; those of `images` if left out.
        """
        choices = supernet.path(arch)
        if calibration:
            network = self.network.standalone(arch, calibration)
            self.charge(choices, sum(len(batch) for batch in calibration), 1)
        right = torch.zeros((), device=self.device)
        for x, y in zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True):
            with self.autocast():
                logits = network(x) if calibration else self.network(x, choices)
            right += (logits.argmax(1) == y).sum()
        self.charge(choices, len(images), 1)
        return 100 * float(right) / len(images)

    def accuracies(self, archs: Sequence[int], images: int, turn: int) -> list[float]:
        """Validation accuracies of cells, %, each on a batch of so many images of its own; other batches every turn.

        Batches are cut from one random order of all images after another, as a loader would that is started again.
        """
        pool, labels = self.data.held_out("val")
        size = min(images, len(pool))
        batches = torch.split(self._shuffled(len(pool), len(archs) * size, _SCORED, turn), size)
        return [
            self.accuracy(arch, self.data.normalise(pool[here]), labels[here])
            for arch, here in zip(archs, batches, strict=True)
        ]

    def validation(self, count: int, turn: int = 0) -> tuple[Tensor, Tensor]:
        """`count` validation images, normalised, and their labels; other ones every turn, or all there are."""
        images, labels = self.data.held_out("val")
        if count < len(images):
            chosen = self._shuffled(len(images), count, _SCORED, turn)
            images, labels = images[chosen], labels[chosen]
        return self.data.normalise(images), labels

    def calibration(self, batches: int, epoch: int = 0) -> list[Tensor]:
        """Batches of training images for recalibrating norms, normalised, not augmented."""
        images = self.data.part(self.seed, epoch)[0][: batches * self.schedule.batch]
        return [self.data.normalise(x) for x in torch.split(images, self.schedule.batch)]

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer, and where the data order is."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take such a state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seconds = float(state["seconds"])


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Arithmetic that gives the same bits: one thread on a CPU (others sum in another order), no tuning on a GPU."""
    with ExitStack() as stack:
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True))
        if device == "cpu":
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield
