"""Regression: the shared-weight ranking agrees with the table as it did when results/one_shot was made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from nasbench_lab.experiments import supernets

COMMITTED = Path(__file__).parents[2] / "results" / "one_shot" / "supernets"
SPEC = "spos:epochs=30"
NARROWEST = 0.03  # standard deviation of tau between supernets that five of them may understate


@pytest.mark.slow
def test_uniform_paths_rank_cells_as_well_as_they_did():
    """One supernet trained anew (a minute). Another machine rounds otherwise and gets another supernet of the same kind."""
    settings = json.loads((COMMITTED / "manifest.json").read_text())["settings"]
    points = pd.read_csv(COMMITTED / "supernets.csv")
    own = points[(points["strategy"] == SPEC) & (points["epoch"] == 30)]["tau"].to_numpy()
    assert len(own) >= 5
    again = supernets.Settings((SPEC,), **{k: v for k, v in settings.items() if k != "strategies"} | {"every": 0})
    tau = supernets.observe(SPEC, again, 0)["points"][-1]["tau"]
    deviation = max(NARROWEST, float(own.std(ddof=1)))
    assert abs(tau - own.mean()) < 4 * deviation, f"tau {tau:.3f}, committed {np.round(own, 3)}"
    assert own.mean() > 4 * deviation, "the committed supernets tell nothing about the table"
