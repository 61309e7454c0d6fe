"""One-shot strategies on digits: supernets and their agreement with the table, then the study `one_shot.toml` on the same.

    NASBENCH_LAB_CHECKPOINTS=DIR python benchmarks/one_shot.py [--workers 2] [--out results/one_shot]
    python benchmarks/one_shot.py --beside      # the written results, and what 1,000 runs of random search have by then

With NASBENCH_LAB_CHECKPOINTS set a supernet is trained once: the study goes on from what the first part left. Both parts
are resumable: a supernet, or a run, that is finished is not repeated. Do not go back to the first part after the second.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.experiments import supernet_report, supernets
from nasbench_lab.leaderboard import written
from nasbench_lab.study.study import read_study
from nasbench_lab.tables import catalog

HERE = Path(__file__).parent
_OTHERS = range(1000, 2000)  # seeds that the study does not have


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "one_shot")
    parser.add_argument("--beside", action="store_true", help="only print the written results beside random search")
    options = parser.parse_args()
    if options.beside:
        try:
            beside(options.out)
        except LabError as error:
            sys.exit(str(error))
        return
    study = read_study(HERE / "one_shot.toml")
    sharing = supernets.sharing()
    specs = tuple(spec for spec in study.strategies if spec.partition(":")[0] in sharing)
    settings = supernets.Settings(specs, "digits", study.seeds, cells=200, every=6, images=400)
    out = options.out / "supernets"

    def told(done: int, total: int) -> None:
        print(f"{done} of {total}", flush=True)

    jobs = supernets.run(settings, out, workers=options.workers, progress=told)
    supernet_report.write(supernet_report.build(settings, jobs), out)
    api.run(study, options.out, workers=options.workers, progress=told)


def beside(folder: Path) -> None:
    """Every row's seconds and test accuracy, and what random search has by then: 1,000 runs of it under the study's protocol."""
    rows, truth = written.read_rows(folder)["rows"], catalog.load("digits").truth
    print(f"a uniform cell {truth.mean():.2f}, the best {truth.max():.2f}")
    study = read_study(HERE / "one_shot.toml")
    budget = study.tasks[0].max_seconds
    runs = [api.search("random_search", "digits", seed=seed, max_seconds=budget) for seed in _OTHERS]
    print("mean ± half of its 95% interval: Student's over the rows' few seeds, a normal one over the 1,000")
    for row in rows:
        count, then = int(row["runs"]), np.array([_by(run, row["seconds"]) for run in runs])
        half = stdtrit(count - 1, 0.975) * row["test_sd"] / np.sqrt(count)
        others = 1.96 * then.std(ddof=1) / np.sqrt(len(then))
        print(
            f"{row['strategy']:56} {row['seconds']:4.0f} s  {row['test_mean']:.2f} ± {half:.2f}"
            f"  random search {then.mean():.2f} ± {others:.2f}"
        )


def _by(run: pd.DataFrame, seconds: float) -> float:
    """The score of a run's incumbent at a time."""
    ended = int(np.searchsorted(run["finished"].to_numpy(), seconds, side="right"))
    return float(run["incumbent_test"].iloc[max(ended - 1, 0)])


if __name__ == "__main__":
    main()
