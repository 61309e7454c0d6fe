"""Hardware metrics: added to tables at hand, and other files refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from conftest import make_table

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import hw_nas_bench


def hardware(datasets=("cifar10", "cifar100"), **changes):
    rng = np.random.default_rng(0)
    names = ("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "eyeriss_arithmetic_intensity")
    found = {}
    for dataset in datasets:
        found[dataset] = {name: rng.uniform(1, 9, 15625).tolist() for name in names}
        found[dataset]["edgetpu_latency"][3] = -1
        found[dataset]["config"] = [{"name": "infer.tiny", "arch_str": cell.to_string(arch)} for arch in range(15625)]
        found[dataset] |= changes
    return {"nasbench201": found, "fbnet": {"edgegpu_latency": {"ConvNorm_H224": 1.5}}}


def test_hardware_metrics_are_added_to_tables_at_hand(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps(hardware()))
    code, _, err = lab("tables", "import", path)
    assert (code, "no table to add them to" in err) == (2, True)
    before = make_table(
        "cifar10", source="here", metrics={"params_m": np.ones(15625), "latency_ms/edgegpu": np.ones(15625)}
    )
    before.save(tmp_path / "data" / "cifar10.npz")
    for _ in range(2):
        assert lab("tables", "import", path)[0] == 0
        after = catalog.load("cifar10")
        assert list(after.metrics) == [
            "params_m",
            "latency_ms/edgegpu",
            "energy_mj/edgegpu",
            "latency_ms/raspi4",
            "latency_ms/edgetpu",
        ]
        assert after.metrics["latency_ms/edgegpu"].tolist() == hardware()["nasbench201"]["cifar10"]["edgegpu_latency"]
        assert np.flatnonzero(np.isnan(after.metrics["latency_ms/edgetpu"])).tolist() == [3]
        assert after.about["source"] == f"here; {hw_nas_bench.SOURCE}"
        assert np.array_equal(after.truth, before.truth)


@pytest.mark.parametrize(("content", "message"), [
    ([], "is not HW-NAS-Bench"),
    ({"nasbench201": {"other": 1}}, "is not HW-NAS-Bench"),
    (hardware(edgegpu_latency=[1.0]), "15,625 numbers"),
    (hardware(edgegpu_latency="abc"), "not as HW-NAS-Bench writes it"),
    (hardware(config=[{"arch_str": cell.to_string(1)}]), "not in official order"),
])  # fmt: skip
def test_other_hardware_files_are_refused(tmp_path, content, message):
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(LabError, match=message):
        hw_nas_bench.read(tmp_path / "x.pickle")
