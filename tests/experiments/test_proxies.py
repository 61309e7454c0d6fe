"""Zero-cost scores of a table: resumable, the same however they were computed, and said in the table's header."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from other_tables import TABLES

pytest.importorskip("torch")

from nasbench_lab.core import LabError
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments import proxies
from nasbench_lab.tables import catalog, stored

SCORES = ("params", "synflow", "snip")


@pytest.fixture(scope="module")
def digits():
    """As it was measured, without the scores that it ships with."""
    table = catalog.load("digits")
    own = {name: values for name, values in table.metrics.items() if not name.startswith(("proxy/", "proxy_seconds/"))}
    return replace(table, metrics=own, about={key: value for key, value in table.about.items() if key != "proxies"})


def settings(table, **more):
    return proxies.settings_for(table, SCORES, images=4, **more)


def test_finished_blocks_are_not_computed_again_and_a_missing_one_gives_the_same_numbers(digits, tmp_path):
    chosen, cells = settings(digits), proxies.cells_of(digits, 6)
    found = proxies.run(chosen, cells, tmp_path, block=2)
    first = proxies.added(digits, "scored", chosen, found)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len(times) == 3
    proxies.run(chosen, cells, tmp_path, block=2)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    min(times).unlink()
    again = proxies.added(digits, "scored", chosen, proxies.run(chosen, cells, tmp_path, block=2))
    assert first.digest == again.digest
    whole = proxies.added(digits, "scored", chosen, proxies.run(chosen, cells, tmp_path / "other", block=6))
    assert first.digest == whole.digest  # however it was cut


def test_the_table_with_scores_is_another_table_and_says_how_they_were_computed(digits, tmp_path):
    chosen, cells = settings(digits), proxies.cells_of(digits, 3)
    table = proxies.added(digits, "scored", chosen, proxies.run(chosen, cells, tmp_path))
    assert table.digest not in (digits.digest, digits.renamed("scored").digest)
    said = table.about["proxies"]["snip"]
    assert (said["images"], said["seed"], said["classes"], said["network"]["channels"]) == (4, 0, 3, 8)
    assert said["data"]["name"] == "digits"
    assert said["versions"]["torch"]
    assert stored.read(table.save(tmp_path / "t.npz", compress=True)).digest == table.digest
    values, classes = table.metrics["proxy/synflow"], table.space.classes
    assert sorted(np.flatnonzero(~np.isnan(values))) == sorted(np.flatnonzero(np.isin(classes, classes[cells])))
    assert len(set(values[classes == classes[cells[0]]].tolist())) == 1
    known = Tabular(table).task.known
    assert {"proxy/snip", "proxy_seconds/snip"} <= set(known)
    assert np.nanmin(known["proxy_seconds/snip"]) > 0
    other = proxies.settings_for(digits, SCORES, images=4, seed=1)
    assert proxies.added(digits, "scored", other, proxies.run(other, cells, tmp_path)).digest != table.digest


def test_cells_are_one_of_each_class_and_a_prefix_is_a_sample(digits):
    every = proxies.cells_of(digits)
    assert len(every) == 6466
    assert proxies.cells_of(digits, 10).tolist() == every[:10].tolist()
    assert set(every.tolist()) == set(digits.space.representatives.tolist())


def test_what_is_refused(digits, tmp_path):
    with pytest.raises(LabError, match="no zero-cost score named 'snap'; did you mean snip"):
        proxies.settings_for(digits, ["snap"])
    with pytest.raises(LabError, match="none twice; got snip, snip"):
        proxies.settings_for(digits, ["snip", "snip"])
    with pytest.raises(LabError, match="table 'chains' is of the space 'chains'; networks are built for"):
        proxies.settings_for(TABLES["chains"]())
    with pytest.raises(LabError, match="no images named 'cats'"):
        proxies.settings_for(digits, data="cats")
    with pytest.raises(LabError, match="must lie in 1..6466"):
        proxies.cells_of(digits, 0)
    chosen = settings(digits)
    table = proxies.added(digits, "scored", chosen, proxies.run(chosen, proxies.cells_of(digits, 1), tmp_path))
    with pytest.raises(LabError, match="has proxy/params already"):
        settings(table)
    assert set(proxies.settings_for(table).scores).isdisjoint(SCORES)


def test_other_tables_have_the_benchmarks_networks_and_random_images():
    chosen = proxies.settings_for(catalog.load("cifar100-surrogate"), ["params"])
    assert (chosen.shape.channels, chosen.shape.cells, chosen.shape.classes, chosen.data) == (16, 5, 100, "random")


def test_the_command(lab, digits, tmp_path):
    digits.save(tmp_path / "in" / "measured.npz")
    command = [
        "tables",
        "proxies",
        tmp_path / "in" / "measured.npz",
        "--scores",
        "params,l2_norm",
        "--classes",
        3,
        "--batch",
        2,
        "--out",
        tmp_path,
    ]
    code, out, err = lab(*command)
    assert code == 0, err
    assert "proxy/l2_norm           3 of 3 cells" in out
    first = (tmp_path / "digits-proxies.npz").read_bytes()
    assert lab(*command)[0] == 0
    assert (tmp_path / "digits-proxies.npz").read_bytes() == first
    code, out, _ = lab("tables", "info", tmp_path / "digits-proxies.npz")
    assert "l2_norm, params: 3 classes, 2 digits images, seed 0, C=8, N=1, torch " in out
    code, _, err = lab(*command, "--seed", 1)
    assert code == 2
    assert "would be replaced" in err
    for wrong, message in (
        (["--scores", "nothing"], "no zero-cost score named"),
        (["--data", "cats"], "no images named"),
    ):
        code, _, err = lab("tables", "proxies", tmp_path / "in" / "measured.npz", *wrong, "--out", tmp_path / "not")
        assert (code, err.count("\n")) == (2, 1)
        assert message in err
    assert not (tmp_path / "not").exists()


@pytest.mark.slow
def test_killed_with_two_processes_it_goes_on_to_what_one_process_computes(digits, tmp_path):
    digits.save(tmp_path / "measured.npz")
    code = "from nasbench_lab.cli.app import main; main()"

    def command(out: str, workers: int) -> list[str]:
        words = [
            "tables",
            "proxies",
            str(tmp_path / "measured.npz"),
            "--scores",
            "synflow,snip,naswot",
            "--classes",
            "128",
            "--batch",
            "16",
        ]
        return [sys.executable, "-c", code, *words, "--workers", str(workers), "--out", str(tmp_path / out)]

    def shards() -> list[str]:
        folder = tmp_path / "killed" / "shards" / "digits-proxies" / "runs"
        return [path.name for path in folder.glob("*.json")] if folder.is_dir() else []

    subprocess.run(command("whole", 1), check=True, capture_output=True)
    process = subprocess.Popen(
        command("killed", 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not shards() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < len(shards()) < 4
    assert not (tmp_path / "killed" / "digits-proxies.npz").exists()
    subprocess.run(command("killed", 2), check=True, capture_output=True)
    made = [stored.read(tmp_path / out / "digits-proxies.npz").digest for out in ("whole", "killed")]
    assert made[0] == made[1]
