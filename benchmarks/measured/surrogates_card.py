"""The card of the predicted tables, every number computed from them and the real ones: prints docs/surrogates.md.

export NASBENCH_LAB_DATA=/folder/of/the/real/tables
nasbench-lab run benchmarks/nb201_surrogates.toml
python benchmarks/measured/surrogates_card.py > docs/surrogates.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nasbench_lab.spaces import cell
from nasbench_lab.stats import references
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks import make_surrogates as make

Floats = NDArray[np.float64]
NAMES = ("cifar10", "cifar100")
QUERIES = (10, 100, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--study", type=Path, default=Path("results/nb201_surrogates"))
    options = parser.parse_args()
    pairs = [(catalog.load(name), catalog.load(f"{name}-surrogate")) for name in NAMES]
    content = json.loads((options.study / "leaderboard.json").read_text())
    print("\n".join(card(pairs, content)))


def card(pairs: list[tuple[Table, Table]], content: dict[str, Any]) -> Iterator[str]:
    """The page, line by line."""
    fitted = pairs[0][1].about["fitted"]
    yield from HEAD.format(classes=fitted["classes"], cells=fitted["cells"]).splitlines()
    yield from ["", "## The tables", ""]
    yield from _grid(["", *(f"`{guess.name}`" for _, guess in pairs)], _facts(pairs))
    yield from ["", "## How good the predictions are", "", HELD_OUT.format(*map(_within, pairs)), ""]
    heads = [
        "",
        "quantity",
        "Kendall tau",
        "tau of the best tenth",
        "R2",
        "RMSE",
        "RMSE of the better half",
        "bias there",
    ]
    yield from _grid(heads, [row for pair in pairs for row in _held_out(*pair)])
    yield from ["", "## The landscape", "", LANDSCAPE, ""]
    yield from _grid(["test after 200 epochs", *(t.label for pair in pairs for t in pair)], _landscape(pairs))
    yield from _given_away(pairs)
    yield from ["", "## How strategies rank", "", RANKS.format(**_size(content)), ""]
    yield from _ranks(content)
    yield ""
    yield from _agreement(content)
    yield from TAIL.splitlines()


def _grid(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _facts(pairs: list[tuple[Table, Table]]) -> list[list[str]]:
    files = [catalog.EMBEDDED / f"{guess.name}.npz" for _, guess in pairs]
    rows = [
        [
            "fitted to",
            *(f"{g.about['fitted']['classes']:,} classes, seed {g.about['fitted']['seed']}" for _, g in pairs),
        ],
        ["of the table with digest", *(f"`{g.about['fitted']['digest'][:16]}`" for _, g in pairs)],
        ["digest of the predictions", *(f"`{g.digest[:16]}`" for _, g in pairs)],
        ["file", *(f"{file.stat().st_size / 1e3:.0f} kB" for file in files)],
    ]
    noise = [
        "query noise to add",
        *(", ".join(f"{s:.2f} ({e} epochs)" for e, s in g.about["noise"].items()) for _, g in pairs),
    ]
    return [*rows, noise]


def _held_out(real: Table, guess: Table) -> list[list[str]]:
    cells = np.isin(cell.SPACE.classes, make.split()[1])
    measured, made = make.scores(real), make.scores(guess)
    figures = guess.about["held_out"]
    rows = []
    for name in (*measured, *(f"seconds {last}" for last in real.schedules)):
        found = figures[name]
        extra = ["", ""]
        if name in measured:
            a, b = measured[name][cells], made[name][cells]
            top, upper = a >= np.quantile(a, 0.9), b >= np.median(b)
            extra = [f"{kendalltau(a[top], b[top]).statistic:.3f}", f"{(b - a)[upper].mean():+.2f}"]
        quality = [
            f"{found['tau']:.3f}",
            extra[0],
            f"{found['r2']:.4f}",
            f"{found['rmse']:.2f}",
            f"{found['rmse_upper']:.2f}",
        ]
        rows.append([guess.name, name, *quality, extra[1]])
    return rows


def _within(pair: tuple[Table, Table]) -> str:
    """Standard deviation of the real test score within a class, over classes of the better half."""
    truth, classes = pair[0].truth, cell.SPACE.classes
    means = make.class_means(truth[:, None])[:, 0]
    several = np.bincount(classes)[classes] > 1
    chosen = several & (means >= np.median(means))[classes]
    freedom = chosen.sum() - len(np.unique(classes[chosen]))
    return f"{np.sqrt(((truth - means[classes])[chosen] ** 2).sum() / freedom):.2f}"


def _landscape(pairs: list[tuple[Table, Table]]) -> list[list[str]]:
    all_tables = [table for pair in pairs for table in pair]
    hits = [[_where(real, guess), _where(guess, real)] for real, guess in pairs]
    rows = [
        ["best", *(f"{t.truth.max():.2f}" for t in all_tables)],
        ["median", *(f"{np.median(t.truth):.2f}" for t in all_tables)],
        ["best cell", *(", ".join(map(str, _best(t))) for t in all_tables)],
        ["its rank on the other", *(text for pair in hits for text in pair)],
        ["its class was fitted", *(text for real, guess in pairs for text in (_fitted(real), _fitted(guess)))],
        ["strict one-edit local maxima", *(str(_maxima(t)) for t in all_tables)],
    ]
    for n in QUERIES:
        expected = [references.random_search_expectation(_seen(t), t.truth, [n])[0] for t in all_tables]
        rows.append([f"random search expects after {n}", *(f"{value:.2f}" for value in expected)])
    return rows


def _given_away(pairs: list[tuple[Table, Table]]) -> Iterator[str]:
    """Which predictions give the real optimum away."""
    known = [(guess.name, shared) for real, guess in pairs if (shared := sorted({*_best(real)} & {*_best(guess)}))]
    if known:
        named = "; ".join(f"`{name}`: cell {', '.join(map(str, cells))}" for name, cells in known)
        yield ""
        yield (
            f"**The best cell of a prediction is the best cell of the real table** ({named}): predicted tables do not hide the "
            "optimum of the benchmark. Who has looked at one, or tuned on it, knows where the search on the real table ends; do "
            "not use them as the unseen side of a study."
        )


def _seen(table: Table) -> Floats:
    return table.last.val[:, -1]


def _best(table: Table) -> list[int]:
    return [int(arch) for arch in np.flatnonzero(table.truth == table.truth.max())]


def _where(own: Table, other: Table) -> str:
    """The ranks among all cells that the best of `own` have on `other`."""
    return ", ".join(str(1 + int((other.truth > other.truth[arch]).sum())) for arch in _best(own))


def _fitted(table: Table) -> str:
    chosen = set(make.split()[0].tolist())
    return ", ".join("yes" if int(cell.SPACE.classes[arch]) in chosen else "no" for arch in _best(table))


def _maxima(table: Table) -> int:
    return int((table.truth[:, None] > table.truth[cell.SPACE.neighbours]).all(axis=1).sum())


def _size(content: dict[str, Any]) -> dict[str, int]:
    return {"strategies": len({row["strategy"] for row in content["rows"]}), "seeds": content["rows"][0]["runs"]}


def _ranks(content: dict[str, Any]) -> Iterator[str]:
    settings: dict[str, dict[str, dict[str, Any]]] = {}
    for row in content["rows"]:
        name = row["table"] + (f", {row['policy']}" if row["policy"] else "")
        settings.setdefault(name, {})[row["strategy"]] = row
    first = next(iter(settings.values()))
    order = sorted(first, key=lambda name: first[name]["rank"])
    rows = [[name, *(_score(rows[name]) for rows in settings.values())] for name in order]
    yield from _grid(["regret, points (rank)", *settings], rows)


def _score(row: dict[str, Any]) -> str:
    return f"{row['regret_mean']:.2f} ({row['rank']:.0f})"


def _agreement(content: dict[str, Any]) -> Iterator[str]:
    rows = []
    for row in content["agreement"]:
        ends = [_interval(row, key) for key in ("end", "along")]
        rows.append([row["one"], row["other"], *ends])
    yield from _grid(["one setting", "another", "tau of the final ranking (95%)", "along the run (95%)"], rows)


def _interval(row: dict[str, Any], key: str) -> str:
    return f"{row[f'{key}_tau']:.2f} ({row[f'{key}_low']:.2f} – {row[f'{key}_high']:.2f})"


HEAD = """# Surrogates in place of tables

Printed by `python benchmarks/measured/surrogates_card.py`; do not edit.

Two ways to search on predictions: tables of shipped networks, which need no download, and a surrogate fitted on the spot.

## Predictions, not measurements

`cifar10-surrogate` and `cifar100-surrogate` are tables of kind *predicted*: the outputs of small neural networks fitted
to {classes:,} random isomorphism classes ({cells:,} of 15,625 cells) of NAS-Bench-201 (Dong & Yang, ICLR 2020). They are
good for trying out, teaching, testing and debugging on a CIFAR-like landscape. **No number obtained on them is a
NAS-Bench-201 result, and none may be quoted as one.** They are labelled *(predicted)* wherever they show.

The package holds the networks' weights and nothing else: no value of the benchmark, no array with an entry per cell.
Their inputs are features of a cell (`spaces/encodings.py`: structure, path counts, path set), and one member speaks
for its class. Four perceptrons (104-64-64-4, SiLU) a table; their mean predicts -log(100 - accuracy) of validation and
test after 12 and 200 epochs. Seconds are linear in how many edges carry each op. Cells through which nothing passes get
the chance level. Made by `python benchmarks/make_surrogates.py`, seeded, from the real tables; the settings were chosen on
500 of the fitted classes, the held-out ones chose nothing. Figures derived from NAS-Bench-201 (MIT)."""

HELD_OUT = """All cells of the classes that were not fitted, against the real table's means. These are of three trainings at
most, so that part of the error is the table's own noise: in the better half, members of a class differ by a standard
deviation of {} points of test on CIFAR-10 and {} on CIFAR-100. Better half: by prediction, where searches spend their
time. Bias: predicted minus real."""

LANDSCAPE = (
    """Networks smooth: what is noise in the table is gone, and with it most of the local maxima and some of the top."""
)

RANKS = """{strategies} strategies, {seeds} seeds, 100 queries on 200-epoch validation, scored on test
(`benchmarks/nb201_surrogates.toml`). Noise: query noise of the size of the networks' errors on validation. `cifar10`
against `cifar10-surrogate` is what the surrogate is worth; two real data sets against each other say how much rankings
agree anyway."""

TAIL = """
## Limits

- Queries are noise-free and smoother than real trainings: most strategies come a little closer to the top than on the real
  tables. `--noise` with the value above makes queries about as uncertain as real ones; the truth stays smooth.
- The networks see the features that `gp` and other surrogates see: model-based strategies on these features have it easier
  here than on the real tables.
- Means only: `--trials sample` is refused.
- The best cells are known to within the errors above: which of the top ten is best is a guess.
- Failures, divergence and trial-to-trial variance are not modelled; validation and test errors of a cell are predicted by
  one network and hence more alike than in reality.

## A surrogate fitted on the spot

`--evaluator "surrogate:model=gp,cells=500"` answers every query by a surrogate fitted to 500 random classes of the table (one
cell each) instead of the table, while `truth` stays the table's: the idea of NAS-Bench-301 (Siems et al. 2020,
arXiv:2008.09777). Options: `model` (any surrogate, a spec in parentheses: `model=(gp:kernel=wl)`), `cells`, `fit_seed`,
`seconds` (`predicted` from the fitted cells, or the `table`'s). `--trials sample` draws from the predictive distribution, per
seed, cell and epochs; `--noise` adds to it. A study with one `[[task]]` on the table and one on the surrogate says how well
the strategies' rankings agree:

```toml
strategies = ["random_search", "local_search", "regularized_evolution"]
[[task]]
table = "digits"
max_queries = 100
[[task]]
table = "digits"
max_queries = 100
evaluator = "surrogate:model=gp,cells=500"
trials = "sample"
```"""

if __name__ == "__main__":
    main()
