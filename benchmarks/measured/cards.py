"""What the data cards of measured tables have in common: how canvases are made, fidelities, the pilot, small grids."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nasbench_lab.stats import agreement
from nasbench_lab.tables import trainings as trainings_of
from nasbench_lab.tables.table import Table
from nasbench_lab.training import digits, recipe

Floats = NDArray[np.float64]


def members(table: Table) -> NDArray[np.int64]:
    """The lowest-index configuration of every class."""
    return np.unique(table.space.representatives)


def trainings(table: Table) -> str:
    """Seed: how many trainings, by seed."""
    return ", ".join(
        f"{seed}: {count:,}" for seed, count in sorted(table.about["seeds"].items(), key=lambda x: int(x[0]))
    )


def heading(table: Table, script: str, size: list[str], what: str) -> Iterator[str]:
    """The top of a card: which script prints it, whether the table is whole, what it is, its size and how it was made."""
    known, classes = int(table.measured[members(table)].sum()), len(members(table))
    whole = "" if known == classes else f" **Unfinished: {known:,} of {classes:,} classes.**"
    yield f"# The {table.name} table: data card"
    yield ""
    yield f"Printed by `python benchmarks/measured/{script}`; do not edit.{whole}"
    yield ""
    yield what
    yield ""
    yield from grid(["", ""], [[size[0], f"{size[1]} in {known:,} classes, one row per class"], *origin(table)])


def origin(table: Table) -> list[list[str]]:
    """Rows of the grid at the top: what the table is and how it was made."""
    return [
        ["trainings (seed: classes)", trainings(table)],
        ["digest", f"`{table.digest[:16]}`"],
        ["licence", str(table.about["licence"])],
        ["made with", ", ".join(f"{key} {', '.join(v)}" for key, v in table.about["made_with"].items())],
        ["engine", ", ".join(table.about["engine"])],
        ["diverged trainings", str(table.about["diverged"])],
        ["measured CPU seconds a training", quantiles(table.metrics["measured_seconds"][members(table)])],
    ]


def images(data: dict[str, Any]) -> str:
    """How the canvases are made."""
    clutter, sizes = data["clutter"], {name: len(labels) for name, (_, labels) in digits.base_images().items()}
    return (
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


def scores(table: Table) -> Iterator[str]:
    """Quantiles of validation and test over classes."""
    percents, rows = (0, 1, 10, 25, 50, 75, 90, 99, 100), []
    for name, values in (("val", table.last.val[:, -1]), ("test", table.truth)):
        rows.append([f"{name} %", *(f"{v:.2f}" for v in np.nanpercentile(values[members(table)], percents))])
    yield from grid(["quantile over classes", *(f"{p}%" for p in percents)], rows)


def fidelities(table: Table, digits: int = 2) -> Iterator[str]:
    """What validation after each part is worth, and costs; simulated seconds with so many digits."""
    schedule, firsts = table.last, members(table)
    known = table.measured[firsts]
    rows = []
    for i, part in enumerate(schedule.epochs):
        val, test = schedule.val[firsts, i][known], schedule.test[firsts][known]
        seconds = schedule.seconds[firsts, i][known].mean()
        cost = f"{seconds / schedule.seconds[firsts, -1][known].mean():.0%}"
        rows.append([str(part), f"{np.median(val):.2f}", *correlations(val, test), f"{seconds:.{digits}f}", cost])
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


def pilot(name: str, script: str) -> Iterator[str]:
    """The pilot's numbers, from where the recipe of that name is documented."""
    body = ast.parse(inspect.getsource(recipe)).body
    after = next(
        i for i, node in enumerate(body) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    note = body[after + 1]
    yield "## Why this setting"
    yield ""
    yield f"From `nasbench_lab/training/recipe.py`; run it with `python benchmarks/measured/{script}`."
    yield ""
    yield "```text"
    yield inspect.cleandoc(ast.literal_eval(note.value) if isinstance(note, ast.Expr) else "")
    yield "```"


def grid(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def correlations(x: Floats, y: Floats) -> list[str]:
    """Spearman's and Kendall's."""
    return [f"{spearmanr(x, y)[0]:.3f}", f"{kendalltau(x, y)[0]:.3f}"]


def quantiles(values: Floats) -> str:
    """Median and the middle four fifths."""
    low, middle, high = np.nanpercentile(values, (10, 50, 90))
    return f"median {middle:.2f}, 10% to 90%: {low:.2f} to {high:.2f}"


def noise(table: Table, largest: str = "") -> Iterator[str]:
    """Standard deviations between seeds, common shifts of seeds, and how well one training ranks like another."""
    firsts, seeds = members(table), sorted(map(int, table.about["seeds"]))
    val, test = table.last.val_trials[firsts, -1, :], table.last.test_trials[firsts]
    yield "## Noise"
    yield ""
    several = (~np.isnan(val)).sum(axis=1) > 1
    if several.sum() < 10:
        yield "One seed so far: nothing to say."
        yield ""
        return
    rows = tenths(table.truth[firsts], val, test)
    yield from grid(["tenth of classes by test", "test %", "with several seeds", "SD of val", "SD of test"], rows)
    held_out = table.about["data"]["held_out_size"]
    yield (
        "Standard deviation between seeds, points, pooled within classes; over all: "
        f"val {pooled(val[several])}, test {pooled(test[several])}. {largest}"
        f"Counting on {held_out:,} fixed canvases is not part of it (they are the same for all); it would be "
        f"{100 * np.sqrt(0.8 * 0.2 / held_out):.2f} at 80%. Within a class, luck in val and luck in test correlate by "
        f"{agreement.correlation(val, test):.2f}: a good seed is good on both."
    )
    yield ""
    yield from between(seeds, val, test)
    yield from common(seeds, val, test)


def between(seeds: list[int], val: Floats, test: Floats) -> Iterator[str]:
    """Ranks in one training against ranks in another."""
    rows = []
    for a, b in combinations(range(len(seeds)), 2):
        both = ~np.isnan(val[:, a] + val[:, b] + test[:, b])
        if both.sum() > 10:
            row = [f"{seeds[a]}, {seeds[b]}", f"{int(both.sum()):,}", *correlations(val[both, a], val[both, b])]
            rows.append([*row, f"{spearmanr(val[both, a], test[both, b])[0]:.3f}"])
    yield "Between two trainings:"
    yield ""
    yield from grid(["seeds", "classes", "Spearman of val", "Kendall", "val of one, test of the other: Spearman"], rows)


def common(seeds: list[int], val: Floats, test: Floats) -> Iterator[str]:
    """How much higher or lower a seed is for all cells, and how much of the noise that is."""
    whole = ~np.isnan(val + test).any(axis=1)
    rows, shares = [], []
    for name, values in (("val", val[whole]), ("test", test[whole])):
        shift = values.mean(axis=0) - values.mean()
        error = (values - values.mean(axis=1, keepdims=True)).std(axis=0, ddof=1) / np.sqrt(len(values))
        rows.append([name, *(f"{mean:+.3f} ± {1.96 * own:.3f}" for mean, own in zip(shift, error, strict=True))])
        shares.append(
            f"{(shift**2).sum() / (len(seeds) - 1) / np.nanvar(values, axis=1, ddof=1).mean():.1%} of {name}'s"
        )
    yield "All cells see a seed's training canvases, so that a seed may be better or worse for all of them:"
    yield ""
    yield from grid(["mean over classes, against the mean of all seeds", *map(str, seeds)], rows)
    yield (
        f"Common to all cells is {' and '.join(shares)} variance between seeds. It is left in: every class has every seed, "
        "so that means hold all shifts alike and no difference between classes has any. Where one training answers the search "
        "(`--trials split`, `sample`), each class draws its own, and the shift is part of the noise between them."
    )
    yield ""


def known_best(table: Table) -> str:
    """What the trainings tell of which class is the best."""
    found = trainings_of.noise(table)
    if found is None:
        return ""
    repeated = found.repeated
    chances = np.sort(repeated.chances)[::-1]
    top = np.argsort(-repeated.means, kind="stable")[:10]
    fall = float((repeated.means - repeated.posterior)[top].mean())
    return (
        f"The best class by the posterior mean (`nasbench_lab/stats/repeated.py`: from all trainings together) has "
        f"{repeated.posterior[repeated.best]:.2f} and is the best of all with probability {chances[0]:.0%}; "
        f"{int(np.searchsorted(np.cumsum(chances), 0.9)) + 1} classes share 90% of that chance. The ten best by mean test are "
        f"expected to score {fall:.2f} less in trainings of their own."
    )


def pooled(trials: Floats) -> str:
    """Root of the mean variance between seeds, weighted by degrees of freedom."""
    freedom = (~np.isnan(trials)).sum(axis=1) - 1
    if not len(trials) or freedom.sum() < 1:
        return ""
    variance = np.nanvar(trials, axis=1, ddof=1)
    return f"{np.sqrt((variance * freedom).sum() / freedom.sum()):.2f}"


def tenths(level: Floats, val: Floats, test: Floats) -> list[list[str]]:
    """Per tenth of classes by test: its range, how many have several seeds, SD between seeds of val and of test."""
    several = (~np.isnan(val)).sum(axis=1) > 1
    edges, rows = np.nanpercentile(level, range(0, 101, 10)), []
    for i, (low, high) in enumerate(pairwise(edges), start=1):
        inside = several & (level >= low) & (level <= high)
        rows.append(
            [f"{i}", f"{low:.1f} to {high:.1f}", str(int(inside.sum())), pooled(val[inside]), pooled(test[inside])]
        )
    return rows
