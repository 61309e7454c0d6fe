"""benchmarks/nb201_one_shot.toml as it is committed, made small: it runs on files in CIFAR's format, and is printed."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_cifar import made, packed, publish

pytest.importorskip("torch")

from conftest import make_table

from nasbench_lab import api, loading
from nasbench_lab.spaces import cell
from nasbench_lab.study import execute, study
from nasbench_lab.study.plan import resolve
from nasbench_lab.training import problem, sets
from nasbench_lab.training.network import CIFAR10

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDY = BENCHMARKS / "nb201_one_shot.toml"
IMAGES = 320  # of the stand-in; a half to train on
# What costs time on a CPU, and nothing else.
SMALL = {"epochs": 2, "batch": 32, "channels": 2, "cells": 1, "device": "cpu"}
IF_THERE = {"select": 3, "score_batch": 32, "controller_steps": 2, "aggregate": 2}


def published():
    spec = importlib.util.spec_from_file_location("published", BENCHMARKS / "published.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def smaller(spec: str) -> str:
    """The same strategy with its settings, but for those that cost time."""
    name, raw = loading.split_spec(spec)
    there = {key: value for key, value in IF_THERE.items() if hasattr(loading.build("strategies", spec), key)}
    settings = {**raw, **SMALL, **there}
    return f"{name}:{','.join(f'{key}={value}' for key, value in settings.items())}"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with two tables, an archive in the published format and the benchmark's own split of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(folder))
    for seed, name in enumerate(("cifar10", "cifar100")):
        make_table(name, epochs=(200,), seed=seed).save(folder / f"{name}.npz")
    content = packed(made("cifar10", IMAGES // 5)[0])
    (folder / publish(monkeypatch, "cifar10", content)).write_bytes(content)
    halves = sets.HALVES["cifar10-valid"]
    val = [*halves.begins, *range(IMAGES // 2 + len(halves.begins), IMAGES)]
    lists = {halves.other: sorted(set(range(IMAGES)) - set(val)), halves.val: val}
    (folder / halves.file).write_text(json.dumps({key: ["int", [str(i) for i in part]] for key, part in lists.items()}))
    stored = {**problem._STORED, "cifar10-valid": (IMAGES // 2, IMAGES // 2, CIFAR10)}
    monkeypatch.setattr(problem, "_STORED", stored)
    return folder


def test_the_study_is_the_published_protocol():
    chosen = study.read_study(STUDY)
    assert list(published().ONE_SHOT) == list(chosen.strategies)
    strategies = [loading.build("strategies", spec) for spec in chosen.strategies]
    assert [type(s).__name__ for s in strategies] == ["Darts", "Darts", "Gdas", "Setn", "Rsps", "Enas"]
    for strategy in strategies:
        shape = strategy.problem().shape
        assert (shape.channels, shape.cells, shape.size, strategy.problem().images) == (16, 5, 32, 25_000)
        assert strategy.device == "cuda"
    assert max(s.epochs for s in strategies) <= chosen.tasks[0].max_queries
    assert chosen.seeds == 3


@pytest.mark.slow
def test_every_strategy_runs_for_two_epochs(data, tmp_path, monkeypatch, capsys):
    chosen = study.read_study(STUDY)
    small = replace(chosen, strategies=tuple(smaller(spec) for spec in chosen.strategies), seeds=2)
    assert len(set(small.strategies)) == len(chosen.strategies)
    results = tmp_path / "results"
    out = results / "nb201_one_shot"
    board = api.run(small, out)
    assert len(board.rows) == len(chosen.strategies) * 2  # scored on both tables
    for _, runs in execute.collect(resolve(small), out):
        columns = runs.columns
        assert columns["seed"].tolist() == [0, 0, 1, 1]
        assert columns["epochs"].tolist() == [0] * 4
        assert np.all((columns["arch"] >= 0) & (columns["arch"] < cell.SPACE.size))
        assert columns["incumbent"].tolist() == columns["arch"].tolist()
        assert np.all(np.diff(columns["finished"].reshape(2, 2), prepend=0.0) > 0)

    module = published()
    names = dict(zip(chosen.strategies, small.strategies, strict=True))
    monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(module, "ONE_SHOT", {names[spec]: row for spec, row in module.ONE_SHOT.items()})
    module.one_shot()
    printed = capsys.readouterr().out
    for row in board.rows:
        assert f"{row['test_mean']:.2f}" in printed
    assert "Not run here" not in printed
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    module.one_shot()
    assert "Not run here" in capsys.readouterr().out
