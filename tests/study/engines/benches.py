"""Engines with what they run on, as a fault finds them: processes that can be killed, lines that can be cut."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clusters import READY, ROOT, Cluster, free_port


def children(pid: int) -> dict[int, str]:
    """The descendants of a process that I started -> their command lines."""
    found: dict[int, str] = {}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found |= children(child)
    return found


def kill(pids: list[int], how: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)


class Proxy:
    """A port that hands bytes on to another one, until the line is cut (all connections end, none is taken) or stalls."""

    def __init__(self, port: int) -> None:
        self.port, self._to = free_port(), port
        self.down = self.stalled = False
        self._lines: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._door.accept()
                if self.down:
                    one.close()
                    continue
                other = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                if self._door.fileno() < 0:
                    return
                continue
            self._lines += [one, other]
            for ends in ((one, other), (other, one)):
                threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(1 << 16):
                while self.stalled:
                    time.sleep(0.05)
                there.sendall(data)
        for end in (here, there):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.down = True
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._door.close()
        self.cut()


class Bench:
    """An engine with what it runs on; this machine's processes need nothing.

    Attributes:
        backend: as the command is told it.
        command: that runs now.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.backend, self.command = folder, "loky", 0
        self.worker = "popen_loky"  # in the command line of who computes

    def start(self, workers: int = 1) -> None: ...

    def stop(self) -> None: ...

    def kill_worker(self) -> None:
        kill([pid for pid, line in children(self.command).items() if self.worker in line][:1])


class Local(Bench):
    """Slurm's jobs, by submitit's local executor."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.backend, self.worker = f"slurm:cluster=local,folder={folder / 'jobs'},time=10", "submitit.core._submit"


class DaskBench(Bench):
    """A scheduler and workers that were started by hand; `through`: whose line, "caller" or "workers", goes through a proxy."""

    def __init__(self, folder: Path, *, through: str = "", nanny: bool = False, memory: str = "auto") -> None:
        super().__init__(folder)
        self.cluster, self.behind = Cluster(folder / "cluster"), through
        self._kind = {"nanny": nanny, "memory": memory}
        self.proxy: Proxy | None = None

    def start(self, workers: int = 1) -> None:
        self.cluster.start_scheduler()
        self.backend = f"dask:{self.cluster.address}"
        if self.behind:
            self.proxy = Proxy(self.cluster.port)
            behind = f"tcp://127.0.0.1:{self.proxy.port}"
            if self.behind == "caller":
                self.backend = f"dask:{behind}"
            else:
                self.cluster.address = behind
        for _ in range(workers):
            self.more()

    def more(self, **options: object) -> None:
        self.cluster.start_worker(**{**self._kind, **options})

    def kill_worker(self) -> None:
        self.cluster.workers[-1].kill()
        self.more()

    def restart(self) -> None:
        assert self.cluster.scheduler is not None
        self.cluster.scheduler.kill()
        self.cluster.scheduler.wait()
        time.sleep(5)
        self.cluster.start_scheduler()
        self.more()

    def stop(self) -> None:
        if self.proxy:
            self.proxy.close()
        below = [pid for each in self.cluster.workers for pid in children(each.pid)]
        self.cluster.stop()
        kill(below)


class RayBench(Bench):
    """A head, started by hand, with a processor or none, and nodes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.nodes = free_port(), list[subprocess.Popen[bytes]]()
        self.backend, self.worker = f"ray:127.0.0.1:{self.port}", "ray::"

    def start(self, workers: int = 1) -> None:
        self._node("--head", f"--port={self.port}", "--include-dashboard=false", f"--num-cpus={workers}")
        until = time.monotonic() + READY
        while time.monotonic() < until:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.2)
        time.sleep(5)

    def more(self, root: Path = ROOT) -> None:
        self._node(f"--address=127.0.0.1:{self.port}", "--num-cpus=1", root=root)

    def _node(self, *told: str, root: Path = ROOT) -> None:
        here = self.folder / f"node{len(self.nodes)}"
        here.mkdir(parents=True, exist_ok=True)
        env = {
            **os.environ,
            "PYTHONPATH": str(root),
            "RAY_DISABLE_IMPORT_WARNING": "1",
            "XDG_CACHE_HOME": str(here / "cache"),
        }
        command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", *told]
        more = ["--disable-usage-stats", "--object-store-memory=100000000"]
        with (here / "log").open("ab") as log:
            self.nodes.append(subprocess.Popen([*command, *more], cwd=here, env=env, stdout=log, stderr=log))

    def kill_worker(self) -> None:
        lines = {pid: line for node in self.nodes for pid, line in children(node.pid).items()}
        kill([pid for pid, line in lines.items() if "ray::call" in line][:1])

    def stop(self) -> None:
        for node in self.nodes:
            below = list(children(node.pid))
            node.kill()
            kill(below)
            node.wait()
        self.nodes = []

    def restart(self) -> None:
        self.stop()
        time.sleep(3)
        self.start()


@contextmanager
def opened(bench: Bench, folder: Path, workers: int = 1) -> Iterator[Bench]:
    folder.mkdir(parents=True, exist_ok=True)
    bench.start(workers)
    try:
        yield bench
    finally:
        bench.stop()


Made = Callable[[Path], Bench]
LOCAL = ("loky", "slurm-local")


def made(engine: str, **options: object) -> Made:
    kinds: dict[str, type[Bench]] = {"loky": Bench, "slurm-local": Local, "dask": DaskBench, "ray": RayBench}
    return lambda folder: kinds[engine](folder, **options)
