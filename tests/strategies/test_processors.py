"""The same runs on another processor: under OpenBLAS' kernels, numpy's and the C library's code for one without AVX and FMA.

More runs, and more kernels: `benchmarks/kernels.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from nasbench_lab import loading

OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
}
# Prints the sum of a product, whose last digits are a kernel's, and what every strategy asked for and recommended.
WORKER = """
import json, sys
from dataclasses import replace
import numpy as np
from nasbench_lab import loading
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog

specs, queries, seeds = json.loads(sys.argv[1])
table, other = (catalog.load(f"{catalog.EMBEDDED}/{name}.npz") for name in ("digits", "cifar10-surrogate"))
table = replace(table, metrics={**table.metrics, "latency_ms/here": table.metrics["measured_seconds"]})
tasks = [Tabular(table, objectives=names, sources={"other": other}) for names in (("val",), ("val", "latency_ms/here"))]
numbers = np.random.default_rng(0).standard_normal((90, 90))
found = {"bits": float((numbers @ np.exp(numbers)).sum()).hex()}
for spec in specs:
    several = ".multi_objective." in loading.leaves("strategies")[loading.split_spec(spec)[0]]
    for seed in range(seeds):
        run = runner.search(loading.build("strategies", spec), tasks[several], seed=seed, max_queries=queries)
        found[f"{spec} {seed}"] = [(r.result.query.arch, r.result.query.epochs, r.incumbent) for r in run.records]
print(json.dumps(found))
"""
FEW = ("gp_bo:acquisition=thompson", "bayes_linear_ts", "dppnet:beam=4")


def ran(specs: tuple[str, ...], queries: int, seeds: int, env: dict[str, str]) -> dict[str, Any]:
    """What the worker prints in a fresh process with further environment variables."""
    told = json.dumps([specs, queries, seeds])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, told],
        check=True, env=os.environ | {"OMP_NUM_THREADS": "1"} | env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def differing(specs: tuple[str, ...], queries: int, seeds: int) -> list[str]:
    """The runs whose records are not the same under both."""
    here, there = ran(specs, queries, seeds, {}), ran(specs, queries, seeds, OLD)
    if here.pop("bits") == there.pop("bits"):
        pytest.skip("this processor has no other kernels")
    assert len(here) == len(set(specs)) * seeds
    return [name for name in here if here[name] != there[name]]


def test_models_choose_the_same_cells_on_an_older_processor() -> None:
    assert differing(FEW, queries=12, seeds=1) == []


@pytest.mark.slow
def test_every_strategy_does() -> None:
    """But for those that train networks themselves, whose scores are a machine's own, and those that ask somebody else."""
    pytest.importorskip("torch"), pytest.importorskip("optuna"), pytest.importorskip("sklearn")
    own = (".one_shot.", ".external", ".llm_search")
    specs = [name for name, module in loading.leaves("strategies").items() if not any(part in module for part in own)]
    further = (
        "npenas:surrogate=knn",
        "smac_forest:surrogate=(gbdt:targets=none)",
        "gp_bo:acquisition=ucb,candidates=climb",
        *FEW,
    )
    assert differing((*specs, *further), queries=30, seeds=1) == []
