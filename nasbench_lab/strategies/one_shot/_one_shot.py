"""What one-shot strategies share: one supernet, one epoch of it per `propose`, and a current answer after each.

A query has `epochs = 0`, "my current answer", and carries the simulated seconds the epoch took (`training.cost`), so that
a supernet and a search that trains cells one by one stand on one time axis. The strategy sees training and validation
images of `data`, never an answer of the evaluator: whatever table is searched scores the cells it derives. Epochs follow
one another, so however many workers there are, one is in flight.

Exact resume: with the environment variable NASBENCH_LAB_CHECKPOINTS set to a folder, the state after every epoch is
kept there, in a file named by all that the run depends on (parameters, seed, sources, torch, kind of device). A run that
died is simply started again: it replays the answers it has and goes on from the last whole epoch, to the same bits.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nasbench_lab import sources
from nasbench_lab.core import FloatArray, LabError, Query, Result, Strategy, parameters
from nasbench_lab.files import bounded, paths, sealed
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.spaces import cell
from nasbench_lab.training import shared
from nasbench_lab.training.network import Network
from nasbench_lab.training.problem import Problem, check_device, make_problem
from nasbench_lab.training.shared import Batch, Schedule, SharedWeights
from nasbench_lab.training.supernet import EVERYTHING, Choices, path

CHECKPOINTS = "NASBENCH_LAB_CHECKPOINTS"
_CHECKPOINT = 1 << 32  # bytes; a supernet of C = 16, N = 5 with its optimizer has 20 million


class Stateful(Protocol):
    """Something whose state can be saved: a module, an optimizer, shared weights."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take a state that `state_dict` gave."""
        ...


@dataclass
class OneShot(Strategy):
    """Base of the one-shot strategies.

    A subclass writes `begin` (its own state), `advance` (one epoch; returns the current answer) and `parts` (what of its
    state is to be saved).

    Attributes:
        data: what the supernet is trained on; see `training.problem.NAMES`.
        device: cpu or cuda.
        bf16: autocast to bfloat16.
        channels: C, the channels of the supernet's first cells; 0 for those of the data's recipe.
        cells: N, the cells of a stage of the supernet; 0 for those of the data's recipe.
        images: canvases per epoch, digits only; 0 for those of the recipe.
        held_out: canvases for validation, digits only; 0 for those of the recipe.
        epochs: of the supernet.
        batch: images per step.
        learning_rate: of SGD on the weights, at the start; it falls along a half cosine.
        learning_rate_end: the same at the end.
        momentum: of SGD on the weights.
        weight_decay: of SGD on the weights.
        clip: largest norm of a gradient of the weights; inf for none.
        affine: whether batch norms inside cells have scale and shift.
    """

    data: str = "digits"
    device: str = "cpu"
    bf16: bool = False
    channels: int = 0
    cells: int = 0
    images: int = 0
    held_out: int = 0
    epochs: int = 50
    batch: int = 64
    learning_rate: float = 0.025
    learning_rate_end: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 5.0
    affine: bool = False

    cell_only = True
    shares_weights = True  # any cell can be scored with the weights that are trained
    recalibrates = True  # whether norms can take statistics of training images before a cell is scored
    answers_while_training = True  # whether there is an answer before the last epoch
    resumes = True  # whether a checkpoint is gone on from; without, one is only written where there is none

    @property
    def requires(self) -> tuple[str, ...]:
        """Torch; the digits are scikit-learn's."""
        return ("torch", "sklearn") if self.data == "digits" else ("torch",)

    def __post_init__(self) -> None:
        if min(self.channels, self.cells, self.images, self.held_out) < 0:
            raise ValueError(f"channels, cells, images and held_out must not be negative, got {self}")
        if self.data.removeprefix("synthetic-") == "cifar10":
            raise ValueError(
                "cifar10 validates on images it trains on: search on cifar10-valid, score on table cifar10"
            )
        self.schedule()
        try:
            self.problem()
        except LabError as error:
            raise ValueError(str(error)) from error

    @property
    def rounds(self) -> int:
        """Proposals in all: the epochs, and whatever a subclass does after them."""
        return self.epochs

    def problem(self) -> Problem:
        """The data, with this search's C and N."""
        found = make_problem(self.data, part_size=self.images or None, held_out_size=self.held_out or None)
        channels, cells = self.channels or found.recipe.channels, self.cells or found.recipe.cells
        return replace(found, recipe=replace(found.recipe, channels=channels, cells=cells))

    def schedule(self) -> Schedule:
        """How the weights learn."""
        return Schedule(
            self.epochs, self.batch, self.learning_rate, self.learning_rate_end, self.momentum, self.weight_decay,
            self.clip, self.bf16, self.affine,
        )  # fmt: skip

    def setup(self) -> None:
        if self.task.space != cell.SPACE:
            raise LabError(f"{type(self).__name__} searches the NAS-Bench-201 cell only, got {self.task.space}")
        check_device(self.device)
        start = self.rng.bit_generator.state
        seed = int(self.rng.integers(2**31))
        self.weights = SharedWeights(self.problem(), self.schedule(), seed=seed, device=self.device)
        self._answer, self._waiting = -1, False
        self._history: list[tuple[int, float]] = []  # answer and seconds of every round so far
        self.begin()
        self._round = 0
        self._file = _checkpoint_file(self, start)
        if self._file is not None and self._file.exists():
            if self.resumes:
                self._restore(self._file)
            else:  # what is there may know more rounds than this run will
                self._file = None

    def propose(self) -> Query | None:
        if self._waiting or self._round >= self.rounds:
            return None
        if self._round == len(self._history):
            before = self.weights.seconds
            with shared.reproducible(self.weights.device.type):
                arch = self.advance(self._round)
            self._history.append((arch, self.weights.seconds - before))
            if self._file is not None:
                self._save(self._file)
        arch, seconds = self._history[self._round]
        self._round += 1
        self._waiting = True
        return Query(arch, 0, seconds)

    def observe(self, result: Result) -> None:
        self._answer, self._waiting = result.query.arch, False

    def recommend(self) -> int:
        """The answer of the last finished round; -1 before the first."""
        return self._answer

    def inherited(self, archs: Sequence[int], images: int, calibration: int = 0) -> FloatArray:
        """(n,) validation accuracies of cells with the shared weights as they are now, %. For looking on: nothing is charged.

        Args:
            archs: the cells.
            images: validation images, the same for all cells.
            calibration: batches of training images that norms take their statistics from; 0: the batch at hand.
        """
        before = self.weights.seconds
        with shared.reproducible(self.weights.device.type):
            pool, labels = self.weights.validation(images)
            batches = self.weights.calibration(calibration) if calibration else ()
            found = [self.accuracy(arch, pool, labels, batches) for arch in archs]
        self.weights.seconds = before
        return np.array(found)

    def accuracy(self, arch: int, images: Tensor, labels: Tensor, calibration: Sequence[Tensor] = ()) -> float:
        """Accuracy of a cell with the shared weights, %; see `SharedWeights.accuracy`."""
        return self.weights.accuracy(arch, images, labels, calibration)

    @property
    def trained(self) -> int:
        """Rounds done, by this run or by the one whose checkpoint it goes on from."""
        return len(self._history)

    @property
    def diverged(self) -> bool:
        """Whether a shared weight is no longer finite."""
        return not all(bool(p.isfinite().all()) for p in self.weights.network.parameters())

    def network(self, arch: int) -> Network:
        """A copy of a cell's network with the shared weights as they are now, in training mode."""
        return self.weights.network.standalone(arch)

    def entropy(self) -> float | None:
        """Of the distribution over operations, nats, mean over edges; None where there is no distribution."""
        return None

    def begin(self) -> None:
        """Create the search's own state."""

    @abstractmethod
    def advance(self, number: int) -> int:
        """Do round `number`; returns the current answer."""

    def parts(self) -> dict[str, Stateful]:
        """What must be saved beside the shared weights and `self.rng`."""
        return {}

    def _save(self, file: Path) -> None:
        content: dict[str, Any] = {name: part.state_dict() for name, part in self._all_parts().items()}
        content |= {"rng": json.dumps(self.rng.bit_generator.state), "history": self._history}
        content["design"] = json.dumps(self._design.bit_generator.state)
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(file, sealed.closed(buffer.getvalue()))

    def _restore(self, file: Path) -> None:
        try:
            raw = io.BytesIO(sealed.contents(bounded.content(file, _CHECKPOINT)))
            content = torch.load(raw, weights_only=True, map_location=self.weights.device)
            for name, part in self._all_parts().items():
                part.load_state_dict(content[name])
            self.rng.bit_generator.state = json.loads(content["rng"])
            self._design.bit_generator.state = json.loads(content["design"])
            self._history = [(int(arch), float(seconds)) for arch, seconds in content["history"]]
        except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError) as error:
            raise LabError(f"checkpoint {file} is damaged ({type(error).__name__}); delete it and run again") from error

    def _all_parts(self) -> dict[str, Stateful]:
        return {"weights": self.weights, **self.parts()}


def _checkpoint_file(strategy: OneShot, start: Any) -> Path | None:
    """Where a run's state is kept; None if it is not."""
    folder = paths.of_variable(CHECKPOINTS)
    if not folder:
        return None
    cls = type(strategy)
    identity = {
        "class": f"{cls.__module__}:{cls.__qualname__}", "parameters": parameters(strategy), "rng": start,
        "sources": sources.digest_of([], cls), "torch": torch.__version__, "device": strategy.weights.device.type,
        "problem": strategy.problem().described,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return folder / f"{cls.__name__}-{digest[:20]}.pt"


class Kept(dict[str, Any]):
    """Plain values (numbers, strings, lists, dicts) that are saved with a run."""

    def state_dict(self) -> dict[str, Any]:
        """What is kept."""
        return dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what was kept."""
        self.update(state)


@dataclass
class Differentiable(OneShot):
    """Base of those that learn weights of operations by gradient: a step of weights and one of alpha, turn by turn.

    A subclass writes `gates`; alpha is (6, 5), one row per edge, and starts at N(0, 1e-3). Alpha moves first, as in the
    DARTS paper (NAS-Bench-201's own runs move the weights first, but for second-order DARTS).

    Attributes:
        arch_learning_rate: of Adam on alpha, with betas 0.5 and 0.999.
        arch_weight_decay: the same optimiser's.
    """

    arch_learning_rate: float = 3e-4
    arch_weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arch_learning_rate <= 0 or self.arch_weight_decay < 0:
            raise ValueError(
                f"need arch_learning_rate > 0 and arch_weight_decay >= 0, "
                f"got {self.arch_learning_rate} and {self.arch_weight_decay}"
            )

    def begin(self) -> None:
        start = 1e-3 * self.rng.standard_normal((6, 5))
        self.alpha = torch.tensor(start, dtype=torch.float32, device=self.weights.device, requires_grad=True)
        self.arch_optimizer = torch.optim.Adam(
            [self.alpha], self.arch_learning_rate, betas=(0.5, 0.999), weight_decay=self.arch_weight_decay
        )

    def gates(self, number: int, generator: torch.Generator) -> tuple[Choices, Tensor]:
        """What is computed and by what it is weighted, for one step of round `number`; differentiable in alpha."""
        return EVERYTHING, torch.softmax(self.alpha, dim=1)

    def advance(self, number: int) -> int:
        generator = self.weights.generator(number)
        for batch in self.weights.batches(number):
            self.arch_step(batch, number, generator)
            self.weight_step(batch, number, generator)
        return self.derive(number)

    def weight_step(self, batch: Batch, number: int, generator: torch.Generator) -> None:
        """Move the weights, on training images."""
        with torch.no_grad():
            choices, gates = self.gates(number, generator)
        self.weights.learn(batch.images, batch.labels, choices, gates)

    def arch_step(self, batch: Batch, number: int, generator: torch.Generator) -> None:
        """Move alpha, on validation images."""
        choices, gates = self.gates(number, generator)
        self.move(self.weights.gradient(batch.val_images, batch.val_labels, choices, gates, self.alpha))

    def move(self, gradient: Tensor) -> None:
        """One step of alpha, unless the gradient is not finite: where weights diverged alpha stays what it was."""
        if bool(gradient.isfinite().all()):
            self.alpha.grad = gradient
            self.arch_optimizer.step()

    def derive(self, number: int) -> int:
        """The cell of the largest weights, `none` included."""
        return cell.SPACE.index(self.alpha.detach().argmax(dim=1).tolist())

    @property
    def probabilities(self) -> FloatArray:
        """(6, 5) the weights of the operations."""
        return np.asarray(torch.softmax(self.alpha.detach().double(), dim=1).cpu().numpy())

    def entropy(self) -> float:
        chances = self.probabilities
        return float(-(chances * np.log(np.maximum(chances, 1e-300))).sum(axis=1).mean())

    def parts(self) -> dict[str, Stateful]:
        return {"alpha": _Held(self.alpha), "arch_optimizer": self.arch_optimizer}


class _Held:
    """A tensor as something that can be saved."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def state_dict(self) -> dict[str, Any]:
        return {"tensor": self._tensor.detach().clone()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._tensor.copy_(state["tensor"])


def best_of(weights: SharedWeights, archs: Sequence[int], images: int, turn: int) -> int:
    """The cell with the highest accuracy on one batch of validation images each, a new one for every cell.

    As NAS-Bench-201's own runs choose (Dong & Yang 2020). The first of equals.
    """
    return archs[int(np.argmax(weights.accuracies(archs, images, turn)))]


def uniform_path(rng: np.random.Generator) -> Choices:
    """The path of a cell drawn uniformly."""
    return path(cell.SPACE.sample(rng))
