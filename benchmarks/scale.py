"""What a very large study costs: two strategies x many seeds x 10 queries on `digits`, killed once on its way and gone on with.

    python benchmarks/scale.py                        # a million runs, two processes of this machine
    python benchmarks/scale.py --seeds 20000          # fewer
    python benchmarks/scale.py --backend dask --seeds 50000   # a scheduler and two workers, processes in folders of their own
    python benchmarks/scale.py --speed-up --repeats 5         # from one process to two, of short runs and of long ones

Prints time, memory of the caller, bytes on disk, how long a resumed run looks for what is left, and the board; what a run costs
beyond its queries; and what follows for more workers. Marks, on two cores: 20 minutes for a million runs, 1 GB, a board in
2 minutes, 0.3 ms a run beyond its queries.

With `--speed-up`: the same study with one process and with two, started beforehand, one after the other, again and again, in
turns who is first; seconds by the clock and of processors, all processes together, as others may use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.leaderboard.rebuild import rebuild
from nasbench_lab.study import execute, jobs
from nasbench_lab.study.engines import local
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask

STRATEGIES, QUERIES, MORE = ("random_search", "regularized_evolution"), 10, 110
SHORT, LONG = ("random_search", 10, 40_000), ("gp_bo", 60, 100)  # strategy, queries, seeds
Row = dict[str, Any]


def study_of(seeds: int, queries: int = QUERIES) -> Study:
    return Study(STRATEGIES, (StudyTask("digits", max_queries=queries),), seeds)


def memory() -> float:
    """Megabytes of this process, at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed_run(seeds: int, out: Path, backend: str, workers: int) -> Row:
    """Run what is left; in this process."""
    plan, begin, busy = resolve(study_of(seeds)), time.perf_counter(), time.process_time()
    looked: list[tuple[int, float]] = []

    def progress(done: int, _total: int) -> None:
        looked.append((done, time.perf_counter() - begin)) if not looked else None

    execute.run(plan, out, workers=workers, backend=backend, progress=progress)
    done, look = looked[0]
    seconds, cpu = time.perf_counter() - begin, time.process_time() - busy
    return {"there": done, "look": look, "seconds": seconds, "cpu": cpu, "megabytes": memory()}


def timed_board(seeds: int, out: Path) -> Row:
    """The leaderboard; in this process."""
    plan, begin = resolve(study_of(seeds)), time.perf_counter()
    rebuild(plan, out)
    return {"seconds": time.perf_counter() - begin, "megabytes": memory()}


def overhead(seeds: int = 2000) -> Row:
    """Milliseconds of a run of random search beyond its queries, and microseconds of a query, in one process."""
    found = []
    for queries in (QUERIES, MORE):
        plan = resolve(Study(STRATEGIES[:1], (StudyTask("digits", max_queries=queries),), seeds))
        job = jobs.of_group(plan, plan.groups[0])
        jobs.run(job.of(range(10)))
        begin = time.process_time()
        jobs.run(job)
        found.append((time.process_time() - begin) / seeds)
    query = (found[1] - found[0]) / (MORE - QUERIES)
    return {"run_ms": 1e3 * (found[0] - QUERIES * query), "query_us": 1e6 * query}


def part(name: str, given: argparse.Namespace, out: Path, backend: str) -> subprocess.Popen[str]:
    told = [sys.executable, __file__, "--part", name, "--out", str(out), "--seeds", str(given.seeds)]
    told += ["--backend", backend, "--workers", str(given.workers)]
    return subprocess.Popen(told, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> Row:
    said, _ = process.communicate()
    found: Row = json.loads(said)
    return found


@contextmanager
def cluster(backend: str, workers: int, folder: Path) -> Iterator[str]:
    """The backend; for "dask" the address of a scheduler that is started with so many workers, each in its own folder."""
    if backend != "dask":
        yield backend
        return
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{found.getsockname()[1]}"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    worker = ("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
    told = [("scheduler", "--host", address.removeprefix("tcp://"), "--no-dashboard"), *[worker] * workers]
    started = []
    for number, (what, *more) in enumerate(told):
        (folder / str(number)).mkdir(parents=True)
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *more]
        quiet = subprocess.DEVNULL
        started.append(subprocess.Popen(command, cwd=folder / str(number), env=env, stdout=quiet, stderr=quiet))
        time.sleep(5)
    try:
        yield f"dask:{address}"
    finally:
        for process in started:
            process.kill()
            process.wait()


def measured(given: argparse.Namespace, folder: Path) -> Row:
    """All figures."""
    out, runs = folder / "out", 2 * given.seeds
    with cluster(given.backend, given.workers, folder / "cluster") as backend:
        begin = time.perf_counter()
        first = part("run", given, out, backend)
        while first.poll() is None and (time.perf_counter() - begin < given.kill_after):
            time.sleep(0.1)
        killed = first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = time.perf_counter() - begin
        second = answer(part("run", given, out, backend))
        third = answer(part("run", given, out, backend))
    board = answer(part("board", given, out, given.backend))
    files = list((out / "runs").iterdir())
    size = sum(path.stat().st_size for path in files)
    return {
        "runs": runs,
        "killed": killed,
        "kept_when_killed": second["there"],
        "seconds": before + second["seconds"],
        "caller_megabytes": second["megabytes"],
        "caller_cpu_us_a_run": 1e6 * second["cpu"] / left if (left := runs - second["there"]) else float("nan"),
        "resume_look_seconds": second["look"],
        "look_when_done_seconds": third["look"],
        "bytes_a_run": size / runs,
        "files": len(files),
        "board_seconds": board["seconds"],
        "board_megabytes": board["megabytes"],
        **overhead(),
    }


def one_study(strategy: str, queries: int, seeds: int, workers: int) -> Row:
    """Run a study where the processes are there already: seconds by the clock and of processors, of caller and workers."""
    studies = [Study((strategy,), (StudyTask("digits", max_queries=queries),), count) for count in (4 * workers, seeds)]
    with tempfile.TemporaryDirectory() as folder:
        execute.run(resolve(studies[0]), Path(folder) / "first", workers=workers)
        plan, begin, caller, others = resolve(studies[1]), time.perf_counter(), time.process_time(), below()
        execute.run(plan, Path(folder) / "second", workers=workers)
        seconds, caller = time.perf_counter() - begin, time.process_time() - caller
    return {"seconds": seconds, "cpu": caller + below() - others, "caller": caller}


def below() -> float:
    """Processor seconds of the processes of this machine that compute for this one."""
    pids = [pid for pool in local._pools.values() for pid in pool._processes]
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(each) for both in ticks for each in both) / os.sysconf("SC_CLK_TCK")


def once(*asked: str | int) -> Row:
    """`one_study` in a process of its own."""
    told = [sys.executable, "-c", f"import json, scale\nprint(json.dumps(scale.one_study{asked!r}))"]
    ended = subprocess.run(told, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True)
    found: Row = json.loads(ended.stdout)
    return found


def speed_up(repeats: int) -> None:
    """Print, from one process to two, of short runs and of long ones: medians and ranges of pairs."""
    heads = ("runs", "pairs", "one process, s", "two, s", "speed-up", "processor s, two / one", "caller, s", "load")
    print(f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", sep="\n", flush=True)
    for strategy, queries, seeds in (SHORT, LONG):
        pairs, loads = list[dict[int, Row]](), list[float]()
        for number in range(repeats):
            loads.append(os.getloadavg()[0])
            order = (1, 2) if number % 2 else (2, 1)
            pairs.append({workers: once(strategy, queries, seeds, workers) for workers in order})
        one, two = ({name: np.array([each[n][name] for each in pairs]) for name in pairs[0][n]} for n in (1, 2))
        gain, price = one["seconds"] / two["seconds"], two["cpu"] / one["cpu"]
        cells = (
            f"{seeds:,} of `{strategy}`, {queries} queries",
            str(repeats),
            *(f"{np.median(each['seconds']):.1f}" for each in (one, two)),
            *(f"{np.median(each):.2f} ({each.min():.2f} to {each.max():.2f})" for each in (gain, price)),
            f"{np.median(two['caller']):.2f}",
            f"{min(loads):.0f} to {max(loads):.0f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def limits(found: Row) -> list[str]:
    """What follows for more workers: runs per second that they make, and what the caller would have to take."""
    run = 1e-3 * found["run_ms"] + 1e-6 * QUERIES * found["query_us"]
    caller = 1e6 / found["caller_cpu_us_a_run"]
    said = [
        f"the caller keeps up with {caller:,.0f} such runs a second, {caller * found['bytes_a_run'] / 1e6:.1f} MB/s"
    ]
    for workers in (64, 1_000, 10_000):
        made, block = workers / run, max(2.0, workers / 10)
        share = min(1.0, caller / made)
        least = 1e3 * workers / caller
        said.append(
            f"{workers:>6,} workers make {made:>12,.0f} runs of {1e3 * run:.2f} ms a second, the caller {share:.0%} "
            f"of them; with runs of {least:,.0f} ms and more, all. Blocks of {block:,.0f} s: {workers / block:.0f} jobs a second"
        )
    return said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=500_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backend", default="loky")
    parser.add_argument("--kill-after", type=float, default=60.0, help="seconds")
    parser.add_argument("--speed-up", action="store_true")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of --speed-up")
    parser.add_argument("--part", choices=("run", "board"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.speed_up:
        speed_up(given.repeats)
    elif given.part == "run":
        print(json.dumps(timed_run(given.seeds, given.out, given.backend, given.workers)))
    elif given.part == "board":
        print(json.dumps(timed_board(given.seeds, given.out)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(given, Path(folder))
        late = "it ended before it was to be killed, so nothing follows for more workers: a shorter --kill-after"
        print(json.dumps(found, indent=1), *(limits(found) if found["killed"] else [late]), sep="\n")


if __name__ == "__main__":
    main()
