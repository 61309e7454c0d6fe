"""Meta-learned features with a Bayesian linear head (ALPaCA, Harrison et al. 2018; DNGO, Snoek et al. 2015).

A small network is meta-trained over source tasks; on the target a linear head on its features is adapted in closed form
after every result, and expected improvement decides: meta-train, evaluate a few, adapt. The first cell is one of the common
design, the second the one of which the sources expect the most.

Deviation: what the sources expect of a cell is a feature of it, whose part is learned (`_expected`). With `expected=mean` it is
the mean beforehand, as in the papers (`surrogates/_meta_linear` has the model and where else it departs from them), and all
first cells are of the common design; that is worse than a cold start where the sources' best cells are not the target's.
Sources are read at a sample of `source_cells` cells, sizes and zero-cost scores (if the task knows any) are further columns
that tasks are mixed of.

Meta-training takes a second or two. So that a study of many seeds pays it a few times and not in every run, the sample
(and the deal, if `shuffled`) is one of `_VARIANTS`, drawn per run.

Without a source this is `gp_bo`: the cold start. `shuffled` is the control: the sources' scores are dealt to other
cells at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.strategies.model_based._model_based import ModelBased
from nasbench_lab.strategies.transfer._expected import ExpectedFeature
from nasbench_lab.strategies.transfer._sources import sources_of, with_shuffled_sources
from nasbench_lab.surrogates._meta_linear import MetaLinear, Tasks
from nasbench_lab.surrogates._settled import best
from nasbench_lab.surrogates._targets import known_quantiles

_VARIANTS = 4
_SAMPLE, _DEAL = 41, 42  # streams
_OTHERS = ("params_m", "flops_m", "proxy")

# Settings were chosen on the 12-epoch validation columns of C10 and C100, 8 seeds from 10,000 on. Queries to the maximum from
# C100, from C10 and from digits: 17.0, 28.2 and 22.8; with expected=mean 27.1, 32.9 and 46.9; without the candidate without
# anything learned 17.5, 29.4 and 31.8; with two cells of the design 16.2, 26.5 and 17.6, but ten times the regret after ten
# queries; gp_bo, the cold start, 15.2, 32.0 and 15.2.


@dataclass
class MetaBayesLinear(ModelBased):
    """Bayesian optimisation on meta-learned features; further fields as in `ModelBased`.

    Attributes:
        surrogate: the model of the cold start.
        source_cells: cells that the sources are read at.
        expected: what the sources expect of a cell is a "feature" of it, or the "mean" beforehand.
        residual: with "mean", add a GP on the cells' own features to the head; without it this is the papers' head alone.
        shuffled: the control.
    """

    initial: int = 2
    surrogate: str = "gp:targets=none,spent=0"
    targets: str = "blended"
    source_cells: int = 1000
    expected: str = "feature"
    residual: bool = True
    shuffled: bool = False

    paper = "Harrison et al. 2018, arXiv:1807.08912; Snoek et al. 2015, arXiv:1502.05700"

    @property
    def requires(self) -> tuple[str, ...]:
        """Torch for meta-training, and what the model of the cold start computes with."""
        return ("torch", *super().requires)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source_cells < 2:
            raise ValueError(f"source_cells must be at least 2, got {self.source_cells}")
        if self.expected not in ("feature", "mean"):
            raise ValueError(f"expected must be feature or mean, got {self.expected!r}")
        if not self.residual and self.expected == "feature":
            raise ValueError(
                "residual=false is for expected=mean: as a feature, what sources expect stands beside the kernel"
            )

    def setup(self) -> None:
        variant = int(self.rng.integers(_VARIANTS))
        if self.shuffled:
            self.task = with_shuffled_sources(self.task, stream(variant, _DEAL))
        super().setup()
        if sources := sources_of(self.task):
            tasks, space = self._tasks(list(sources.values()), variant), self.task.space
            feature = self.expected == "feature"
            self._model = ExpectedFeature(tasks, space) if feature else MetaLinear(tasks, space, residual=self.residual)

    def _designed(self) -> int:
        """The common design, but for one cell: the best by what the sources expect."""
        if isinstance(self._model, ExpectedFeature) and int(self._asked.sum()) == 1:
            free = np.flatnonzero(~self._asked)
            return int(free[best(self._model.expected[free], self.rng, 1.0)])
        return super()._designed()

    def _tasks(self, sources: list[FloatArray], variant: int) -> Tasks:
        """Sources and what else is known, at a sample of the cells that every source has."""
        there = np.flatnonzero(np.isfinite(sources).all(axis=0))
        size = min(self.source_cells, len(there))
        archs = np.sort(stream(variant, _SAMPLE).choice(there, size=size, replace=False))
        others = [values for name, values in self.task.known.items() if name.partition("/")[0] in _OTHERS]
        return Tasks.of(archs, _columns(sources, archs), _columns(others, archs))


def _columns(values: list[FloatArray], archs: np.typing.NDArray[np.int64]) -> FloatArray:
    """(m, c) normal quantiles of the ranks within the sample; 0 where there is no value."""
    columns = [known_quantiles(known[archs]) for known in values]
    return np.stack(columns, axis=1) if columns else np.zeros((len(archs), 0))
