"""Tables as pandas frames, for whoever thinks in columns; the same columns that `tidy` reads.

One row per cell in official order. With D the dataset and L the last epoch of a schedule:

    index, arch                 official index and string
    D/L/val, D/L/val/seed<k>    validation accuracy after epoch L, percent: mean of the trials, one trial
    D/L/val@<e>, .../seed<k>    the same after an earlier epoch e of that schedule
    D/L/test, D/L/test/seed<k>  test accuracy after epoch L, percent
    D/L/seconds, D/L/seconds@<e>  simulated seconds: training to that epoch and validating once, cumulative
    D/<metric>                  what the table knows beside (params_m, flops_m: millions; latency_ms: ms; energy_mj: mJ)

nan = not measured. `frame.attrs` holds name, kind, digest, source, licence and units.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats.trials import dataset_of, seed_names
from nasbench_lab.tables.table import FloatArray, Schedule, Table


def frame(table: Table) -> pd.DataFrame:
    """The table as a frame."""
    dataset = dataset_of(table)
    columns: dict[str, object] = {
        "index": np.arange(cell.SPACE.size),
        "arch": [cell.to_string(arch) for arch in range(cell.SPACE.size)],
    }
    for last, schedule in table.schedules.items():
        columns |= {f"{dataset}/{last}/{name}": values for name, values in _of_schedule(table, last, schedule).items()}
    columns |= {f"{dataset}/{name}": values for name, values in table.metrics.items()}
    out = pd.DataFrame(columns)
    out.attrs = {
        "name": table.name,
        "kind": table.kind,
        "digest": table.digest,
        "source": table.about.get("source", ""),
        "licence": table.about.get("licence", ""),
        "units": dict(table.about.get("units", {})),
    }
    return out


def _of_schedule(table: Table, last: int, schedule: Schedule) -> dict[str, FloatArray]:
    seeds = seed_names(table, last)
    found = {}
    for i, epoch in enumerate(schedule.epochs):
        at = "" if epoch == last else f"@{epoch}"
        found[f"val{at}"] = schedule.val[:, i]
        found |= {f"val{at}/seed{seed}": schedule.val_trials[:, i, t] for t, seed in enumerate(seeds["val"])}
        found[f"seconds{at}"] = schedule.seconds[:, i]
    found["test"] = schedule.test
    return found | {f"test/seed{seed}": schedule.test_trials[:, t] for t, seed in enumerate(seeds["test"])}
