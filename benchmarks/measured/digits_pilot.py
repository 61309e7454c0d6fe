"""How the digits task was chosen: candidate settings on random classes, two seeds each, compared by what a table needs.

    python benchmarks/measured/digits_pilot.py --cells 60 --folder /tmp/pilot [--settings b32-lr.1 ...] [--nb201 nb201.parquet]

Prints one row per setting. Resumable (shards per setting in the folder); about 0.7 to 1 CPU-second a training with the
fused engine. Columns:

    cpu          CPU-seconds per training, validation included
    10% 50% max  quantiles of final val over cells (mean of two seeds), %
    noise        standard deviation over seeds, in points: root mean square of the pairs' differences / sqrt 2
    spread/noise standard deviation over cells of the mean of two seeds / noise
    rho tau      Spearman and Kendall between the two seeds
    near best    share of cells whose mean lies within one `noise` (of the upper half) of the best
    part 2       Spearman of val after part 2 (one seed) with the final mean: what the early fidelity is worth
    test         Spearman of final val with test, means of two seeds
    C10 C100     Spearman of the mean with the 200-epoch test accuracy of NAS-Bench-201, where the table is at hand
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.training.digits import Clutter
from nasbench_lab.training.measure import Job, Table, Task, first_trial, measure, merge
from nasbench_lab.training.recipe import DIGITS

BASE = Task(DIGITS)
SETTINGS = {
    "b32-lr.1": BASE,  # the choice
    "b32-lr.05": replace(BASE, recipe=replace(DIGITS, lr=0.05)),
    "b64-lr.1": replace(BASE, recipe=replace(DIGITS, batch=64)),
    "b64-lr.05": replace(BASE, recipe=replace(DIGITS, batch=64, lr=0.05)),
    "b128-lr.1": replace(BASE, recipe=replace(DIGITS, batch=128)),
    "b128-noise.2": replace(BASE, recipe=replace(DIGITS, batch=128), clutter=Clutter(noise=0.2)),
    "b128-noise.05": replace(BASE, recipe=replace(DIGITS, batch=128), clutter=Clutter(noise=0.05)),
    "b128-3of5": replace(BASE, recipe=replace(DIGITS, batch=128), clutter=Clutter(fragments=3, fragment=5)),
    "b32-lr.05-3": replace(BASE, recipe=replace(DIGITS, lr=0.05), clutter=Clutter(fragments=3)),
}
SEEDS = (1, 2)
COLUMNS = (
    "cpu",
    "10%",
    "50%",
    "max",
    "noise",
    "spread/noise",
    "rho",
    "tau",
    "near best",
    "part 2",
    "test",
    "C10",
    "C100",
)


def jobs_of(space: Space, count: int) -> list[Job]:
    """`count` random classes, each by its lowest-index cell and with both seeds."""
    return [(arch, seed) for arch, _ in first_trial(0, shuffle=7, space=space)[:count] for seed in SEEDS]


def row(table: Table, reference: dict[str, NDArray[np.float64]]) -> tuple[float, ...]:
    """The columns above, from a table with both seeds of every cell (sorted by seed, then arch)."""
    archs = table["arch"][table["seed"] == SEEDS[0]]
    val = np.stack([table["val"][table["seed"] == seed] for seed in SEEDS])  # (seeds, cells, parts)
    first, second = val[:, :, -1]
    mean, alive = (first + second) / 2, np.minimum(first, second) > 15  # a disconnected cell guesses: 10%
    difference = first - second
    noise = float(np.sqrt((difference[alive] ** 2).mean() / 2))
    noise_above = float(np.sqrt((difference[mean >= np.median(mean)] ** 2).mean() / 2))
    test = np.mean([table["test"][table["seed"] == seed] for seed in SEEDS], axis=0)
    return (
        float(table["seconds"].mean()), *(float(np.percentile(mean, q)) for q in (10, 50, 100)), noise,
        float(mean[alive].std()) / noise, float(spearmanr(first, second)[0]), float(kendalltau(first, second)[0]),
        float((mean > mean.max() - noise_above).mean()), float(spearmanr(val[0, :, 1], mean)[0]),
        float(spearmanr(mean, test)[0]), *(float(spearmanr(mean, values[archs])[0]) for values in reference.values()),
    )  # fmt: skip


def reference_accuracies(path: Path) -> dict[str, NDArray[np.float64]]:
    """200-epoch test accuracies in index order; nothing where the file is absent."""
    if not path.exists():
        return {}
    import pandas

    frame = pandas.read_parquet(path, columns=["cifar10/200/test", "cifar100/200/test"])
    return {str(name): frame[name].to_numpy() for name in frame}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--nb201", type=Path, default=Path("../shared/data/nb201/nb201.parquet"))
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    chosen = {name: SETTINGS[name] for name in options.settings}
    compare(chosen, cell.SPACE, options.cells, options.folder, options.workers, reference_accuracies(options.nb201))


def compare(
    settings: dict[str, Task],
    space: Space,
    count: int,
    folder: Path,
    workers: int,
    reference: dict[str, NDArray[np.float64]],
) -> None:
    """Train `count` random classes of a space with every setting; print a row each."""
    jobs = jobs_of(space, count)
    print(f"{count} random classes, seeds {SEEDS}")
    print(f"{'':14s}" + "".join(f"{name:>13s}" for name in COLUMNS[: 11 + len(reference)]))
    for name, task in settings.items():
        measure(task, jobs, folder / f"{name}-{count}", workers=workers, block=20)
        table, _ = merge(folder / f"{name}-{count}")
        print(f"{name:14s}" + "".join(f"{value:13.3f}" for value in row(table, reference)), flush=True)


if __name__ == "__main__":
    main()
