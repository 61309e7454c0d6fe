"""Predicted tables: small fitted networks in a file, whose predictions for all cells are a table of kind "predicted".

    features   (C, 104)  of one cell per class: structure, path counts and path set of `surrogates._features`
    networks   M perceptrons, SiLU between layers; their mean output is -log(100 - accuracy) of validation and test
               after each schedule
    seconds    linear in how many edges carry each op, dead ones included: what is built is paid for

The file (`.npz`, read without pickle) holds weights and a JSON header, nothing else: no value of the table they were
fitted on. A cell through which nothing passes guesses, so it gets the chance level. Predictions are made in float64 and
rounded to 3 decimals, so that a table's digest does not depend on who multiplies the matrices; the header names the
digest, and other predictions than those that were shipped are refused. `benchmarks/make_surrogates.py` makes the files.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.files.arrays import Archive
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]
FORMAT = 1
_HEADER = "networks"  # the array a file of networks has and a table has not
_DECIMALS = 3
_BLOCK = 1000
_UNPACKED = 1 << 23  # bytes; those in the package have 0.2 million


@dataclass(frozen=True)
class Networks:
    """Fitted networks.

    Attributes:
        name: of the table.
        about: its header; "dataset" and "chance" (the accuracy of guessing, percent) are needed.
        schedules: last epochs, ascending; the networks' outputs are validation and test after each, in this order.
        weights: L arrays (M, width in, width out), of the layers of M networks.
        biases: L arrays (M, width out).
        seconds: (6, schedules) seconds of the network without ops, then of an edge with each op.
    """

    name: str
    about: Mapping[str, Any]
    schedules: tuple[int, ...]
    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]
    seconds: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What the file holds besides its header."""
        layers = {f"weights/{i}": values for i, values in enumerate(self.weights)}
        layers |= {f"biases/{i}": values for i, values in enumerate(self.biases)}
        return layers | {"seconds": self.seconds}

    def save(self, path: Path) -> Path:
        """Write atomically.

        Raises:
            LabError: the folder cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = dict(self.arrays())
        table = predict(self)
        header = {
            "format": FORMAT,
            "name": self.name,
            "about": dict(self.about),
            "schedules": list(self.schedules),
            "weights": _digest(self.arrays()),
            "digest": table.digest,
            "cells": int(table.measured.sum()),
        }
        arrays[_HEADER] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(path, buffer.getvalue())
        return path


def rows() -> FloatArray:
    """(C, 104) features of the lowest-index member of every class."""
    first = np.unique(cell.representatives())
    parts = (encodings.structure(), encodings.path_counts(), encodings.path_set())
    return np.concatenate([part[first] for part in parts], axis=1)


def counts() -> FloatArray:
    """(A, 6) a constant, then how many edges carry each op: what seconds are linear in."""
    return np.concatenate([np.ones((cell.SPACE.size, 1)), cell.op_counts()], axis=1)


def predict(networks: Networks) -> Table:
    """The table of a fitted ensemble's predictions; the members of a class share their accuracies."""
    first = np.unique(cell.representatives())
    accuracy: FloatArray = 100.0 - np.exp(-_forward(networks, rows()))
    accuracy[~cell.reachable()[first].any(axis=1)] = networks.about["chance"]
    wide: FloatArray = np.clip(accuracy, 0.0, 100.0).round(_DECIMALS)[cell.SPACE.classes]
    seconds = np.round(counts() @ networks.seconds.astype(np.float64), _DECIMALS)
    dataset = str(networks.about["dataset"])
    nothing = np.empty((cell.SPACE.size, 0))
    schedules = {
        last: Schedule(
            epochs=(last,),
            val=wide[:, [2 * i]],
            val_trials=nothing[:, None, :],
            test=wide[:, 2 * i + 1],
            test_trials=nothing,
            seconds=seconds[:, [i]],
        )
        for i, last in enumerate(networks.schedules)
    }
    metrics = {
        "params_m": np.round(cell.params_m(dataset), 6),
        "flops_m": np.round(cell.flops_m(dataset), 6),
    }
    return Table(networks.name, schedules, metrics, {**networks.about, "kind": "predicted"}).check()


def _forward(networks: Networks, inputs: FloatArray) -> FloatArray:
    """(C, outputs) the members' mean output; in blocks of cells that fit a processor's cache."""
    blocks = np.array_split(inputs, max(1, len(inputs) // _BLOCK))
    return np.concatenate([_mean_output(networks, block) for block in blocks])


def _mean_output(networks: Networks, inputs: FloatArray) -> FloatArray:
    total = np.zeros((len(inputs), networks.weights[-1].shape[2]))
    members, last = len(networks.weights[0]), len(networks.weights) - 1
    for member in range(members):
        hidden = inputs
        for i, (weights, biases) in enumerate(zip(networks.weights, networks.biases, strict=True)):
            hidden = hidden @ weights[member].astype(np.float64) + biases[member]
            if i < last:
                hidden = hidden / (1.0 + np.exp(-hidden))
        total += hidden
    return total / members


def holds_networks(path: Path) -> bool:
    """Whether a file is one of networks; False for anything else, whatever it is."""
    try:
        with path.open("rb") as file:
            return _HEADER in Archive(file, limit=_UNPACKED)
    except Exception:  # zipfile and numpy raise a dozen kinds for what is no archive
        return False


def read(path: Path) -> Table:
    """Read networks and predict.

    Raises:
        LabError: not a file of networks, damaged, or its predictions are not those it was shipped with.
    """
    try:
        with path.open("rb") as file:
            archive = Archive(file, limit=_UNPACKED)
            header = bounded.parsed(archive.text(_HEADER))
            arrays = {name: archive.read(name) for name in archive.names if name != _HEADER}
    except Exception as error:
        raise LabError(f"{path} holds no networks, or is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise LabError(f"{path}: networks of format {found!r}, this version reads {FORMAT}")
    try:
        table = predict(_assemble(header, arrays))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise LabError(f"{path}: header and weights do not fit together: {error!r}") from error
    if table.digest != header.get("digest"):
        raise LabError(
            f"{path}: predicts another table ({table.digest[:12]}) than it was shipped with; the features changed"
        )
    return table


def _assemble(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Networks:
    if _digest(arrays) != header["weights"]:
        raise ValueError("the weights are damaged or edited")
    depth = len(arrays) // 2
    return Networks(
        name=header["name"],
        about=header["about"],
        schedules=tuple(int(last) for last in header["schedules"]),
        weights=tuple(arrays[f"weights/{i}"] for i in range(depth)),
        biases=tuple(arrays[f"biases/{i}"] for i in range(depth)),
        seconds=arrays["seconds"],
    )


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    return sha.hexdigest()
