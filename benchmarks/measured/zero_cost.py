"""Zero-cost scores, ours and the published: `python benchmarks/measured/zero_cost.py [cells] [of them for images] [shards]`.

On random cells of NAS-Bench-201 without unreachable operations (which have all eleven published scores), with the networks
that those were computed on (CIFAR-10, C = 16, N = 5) and random images: rank correlation of each score with its published
column and with itself under another seed, CPU seconds a cell, and, of both, rank correlation with the test accuracy after 200
epochs, the test accuracy of the cell it likes best, and nDCG at the top. Resumable; docs/zero_cost.md has what it printed.

`python benchmarks/measured/zero_cost.py gp [seeds]`: what the published scores add to a Gaussian process. Kendall's tau with and
without on CIFAR-10 test accuracy (as the literature predicts; a search must not see it), 1,024 random cells to train on, the
rest of those with all scores held out. Both need the real table with proxies (`nasbench-lab tables fetch nb201`).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, spearmanr
from threadpoolctl import threadpool_limits

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments import proxies
from nasbench_lab.files import markdown
from nasbench_lab.surrogates.gp import GaussianProcess
from nasbench_lab.tables import catalog, proxy_ranks
from nasbench_lab.tables.table import Table
from nasbench_lab.training.network import CIFAR10

FREE = ("synflow", "zen", "params", "flops", "l2_norm")  # of images; on more cells, with another seed, too
IMAGES = ("naswot", "jacob_cov", "epe_nas", "snip", "grad_norm", "fisher", "plain", "grasp", "vkdnw")
AGAIN = ("naswot", "jacob_cov")  # of these, with another seed, too
PUBLISHED = {"naswot": "proxy/nwot", "jacob_cov": "proxy/jacov", "params": "params_m", "flops": "flops_m"}
_SAMPLE = 81  # stream
_AGAIN = 100  # cells that are scored with another seed, too
Found = dict[str, tuple[FloatArray, FloatArray]]  # score -> values and CPU seconds


def main(cells: int = 300, few: int = 48, shards: str = "") -> None:
    """Compute what is missing and print three tables of Markdown."""
    table = catalog.load("cifar10")
    folder = Path(shards) if shards else catalog.target_folder() / "shards" / "zero_cost_benchmark"
    whole = np.flatnonzero(~np.isnan(table.metrics["proxy/synflow"]))
    some, every = (
        stream(0, _SAMPLE).permutation(whole)[:cells],
        stream(1, _SAMPLE).permutation(len(table.truth))[:cells],
    )
    free = proxies.Settings(FREE, CIFAR10, images=16)
    seeing = proxies.Settings(IMAGES, CIFAR10, images=32)
    found = _scores(free, some, folder) | _scores(seeing, some[:few], folder)
    again = _scores(replace(free, seed=1), some[:_AGAIN], folder)
    again |= _scores(replace(seeing, seed=1, scores=AGAIN), some[:few], folder)
    print(f"{len(whole):,} cells have all published scores; random ones of them:\n")
    _print(("score", "n", "Spearman with published", "Kendall tau", "Spearman with another seed", "CPU s"),
           [_agreement(table, some, name, found, again) for name in found])  # fmt: skip
    zen, _ = _scores(replace(free, scores=("zen",)), every, folder)["zen"]
    print(f"zen on {cells} random cells of all 15,625: Spearman {_rank(zen, table.metrics['proxy/zen'][every]):.4f}\n")
    print("The same cells against test accuracy:\n")
    heads = (
        "score",
        "n",
        "Spearman",
        "of published",
        "test of its pick",
        "of published's",
        "best",
        "nDCG",
        "of published",
    )
    _print(heads, [_worth(table, some, name, found[name][0]) for name in found])
    print("Published scores, all cells that have them:\n")
    _print(proxy_ranks.HEADS, [proxy_ranks.cells(row, table.measure) for row in proxy_ranks.rows(table)])


def _scores(settings: proxies.Settings, cells: np.ndarray, folder: Path) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Score -> values (n,) and CPU seconds (n,) of so many cells."""

    def say(done: int, total: int) -> None:
        print(f"{', '.join(settings.scores)}, seed {settings.seed}: {done} of {total}", file=sys.stderr, flush=True)

    found = proxies.run(settings, cells, folder, block=4, progress=say)
    return {
        name: (proxies.column(found, "values", name), proxies.column(found, "cpu", name)) for name in settings.scores
    }


def _agreement(table: Table, cells: np.ndarray, name: str, found: Found, again: Found) -> list[str]:
    ours, cpu = found[name]
    theirs = _published(table, cells, name, len(ours))
    own = f"{_rank(ours[: len(again[name][0])], again[name][0]):.4f}" if name in again else ""
    if theirs is None:
        return [name, str(len(ours)), "", "", own, f"{cpu.mean():.2f}"]
    known = ~np.isnan(ours + theirs)
    tau = kendalltau(ours[known], theirs[known]).statistic
    return [name, str(known.sum()), f"{_rank(ours, theirs):.4f}", f"{tau:.4f}", own, f"{cpu.mean():.2f}"]


def _worth(table: Table, cells: np.ndarray, name: str, ours: FloatArray) -> list[str]:
    truth, theirs = table.truth[cells[: len(ours)]], _published(table, cells, name, len(ours))
    known = ~np.isnan(ours) & (True if theirs is None else ~np.isnan(theirs))
    one = proxy_ranks.measures(truth[known], ours[known])
    other = proxy_ranks.measures(truth[known], theirs[known]) if theirs is not None else None
    both = [f"{one['spearman']:.3f}", f"{other['spearman']:.3f}" if other else ""]
    both += [f"{one['pick']:.2f}", f"{other['pick']:.2f}" if other else "", f"{one['best']:.2f}"]
    return [name, str(one["n"]), *both, f"{one['ndcg']:.3f}", f"{other['ndcg']:.3f}" if other else ""]


def _published(table: Table, cells: np.ndarray, name: str, count: int) -> FloatArray | None:
    column = table.metrics.get(PUBLISHED.get(name, f"proxy/{name}"))
    return None if column is None else column[cells[:count]]


def _rank(one: FloatArray, other: FloatArray) -> float:
    known = ~np.isnan(one + other)
    return float(spearmanr(one[known], other[known]).statistic)


def _print(heads: tuple[str, ...], rows: list[list[str]]) -> None:
    print("\n".join(markdown.table(list(heads), rows, numbers=True)) + "\n")


def process(seeds: int = 3) -> None:
    """Print the taus of a Gaussian process without and with the published scores, seed by seed, and their means."""
    table = catalog.load("cifar10")
    known = Tabular(table).task.known
    scores = [values for name, values in known.items() if name.startswith("proxy/")]
    cells = np.flatnonzero(~np.isnan(np.stack(scores)).any(axis=0))
    print(f"{len(cells):,} cells with all of {len(scores)} zero-cost scores")
    found = []
    for seed in range(seeds):
        order = stream(seed, 61).permutation(cells)
        train, held_out = order[:1024], order[1024:]
        with threadpool_limits(limits=1):
            without = GaussianProcess().fit(train, table.truth[train]).predict(held_out)[0]
            model = GaussianProcess(proxies=True).fit(train, table.truth[train], known=known)
            found.append(
                [kendalltau(m, table.truth[held_out]).statistic for m in (without, model.predict(held_out)[0])]
            )
        print(f"seed {seed}: without {found[-1][0]:.4f}, with {found[-1][1]:.4f}", flush=True)
    print(f"mean of {seeds}: without {np.mean(found, axis=0)[0]:.4f}, with {np.mean(found, axis=0)[1]:.4f}")


if __name__ == "__main__" and sys.argv[1:2] == ["gp"]:
    process(*map(int, sys.argv[2:]))
elif __name__ == "__main__":
    main(*[int(word) if word.isdigit() else word for word in sys.argv[1:]])  # type: ignore[arg-type]
