"""`benchmarks/gpu.py`, tiny and on a CPU: every stage runs (slow), what fails is a line, what is finished is not repeated."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

import torch

REPOSITORY = Path(__file__).parents[2]
STAGES = ["device", "correctness", "digits", "block", "cifar", "options", "rounding", "supernet", "gp", "whole"]


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    path, threads = sys.path.copy(), torch.get_num_threads()
    sys.path.insert(0, str(REPOSITORY))
    torch.set_num_threads(1)
    yield importlib.import_module("benchmarks.gpu")
    torch.set_num_threads(threads)
    sys.path[:] = path
    for name in [each for each in sys.modules if each.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def folder(gpu: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gpu")
    assert gpu.main(["--device", "cpu", "--small", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_every_stage_runs_and_finds_something(folder: Path) -> None:
    stages = json.loads((folder / "gpu.json").read_text())
    assert sorted(stages) == sorted(STAGES)
    for name, stage in stages.items():
        assert stage["done"], name
        assert stage["rows"], name
        assert not [row for row in stage["rows"] if "failed" in row], name
    assert stages["correctness"]["rows"][0]["right"]
    for name in ("digits", "cifar"):
        plain, *groups = stages[name]["rows"]
        assert plain["way"] == "plain loop"
        assert {(row["way"], row["count"]) for row in groups} == {(w, k) for w in ("grouped", "each") for k in (1, 2)}
        assert all(row["images"] > 0 and row["of_limits"] > 0 for row in groups)
    assert "synthetic" in stages["cifar"]["rows"][0]["setting"]
    same = next(row for row in stages["options"]["rows"] if row["option"] == "channels_last")
    assert abs(same["difference"]) < 10
    assert stages["gp"]["rows"][0]["apart"] < 1e-8


@pytest.mark.slow
def test_the_page_claims_nothing_of_a_gpu(folder: Path) -> None:
    page = (folder / "index.md").read_text()
    assert "Not run on a GPU" in page
    assert all(f"## {name}" in page for name in STAGES)


def test_what_is_finished_is_not_repeated_and_what_fails_is_a_line(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = list[str]()

    def stages(*_: object, **__: object) -> dict[str, object]:
        def good() -> list[dict[str, float]]:
            runs.append("good")
            return [{"a": 1.0}, {"a": 2.0}]

        def bad() -> dict[str, float]:
            runs.append("bad")
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

        return {"first": good, "second": bad, "third": good}

    monkeypatch.setattr(gpu, "stages", stages)
    run = ["--device", "cpu", "--out", str(tmp_path)]
    assert gpu.main(run) == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [stage["done"] for stage in found.values()] == [True, False, True]
    assert found["second"]["rows"] == [{"failed": "RuntimeError: CUDA error: an illegal memory access was encountered"}]
    assert "illegal memory access" in (tmp_path / "index.md").read_text()
    assert runs == ["good", "bad", "good"]
    gpu.main([*run, "--again", "third"])
    assert runs == ["good", "bad", "good", "bad", "good"]
    gpu.main([*run, "--minutes", "-1"])
    again = json.loads((tmp_path / "gpu.json").read_text())
    assert again["first"] == found["first"]
    assert "no time was left" in again["second"]["rows"][0]["failed"]


def test_estimates_are_of_what_was_measured(gpu: ModuleType, tmp_path: Path) -> None:
    result = gpu.Result(tmp_path)
    assert "failed" in gpu.whole(result)
    result.stages["block"] = {"done": True, "rows": [{"count": 1000, "seconds": 10.0, "epochs": 3, "of_epochs": 6}]}
    found = gpu.whole(result)["all classes of digits x 3 seeds, minutes"]
    assert found == pytest.approx(6466 * 3 / 1000 * 20 / 60)
    rows = [
        {"times_plain": 1.0, "images": n, "count": n, "epoch": 5.0, "validation": 0.0, "way": "each"} for n in (4, 16)
    ]
    result.stages["cifar"] = {"done": True, "rows": rows}
    assert gpu.whole(result)["all cells of NAS-Bench-201 at 12 epochs, hours"] == pytest.approx(
        15_625 * 12 * 5 / 16 / 3600
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="has one")
def test_without_a_gpu_it_says_so(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--out", str(tmp_path / "none")]) == 2
    assert "no CUDA device here" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
