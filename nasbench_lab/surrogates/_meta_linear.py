"""Features of a network meta-trained over source tasks, with a Bayesian linear head adapted on the target.

    y = phi(x)' w + g(x) + noise,   w ~ N(w0, diag(1 / lambda)),   g ~ GP(0, k)

phi (a network with two tanh layers), w0 and lambda are learned so that, given the context cells of a task, the head's
posterior predicts its query cells: the mean negative log predictive density, without g (ALPaCA, Harrison et al. 2018,
arXiv:1807.08912; features with a linear head are DNGO's, Snoek et al. 2015, arXiv:1502.05700). On the target only the
head is adapted, in closed form: a linear kernel on the features is the same model.

Few datasets are few tasks, so each meta-training task is a random source plus a random mixture, of weight `_MIXED`, of
all columns that are known of a sample of cells (the sources, and sizes and zero-cost scores). Its cells are drawn from
above a random quantile, as those of a search are, and its scores are standardised on its context, as the target's are.

Deviations from ALPaCA: w has a diagonal prior; tasks are mixtures; on the target, the variances of head, g and noise
are refitted by marginal likelihood; and g, a GP on the cells' own features (`residual`), learns what no source shows:
without it the search got stuck at cells that the features cannot tell apart.
Notation: R distinct feature rows, c columns, B tasks at a time, n context and q query cells, d features of phi.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._base import Surrogate
from nasbench_lab.surrogates._canonical import first_of, pool_of
from nasbench_lab.surrogates._kernels import Part, Pool
from nasbench_lab.surrogates.gp import GaussianProcess

FEATURES = "structure"  # that the network is meta-trained on
_HIDDEN, _WIDTH = 64, 24  # of the network; d counts a constant besides the second
_MIXED = 0.3
_STEPS, _TASKS, _QUERIES, _CONTEXT, _RATE = 400, 16, 64, 40, 1e-2
_SIZES = ("w0", "log_lambda", "log_sigma")


@dataclass(frozen=True)
class Tasks:
    """What is meta-trained on; equal contents are equal.

    Attributes:
        archs: (m,) the cells of the sample.
        sources: (m, T) their scores in the source tasks, of zero mean and unit spread.
        others: (m, c) what else is known of them, likewise.
    """

    archs: IntArray = field(compare=False)
    sources: FloatArray = field(compare=False)
    others: FloatArray = field(compare=False)
    digest: str = ""

    @classmethod
    def of(cls, archs: IntArray, sources: FloatArray, others: FloatArray) -> Tasks:
        """The tasks with their digest."""
        sha = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in (archs, sources, others)))
        return cls(frozen(archs), frozen(sources), frozen(others), sha.hexdigest())


class Trained(NamedTuple):
    """What meta-training leaves: (R, d) features of all rows, (d,) prior means and precisions, and the noise."""

    features: FloatArray
    mean: FloatArray
    precision: FloatArray
    noise: float


class MetaLinear(Surrogate):
    """The adapted head, as a surrogate.

    Args:
        tasks: meta-trained on; once per process for equal contents.
        space: the cells.
        residual: whether a GP on the cells' own features is added to the head.
    """

    def __init__(self, tasks: Tasks, space: Space, *, residual: bool = True) -> None:
        learned = trained(tasks, space)
        self._expected: FloatArray = (learned.features @ learned.mean)[encodings.rows(FEATURES, space).row_of]
        self._head = _Head(targets="none", spent=0.0)
        self._head.rows_ = learned.features / np.sqrt(learned.precision)
        self._head.residual_ = residual

    def update(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        refit: bool = True,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """The posterior given cells (n,) and scores (n,); `rng` is not needed."""
        self._head.update(archs, y - self._expected[archs], rng, space=space, refit=refit, known=known)
        return self

    def believe(self, pending: NDArray[np.int64], archs: NDArray[np.int64], y: FloatArray, *_: Any, **__: Any) -> Self:
        """See `Surrogate.believe`."""
        self._head.believe(pending, archs, y)
        return self

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Mean and predictive standard deviation, (m,) each."""
        mean, std = self._head.predict(archs)
        return mean + self._expected[archs], std

    def alike(self, space: Space = cell.SPACE) -> tuple[IntArray, IntArray]:
        """See `Surrogate.alike`."""
        return self._head.alike(space)


class _Head(GaussianProcess):
    """A GP whose kernel is the head's prior covariance, and that of `canonical` features if a residual is wanted."""

    rows_: FloatArray
    residual_: bool

    def _pools(self, space: Space, known: Mapping[str, FloatArray] | None) -> list[Pool]:
        """A linear kernel on weighted features is a linear head with a prior on its weights; rows get unit length."""
        parts, row_of = pool_of(space, self.kernel)
        rows = self.rows_[encodings.rows(FEATURES, space).row_of[first_of(space, self.kernel)]]
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        head = Part("head", rows / length, profile="linear", variance=float((length**2).mean()))
        return [Pool((head, *parts) if self.residual_ else (head,), row_of)]


@lru_cache(maxsize=32)
def trained(tasks: Tasks, space: Space) -> Trained:
    """Meta-train: a second or two, once per process; the same on every run, as one thread sums in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(tasks, encodings.rows(FEATURES, space))
    finally:
        torch.set_num_threads(threads)


def _train(tasks: Tasks, rows: encodings.Rows) -> Trained:
    rng = stream(0, _STEPS)
    inputs = torch.tensor(rows.values)
    sampled = inputs[rows.row_of[tasks.archs]]
    parameters = _initial(inputs.shape[1], rng)
    optimiser = torch.optim.Adam(parameters.values(), lr=_RATE)
    for _ in range(_STEPS):
        cells, scores, context = _batch(tasks, rng)
        optimiser.zero_grad()
        loss = _loss(_phi(sampled[cells], parameters), torch.from_numpy(scores), context, parameters)
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        phi = _phi(inputs, parameters).numpy()
    mean, precision, sigma = (parameters[name].detach().numpy() for name in _SIZES)
    return frozen(Trained(phi, mean, np.exp(precision), float(np.exp(2.0 * sigma))))


def _initial(width: int, rng: np.random.Generator) -> dict[str, Any]:
    """Parameters to start from: layers at the scale of their inputs, a head of unit prior variance in all."""
    d = _WIDTH + 1
    values = {
        "first": rng.standard_normal((width, _HIDDEN)) / np.sqrt(width),
        "first_shift": np.zeros(_HIDDEN),
        "second": rng.standard_normal((_HIDDEN, _WIDTH)) / np.sqrt(_HIDDEN),
        "second_shift": np.zeros(_WIDTH),
        "w0": np.zeros(d),
        "log_lambda": np.full(d, np.log(d / 2)),
        "log_sigma": np.array(np.log(0.3)),
    }
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


def _phi(inputs: Any, parameters: dict[str, Any]) -> Any:
    """(..., features in) -> (..., d), a constant last."""
    hidden = torch.tanh(inputs @ parameters["first"] + parameters["first_shift"])
    out = torch.tanh(hidden @ parameters["second"] + parameters["second_shift"])
    return torch.cat([out, torch.ones_like(out[..., :1])], dim=-1)


def _batch(tasks: Tasks, rng: np.random.Generator) -> tuple[IntArray, FloatArray, int]:
    """Cells (B, n + q) as positions in the sample, their scores (B, n + q), and n."""
    context = int(rng.integers(2, _CONTEXT + 1))
    everything = np.concatenate([tasks.sources, tasks.others], axis=1)
    cells, scores = [], []
    for _ in range(_TASKS):
        mixture = everything @ rng.standard_normal(everything.shape[1])
        mixture /= max(float(mixture.std()), 1e-9)
        y = tasks.sources[:, int(rng.integers(tasks.sources.shape[1]))] + _MIXED * mixture
        above = np.flatnonzero(y >= np.quantile(y, rng.uniform(0.0, 0.9)))
        chosen = rng.choice(above, size=context + _QUERIES)
        known = y[chosen[:context]]
        cells.append(chosen)
        scores.append((y[chosen] - known.mean()) / max(float(known.std()), 0.1))
    return np.stack(cells), np.stack(scores), context


def _loss(phi: Any, y: Any, context: int, parameters: dict[str, Any]) -> Any:
    """Mean negative log predictive density of the query cells given the context's, up to a constant."""
    w0, precision, noise = (
        parameters["w0"],
        parameters["log_lambda"].exp(),
        (2.0 * parameters["log_sigma"]).exp(),
    )
    seen, asked = phi[:, :context], phi[:, context:]
    root = torch.linalg.cholesky(torch.diag(precision) + seen.mT @ seen / noise)
    right = precision * w0 + (seen.mT @ y[:, :context, None] / noise)[..., 0]
    weights = torch.cholesky_solve(right[..., None], root)
    mean = (asked @ weights)[..., 0]
    variance = torch.linalg.solve_triangular(root, asked.mT, upper=False).square().sum(dim=1) + noise
    return (variance.log() + (y[:, context:] - mean) ** 2 / variance).mean()
