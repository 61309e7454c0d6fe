"""Uniform cells without replacement, for every strategy that starts from them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from nasbench_lab.core import Strategy

_DRAWS = 50  # by rejection; while a tenth of the space is unseen, 50 draws miss it with probability 0.005


def unseen(strategy: Strategy, seen: AbstractSet[int]) -> int | None:
    """A uniform cell that is not in `seen`: the next one of the common design while that is quick; None if there is none."""
    size = strategy.task.space.size
    if len(seen) >= size:
        return None
    for _ in range(_DRAWS):
        if (arch := strategy.design()) not in seen:
            return arch
    rest = [arch for arch in range(size) if arch not in seen]
    return rest[int(strategy.rng.integers(len(rest)))]
