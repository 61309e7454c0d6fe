"""How well images are told apart by which rectified units they activate: the log-determinant of a kernel of binary codes.

c_n is 1 for every unit that image n activates, else 0; K_nm = number of units in which c_n and c_m agree; score = log det K.
A unit counts once for every layer that reads it: in the benchmark's networks every convolution has a ReLU of its own,
whichever way they are programmed here. nan where two images have the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score

_RELUS = (torch.ops.aten.relu.default, torch.ops.aten.relu_.default)


class Naswot(Score):
    """Mellor et al. 2021, equation 2 (K_H) and the score after it."""

    paper = "Mellor et al. 2021, arXiv:2006.04647"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        with torch.no_grad(), _Codes(batch.images) as codes:
            network(batch.images)
        return float(torch.linalg.slogdet(codes.kernel).logabsdet)

    def passes(self, images: int, classes: int) -> float:
        return 1.0 * images


class _Codes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a forward pass, so that it is all the same whether a ReLU is a module or a function.

    Attributes:
        kernel: (B, B) float64, agreements so far.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)
        self._rectified: dict[int, tuple[Tensor, Tensor]] = {}  # by identity: kept, so that no other tensor has it

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count the units that an operation reads, run it, and remember the units that it makes."""
        for tensor in _tensors(args):
            if id(tensor) in self._rectified:
                self.kernel += self._rectified[id(tensor)][1]
        out = func(*args, **(kwargs or {}))
        if func in _RELUS:
            self._rectified[id(out)] = (out, _agreements(out))
        return out


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _agreements(units: Tensor) -> Tensor:
    """(B, B) float64: in how many of (B, ...) units two images agree, c'd + (1 - c)'(1 - d)."""
    codes = (units.flatten(1) > 0).float()
    both, active = (codes @ codes.T).double(), codes.sum(dim=1).double()
    return 2 * both + codes.shape[1] - active[:, None] - active[None, :]
