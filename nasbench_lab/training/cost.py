"""What a training costs, counted instead of measured: multiply-adds at one nominal speed, the same on every machine.

A step costs three forward passes (forward, gradients of activations, gradients of weights), a validation one. The
simulated clock of real training and of tables measured by us runs on these seconds, so that two machines, or a busy
and an idle one, give the same records. Counts of cells are those of the edges that are really run (`cell.live_choices`);
of other networks see `networks`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces import cell
from nasbench_lab.training.network import Shape

FloatArray = NDArray[np.float64]

NOMINAL_SPEED = 1e10  # multiply-adds a second: a round number near one CPU core's
PASSES = 3  # forward passes a training step costs


def flops(shape: Shape) -> FloatArray:
    """(A,) multiply-adds of one image through a cell's network, as `network.count_flops` counts them, in closed form.

    At stage widths C, 2C, 4C and sides H, H/2, H/4 an edge costs the same in all three stages.
    """
    c, pixels = shape.channels, shape.size**2
    base = pixels * shape.inputs * c * 9 + 4 * c * shape.classes + shape.classes
    for width, area in ((2 * c, pixels // 4), (4 * c, pixels // 16)):
        half = width // 2
        base += area * (half * width * 9 + width * width * 9 + half * width)
    edge = 3 * shape.cells * pixels * c * c
    counts = cell.op_counts(live=True)
    return np.asarray(base + edge * (9.0 * counts[:, cell.CONV3] + counts[:, cell.CONV1]))


def params(shape: Shape) -> FloatArray:
    """(A,) trainable parameters of a cell's network, of the edges that are run, in closed form."""
    c = shape.channels
    base = shape.inputs * c * 9 + 2 * c + 2 * 4 * c + 4 * c * shape.classes + shape.classes
    for width in (2 * c, 4 * c):
        half = width // 2
        base += half * width * 9 + width * width * 9 + half * width + 4 * width
    counts = cell.op_counts(live=True)
    squares = shape.cells * (1 + 4 + 16) * c * c
    norms = shape.cells * 2 * (1 + 2 + 4) * c
    conv3, conv1 = counts[:, cell.CONV3], counts[:, cell.CONV1]
    return np.asarray(base + (9.0 * squares + norms) * conv3 + (1.0 * squares + norms) * conv1)


def seconds(multiply_adds: FloatArray, *, images: int, held_out: int, epochs: int) -> FloatArray:
    """(A, epochs) simulated seconds of training to each epoch and validating once, as the benchmark charges.

    In steps of 0.0001 s, and no less: no training is free, however small the network.

    Args:
        multiply_adds: (A,) of one image.
        images: training images of one epoch.
        held_out: validation images.
    """
    done = np.arange(1, epochs + 1) * (PASSES * float(images)) + held_out
    return np.asarray(np.maximum(np.round(multiply_adds[:, None] * done / NOMINAL_SPEED, 4), 1e-4))
