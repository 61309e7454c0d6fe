"""One-shot strategies on digits: supernets and their agreement with the table, then the study `one_shot.toml` on the same.

    NASBENCH_LAB_CHECKPOINTS=DIR python benchmarks/one_shot.py [--workers 2] [--out results/one_shot]
    python benchmarks/one_shot.py --beside      # the written results, and what random search is expected to have by then

With NASBENCH_LAB_CHECKPOINTS set a supernet is trained once: the study goes on from what the first part left. Both parts
are resumable: a supernet, or a run, that is finished is not repeated. Do not go back to the first part after the second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nasbench_lab import api
from nasbench_lab.experiments import supernet_report, supernets
from nasbench_lab.leaderboard import written
from nasbench_lab.stats import references
from nasbench_lab.study.study import read_study
from nasbench_lab.tables import catalog

HERE = Path(__file__).parent


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "one_shot")
    parser.add_argument("--beside", action="store_true", help="only print the written results beside random search")
    options = parser.parse_args()
    if options.beside:
        beside(options.out)
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
    """Every row's seconds and test accuracy, and the closed form of random search at as many queries as average trainings fit."""
    table = catalog.load("digits")
    seen, truth = table.last.val[:, -1], table.truth
    training = float(table.last.seconds[:, -1].mean())
    print(f"a uniform cell {truth.mean():.2f}, the best {truth.max():.2f}; an average training {training:.2f} s")
    for row in written.read_rows(folder)["rows"]:
        expected = references.random_search_expectation(seen, truth, [max(1, int(row["seconds"] / training))])[0]
        print(f"{row['strategy']:60} {row['seconds']:4.0f} s  {row['test_mean']:.2f}  random search {expected:.2f}")


if __name__ == "__main__":
    main()
