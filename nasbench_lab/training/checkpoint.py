"""States of trainings on disk: one file, whole or not at all, sealed, and of any device: it is loaded on the CPU."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, sealed

_MOST = 1 << 34  # bytes; a network of C = 16, N = 5 with its optimizer has ten million, a group a thousand of them


def save(path: Path, identity: Any, state: Any, curves: Any) -> None:
    """Write (atomically) what is to be gone on from.

    Args:
        identity: plain values that say which training this is.
        state: tensors and plain values. curves: plain values, what was measured so far.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    content = io.BytesIO()
    torch.save({"identity": identity, "state": state, "curves": curves}, content)
    with temporary.open("wb") as file:
        file.write(sealed.closed(content.getvalue()))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path, identity: dict[str, Any]) -> tuple[Any, Any]:
    """State and curves of a training.

    Raises:
        ValueError: the checkpoint of another training.
        LabError: it is damaged.
    """
    try:
        raw = io.BytesIO(sealed.contents(bounded.content(path, _MOST)))
        content = torch.load(raw, weights_only=True, map_location="cpu")
        there = dict(content["identity"])
        state, curves = content["state"], content["curves"]
    except OSError:
        raise
    except Exception as error:  # torch and zipfile raise a dozen kinds for a damaged file
        why = str(error).partition("\n")[0][:200] or type(error).__name__
        raise LabError(f"checkpoint {path} is damaged ({why}); delete it and run again") from error
    if there != identity:
        differing = {k: (there.get(k), v) for k, v in identity.items() if there.get(k) != v}
        raise ValueError(f"{path} is the checkpoint of another training (there, here): {differing}")
    return state, curves
