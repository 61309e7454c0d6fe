"""Who writes to what runs share by its address, past numpy, is found by the conformance kit."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

import numpy as np
import pytest
from kit import outcome

from nasbench_lab.spaces import encodings
from nasbench_lab.strategies.baselines.random_search import RandomSearch


@dataclass
class WritesByAddress(RandomSearch):
    """As `torch.from_numpy` would: whether an array is read-only is not asked."""

    what: str = "classes"

    def setup(self):
        super().setup()
        shared = encodings.structure() if self.what == "structure" else getattr(self.task.space, self.what)
        pointer = ctypes.cast(shared.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        memory = np.ctypeslib.as_array(pointer, (shared.nbytes,))
        self.undo = memory, memory[:8].copy()
        memory[:8] ^= np.uint8(1 + self.rng.integers(250))


@pytest.mark.parametrize("what", ["classes", "one_hot", "neighbours", "structure"])
def test_who_writes_past_numpy_is_found(what):
    made = []

    def make():
        made.append(WritesByAddress(what=what))
        return made[-1]

    try:
        assert re.search(f"writes to .*{what}.*, which all runs share", outcome(make, "changes nothing"))
    finally:  # the first of them saw what was there before
        for strategy in reversed([each for each in made if hasattr(each, "undo")]):
            strategy.undo[0][:8] = strategy.undo[1]
