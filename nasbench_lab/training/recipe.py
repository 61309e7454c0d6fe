"""Recipes: everything about a training but the network, the data and the seed, as one frozen value.

The benchmark's (Dong & Yang, ICLR 2020): SGD with Nesterov momentum 0.9, rate 0.1 falling to 0 along a cosine
(updated every step), weight decay 5e-4, batch 256, random flip and crop with padding 4, 200 or 12 epochs. A recipe is
part of every outcome, so that no deviation can go unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENGINES = ("auto", "torch", "fused")


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the network, the data and the seed.

    Args:
        epochs: passes (of `digits`: equal parts of the one pass); validation after each.
        channels: C of the skeleton. cells: N of the skeleton. (Networks without a skeleton ignore both.)
        batch: images per step; the last batch of an epoch may be smaller.
        lr: first learning rate. momentum: Nesterov's. weight_decay: on every parameter, as in the benchmark.
        flip: mirror images at random. crop: padding of the random crop, 0 for none.
        bf16: autocast to bfloat16. channels_last: memory layout. compile: `torch.compile` the network.
        engine: `torch`, `fused` (one CPU core, float32; see fused.py), or `auto`: fused where it can run.

    Raises:
        ValueError: a number out of range, an unknown engine, or options the fused engine does not have.
    """

    epochs: int = 200
    channels: int = 16
    cells: int = 5
    batch: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    flip: bool = True
    crop: int = 4
    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    engine: str = "torch"

    def __post_init__(self) -> None:
        if min(self.epochs, self.channels, self.cells, self.batch) < 1:
            raise ValueError(f"epochs, channels, cells and batch must be at least 1, got {self}")
        if self.lr < 0 or not 0 <= self.momentum < 1 or self.weight_decay < 0 or self.crop < 0:
            raise ValueError(f"need lr, weight_decay, crop >= 0 and 0 <= momentum < 1, got {self}")
        if self.engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
        if self.engine == "fused" and (self.flip or self.crop or self.bf16 or self.compile):
            raise ValueError("the fused engine has no flip, crop, bf16 or compile; use engine='torch'")


FULL = Recipe()
SHORT = Recipe(epochs=12)
DIGITS = Recipe(epochs=6, channels=8, cells=1, batch=32, lr=0.1, flip=False, crop=0, engine="auto")
"""The recipe of the embedded table: one pass over 24,576 fresh canvases in six parts of 4,096, C = 8, N = 1.

Chosen by a pilot on 60 random classes x 2 seeds (40 where marked *), with the settings that
`benchmarks/measured/digits_pilot.py` runs again; one Zen 5 core shared with other work, validation after two of the six parts
only (after all six, as in the table, a training costs 0.93 on that busy machine). With so few cells a Spearman is good
to about 0.1. Columns: CPU-seconds a training; median and best final val; seed noise in points; spread / noise; Spearman
between seeds; share of cells within one noise of the best; Spearman with CIFAR-10 / CIFAR-100 at 200 epochs.

    batch  lr    canvas                         CPU s  median  best  noise  spread  seeds  near   C10    C100
    32     0.1   2 fragments of 4, noise 0.1    0.75   80.3    84.0  1.12   4.10    0.843  6.7%   0.708  0.664
    32     0.05  2 fragments of 4, noise 0.1    0.72   80.4    84.2  1.18   3.88    0.809  10.0%  0.725  0.691
    64     0.05  2 fragments of 4, noise 0.1 *  0.83   78.9    83.0  1.22   3.73    0.824  7.5%   0.650  0.643
    64     0.1   2 fragments of 4, noise 0.1 *  0.81   80.0    84.4  1.39   3.81    0.758  5.0%   0.699  0.642
    128    0.1   2 fragments of 4, noise 0.1 *  0.86   76.5    82.1  1.48   3.25    0.782  5.0%   0.646  0.615
    128    0.1   2 fragments of 4, noise 0.05*  0.89   80.5    83.9  1.46   3.25    0.734  15.0%  0.613  0.570
    128    0.1   2 fragments of 4, noise 0.2 *  0.92   66.3    72.1  2.01   2.29    0.661  5.0%   0.559  0.518
    128    0.1   3 fragments of 5, noise 0.1 *  0.91   42.8    49.3  2.61   1.69    0.599  17.5%  0.452  0.369
    32     0.05  3 fragments of 4, noise 0.1    0.91   69.8    75.0  1.72   3.09    0.785  8.3%   0.656  0.604

Small batches win: more steps from the same canvases. Between 0.1 and 0.05 the pilot cannot decide; 0.1 is the
benchmark's own.
"""

CHAIN = Recipe(epochs=6, channels=1, cells=1, batch=32, lr=0.1, flip=False, crop=0, channels_last=True, engine="torch")
"""The recipe of the space `chain`, whose configurations bring their own `lr`: six parts of 1,536 fresh canvases, of the
kind that cells see, 2,000 to validate on and 2,000 to test on.

Chosen by two short pilots on 20 random classes each; CPU-seconds of one slow, busy core, on which a fused training of a
cell takes 2.5 to 3.5, three times what it takes where the table `digits` was measured. Filters are 4, 8 and 16 (fc: 32,
64 and 128 units), so that a training stays near a second on a good core: with twice as many, six layers of 7x7 and stride
1 have 36 million multiply-adds, by count more than a minute of this core. One seed:

    batch  part   held out  layout          CPU s: mean, median, most   best val
    64     2,048  2,000     channels first  3.34  2.39  9.86            78.5
    32     1,024  1,000     channels first  2.07  1.61  5.77            64.5

The choice, by `benchmarks/measured/chain_pilot.py` with two seeds a class. Columns as for cells; noise is that of a few
classes of middling score, of which one seed has learned and another not yet (46 and 20, 53 and 41):

    batch  part   CPU s  10%   median  best  noise  spread  seeds  near  part 2  test
    32     1,536  2.28   10.1  26.9    76.7  5.31   3.13    0.904  5.0%  0.829   0.991

Channels last save a fifth of what 16 filters take and cost a quarter more where there are 4. Rates 0.01 to 0.3 hold the
best one inside for most: final val of four chains, one seed, with 0.01, 0.03, 0.1, 0.3 and 1:

    4 conv, 7x7, 8 filters, stride 1     47.8  65.6  68.3  55.5  49.8
    5 conv, 3x3, 16 filters, stride 1    33.6  60.7  73.1  75.1
    4 conv, 7x7, 8 filters, stride 2     22.9  25.1  30.6  23.4  10.0
    4 fc, 128 units                      38.3  42.6  40.4  29.6  10.0
"""


def rates(recipe: Recipe, steps: int, epoch: int) -> NDArray[np.float64]:
    """(steps,) learning rates of one epoch: a cosine from `lr` to 0 over all epochs, moved at every step."""
    done = (epoch * steps + np.arange(steps)) / (recipe.epochs * steps)
    return np.asarray(recipe.lr * 0.5 * (1 + np.cos(np.pi * done)))
