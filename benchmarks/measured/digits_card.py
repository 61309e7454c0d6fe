"""The data card of the digits table, every number computed from the table: prints docs/digits.md, writes its pictures.

    python benchmarks/measured/digits_card.py > docs/digits.md

Beside the page go digits_canvases.png and digits_distribution.svg (`--pictures FOLDER`). Rank correlations with
NAS-Bench-201 are printed where its table lies at `--nb201`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.measured import cards
from benchmarks.measured import digits_pictures as pictures
from benchmarks.measured.cards import correlations, grid

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
    yield from cards.noise(table)
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
        f"**Seeds.** Every class with every seed: {cards.trainings(table)}. A search is answered by one training of each class, "
        "drawn for every seed of the search, and scored on the mean test of the others (`trials=split`, this table's default), "
        "so that no training's luck is both chosen by and scored; `--trials mean` answers and scores with the means of all."
    )
    yield ""
    yield (
        "**Anew.** `nasbench-lab tables train digits --seed 777 --seed 888 --seed 999 --workers 2`; from the committed shards: "
        "`nasbench-lab tables train digits --merge results/digits_shards --out nasbench_lab/tables/data`, then its zero-cost "
        "scores: `nasbench-lab tables proxies digits --name digits --out nasbench_lab/tables/data --force`."
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
        f"{int(strict.sum())}; classes better than all classes one edit away from any member: {class_maxima(truth)}. "
        f"{cards.known_best(table)}"
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
    yield "  (`--trials split`, the default, or `sample`); a real multi-fidelity axis; checking real training "
    yield "  end to end, since any row can be measured again in about a second (`validate digits --top 10 --random 30`)."
    yield "- **Not good for**: claims about CIFAR or ImageNet; sizes of differences (a point here is not a point there); "
    yield "  choosing networks for digit recognition; the last tenths of a point at the top, which are within the noise of the "
    yield "  means; latency (no device was timed; measured seconds are of busy CPUs, brought to one by their median ratio)."
    yield ""


if __name__ == "__main__":
    main()
