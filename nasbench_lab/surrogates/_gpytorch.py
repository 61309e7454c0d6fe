"""The model of `_pool_gp` in gpytorch: the reference it is tested against, and an engine of `gp`.

Same kernel (a `ScaleKernel` per part on its scaled columns), same normal priors on logarithms, a `ConstantMean`; fitted
by botorch's L-BFGS on `ExactMarginalLogLikelihood`, everything in float64. The mean is a free parameter there and
profiled out here; at the optimum that is the same. L-BFGS amplifies rounding errors, which the grid of `_likelihood` forgets:
what this engine chooses may be another cell on another processor.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import gpytorch
import numpy as np
import torch
from botorch.exceptions import InputDataWarning
from botorch.models import SingleTaskGP
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.kernels import Kernel, LinearKernel, MaternKernel, RBFKernel, ScaleKernel
from gpytorch.priors import NormalPrior

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._kernels import Part
from nasbench_lab.surrogates._likelihood import JITTER, Layout, Prior

_BLOCK = 512  # pool rows predicted at a time


class TorchGP:
    """The interface of `PoolGP` that `gp` needs; O(n^3 + n^2 M) at every fit.

    Args:
        parts: summands of the kernel, all with M rows.
        prior: of the hyper-parameters.
    """

    def __init__(self, parts: Sequence[Part], *, prior: Prior | None = None) -> None:
        self.layout = Layout(parts, prior or Prior())
        self.parts = tuple(parts)
        columns = [part.features * np.sqrt(part.scale) for part in parts]
        self.inputs = torch.from_numpy(np.concatenate(columns, axis=1))
        self._columns = np.cumsum([0, *(c.shape[1] for c in columns)])
        self.rows: list[int] = []
        self.theta = self.layout.median

    def extend(self, rows: Sequence[int]) -> None:
        """Observe pool rows; targets follow by `fit` or `set_targets`."""
        self.rows.extend(rows)

    @property
    def noise(self) -> float:
        """Noise variance."""
        return self.layout.split(self.theta)[1]

    def fit(self, targets: FloatArray, *, iterations: int = 60) -> TorchGP:
        """A maximum of likelihood times prior near `theta`."""
        self._build(targets)
        self._register_priors()
        likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(self.likelihood, self.model)
        self.model.train(), self.likelihood.train()
        fit_gpytorch_mll_scipy(likelihood, options={"maxiter": iterations})
        self.theta = self._read()
        return self

    def set_targets(self, targets: FloatArray) -> None:
        """Condition at the present `theta`, with the constant mean of generalised least squares."""
        self._build(targets)
        self.model.eval(), self.likelihood.eval()
        with torch.no_grad():
            x, y = self.inputs[self.rows], torch.tensor(np.asarray(targets), dtype=torch.float64)
            covariance = self.model.covar_module(x).to_dense()
            factor = torch.linalg.cholesky(covariance + self.likelihood.noise * torch.eye(len(y), dtype=y.dtype))
            solved = torch.cholesky_solve(torch.stack([torch.ones_like(y), y], dim=1), factor)
            self.model.mean_module.constant.fill_(float(solved[:, 1].sum() / solved[:, 0].sum()))

    def posterior(self) -> tuple[FloatArray, FloatArray]:
        """(M,) mean and (M,) variance of f (without noise) at every pool row; in blocks, so no M x M matrix is made."""
        self.model.eval(), self.likelihood.eval()
        exact = gpytorch.settings.fast_computations(False, False, False)
        with torch.no_grad(), exact, gpytorch.settings.fast_pred_var(False):
            blocks = [self.model(block) for block in torch.split(self.inputs, _BLOCK)]
            means, variances = zip(*((block.mean, block.variance) for block in blocks), strict=True)
            return torch.cat(means).numpy(), torch.cat(variances).numpy()

    def _build(self, targets: FloatArray) -> None:
        """A fresh gpytorch model at `theta`."""
        y = torch.tensor(np.asarray(targets), dtype=torch.float64)
        noise = gpytorch.constraints.GreaterThan(JITTER)
        self.likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=noise).double()
        kernels = [self._kernel(g).double() for g in range(len(self.parts))]
        covariance = kernels[0]
        for kernel in kernels[1:]:
            covariance = covariance + kernel
        self._kernels = kernels
        x, form = self.inputs[self.rows], {"outcome_transform": None, "input_transform": None}
        with warnings.catch_warnings():  # inputs are scaled by the kernel's own rule, targets by the caller's
            warnings.simplefilter("ignore", InputDataWarning)
            self.model = SingleTaskGP(x, y[:, None], likelihood=self.likelihood, covar_module=covariance, **form)
        self._write(self.theta)

    def _kernel(self, g: int) -> ScaleKernel:
        part = self.parts[g]
        active = tuple(range(int(self._columns[g]), int(self._columns[g + 1])))
        base: Kernel
        if part.groups is not None and part.profile == "matern52":
            base = _GroupedMatern(part.groups, part.lengthscales, active)
        elif part.profile == "matern52":
            base = MaternKernel(nu=2.5, ard_num_dims=len(active) if part.ard else None, active_dims=active)
        elif part.profile == "exponential":
            base = RBFKernel(active_dims=active)
        else:
            base = LinearKernel(active_dims=active)
            base.raw_variance.requires_grad_(False)
        return ScaleKernel(base)

    def _write(self, theta: FloatArray) -> None:
        variances, noise, scales = self.layout.split(theta)
        self.likelihood.noise = noise
        for kernel, part, variance, scale in zip(self._kernels, self.parts, variances, scales, strict=True):
            kernel.outputscale = float(variance)
            if part.profile == "linear":
                kernel.base_kernel.variance = 1.0
            else:  # RBF is exp(-q / 2 l^2), ours exp(-q / l^2)
                root = np.sqrt(0.5) if part.profile == "exponential" else 1.0
                kernel.base_kernel.lengthscale = torch.from_numpy(scale * root)

    def _read(self) -> FloatArray:
        """(H,) the model's hyper-parameters as `theta`."""
        theta = self.layout.median.copy()
        theta[len(self.parts)] = np.log(float(self.likelihood.noise.detach()))
        for g, (kernel, part) in enumerate(zip(self._kernels, self.parts, strict=True)):
            theta[g] = np.log(float(kernel.outputscale.detach()))
            if part.profile != "linear":
                root = np.sqrt(0.5) if part.profile == "exponential" else 1.0
                theta[self.layout.scales[g]] = np.log(kernel.base_kernel.lengthscale.detach().numpy().ravel() / root)
        return theta

    def _register_priors(self) -> None:
        """Normal priors on the logarithms of everything but the mean."""
        median, deviation = self.layout.median, self.layout.deviation
        count = len(self.parts)
        noise = NormalPrior(float(median[count]), float(deviation[count]))
        self.likelihood.register_prior("log_noise", noise, _log_noise)
        for g, (kernel, part) in enumerate(zip(self._kernels, self.parts, strict=True)):
            kernel.register_prior("log_scale", NormalPrior(float(median[g]), float(deviation[g])), _log_outputscale)
            if part.profile != "linear":
                first = self.layout.scales[g].start
                shift = np.log(0.5) / 2 if part.profile == "exponential" else 0.0
                prior = NormalPrior(float(median[first] + shift), float(deviation[first]))
                kernel.base_kernel.register_prior("log_lengthscale", prior, _log_lengthscale)


class _GroupedMatern(MaternKernel):  # type: ignore[misc]
    """Matern-5/2 with a length scale per group of columns, `groups` (d,)."""

    def __init__(self, groups: IntArray, count: int, active: tuple[int, ...]) -> None:
        super().__init__(nu=2.5, ard_num_dims=count, active_dims=active)
        self.groups = torch.from_numpy(groups.copy())

    def forward(self, x1: Any, x2: Any, diag: bool = False, **options: Any) -> Any:
        """The covariances of two sets of rows."""
        wide = self.lengthscale[..., self.groups]
        s = 5.0**0.5 * self.covar_dist(x1 / wide, x2 / wide, diag=diag, **options)
        return (1.0 + s + s * s / 3.0) * torch.exp(-s)


def _log_noise(module: Any) -> Any:
    return module.noise.log()


def _log_outputscale(module: Any) -> Any:
    return module.outputscale.log()


def _log_lengthscale(module: Any) -> Any:
    return module.lengthscale.log()
