"""DrNAS: mixtures drawn from a Dirichlet distribution whose concentration is learned (Chen et al., ICLR 2021).

The concentration of an edge's operations is elu(alpha) + 1; every step draws their weights anew, and the gradient passes
through the draw (pathwise derivatives of the Dirichlet). The L2 penalty on alpha, 1e-3, pulls towards concentration 1, the
uniform distribution of mixtures. Settings are those of the authors' runs on NAS-Bench-201 (100 epochs, batch 64).

Deviations: without partial channels and progressive growth (the authors' option k = 1); the network's weight decay is
this package's 5e-4 where they have 3e-4, its momentum Nesterov's, and its rate falls step by step, not epoch by epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Dirichlet
from torch.nn import functional

from nasbench_lab.core import FloatArray
from nasbench_lab.strategies.one_shot._one_shot import Differentiable
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.supernet import EVERYTHING, Choices


@dataclass
class Drnas(Differentiable):
    """Dirichlet architecture search."""

    paper = "Chen et al. 2021, arXiv:2006.10355"

    def gates(self, number: int, generator: torch.Generator) -> tuple[Choices, Tensor]:
        """Gates drawn from the Dirichlet distribution, with its gradient."""
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with seeded(seed, self.alpha.device):  # the distribution takes no generator
            return EVERYTHING, Dirichlet(functional.elu(self.alpha) + 1).rsample()

    @property
    def probabilities(self) -> FloatArray:
        """(6, 5) the mean weights of the operations."""
        concentration = functional.elu(self.alpha.detach().double()) + 1
        return np.asarray((concentration / concentration.sum(dim=1, keepdim=True)).cpu().numpy())
