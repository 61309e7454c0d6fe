"""Do runs depend on the processor? Every strategy under several kernels: `python benchmarks/kernels.py SPEC ... [options]`.

    python benchmarks/kernels.py gp_bo tpe --table cifar10 --search oracle --queries 100 --seeds 0:500
    python benchmarks/kernels.py ehvi parego dppnet --objectives val latency_ms/edgegpu --table cifar10 --search 200
    python benchmarks/kernels.py transfer_gp --sources cifar100 --out /tmp/kernels    # goes on where it was

A setting of `SETTINGS` is what another processor would choose by itself: OpenBLAS' kernels (numpy and scipy each carry
their own), numpy's vector instructions, the C library's and torch's. Each runs in a process of its own, one at a time, and
leaves files of 25 runs under --out, named by a hash of the code, too, so that nothing old is taken for new. Printed are,
per strategy: how many runs differ in any query or incumbent between any two settings, milliseconds per query under the
first, and of the first few runs that differ the first query at which they do, with the numbers of the strategy's state that
differ most once that query is chosen.

`bits` (as the only spec) prints a hash of a few products, factors and functions per setting: those that agree in all
are one kernel under two names. A setting that the processor here cannot run (SkylakeX without AVX-512, say) dies at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
}
SETTINGS: dict[str, dict[str, str]] = {
    "haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "nehalem": {"OPENBLAS_CORETYPE": "Nehalem", **_PLAIN},  # no AVX, no FMA, anywhere
    "sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "prescott": {"OPENBLAS_CORETYPE": "Prescott", **_PLAIN},
    "skylakex": {"OPENBLAS_CORETYPE": "SkylakeX"},
}
_BLOCK = 25
_SHOWN = 3
Runs = list[NDArray[np.int64]]  # of every run (queries, 3): cell, epochs, incumbent


def evaluator(told: dict[str, Any]) -> Any:
    """What answers, as the options say."""
    from nasbench_lab.evaluators.tabular import Tabular
    from nasbench_lab.tables import catalog

    sources = {name: catalog.load(name) for name in told["sources"]}
    search = int(told["search"]) if str(told["search"]).isdigit() else told["search"]
    objectives = tuple(told["objectives"])
    return Tabular(
        catalog.load(told["table"]), search=search, objectives=objectives, sources=sources, trials=told["trials"]
    )


def in_setting(setting: str, task: str, told: dict[str, Any]) -> str:
    """What a fresh process prints that does `task` under a setting.

    Raises:
        SystemExit: it failed; says how.
    """
    env = os.environ | {"OMP_NUM_THREADS": "1"} | SETTINGS[setting]
    done = subprocess.run(
        [sys.executable, __file__, "--worker", task, json.dumps(told)],
        check=False,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{setting}: the process ended with {done.returncode}")
    return done.stdout


def runs(told: dict[str, Any]) -> None:
    """Worker: run one strategy over some seeds and write what was asked for, and seconds per run."""
    from nasbench_lab import loading
    from nasbench_lab.study import runner

    answers, took = evaluator(told), []
    found: dict[str, Any] = {}
    for seed in range(*told["seeds"]):
        begin = time.process_time()
        strategy = loading.build("strategies", told["spec"])
        run = runner.search(strategy, answers, seed=seed, max_queries=told["queries"])
        took.append(time.process_time() - begin)
        found[str(seed)] = np.array([(r.result.query.arch, r.result.query.epochs, r.incumbent) for r in run.records])
    with open(told["file"], "wb") as file:
        np.savez_compressed(file, allow_pickle=False, took=np.array(took), **found)


def state(told: dict[str, Any]) -> None:
    """Worker: print the numbers of a strategy's state before a query."""
    from nasbench_lab import loading
    from nasbench_lab.study import runner
    from nasbench_lab.study.runner import StrategyError

    strategy = loading.build("strategies", told["spec"])
    ask, asked = strategy.ask, [0]

    def counted() -> Any:
        asked[0] += 1
        query = ask()
        if asked[0] == told["query"]:
            raise StrategyError("that far")
        return query

    strategy.ask = counted
    with suppress(StrategyError):
        runner.search(strategy, evaluator(told), seed=told["seed"], max_queries=told["queries"])
    print(json.dumps(dict(_numbers(strategy, "", set()))))


def _numbers(thing: Any, name: str, seen: set[int]) -> Iterator[tuple[str, list[float]]]:
    """Arrays and floats under an object's attributes, at most 20,000 numbers each, by dotted name."""
    if id(thing) in seen or name.count(".") > 5:
        return
    seen.add(id(thing))
    if isinstance(thing, float | np.floating) or (isinstance(thing, np.ndarray) and thing.dtype.kind == "f"):
        yield name, np.asarray(thing, dtype=np.float64).reshape(-1)[:20_000].tolist()
    elif isinstance(thing, list | tuple):
        for i, each in enumerate(thing[:50]):
            yield from _numbers(each, f"{name}.{i}", seen)
    elif hasattr(thing, "__dict__") and type(thing).__module__.startswith("nasbench_lab"):
        for key, each in vars(thing).items():
            if key not in ("task", "parts", "layout"):
                yield from _numbers(each, f"{name}.{key}", seen)


def bits(_told: dict[str, Any]) -> None:
    """Worker: print hashes of what kernels compute."""
    from scipy.linalg.lapack import dpotrf
    from scipy.special import erfcx, ndtri

    rng = np.random.default_rng(0)
    a, b, x = rng.standard_normal((101, 67)), rng.standard_normal((67, 501)), rng.standard_normal(10_000)
    spd = np.eye(67) + sum(np.outer(row, row) for row in a)
    made = {"product": a @ b, "float32": a.astype("f") @ b.astype("f"), "cholesky": np.linalg.cholesky(spd)}
    made |= {
        "scipy": dpotrf(spd)[0],
        "exp": np.exp(x),
        "tanh": np.tanh(x),
        "erfcx": erfcx(x),
        "ndtri": ndtri(abs(x) % 1),
    }
    hashes = {k: hashlib.sha256(np.ascontiguousarray(v).tobytes()).hexdigest()[:6] for k, v in made.items()}
    print("  ".join(f"{name} {value}" for name, value in hashes.items()))


WORKERS = {"runs": runs, "state": state, "bits": bits}


def code() -> str:
    """A hash of the package's source."""
    folder = Path(__file__).parents[1] / "nasbench_lab"
    files = [
        folder / "core.py",
        *(f for part in ("surrogates", "strategies", "spaces") for f in (folder / part).rglob("*.py")),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:8]


def measured(told: dict[str, Any], settings: list[str], out: Path) -> Iterator[tuple[str, Runs, list[float]]]:
    """Per setting: its runs, by seed, and CPU seconds of each."""
    mark = hashlib.sha256(json.dumps([code(), {k: v for k, v in told.items() if k != "seeds"}]).encode()).hexdigest()[
        :12
    ]
    first, last = told["seeds"]
    for setting in settings:
        found: Runs = []
        took: list[float] = []
        for start in range(first, last, _BLOCK):
            seeds = (start, min(start + _BLOCK, last))
            name = "".join(c if c.isalnum() else "_" for c in told["spec"])
            file = out / f"{name}-{mark}-{setting}-{seeds[0]}-{seeds[1]}.npz"
            if not file.exists():
                part = file.with_suffix(".part")
                in_setting(setting, "runs", {**told, "seeds": seeds, "file": str(part)})
                part.rename(file)
            with np.load(file) as block:
                found += [block[str(seed)] for seed in range(*seeds)]
                took += block["took"].tolist()
        yield setting, found, took


def explained(
    told: dict[str, Any], settings: tuple[str, str], a: NDArray[np.int64], b: NDArray[np.int64], seed: int
) -> str:
    """Where two runs of a seed part, and which numbers of the state differ most just after that query was chosen."""
    both = min(len(a), len(b))
    apart = np.flatnonzero((a[:both] != b[:both]).any(axis=1))
    query = int(apart[0]) + 1 if len(apart) else both + 1
    states = [json.loads(in_setting(s, "state", {**told, "seed": seed, "query": query})) for s in settings]
    away = {}
    for name in states[0].keys() & states[1].keys():
        left, right = (np.array(each[name]) for each in states)
        if left.shape == right.shape and len(left):
            gap = np.abs(left - right)
            scale = max(float(np.abs(left[np.isfinite(left)]).max(initial=0.0)), 1e-300)
            away[name] = float(gap[np.isfinite(gap)].max(initial=0.0)) / scale
    worst = sorted(away, key=lambda name: -away[name])[:6]
    told_of = ", ".join(f"{name} {away[name]:.1e}" for name in worst)
    cells = f"{a[query - 1].tolist()} and {b[query - 1].tolist()}" if len(apart) else "one ends"
    return f"    seed {seed}, {' and '.join(settings)}: query {query} ({cells}); relative differences: {told_of}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="+")
    parser.add_argument("--table", default="digits")
    parser.add_argument("--search")
    parser.add_argument("--trials", default="mean")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seeds", default="0:25", help="first:last, the last left out")
    parser.add_argument("--objectives", nargs="+", default=["val"])
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--settings", nargs="+", default=["haswell", "nehalem", "sandybridge"], choices=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=Path("/tmp/kernels"))
    given = vars(parser.parse_args())
    specs, settings, out = given.pop("specs"), given.pop("settings"), given.pop("out")
    if specs == ["bits"]:
        for setting in settings:
            print(f"{setting:12} {in_setting(setting, 'bits', {})}", end="")
        return
    out.mkdir(parents=True, exist_ok=True)
    seeds = [int(part) for part in given.pop("seeds").split(":")]
    for spec in specs:
        told = {**given, "spec": spec, "seeds": seeds}
        found = list(measured(told, settings, out))
        (first, base, took), *others = found
        pairs = [(i, s, r[i]) for s, r, _ in others for i in range(len(base)) if not np.array_equal(base[i], r[i])]
        apart = len({i for i, _, _ in pairs})
        speed = 1e3 * sum(took) / max(sum(len(run) for run in base), 1)
        print(
            f"{spec}: {apart} of {len(base)} runs differ under {', '.join(settings)}; {speed:.2f} ms a query",
            flush=True,
        )
        for i, setting, run in pairs[:_SHOWN]:
            print(explained(told, (first, setting), base[i], run, seeds[0] + i), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        WORKERS[sys.argv[2]](json.loads(sys.argv[3]))
    else:
        main()
