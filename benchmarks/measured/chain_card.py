"""The data card of the chain table, every number computed from the table: prints docs/chain.md, writes its picture.

    python benchmarks/measured/chain_card.py [--table chain] > docs/chain.md

Beside the page goes chain_distribution.svg (`--pictures FOLDER`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nasbench_lab.spaces import chain, naming
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.measured import cards
from benchmarks.measured import digits_pictures as pictures
from benchmarks.measured.cards import Floats, correlations, grid

SPACE = chain.space()
MEMBERS = np.unique(SPACE.representatives)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--table", default="chain")
    parser.add_argument("--pictures", type=Path, default=Path("docs"))
    options = parser.parse_args()
    table = catalog.load(options.table)
    options.pictures.mkdir(parents=True, exist_ok=True)
    values = table.truth[MEMBERS]
    figure = pictures.histogram(values[~np.isnan(values)], bins=40, classes=len(MEMBERS))
    (options.pictures / "chain_distribution.svg").write_text(figure)
    print("\n".join(page(table)))


def page(table: Table) -> Iterator[str]:
    yield from heading(table)
    yield from made(table)
    yield from distribution(table)
    yield from decisions(table)
    yield from cards.noise(table, "It is largest where some seeds have learned and others not yet. ")
    yield from optimum(table)
    yield from cards.fidelities(table, digits=4)
    yield from uses(table)
    yield from cards.pilot("CHAIN", "chain_pilot.py")


def heading(table: Table) -> Iterator[str]:
    what = (
        "A small tabular benchmark in which architecture and training are searched jointly: chains of one kind of layer, "
        "times their learning rate, every class of equal ones trained from scratch on the digits task, with the trainer and "
        "the canvases of [the digits table](digits.md). Validation after each of six equal parts of the training, test at the "
        "end, parameters, multiply-adds, measured seconds, and simulated seconds proportional to multiply-adds."
    )
    yield from cards.heading(table, "chain_card.py", ["configurations", str(SPACE.size)], what)


def made(table: Table) -> Iterator[str]:
    used, data = table.about["recipe"], table.about["data"]
    yield "## How it was made"
    yield ""
    rows = [[f"`{each.name}`", ", ".join(map(str, each.options))] for each in SPACE.decisions]
    yield from grid(["decision", "options"], rows)
    yield (
        "**Networks.** Each decision is made once for the whole network. A convolution is Conv-BN-ReLU, `fc` is linear-BN-ReLU "
        f"on the flattened map with {chain.UNITS} units for each of `num_filters`, `pool` is the maximum over a window; then the "
        "mean over the map, and a linear layer. A chain of nothing but pooling is so the linear layer of one number. What a "
        "kind ignores (`fc` filters' sizes and strides, `pool` their number), strides over a map of one value, and filters "
        "beyond the canvas are left out; pools one after another are one. Configurations of which the same is built, with "
        "the same learning rate, are one class: `nasbench_lab/spaces/chain.py` says exactly how."
    )
    yield ""
    yield cards.images(data)
    yield ""
    yield (
        f"**Training.** {used['epochs']} parts of {data['part_size']:,} fresh canvases, batch {used['batch']}, SGD with Nesterov "
        f"momentum {used['momentum']}, the configuration's learning rate along a cosine to 0, weight decay "
        f"{used['weight_decay']:g}; no flips or crops. A class is represented by its lowest-index configuration."
    )
    yield ""
    yield (
        "**Anew.** `nasbench-lab tables train chain --seed 777 --seed 888 --seed 999`; from the committed shards: "
        "`nasbench-lab tables train chain --merge results/chain_shards --out nasbench_lab/tables/data`, then its zero-cost "
        "scores: `nasbench-lab tables proxies chain --name chain --out nasbench_lab/tables/data --force`."
    )
    yield ""


def distribution(table: Table) -> Iterator[str]:
    yield "## Distribution"
    yield ""
    yield "![Distribution of mean test accuracy](chain_distribution.svg)"
    yield ""
    yield from cards.scores(table)


def decisions(table: Table) -> Iterator[str]:
    """How good the classes with each option are; where a class has several options it counts for each."""
    yield "## Decisions"
    yield ""
    rows = []
    for edge, each in enumerate(SPACE.decisions):
        for number, label in enumerate(each.options):
            rows.append([f"`{each.name}` {label}", *summary(table, SPACE.choices[:, edge] == number)])
    yield from grid(["option", "classes", "median test %", "best test %"], rows)
    kinds, rates = SPACE.decisions[1], SPACE.decisions[-1]
    rows = []
    for number, kind in enumerate(kinds.options):
        row = [f"`{kind}`"]
        for rate in range(len(rates.options)):
            values = table.truth[(SPACE.choices[:, 1] == number) & (SPACE.choices[:, -1] == rate)]
            row.append(f"{np.nanmedian(values):.2f}, {np.nanmax(values):.2f}" if not np.isnan(values).all() else "")
        rows.append(row)
    yield "Median and best test by kind of layer and learning rate:"
    yield ""
    yield from grid(["", *(f"lr {rate}" for rate in rates.options)], rows)
    yield f"Best learning rate of an architecture, with everything else as it is: {best_rates(table)}."
    yield ""


def summary(table: Table, chosen: np.ndarray) -> list[str]:
    firsts = np.unique(SPACE.representatives[chosen])
    values = table.truth[firsts]
    values = values[~np.isnan(values)]
    return [str(len(values)), f"{np.median(values):.2f}", f"{values.max():.2f}"] if len(values) else ["0", "", ""]


def best_rates(table: Table) -> str:
    """How often each rate is the best of the four, over different architectures; pooling alone has none."""
    rates = SPACE.decisions[-1].options
    truth = table.truth.reshape(-1, len(rates))
    firsts = np.unique(SPACE.representatives.reshape(-1, len(rates))[:, 0]) // len(rates)
    firsts = firsts[SPACE.choices[firsts * len(rates), 1] != chain.KINDS.index("pool")]
    whole = truth[firsts][~np.isnan(truth[firsts]).any(axis=1)]
    counts = np.bincount(whole.argmax(axis=1), minlength=len(rates)) if len(whole) else np.zeros(len(rates), int)
    shown = ", ".join(f"{rate} for {count}" for rate, count in zip(rates, counts, strict=True))
    return f"{shown} of {len(whole)} (convolutions and fc)"


def optimum(table: Table) -> Iterator[str]:
    truth, val = table.truth, table.last.val[:, -1]
    yield "## Optimum and landscape"
    yield ""
    best, by_val = (int(MEMBERS[np.nanargmax(values[MEMBERS])]) for values in (truth, val))
    rows = [
        [what, str(arch), naming.text(SPACE, arch), f"{val[arch]:.3f}", f"{truth[arch]:.3f}"]
        for what, arch in (("best by mean test", best), ("best by mean validation", by_val))
    ]
    yield from grid(["", "index", "", "val %", "test %"], rows)
    near = [int((truth[MEMBERS] >= np.nanmax(truth) - gap).sum()) for gap in (0.5, 1.0, 2.0)]
    other = SPACE.classes[SPACE.neighbours] != SPACE.classes[:, None]
    strict = (truth[:, None] > np.where(other, truth[SPACE.neighbours], -np.inf)).all(axis=1)
    yield (
        f"Choosing by validation loses {truth[best] - truth[by_val]:.3f} points of test. Within 0.5, 1 and 2 points of the best: "
        f"{near[0]}, {near[1]} and {near[2]} classes. Configurations better than every neighbour of another class: "
        f"{int(strict.sum())}, in {len(np.unique(SPACE.classes[strict]))} classes. {cards.known_best(table)}"
    )
    yield ""
    rows = [[name, *correlations(values, truth[MEMBERS][known])] for name, values, known in sizes(table)]
    yield from grid(["how far size alone explains test", "Spearman", "Kendall"], rows)


def sizes(table: Table) -> Iterator[tuple[str, Floats, np.ndarray]]:
    known = table.measured[MEMBERS]
    for label, name in (("parameters", "params_m"), ("multiply-adds", "flops_m")):
        yield label, table.metrics[name][MEMBERS][known], known


def uses(table: Table) -> Iterator[str]:
    yield "## Good for, not good for"
    yield ""
    yield "- **Good for**: a first look at searching architecture and training together, with nothing to download; ordered "
    yield "  decisions that matter and some that do not always (`filter_size` of `fc`); checking real training end to end "
    yield "  (`nasbench-lab validate chain --top 10 --random 30`, a second or two a training)."
    yield f"- **Not good for**: close races. {len(MEMBERS)} classes are few: random search finds the best soon, and noise is "
    yield "  large for configurations that learn late. A third of the configurations (`pool`) are near chance, by what they are. "
    yield "  Nor for claims about other data, or about latency (no device was timed; measured seconds are of one busy CPU)."
    yield ""


if __name__ == "__main__":
    main()
