"""Files of every kind that we write, what reads each of them, and damages: for `test_damages`.

A damaged file is read as it was, or is an error of ours; or, of a cache, some of what it holds is missing and done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from nasbench_lab import api
from nasbench_lab.experiments import outcomes
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import written
from nasbench_lab.strategies.one_shot._one_shot import OneShot
from nasbench_lab.study import store
from nasbench_lab.study.study import load_study
from nasbench_lab.tables import catalog, stored
from nasbench_lab.training import checkpoint, measure, trainer
from nasbench_lab.training.cache import Cache, Trained


class Kind(NamedTuple):
    """A kind of file: a whole one, and what it says, in a form that can be compared."""

    path: Path
    read: Callable[[Path], Any]


def damaged(rng: np.random.Generator, whole: bytes) -> bytes:
    """One to three damages: bits flipped, bytes changed, a part cut out, put in, doubled, blanked, or the rest lost."""
    content = bytearray(whole)
    for _ in range(int(rng.integers(1, 4))):
        if not content:
            break
        at, length = int(rng.integers(len(content))), int(rng.integers(1, 40))
        match int(rng.integers(7)):
            case 0:
                content[at] ^= 1 << int(rng.integers(8))
            case 1:
                content[at] = int(rng.integers(256))
            case 2:
                del content[at : at + length]
            case 3:
                content[at:at] = rng.bytes(length)
            case 4:
                content[at:at] = content[at : at + length]
            case 5:
                content[at : at + length] = bytes(len(content[at : at + length]))
            case _:
                del content[at:]
    return bytes(content)


def kinds(folder: Path) -> Mapping[str, Kind]:
    """A whole file of every kind, in a new folder."""
    out = folder / "results"
    api.compare("random_search", "local_search", table="toy", seeds=3, max_queries=8, out=out)
    (runs,) = list((out / "runs").glob("random_search*"))
    shard = next((Path(__file__).parents[2] / "results" / "digits_shards").glob("*.npz"))
    toy, small = folder / "toy.npz", folder / "shard.npz"
    shutil.copy(catalog.find("toy"), toy)
    shutil.copy(shard, small)
    return {
        "leaderboard.json": Kind(out / "leaderboard.json", lambda path: written.read_rows(path.parent)),
        "leaderboard.md": Kind(out / "leaderboard.md", lambda path: written.read_page(path.parent).split()),
        "curves.csv": Kind(out / "curves.csv", lambda path: _curves(path.parent)),
        "details.json": Kind(out / "details.json", sealed.read_json),
        "manifest.json": Kind(out / "manifest.json", lambda path: (sealed.read_json(path), load_study(path.parent))),
        "runs": Kind(runs, _runs),
        "table": Kind(toy, lambda path: stored.read(path).digest),
        "shard": Kind(small, _shard),
        "cache": Kind(_cache(folder / "cache.jsonl"), _kept),
        "checkpoint of a training": Kind(_training(folder / "training.pt"), _trained),
        "checkpoint of a supernet": Kind(_supernet(folder / "supernet.pt"), _weights),
        "outcome of an experiment": Kind(_outcome(folder), _outcome_of),
    }


def _curves(folder: Path) -> Any:
    found = written.read_curves(folder)
    return None if found is None else found.to_csv(index=False)


def _runs(path: Path) -> Any:
    found = store.read(path)
    return found.header, dict(found.ended), {name: values.tolist() for name, values in found.columns.items()}


def _shard(path: Path) -> Any:
    header, columns = measure._read(path)
    return header, {name: values.tobytes() for name, values in columns.items()}


TRAINED = [
    Trained("d", arch, seed, (10.5, 20.25, 30.125), 29.5, 1.25, "", "torch cpu") for arch in range(6) for seed in (1, 2)
]


def _cache(path: Path) -> Path:
    cache = Cache(path)
    for trained in TRAINED:
        cache.add(trained)
    return path


def _kept(path: Path) -> Any:
    """What the cache has; what is missing is trained again, so that it counts as what it will be."""
    found = {trained.key: trained for trained in Cache(path).all("d")}
    return [found.pop(trained.key, trained) for trained in TRAINED], found


IDENTITY = {"arch": 3, "seed": 1, "recipe": {"epochs": 3}}
STATE = {"weights": torch.arange(60, dtype=torch.float32).reshape(3, 20), "momentum": torch.ones(7)}
CURVES = trainer._Curves(val=[10.0, 20.0], train=[11.0, 21.0], loss=[2.0, 1.5], seconds=3.25)


def _training(path: Path) -> Path:
    checkpoint.save(path, IDENTITY, STATE, asdict(CURVES))
    return path


def _trained(path: Path) -> Any:
    there, curves = checkpoint.load(path, IDENTITY)
    return curves, {name: value.tolist() for name, value in there.items()}


def _search() -> Any:
    part = SimpleNamespace(state_dict=lambda: dict(STATE), there={})
    part.load_state_dict = part.there.update
    own = SimpleNamespace(
        rng=np.random.default_rng(1), _design=np.random.default_rng(2), weights=SimpleNamespace(device="cpu")
    )
    own._history, own._all_parts, own.part = [(5, 1.5), (7, 2.5)], lambda: {"weights": part}, part
    return own


def _supernet(path: Path) -> Path:
    OneShot._save(_search(), path)
    return path


def _weights(path: Path) -> Any:
    own = _search()
    own._history = []
    OneShot._restore(own, path)
    states = [json.dumps(each.bit_generator.state) for each in (own.rng, own._design)]
    return own._history, states, {name: value.tolist() for name, value in own.part.there.items()}


JOB = outcomes.Job({"experiment": "x", "seed": 3}, Path(), None)
OUTCOME = {"scores": [1.5, 2.25, float("nan")], "cells": [1, 2, 3]}


def _outcome(folder: Path) -> Path:
    replace(JOB, path=folder / "outcome.json").write(OUTCOME)
    return folder / "outcome.json"


def _outcome_of(path: Path) -> str:
    """None is done again, so that it counts as what it will be."""
    return repr(replace(JOB, path=path).read() or {"header": JOB.header, **OUTCOME})
