"""Dask clusters as they are started by hand: a scheduler and workers, processes of their own in folders of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import nasbench_lab

ROOT = Path(nasbench_lab.__file__).parents[1]
READY = 60.0  # seconds


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Cluster:
    """A scheduler and workers; `folder` gets a folder of its own for each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        until = time.monotonic() + READY
        while time.monotonic() < until:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the scheduler did not start")

    def start_worker(self, *, root: Path = ROOT, nanny: bool = False, memory: str = "auto") -> subprocess.Popen[bytes]:
        kind = "--nanny" if nanny else "--no-nanny"
        told = (self.address, "--nthreads", "1", kind, "--no-dashboard", "--death-timeout", "60", "--host", "127.0.0.1")
        self.workers.append(self._start("worker", *told, "--memory-limit", memory, root=root))
        return self.workers[-1]

    def _start(self, what: str, *told: str, root: Path = ROOT) -> subprocess.Popen[bytes]:
        here = self.folder / f"{what}{len(self.workers)}"
        here.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(here / "cache")}
        env.pop("NASBENCH_LAB_DATA", None)
        with (here / "log").open("ab") as log:
            command = [sys.executable, "-m", "distributed.cli.dask_" + what, *told]
            return subprocess.Popen(command, cwd=here, env=env, stdout=log, stderr=log)

    def stop(self) -> None:
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait()
