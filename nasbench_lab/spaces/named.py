"""Spaces by name: those of published benchmarks, each with its official order where there is one, and our own.

nas-bench-201     6 edges, 5 operations, 15,625 cells (Dong & Yang, ICLR 2020)
transnas-micro    6 edges, 4 operations, 4,096 cells in base 4 (Duan et al., CVPR 2021)
transnas-macro    3,256 chains of 4 to 6 stages (the same), in the order of the published files
nas-bench-macro   8 stages of 3 blocks, 6,561 networks (Su et al., ICLR 2021)
fcnet             9 choices of architecture and training, 62,208 networks (Klein & Hutter 2019, arXiv:1905.04970)
nats-size         channels of 5 layers, 32,768 networks (Dong et al., TPAMI 2021)
chain             layers of one kind and their learning rate, 864 configurations, see `chain`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations

import numpy as np

from nasbench_lab.errors import LabError
from nasbench_lab.spaces import cell, cells, chain
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.spaces.space import Space

STAGES = ("plain", "double", "down", "double_down")  # a stage's number: doubles channels + 2 x halves resolution
ABSENT = "absent"
BLOCKS = ("identity", "mb3_k3", "mb6_k5")
CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64)


def named(name: str) -> Space:
    """The space with this name; made once per process.

    Raises:
        LabError: there is none; names those there are.
    """
    if name not in SPACES:
        raise LabError(f"no space is called {name!r}; there are {', '.join(SPACES)}, or give a TOML file")
    return SPACES[name]()


@cache
def transnas_micro() -> Space:
    """Cells without pooling; index = the six digits in base 4, as the benchmark counts them."""
    operations = dict(zip(cell.OPS[:4], cells.ROLES[:4], strict=True))
    return cells.make(operations, name="transnas-micro")


def macro_chains() -> list[tuple[int, ...]]:
    """Numbers of the stages of every chain, in the published order.

    By length; by how many stages double channels (1 to 3), by how many halve resolution (1 to 4); by the doubling
    stages, by the halving ones, both in lexicographic order.
    """
    found = []
    for length in (4, 5, 6):
        for doublings in (1, 2, 3):
            for downs in (1, 2, 3, 4):
                for doubled in combinations(range(length), doublings):
                    for halved in combinations(range(length), downs):
                        found.append(tuple((stage in doubled) + 2 * (stage in halved) for stage in range(length)))
    return found


@cache
def transnas_macro() -> Space:
    """Chains of 4 to 6 stages; a stage that is not there is `absent`."""
    chains = [chain + (len(STAGES),) * (6 - len(chain)) for chain in macro_chains()]
    decisions = [Decision(f"stage_{i + 1}", STAGES if i < 4 else (*STAGES, ABSENT)) for i in range(6)]
    return Space(decisions, listed=np.array(chains), name="transnas-macro")


@cache
def nas_bench_macro() -> Space:
    """Eight stages; index = the eight digits in base 3, as the benchmark writes them."""
    return Space([Decision(f"stage_{i + 1}", BLOCKS) for i in range(8)], name="nas-bench-macro")


@cache
def fcnet() -> Space:
    """Two fully connected layers and how they are trained."""
    units, dropouts = (16, 32, 64, 128, 256, 512), (0.0, 0.3, 0.6)
    decisions = [
        Decision("activation_fn_1", ("relu", "tanh")),
        Decision("activation_fn_2", ("relu", "tanh")),
        Decision("batch_size", (8, 16, 32, 64), ordered=True),
        Decision("dropout_1", dropouts, ordered=True),
        Decision("dropout_2", dropouts, ordered=True),
        Decision("init_lr", (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1), ordered=True),
        Decision("lr_schedule", ("const", "cosine")),
        Decision("n_units_1", units, ordered=True),
        Decision("n_units_2", units, ordered=True),
    ]
    return Space(decisions, name="fcnet")


@cache
def nats_size() -> Space:
    """Channels of five layers, written 8:16:24:32:40."""
    return Space([Decision(f"layer_{i + 1}", CHANNELS, ordered=True) for i in range(5)], name="nats-size")


SPACES: Mapping[str, Callable[[], Space]] = ReadOnly(
    {
        "nas-bench-201": lambda: cell.SPACE,
        "transnas-micro": transnas_micro,
        "transnas-macro": transnas_macro,
        "nas-bench-macro": nas_bench_macro,
        "fcnet": fcnet,
        "nats-size": nats_size,
        "chain": chain.space,
    }
)
