"""The data card of the digits table, every number computed from the table: prints docs/digits.md, writes its pictures.

    python benchmarks/digits_card.py > docs/digits.md

Beside the page go digits_canvases.png and digits_distribution.svg (`--pictures FOLDER`). Rank correlations with
NAS-Bench-201 are printed where its table lies at `--nb201`.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nasbench_lab.spaces import cell
from nasbench_lab.stats import agreement
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table
from nasbench_lab.training import digits, recipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import digits_pictures as pictures

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
    yield from fidelities(table)
    yield from elsewhere(table, nb201)
    yield from uses()
    yield from pilot()


def heading(table: Table) -> Iterator[str]:
    known = int(table.measured[MEMBERS].sum())
    seeds = ", ".join(
        f"{seed}: {count:,}" for seed, count in sorted(table.about["seeds"].items(), key=lambda x: int(x[0]))
    )
    whole = "" if known == len(MEMBERS) else f" **Unfinished: {known:,} of {len(MEMBERS):,} classes.**"
    yield "# The digits table: data card"
    yield ""
    yield f"Printed by `python benchmarks/digits_card.py`; do not edit.{whole}"
    yield ""
    yield (
        "A tabular benchmark of the NAS-Bench-201 cell space that was really measured: every isomorphism class of cells "
        "trained from scratch on a small, hard digits task. Validation after each of six equal parts of the training, test "
        "at the end, measured seconds, and simulated seconds proportional to multiply-adds."
    )
    yield ""
    yield from grid(
        ["", ""],
        [
            ["cells", f"15,625 in {known:,} classes, one row per class"],
            ["trainings (seed: classes)", seeds],
            ["digest", f"`{table.digest[:16]}`"],
            ["licence", str(table.about["licence"])],
            ["made with", ", ".join(f"{key} {', '.join(v)}" for key, v in table.about["made_with"].items())],
            ["engine", ", ".join(table.about["engine"])],
            ["diverged trainings", str(table.about["diverged"])],
            ["measured CPU seconds a training", quantiles(table.metrics["measured_seconds"][MEMBERS])],
        ],
    )


def made(table: Table) -> Iterator[str]:
    used, data = table.about["recipe"], table.about["data"]
    clutter, sizes = data["clutter"], {name: len(labels) for name, (_, labels) in digits.base_images().items()}
    yield "## How it was made"
    yield ""
    yield "![Canvases of the training stream, five per label](digits_canvases.png)"
    yield ""
    yield (
        f"**Images.** scikit-learn's `load_digits`: 1,797 real 8x8 handwritten digits, the test part of the UCI set Optical "
        f"Recognition of Handwritten Digits (Alpaydin and Kaynak 1998). They are split first, stratified by label: "
        f"{sizes['train']} for training, {sizes['val']} for validation, {sizes['test']} for test. Then canvases are "
        f"synthesised in the manner of cluttered MNIST (Mnih et al. 2014): a digit at a random place of a larger canvas "
        f"({clutter['size']}x{clutter['size']}) among {clutter['fragments']} fragments "
        f"({clutter['fragment']}x{clutter['fragment']} pixels) of other digits of the same part, "
        f"plus Gaussian noise of {clutter['noise']} of full ink. "
        f"Training sees fresh canvases all the time; the "
        f"{data['held_out_size']:,} validation and {data['held_out_size']:,} test canvases are the same in every training. "
        "Writers are not known in the source, so the parts may share them."
    )
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
    percents = (0, 1, 10, 25, 50, 75, 90, 99, 100)
    rows = []
    for name, values in (("val", schedule.val[MEMBERS, -1]), ("test", schedule.test[MEMBERS])):
        rows.append([f"{name} %", *(f"{v:.2f}" for v in np.nanpercentile(values, percents))])
    yield from grid(["quantile over classes", *(f"{p}%" for p in percents)], rows)
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
    level = schedule.test[MEMBERS]
    edges = np.nanpercentile(level, range(0, 101, 10))
    rows = []
    for i, (low, high) in enumerate(pairwise(edges), start=1):
        inside = several & (level >= low) & (level <= high)
        rows.append(
            [f"{i}", f"{low:.1f} to {high:.1f}", str(int(inside.sum())), pooled(val[inside]), pooled(test[inside])]
        )
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


def fidelities(table: Table) -> Iterator[str]:
    schedule = table.last
    known = table.measured[MEMBERS]
    rows = []
    for i, part in enumerate(schedule.epochs):
        val, test = schedule.val[MEMBERS, i][known], schedule.test[MEMBERS][known]
        seconds = schedule.seconds[MEMBERS, i][known].mean()
        cost = f"{seconds / schedule.seconds[MEMBERS, -1][known].mean():.0%}"
        rows.append([str(part), f"{np.median(val):.2f}", *correlations(val, test), f"{seconds:.2f}", cost])
    yield "## Fidelities"
    yield ""
    yield from grid(
        ["after part", "median val %", "Spearman with test", "Kendall", "simulated seconds", "of the whole"], rows
    )
    yield (
        "All parts are of one training, so going on costs the difference. The learning rate is still high in early parts, which "
        "is why they rank cells poorly. Test is that of the same trainings, so it shares their luck."
    )
    yield ""


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


def pilot() -> Iterator[str]:
    """The pilot's table, from where the recipe is documented."""
    body = ast.parse(inspect.getsource(recipe)).body
    after = next(
        i for i, node in enumerate(body) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DIGITS"
    )
    note = body[after + 1]
    yield "## Why this setting"
    yield ""
    yield "From `nasbench_lab/training/recipe.py`; run it with `python benchmarks/digits_pilot.py`."
    yield ""
    yield "```text"
    yield inspect.cleandoc(ast.literal_eval(note.value) if isinstance(note, ast.Expr) else "")
    yield "```"


def grid(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def correlations(x: Floats, y: Floats) -> list[str]:
    """Spearman's and Kendall's."""
    return [f"{spearmanr(x, y)[0]:.3f}", f"{kendalltau(x, y)[0]:.3f}"]


def quantiles(values: Floats) -> str:
    low, middle, high = np.nanpercentile(values, (10, 50, 90))
    return f"median {middle:.2f}, 10% to 90%: {low:.2f} to {high:.2f}"


def pooled(trials: Floats) -> str:
    """Root of the mean variance between seeds, weighted by degrees of freedom."""
    freedom = (~np.isnan(trials)).sum(axis=1) - 1
    if not len(trials) or freedom.sum() < 1:
        return ""
    variance = np.nanvar(trials, axis=1, ddof=1)
    return f"{np.sqrt((variance * freedom).sum() / freedom.sum()):.2f}"


if __name__ == "__main__":
    main()
