"""Seeding torch's global generator of one device, and none else.

`torch.manual_seed` seeds the generators of all devices, and `fork_rng(devices=[])` gives back the CPU's alone: a user's
draws on a GPU would begin anew whenever we build a network. Weights are drawn on the CPU, for every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Torch's global generator of one device at a seed, and as it was afterwards; draws are those after `torch.manual_seed`."""
    place = torch.device(device)
    if place.type != "cuda":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    number = torch.cuda.current_device() if place.index is None else place.index
    with torch.random.fork_rng(devices=[number]):
        torch.cuda.default_generators[number].manual_seed(seed)
        yield
