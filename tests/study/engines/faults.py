"""Faults, and engines that they befall: a study is run by its command, something is killed or cut off, and what is left counts.

    python tests/study/engines/faults.py                       # the table of docs/guide/cluster.md, each fault once
    python tests/study/engines/faults.py --tries 5 dask ray    # of some engines, as often

Of each try: runs that were there when it happened and are not any more, or are not there in the end (lost), whether a command
took longer than `PATIENCE` (hung), and whether records are those of a run in one process (same).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benches import LOCAL, Bench, children, kill, made, opened
from clusters import ROOT

from nasbench_lab.study import execute, shelf, store
from nasbench_lab.study.plan import Plan, resolve
from nasbench_lab.study.study import Study, StudyTask

PATIENCE = 600.0  # seconds for a command
SEEDS, QUERIES, BLOCK = 300, 800, 10
SLURM_BLOCK = 30  # a job takes seconds to begin
MOMENT = 60  # runs that are there when something happens
HOG = """
import os
import resource
import time
from dataclasses import dataclass

from nasbench_lab import Query, Strategy


@dataclass
class Mine(Strategy):
    def start(self, task, seed):
        self.first, self.number = seed, 0
        super().start(task, seed)

    def propose(self):
        self.number += 1
        if self.number == 3 and self.first == 7 and os.environ.get("HUNGRY"):
            self.eat(os.environ["HUNGRY"] == "for more than there may be")
        return Query(self.design(), self.task.full)

    def eat(self, limited):
        before = resource.getrlimit(resource.RLIMIT_AS)
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        if limited:
            resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), before[1]))
        try:
            held = [bytearray(b"x") * (1 << 20) for _ in range(1500)]
            time.sleep(60)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    def observe(self, result):
        pass
"""


class Outcome(NamedTuple):
    """Of one try."""

    lost: int
    hung: int
    same: bool
    said: str


@dataclass
class Try:
    """One study, by its command."""

    bench: Bench
    folder: Path
    study: Study
    workers: int = 1
    said: str = ""
    hung: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        (self.folder / "study.toml").write_text(text_of(self.study))
        self.plan = resolve(self.study)
        self.out = self.folder / "out"

    def there(self) -> int:
        return sum(map(len, shelf.Shelf(self.out).of(self.plan.groups[0]).seeds))

    def run(self, moment: int = 0, what: Callable[[int], object] | None = None) -> int:
        """The command, with something that happens to it, told its process, when so many runs are there; its exit status."""
        code = "from nasbench_lab.cli.app import main; main()"
        told = ["run", "study.toml", "--out", "out", "--backend", self.bench.backend]
        told += ["--workers", str(self.workers)] if self.workers > 1 else []
        log = self.folder / "said"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("ab") as to:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *told], cwd=self.folder, env=env, stdout=to, stderr=to
            )
        self.bench.command = process.pid
        until = time.monotonic() + PATIENCE
        while what and process.poll() is None and time.monotonic() < until:
            if self.there() >= moment:
                before = self.there()
                what(process.pid)
                what = None
                self.lost += max(0, before - self.there())
            time.sleep(0.02)
        try:
            status = process.wait(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.hung += 1
            below = list(children(process.pid))
            process.kill()
            kill(below)
            status = process.wait()
        self.said = log.read_text()
        return status

    def outcome(self) -> Outcome:
        """What is left in the end; a traceback of this package's is as bad as another record."""
        lost = self.lost + self.study.seeds - self.there()
        clean = not re.search(r'^  File ".*nasbench_lab/', self.said, re.MULTILINE)
        same = not lost and clean and digest(self.plan, self.out) == reference(self.study)
        return Outcome(lost, self.hung, same, self.said)


def text_of(study: Study) -> str:
    (spec,), (task,) = study.strategies, study.tasks
    return (
        f'strategies = ["{spec}"]\nseeds = {study.seeds}\nblock = {study.block}\n[[task]]\ntable = "{task.table}"\n'
        f"max_queries = {int(task.max_queries)}\nnoise = {task.noise}\n"
    )


def digest(plan: Plan, out: Path) -> str:
    return store.digest(execute.collect(plan, out)[0][1].columns)


@cache
def reference(study: Study) -> str:
    """The records of a study, run in this process."""
    plan = resolve(study)
    with tempfile.TemporaryDirectory() as folder:
        execute.run(plan, Path(folder))
        return digest(plan, Path(folder))


def plain(engine: str, seeds: int = SEEDS) -> Study:
    block = SLURM_BLOCK if engine == "slurm-local" else BLOCK
    return Study(("random_search",), (StudyTask("toy", max_queries=QUERIES, noise=0.5),), seeds=seeds, block=block)


def workers_of(engine: str) -> int:
    return 2 if engine in LOCAL else 1


def once(engine: str, folder: Path, what: Callable[[Bench], Callable[[int], object]], **options: object) -> Outcome:
    """Something happens; where the command ends by it, it is run again."""
    with opened(made(engine, **options)(folder), folder) as bench:
        tried = Try(bench, folder, plain(engine), workers_of(engine))
        if tried.run(MOMENT, what(bench)):
            tried.run()
        return tried.outcome()


def worker_killed(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, lambda bench: lambda _: bench.kill_worker())


def scheduler_restarted(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, lambda bench: lambda _: bench.restart())


def caller_killed(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, lambda _: lambda pid: kill([pid]))


def caller_told_to_end(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, lambda _: lambda pid: kill([pid], signal.SIGTERM))


def no_workers(engine: str, folder: Path) -> Outcome:
    """For 40 s; who waits is told on what."""

    def later(bench: Bench) -> Callable[[int], object]:
        return lambda _: (time.sleep(40), bench.more())

    with opened(made(engine)(folder), folder, workers=0) as bench:
        tried = Try(bench, folder, plain(engine))
        if tried.run(0, later(bench)):
            tried.run()
        found = tried.outcome()
    return found._replace(same=found.same and "no result for" in found.said)


def _line(moment: str) -> Callable[[Bench], Callable[[int], object]]:
    def happens(bench: Bench) -> Callable[[int], object]:
        def cut(_: int) -> None:
            proxy = bench.proxy
            if moment == "stalls":
                proxy.stalled = True
            else:
                proxy.cut()
            time.sleep(15)
            proxy.stalled = proxy.down = False
            if bench.behind == "workers":  # which end where they lose their scheduler; who started them does so again
                bench.more()

        return cut

    return happens


def callers_line_cut(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, _line("cut"), through="caller")


def callers_line_stalls(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, _line("stalls"), through="caller")


def workers_line_cut(engine: str, folder: Path) -> Outcome:
    return once(engine, folder, _line("cut"), through="workers", nanny=True)


def other_code(engine: str, folder: Path) -> Outcome:
    """A worker with an edited package is named; with the same one all is well. Here at home a strategy is edited meanwhile."""
    if engine in LOCAL:
        return _edited(engine, folder)
    other = folder / "other"
    shutil.copytree(ROOT / "nasbench_lab", other / "nasbench_lab")
    with (other / "nasbench_lab" / "core.py").open("a") as core:
        core.write("\n# edited\n")
    with opened(made(engine)(folder), folder, workers=0) as bench:
        bench.more(root=other)
        tried = Try(bench, folder, plain(engine, 60))
        status = tried.run()
        named = "or of the lab is another one on" in tried.said
    with opened(made(engine)(folder / "again"), folder / "again") as bench:
        tried.bench = bench
        tried.run()
        found = tried.outcome()
    return found._replace(same=found.same and status == 2 and named)


def _edited(engine: str, folder: Path) -> Outcome:
    path = folder / "mine.py"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(HOG)
    study = Study((str(path),), (StudyTask("toy", max_queries=2000, noise=0.5),), seeds=120, block=5)
    text = path.read_text()
    with opened(made(engine)(folder), folder) as bench:
        tried = Try(bench, folder, study, 2)
        tried.run(20, lambda _: path.write_text(f"{text}\n# edited\n"))
        path.write_text(text)
        tried.lost = max(0, 20 - tried.there())
        tried.run()
        return tried.outcome()


def _hungry(engine: str, folder: Path, how: str, **options: object) -> Outcome:
    """A run that finds no memory is named, all others are kept; where there is more, it is done as well."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(HOG)
    study = Study((str(folder / "mine.py"),), (StudyTask("toy", max_queries=5, noise=0.5),), seeds=40, block=10)
    os.environ["HUNGRY"] = how
    with opened(made(engine, **options)(folder), folder) as bench:
        tried = Try(bench, folder, study, workers_of(engine))
        status = tried.run()
        tried.lost = 39 - tried.there()
        named = "1 left out" in tried.said and "mine.py on toy, seed 7 " in tried.said
    del os.environ["HUNGRY"]
    with opened(made(engine)(folder / "again"), folder / "again") as bench:
        tried.bench = bench
        tried.run()
        found = tried.outcome()
    return found._replace(same=found.same and status == 2 and named)


def no_memory(engine: str, folder: Path) -> Outcome:
    return _hungry(engine, folder, "for more than there may be")


def too_much_memory(engine: str, folder: Path) -> Outcome:
    """Dask's nanny ends a worker that has more than it may."""
    return _hungry(engine, folder, "for more than is given", nanny=True, memory="600MB")


FAULTS: dict[str, tuple[Callable[[str, Path], Outcome], tuple[str, ...]]] = {
    "a worker is killed (SIGKILL)": (worker_killed, ("loky", "dask", "ray", "slurm-local")),
    "the scheduler, or Ray's head, is killed and started again": (scheduler_restarted, ("dask", "ray")),
    "no workers for 40 s": (no_workers, ("dask", "ray")),
    "the caller's line to the scheduler is cut for 15 s": (callers_line_cut, ("dask",)),
    "it stalls for 15 s": (callers_line_stalls, ("dask",)),
    "the workers' line to the scheduler is cut for 15 s": (workers_line_cut, ("dask",)),
    "a worker has other code": (other_code, ("loky", "dask", "ray", "slurm-local")),
    "a run finds no memory (RLIMIT_AS)": (no_memory, ("loky", "dask", "ray", "slurm-local")),
    "a run takes more than its worker's 600 MB (Dask's limit)": (too_much_memory, ("dask",)),
    "the command is killed (SIGKILL)": (caller_killed, ("loky", "dask", "ray", "slurm-local")),
    "the command is told to end (SIGTERM)": (caller_told_to_end, ("loky", "dask", "ray", "slurm-local")),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engines", nargs="*", default=["loky", "dask", "ray", "slurm-local"])
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a fault's name")
    given = parser.parse_args()
    print(
        "| fault | engine | tries | lost | hung | same | seconds |\n| --- | --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for name, (fault, engines) in FAULTS.items():
        for engine in (each for each in engines if each in given.engines and given.only in name):
            begin, found = time.monotonic(), list[Outcome]()
            for _ in range(given.tries):
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    found.append(fault(engine, Path(folder) / "study"))
            sums = [sum(each[i] for each in found) for i in range(3)]
            seconds = (time.monotonic() - begin) / given.tries
            print(
                f"| {name} | {engine} | {given.tries} | {sums[0]} | {sums[1]} | {sums[2]} | {seconds:.0f} |", flush=True
            )
            for each in found:
                if each.lost or each.hung or not each.same:
                    print(each.said[-3000:], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
