"""Time and memory of a large leaderboard: 40 strategies x 3 tables x 500 seeds x 200 queries, from Parquet to its page.

The runs are made up (random cells, the incumbent the best by validation so far) and written as the lab writes them, so
that reading, checking their digests, and everything computed from them are what a real study costs.
Marks: 60 s and 2 GB for the leaderboard's files and its page together, in a fresh process; 3 MB for the page.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from nasbench_lab.leaderboard.rebuild import rebuild
from nasbench_lab.report import publish
from nasbench_lab.study import jobs, store
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask, load_study, to_json
from nasbench_lab.tables import catalog

STRATEGIES, TABLES, SEEDS, QUERIES = 40, ("digits", "cifar10-surrogate", "cifar100-surrogate"), 500, 200


def study_of(strategies: int = STRATEGIES, seeds: int = SEEDS, queries: int = QUERIES) -> Study:
    specs = tuple(f"regularized_evolution:population={10 + i},sample=3" for i in range(strategies))
    return Study(specs, tuple(StudyTask(name, max_queries=queries) for name in TABLES), seeds, title="large")


def make_runs(study: Study, out: Path) -> None:
    """Files of all blocks; strategies differ in how much of the space they draw from, so that some are better."""
    rng = np.random.default_rng(0)
    plan = resolve(study)
    for group in plan.groups:
        job = jobs.of_group(plan, group)
        table = catalog.load(job.table)
        val, last = table.schedule(table.default_search).val[:, -1], table.default_search
        queries, count = int(study.tasks[0].max_queries), len(job.seeds)
        skill = int(job.header["parameters"]["population"])
        pool = np.argsort(-val)[: 15625 - 150 * skill]
        arch = rng.choice(pool, (count, queries)).astype(np.int32)
        best = np.maximum.accumulate(val[arch], axis=1)
        rows = np.maximum.accumulate(np.where(val[arch] == best, np.arange(queries), 0), axis=1)
        columns: dict[str, np.ndarray] = {
            "seed": np.repeat(np.array(job.seeds, dtype=np.int32), queries),
            "order": np.tile(np.arange(queries, dtype=np.int32), count),
            "arch": arch.ravel(),
            "epochs": np.full(count * queries, last, dtype=np.int32),
            "incumbent": np.take_along_axis(arch, rows, axis=1).ravel(),
            "val": val[arch].ravel(),
            "seconds": np.full(count * queries, 100.0),
            "finished": np.tile(100.0 * np.arange(1, queries + 1), count),
            store.MEASURED: np.full(count * queries, 1e-5),
        }
        path = out / "runs" / f"made-up-{group.id}-{job.seeds.start:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.encoded(job.header, columns, dict.fromkeys(job.seeds, "queries"), {}))


def timed(out: Path) -> dict[str, float]:
    """Seconds of leaderboard and page in this process, gigabytes at most, and the page's megabytes."""
    begin = perf_counter()
    rebuild(resolve(load_study(out)), out)
    built = perf_counter()
    (page,) = publish.write_report(out)
    found = {"leaderboard": built - begin, "page": perf_counter() - built, "page_megabytes": page.stat().st_size / 1e6}
    return found | {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


@pytest.mark.benchmark(
    group="leaderboard and page of 40 strategies x 3 tables x 500 seeds x 200 queries (marks: 60 s, 2 GB, 3 MB)"
)
def test_leaderboard_and_page(benchmark, tmp_path: Path) -> None:
    study = study_of()
    make_runs(study, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"study": to_json(study)}))
    found = benchmark.pedantic(_in_a_process, args=(tmp_path,), rounds=1)
    benchmark.extra_info.update(found)
    assert found["leaderboard"] + found["page"] <= 60
    assert found["gigabytes"] <= 2
    assert found["page_megabytes"] < 3


def _in_a_process(out: Path) -> dict[str, float]:
    """Measured in a process of its own, whose memory is this alone."""
    run = subprocess.run([sys.executable, __file__, str(out)], capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in json.loads(run.stdout).items()}


if __name__ == "__main__":
    print(json.dumps(timed(Path(sys.argv[1]))))
