"""Speed of tables, queries, the loop and start-up. `nox -s bench` runs it; ratios are of pairs measured in one run.

Needs the real data in ../shared/data for what compares with nats_bench; those rows are skipped where it is absent.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from nasbench_lab import api, loading
from nasbench_lab.core import Query
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import encodings, named, naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.study import runner
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog, predicted, stored
from nasbench_lab.tables.formats import tidy
from nasbench_lab.tables.table import Table

SHARED = Path(__file__).parents[3] / "shared" / "data"
OFFICIAL = SHARED / "official" / "NATS-tss-v1_0-3ffb9-simple"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data")
    out = tmp_path_factory.mktemp("tables")
    for found in tidy.read_tidy(SHARED / "nb201" / "nb201.parquet"):
        found.save(out / f"{found.name}.npz")
    os.environ["NASBENCH_LAB_DATA"] = str(out)
    return out


@pytest.fixture(scope="session")
def evaluator(folder: Path) -> Tabular:
    return Tabular(stored.read(folder / "cifar10.npz"), search=12)


@pytest.mark.benchmark(group="load a table (mark: 20 ms)")
def test_load(benchmark, folder: Path) -> None:
    benchmark(stored.read, folder / "cifar10.npz")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Tables of three sizes as users bring them: made-up scores, four trials, times, one metric."""
    rng, found = np.random.default_rng(0), {}
    spaces = {4096: Space((4,) * 6), 15_625: Space((5,) * 6), 62_208: named.fcnet()}
    for size, space in spaces.items():
        scores = pd.DataFrame(rng.lognormal(0, 1, (size, 6)), columns=["a", "b", "c", "d", "seconds", "params"])
        frame = pd.concat([pd.DataFrame(naming.columns(space)), scores], axis=1)
        table = Table.from_frame(
            frame, name=f"made-{size}", decisions=[each.name for each in space.decisions], val=list("abcd"),
            seconds="seconds", metrics=["params"], better="lower", space=space,
        )  # fmt: skip
        found[size] = table.save(tmp_path_factory.mktemp("made") / f"{table.name}.npz", compress=True)
    return found


@pytest.mark.benchmark(group="load a table of any space (mark: 20 ms for 62,208 rows)")
@pytest.mark.parametrize("rows", [4096, 15_625, 62_208])
def test_load_any(benchmark, made: dict[int, Path], rows: int) -> None:
    benchmark(stored.read, made[rows])


@pytest.mark.benchmark(group="one query of any space (mark: 3 us)")
@pytest.mark.parametrize("rows", [4096, 15_625, 62_208])
def test_query_any(benchmark, made: dict[int, Path], rows: int) -> None:
    evaluator, queries = Tabular(stored.read(made[rows])), [Query(arch, 1) for arch in range(0, rows, rows // 100)]
    evaluator.evaluate(queries[0], 0)

    def hundred() -> None:
        for query in queries:
            evaluator.evaluate(query, 0)

    benchmark(hundred)
    benchmark.extra_info["us_per_query"] = round(benchmark.stats["median"] / len(queries) * 1e6, 3)


@pytest.mark.benchmark(group="the first query of a run with new noise, all cells' answers made (any space)")
@pytest.mark.parametrize("rows", [4096, 15_625, 62_208])
def test_first_query_any(benchmark, made: dict[int, Path], rows: int) -> None:
    evaluator = Tabular(stored.read(made[rows]), noise=0.1)
    seeds = iter(range(10**9))
    benchmark(lambda: evaluator.evaluate(Query(0, 1), next(seeds)))


@pytest.mark.benchmark(group="predict a table from its networks (mark: 50 ms)")
@pytest.mark.parametrize("features", ["computed", "at hand"])
def test_load_networks(benchmark, features: str) -> None:
    cached = (encodings.path_counts, encodings.structure) if features == "computed" else ()

    def forget() -> None:
        for function in cached:
            function.cache_clear()

    path = catalog.find("cifar10-surrogate")
    benchmark.pedantic(predicted.read, args=(path,), setup=forget, rounds=20)


@pytest.mark.benchmark(group="one query (marks: 3 us, 200x the official API)")
def test_scalar_query(benchmark, evaluator: Tabular) -> None:
    queries = [Query(arch, 12) for arch in (0, 11, 284)]
    evaluator.evaluate(queries[0], 0)

    def three() -> None:
        for query in queries:
            evaluator.evaluate(query, 0)

    benchmark(three)
    benchmark.extra_info["us_per_query"] = round(benchmark.stats["median"] / 3 * 1e6, 3)


@pytest.mark.benchmark(group="one query (marks: 3 us, 200x the official API)")
def test_scalar_query_official(benchmark, evaluator: Tabular) -> None:
    nats = pytest.importorskip("nats_bench")
    official = nats.create(str(OFFICIAL), "tss", fast_mode=True, verbose=False)
    for arch in (0, 11, 284):
        official.simulate_train_eval(arch, "cifar10", hp="12")  # warm: its first query of a cell reads a file

    def three() -> None:
        for arch in (0, 11, 284):
            official.simulate_train_eval(arch, "cifar10", hp="12")

    def ours() -> None:
        for arch in (0, 11, 284):
            evaluator.evaluate(Query(arch, 12), 0)

    benchmark(three)
    ratios = [_seconds(three) / _seconds(ours) for _ in range(15)]  # pair by pair: machines are noisy
    benchmark.extra_info["us_per_query"] = round(benchmark.stats["median"] / 3 * 1e6, 1)
    benchmark.extra_info["ratio_to_ours"] = [round(float(np.quantile(ratios, q))) for q in (0, 0.5, 1)]


def _seconds(function, repeats: int = 20) -> float:
    begin = perf_counter()
    for _ in range(repeats):
        function()
    return perf_counter() - begin


@pytest.mark.benchmark(group="15,625 queries at once")
def test_batch_query(benchmark, evaluator: Tabular) -> None:
    archs = np.arange(15_625)
    benchmark(evaluator.evaluate_many, archs, 12, 0)


@pytest.mark.benchmark(group="the loop, 1,000 queries of random search (mark: 15 us a query)")
def test_runner(benchmark, evaluator: Tabular) -> None:
    strategy = loading.build("strategies", "random_search")
    benchmark(lambda: runner.search(strategy, evaluator, seed=0, max_queries=1000))
    benchmark.extra_info["us_per_query"] = round(benchmark.stats["median"] * 1e3, 2)


@pytest.mark.benchmark(
    group="the whole NAS-Bench-201 protocol, 4 x 500 runs, leaderboard included (mark: 60 s on 2 cores)"
)
def test_protocol_study(benchmark, folder: Path, tmp_path: Path) -> None:
    task = StudyTask("cifar10", search=12, score=("cifar10", "cifar100"), max_seconds=12_000)
    names = ("random_search:replacement=true", "regularized_evolution", "reinforce", "local_search")
    study = Study(names, (task,), seeds=500)
    benchmark.pedantic(lambda: api.run(study, tmp_path, workers=2), rounds=1)


@pytest.mark.benchmark(group="start-up (mark: --help 0.4 s)")
@pytest.mark.parametrize("command", ["import nasbench_lab", "nasbench-lab --help", "python -c pass"])
def test_start_up(benchmark, command: str) -> None:
    program = {
        "import nasbench_lab": [sys.executable, "-c", "import nasbench_lab"],
        "nasbench-lab --help": [sys.executable, "-m", "nasbench_lab", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }[command]
    benchmark.pedantic(lambda: subprocess.run(program, check=True, capture_output=True), rounds=9, warmup_rounds=1)


@pytest.mark.benchmark(group="the cell space, from nothing (mark: 0.5 s)")
def test_cell_arrays(benchmark) -> None:
    code = (
        "import time; t = time.perf_counter(); import numpy; n = time.perf_counter();"
        "from nasbench_lab.spaces import cell; s = cell.SPACE;"
        "s.classes, s.neighbours, s.one_hot, cell.path_encoding(), cell.live_choices(), cell.class_members();"
        "print(time.perf_counter() - n)"
    )
    seconds = []

    def once() -> None:
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        seconds.append(float(done.stdout))

    benchmark.pedantic(once, rounds=7, warmup_rounds=1)
    benchmark.extra_info["seconds_without_numpy"] = round(float(np.median(seconds)), 3)
