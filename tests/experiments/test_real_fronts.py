"""The exact fronts of NAS-Bench-201 against published ones (numbers.md, section 7). Skipped where the data is absent."""

from __future__ import annotations

import pytest
from official_data import TIDY as FILE
from official_data import present

from nasbench_lab.leaderboard.front_scores import target_of
from nasbench_lab.tables.formats.tidy import read_tidy

if not present(FILE):
    pytest.skip(f"needs {FILE}", allow_module_level=True)

POSSIBLE = {
    ("cifar10", "latency_ms/edgegpu"): (0.91058, 25),
    ("cifar10", "latency_ms/eyeriss"): (0.98930, 15),
    ("cifar10", "latency_ms/raspi4"): (0.96515, 47),
    ("cifar10", "params_m"): (0.99085, 13),
    ("cifar100", "latency_ms/edgegpu"): (0.89312, 28),
    ("cifar100", "latency_ms/eyeriss"): (0.97120, 13),
    ("cifar100", "latency_ms/raspi4"): (0.94780, 42),
    ("cifar100", "params_m"): (0.97421, 13),
}


@pytest.fixture(scope="module")
def tables():
    return {table.name: table for table in read_tidy(FILE)}


@pytest.mark.parametrize(("name", "metric"), POSSIBLE)
def test_hypervolume_and_size_of_the_exact_front(tables, name, metric):
    table = tables[name]
    target = target_of(table.truth, table.metrics, ("val", metric))
    assert (round(target.possible, 5), target.size) == POSSIBLE[name, metric]
