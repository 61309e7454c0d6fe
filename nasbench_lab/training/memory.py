"""Memory of a device: how much there is, and which errors say that it was not enough."""

from __future__ import annotations

from pathlib import Path

import torch

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
_UNKNOWN = 4 << 30  # bytes that are counted on where the system does not say


def starved(error: BaseException) -> bool:
    """Whether an error means out of memory, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


def free(device: torch.device) -> int:
    """Bytes that can be had: what PyTorch holds and does not use counts."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _UNKNOWN
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), _UNKNOWN)
