"""One-shot runs killed mid-way, with SIGKILL, end with the same records; no finished epoch is trained again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.strategies.one_shot._one_shot import CHECKPOINTS
from nasbench_lab.study import store

pytestmark = pytest.mark.slow

SMALL = "images=256,held_out=256,epochs=6,batch=32"
SPECS = {
    "darts": f"darts:order=2,{SMALL}",
    "enas": f"enas:controller_steps=4,aggregate=4,score_batch=64,{SMALL}",
}
SEEDS = 2
# The command line as it is, but for a line in a file when an epoch begins.
PROGRAM = """
import os
from nasbench_lab.training.shared import SharedWeights
as_it_is = SharedWeights.batches
def batches(self, epoch):
    with open(os.environ["BEGUN"], "a") as file:
        file.write(f"{self.seed} {epoch}\\n")
    return as_it_is(self, epoch)
SharedWeights.batches = batches
from nasbench_lab.cli.app import main
main()
"""


def start(study: Path, out: Path, **environment: object) -> subprocess.Popen[bytes]:
    named = {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", str(study), "--out", str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | named,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def begun(file: Path) -> list[tuple[int, int]]:
    """(seed of the weights, epoch), in the order they were begun."""
    text = file.read_text() if file.exists() else ""
    return [(int(seed), int(epoch)) for seed, epoch in (line.split() for line in text.splitlines())]


def finished(folder: Path) -> int:
    """Epochs in the checkpoints."""
    return sum(len(torch.load(path, weights_only=True)["history"]) for path in folder.glob("*.pt"))


def records(out: Path) -> dict[str, np.ndarray]:
    (file,) = out.glob("runs/*.parquet")
    return {name: values for name, values in store.read(file).columns.items() if name != store.MEASURED}


@pytest.mark.parametrize("name", SPECS)
def test_a_killed_run_goes_on_where_it_was(name, tmp_path):
    study, whole, killed, states = (tmp_path / part for part in ("study.toml", "whole", "killed", "states"))
    study.write_text(f'strategies = ["{SPECS[name]}"]\nseeds = {SEEDS}\n[[task]]\ntable = "digits"\nmax_queries = 6\n')
    assert start(study, whole, BEGUN=tmp_path / "undisturbed").wait() == 0
    every = begun(tmp_path / "undisturbed")  # the epochs of one seed, then those of the other
    assert [epoch for _, epoch in every] == [*range(6)] * SEEDS

    kept = 0
    for turn, pause in enumerate((0.0, 0.1, 0.05)):
        log, here = tmp_path / f"begun{turn}", 2  # 2 epochs whole and the third begun, then the same from there
        process = start(study, killed, BEGUN=log, **{CHECKPOINTS: states})
        deadline = time.monotonic() + 120
        while len(begun(log)) <= here and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert begun(log) == every[kept : kept + len(begun(log))]
        total = kept + len(begun(log))  # a run's file is there once it is over, and not before
        assert (total - 1) // 6 <= len(list(killed.glob("runs/*.parquet"))) <= total // 6
        kept = finished(states)
        assert kept >= 2 * (turn + 1)

    last = tmp_path / "last"
    assert start(study, killed, BEGUN=last, **{CHECKPOINTS: states}).wait() == 0
    assert begun(last) == every[kept:]
    expected, found = records(whole), records(killed)
    assert set(found) == set(expected)
    assert all(np.array_equal(found[column], expected[column], equal_nan=True) for column in found)
    assert len(found["arch"]) == 6 * SEEDS
