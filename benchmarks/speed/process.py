"""What benchmarks of training ask of their process: one thread, and by how much it grows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def fresh(module: str, *arguments: str) -> int:
    """The number that a module of `benchmarks` prints, run in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout)


def grown(work: Callable[[], object]) -> int:
    """MB by which this process, which should be fresh, grows at most during some work."""
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = _status("VmRSS")
    work()
    return round((_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    """KB, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
