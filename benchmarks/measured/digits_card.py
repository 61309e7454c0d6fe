"""The data card of the digits table, every number computed from the table: prints docs/digits.md, writes its pictures.

    python benchmarks/measured/digits_card.py > docs/digits.md

Beside the page go digits_canvases.png and digits_distribution.svg (`--pictures FOLDER`). Rank correlations with
NAS-Bench-201 are printed where its table lies at `--nb201`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nasbench_lab.spaces import cell
from nasbench_lab.stats import agreement
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.measured import cards
from benchmarks.measured import digits_pictures as pictures
from benchmarks.measured.cards import correlations, grid, pooled

Floats = NDArray[np.float64]
MEMBERS = np.unique(cell.representatives())


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--table", default="digits")
    parser.add_argument("--pictures", type=Path, default=Path("docs"))
    parser.add_argument("--nb201", type=Path, default=Path("../shared/data/nb201/nb201.parquet"))
    options = parser.parse_args()
    table = catalog.load(options.table)
    options.pictures.mkdir(parents=True, exist_ok=True)
    (options.pictures / "digits_canvases.png").write_bytes(pictures.canvases_png())
    values = table.truth[MEMBERS]
    figure = pictures.histogram(values[~np.isnan(values)])
    (options.pictures / "digits_distribution.svg").write_text(figure)
    print("\n".join(page(table, options.nb201)))


def page(table: Table, nb201: Path) -> Iterator[str]:
    yield from heading(table)
    yield from made(table)
    yield from distribution(table)
    yield from noise(table)
    yield from optimum(table)
    yield from cards.fidelities(table)
    yield from elsewhere(table, nb201)
    yield from uses()
    yield from cards.pilot("DIGITS", "digits_pilot.py")


def heading(table: Table) -> Iterator[str]:
    what = (
        "A tabular benchmark of the NAS-Bench-201 cell space that was really measured: every isomorphism class of cells "
        "trained from scratch on a small, hard digits task. Validation after each of six equal parts of the training, test "
        "at the end, measured seconds, and simulated seconds proportional to multiply-adds."
    )
    yield from cards.heading(table, "digits_card.py", ["cells", "15,625"], what)


def made(table: Table) -> Iterator[str]:
    used, data = table.about["recipe"], table.about["data"]
    yield "## How it was made"
    yield ""
    yield "![Canvases of the training stream, five per label](digits_canvases.png)"
    yield ""
    yield cards.images(data)
    yield ""
    yield (
        f"**Training.** The benchmark's network with C={used['channels']}, N={used['cells']}: {used['epochs']} parts of "
        f"{data['part_size']:,} fresh canvases, batch {used['batch']}, SGD with Nesterov momentum {used['momentum']}, "
        f"learning rate {used['lr']} along a cosine to 0, weight decay {used['weight_decay']:g}; no flips or crops. "
        "A class is represented by its lowest-index cell. In 764 classes the members differ in which "
        "branches share weights; the row is that cell's."
    )
    yield ""
    yield (
        "**Seeds.** The first seed was run for every class, in random order; the others for the 500 best by the first seed's "
        "final validation and for 500 random others. Means are over the seeds that were run. The first seed's luck "
        "helped choose the 500, so their means are still a little high in validation, and, as far as luck in validation and "
        "test go together (see Noise), in test. All strategies are scored on the same numbers."
    )
    yield ""
    yield (
        "**Anew.** `nasbench-lab tables train digits --seed 777 --more 888 --more 999 --workers 2`; from the committed shards: "
        "`nasbench-lab tables train digits --merge results/digits_shards --to nasbench_lab/tables/data`."
    )
    yield ""


def distribution(table: Table) -> Iterator[str]:
    schedule = table.last
    yield "## Distribution"
    yield ""
    yield "![Distribution of mean test accuracy](digits_distribution.svg)"
    yield ""
    yield from cards.scores(table)
    dead = ~cell.reachable()[MEMBERS].any(axis=1)
    chance = ", ".join(f"{v:.2f}" for v in np.unique(schedule.test[MEMBERS][dead]) if not np.isnan(v))
    yield f"A cell through which nothing passes guesses: test {chance or 'not measured yet'}%."
    yield ""


def noise(table: Table) -> Iterator[str]:
    schedule = table.last
    val, test = schedule.val_trials[MEMBERS, -1, :], schedule.test_trials[MEMBERS]
    yield "## Noise"
    yield ""
    everything = val
    if val.shape[1] > 2:  # the first seed chose the best, so noise is taken from the others
        val, test = val[:, 1:], test[:, 1:]
    several = (~np.isnan(val)).sum(axis=1) > 1
    if several.sum() < 10:
        yield "One seed so far: nothing to say."
        yield ""
        return
    rows = cards.tenths(schedule.test[MEMBERS], val, test)
    yield from grid(["tenth of classes by test", "test %", "with several seeds", "SD of val", "SD of test"], rows)
    counting = 100 * np.sqrt(0.8 * 0.2 / table.about["data"]["held_out_size"])
    yield (
        f"Standard deviation between the seeds that chose nothing, points, pooled within classes; over all: val "
        f"{pooled(val[several])}, test {pooled(test[several])}. "
        f"Counting on {table.about['data']['held_out_size']:,} fixed canvases "
        f"is not part of it (the "
        f"canvases are the same for all cells); it would be {counting:.2f} at 80%. Within a class, luck in val and "
        f"luck in test correlate by {agreement.correlation(val, test):.2f}: a good seed is good on both."
    )
    yield ""
    yield from between_seeds(table, everything)


def between_seeds(table: Table, val: Floats) -> Iterator[str]:
    seeds, test = sorted(map(int, table.about["seeds"])), table.last.test_trials[MEMBERS]
    random = random_sample(val)
    rows = []
    for a, b in combinations(range(len(seeds)), 2):
        both = random & ~np.isnan(val[:, a] + val[:, b])
        if both.sum() > 10:
            x, y = val[both, a], val[both, b]
            row = [f"{seeds[a]}, {seeds[b]}", str(int(both.sum())), *correlations(x, y)]
            rows.append([*row, f"{spearmanr(x, test[both, b])[0]:.3f}"])
    yield "Between two trainings, over the random classes (without the 500 best):"
    yield ""
    yield from grid(["seeds", "classes", "Spearman of val", "Kendall", "val of one, test of the other: Spearman"], rows)
    yield seed_effects(val, seeds, random)
    yield ""


def seed_effects(val: Floats, seeds: list[int], random: NDArray[np.bool_]) -> str:
    """How much higher or lower a seed is for all cells."""
    rows = val[random & ~np.isnan(val).any(axis=1)]
    if len(rows) < 10 or len(seeds) < 2:
        return ""
    shifts = rows.mean(axis=0) - rows.mean(axis=0)[0]
    text = ", ".join(f"{seed}: {shift:+.2f}" for seed, shift in zip(seeds, shifts, strict=True))
    return (
        f"All cells see a seed's training canvases, so a seed is better or worse for all of them; mean val of the random classes "
        f"relative to the first seed: {text}. It is not corrected for: classes with all seeds are therefore "
        f"{shifts.mean():+.2f} points against classes with the first seed only."
    )


def random_sample(val: Floats) -> NDArray[np.bool_]:
    """Classes outside the 500 best by the first seed."""
    first = np.nan_to_num(val[:, 0], nan=-1.0)
    chosen = np.ones(len(first), dtype=np.bool_)
    chosen[np.argsort(-first, kind="stable")[:500]] = False
    return chosen


def optimum(table: Table) -> Iterator[str]:
    truth, val = table.truth, table.last.val[:, -1]
    best, by_val = int(np.nanargmax(truth[MEMBERS])), int(np.nanargmax(val[MEMBERS]))
    strict = (truth[:, None] > truth[cell.SPACE.neighbours]).all(axis=1)
    yield "## Optimum and landscape"
    yield ""
    rows = []
    for what, position in (("best by mean test", best), ("best by mean validation", by_val)):
        arch = int(MEMBERS[position])
        rows.append(
            [what, str(arch), f"`{cell.to_string(arch)}`".replace("|", "\\|"), f"{val[arch]:.3f}", f"{truth[arch]:.3f}"]
        )
    yield from grid(["", "cell", "", "val %", "test %"], rows)
    near = [int((truth[MEMBERS] >= np.nanmax(truth) - gap).sum()) for gap in (0.5, 1.0, 2.0)]
    yield (
        f"Choosing by validation loses {truth[MEMBERS[best]] - truth[MEMBERS[by_val]]:.3f} points of test. Within 0.5, 1 and 2 "
        f"points of the best: {near[0]}, {near[1]} and {near[2]} classes. Cells better than all their 24 neighbours: "
        f"{int(strict.sum())}; classes better than all classes one edit away from any member: {class_maxima(truth)}. Much of "
        "that ruggedness is noise of single trainings."
    )
    yield ""


def class_maxima(truth: Floats) -> int:
    """Classes whose value exceeds that of every other class one edit away from any of their members."""
    classes = cell.SPACE.classes
    other = classes[cell.SPACE.neighbours] != classes[:, None]
    neighbours = np.where(other, truth[cell.SPACE.neighbours], -np.inf)
    with np.errstate(invalid="ignore"):
        good = (truth[:, None] > neighbours).all(axis=1) & ~np.isnan(truth)
    every = np.ones(len(MEMBERS), dtype=np.bool_)
    np.logical_and.at(every, classes, good)
    return int(every.sum())


def elsewhere(table: Table, path: Path) -> Iterator[str]:
    yield "## Against NAS-Bench-201"
    yield ""
    if not path.exists():
        yield "Its table is not at hand here."
        yield ""
        return
    import pandas

    columns = {"CIFAR-10": "cifar10/200/test", "CIFAR-100": "cifar100/200/test"}
    frame = pandas.read_parquet(path, columns=list(columns.values()))
    known = table.measured[MEMBERS]
    archs = MEMBERS[known]
    rows = []
    for label, column in columns.items():
        theirs = frame[column].to_numpy()[archs]
        top = np.argsort(-theirs)[: max(3, len(archs) // 10)]
        for name, ours in (("test", table.truth[archs]), ("val", table.last.val[archs, -1])):
            row = [f"{label}, 200 epochs", name, *correlations(ours, theirs)]
            rows.append([*row, f"{spearmanr(ours[top], theirs[top])[0]:.3f}"])
    for name, values in (("parameters (live)", table.metrics["params_m"]), ("FLOPs (live)", table.metrics["flops_m"])):
        rows.append([name, "test", *correlations(table.truth[archs], values[archs]), ""])
    yield from grid(["mean test of", "ours", "Spearman", "Kendall", "Spearman in their best tenth"], rows)
    yield f"Over {len(archs):,} classes, one cell each. The last two rows say how far size alone explains the ranking."
    yield ""


def uses() -> Iterator[str]:
    yield "## Good for, not good for"
    yield ""
    yield "- **Good for**: comparing search strategies on measured accuracies with nothing to download; real seed noise "
    yield "  (`--trials sample`); a real multi-fidelity axis; checking real training end to end, since any row can be measured "
    yield "  again in about a second (`nasbench-lab validate digits --top 10 --random 30`)."
    yield "- **Not good for**: claims about CIFAR or ImageNet; sizes of differences (a point here is not a point there); "
    yield "  choosing networks for digit recognition; the last tenths of a point at the top, which are within the noise of the "
    yield "  means; latency (no device was timed; measured seconds are of one busy CPU)."
    yield "- Cells with one seed have noisier means than those with three. Strategies are not told which."
    yield ""


if __name__ == "__main__":
    main()
