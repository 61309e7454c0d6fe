"""Do intervals and tests keep what they say? `python benchmarks/coverage.py [TABLE ...]` prints docs/statistics.md's tables.

Coverage: incumbents' test accuracies after 100 queries, 3,000 seeds per strategy and table, are taken for the population
whose mean, median and interquartile mean are known; samples of n runs from it give intervals, and how often those hold
the truth is compared with the nominal 95%. Scipy's BCa interval of the mean stands beside ours.

`python benchmarks/coverage.py piles` (needs cifar10 and cifar100): where runs pile up on one cell, with and without what
the table says of misses that were not seen, and how much wider that is.

False alarms: two or four copies of random search with seeds of their own (so nothing is shared but the strategy), drawn
1,000 times; how often a test finds any difference at 5%. Of --baseline: two copies of each strategy, at 1%, alone and all
strategies of a table together under Holm's correction, as the command judges them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import stats as scipy_stats

from nasbench_lab import loading
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments import regression
from nasbench_lab.stats import intervals, shares, significance
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog

STRATEGIES = ("random_search", "local_search", "regularized_evolution")
POPULATION, QUERIES, SAMPLES, BCA_SAMPLES = 3000, 100, 2000, 500
SEEDS = (20, 50, 200)


def main() -> None:
    if sys.argv[1:] == ["piles"]:
        piles()
        return
    populations = dict(incumbents(sys.argv[1:] or [catalog.default()]))
    print(f"Coverage of nominal 95% intervals, percent, n = {', '.join(map(str, SEEDS))} runs; {SAMPLES} samples each:")
    print(f"binomial error ± {binomial(0.95, SAMPLES):.1f} (BCa: {BCA_SAMPLES}, ± {binomial(0.95, BCA_SAMPLES):.1f})\n")
    heads = ("mean, ours", "mean, BCa", "median", "IQM")
    print(f"| table, strategy | skewness | {' | '.join(heads)} |\n|" + " --- |" * 6)
    for name, values in populations.items():
        cells = [" / ".join(f"{covered(values, n, *kind):.1f}" for n in SEEDS) for kind in KINDS]
        print(f"| {name} | {scipy_stats.skew(values):.1f} | {' | '.join(cells)} |", flush=True)
    print(f"\nFalse alarms under the null, percent of 1,000 repetitions; binomial error ± {binomial(0.05, 1000):.1f}\n")
    print("| table | n | sign-flip | Wilcoxon | any of 6 pairs of 4 copies, Holm |\n|" + " --- |" * 5)
    for name, values in populations.items():
        if name.endswith(STRATEGIES[0]):
            for n in SEEDS:
                print(
                    f"| {name.split(',')[0]} | {n} | {' | '.join(f'{x:.1f}' for x in alarms(values, n))} |", flush=True
                )
    print(f"\nFalse alarms of --baseline at 1%; binomial error ± {binomial(0.01, 1000):.1f}\n")
    print(f"| table, strategy | n = {', '.join(map(str, SEEDS))} |\n|" + " --- |" * 2)
    tables = {name.split(",")[0] for name in populations}
    together = {
        f"{table}, any of {len(STRATEGIES)}": [
            values for name, values in populations.items() if name.startswith(f"{table},")
        ]
        for table in sorted(tables)
    }
    for name, rows in {**{name: [values] for name, values in populations.items()}, **together}.items():
        print(f"| {name} | {' / '.join(f'{baseline_alarms(rows, n):.1f}' for n in SEEDS)} |", flush=True)


def incumbents(tables: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Test accuracy of the last incumbent of every seed."""
    for name in tables:
        evaluator = Tabular(catalog.load(name))
        for spec in STRATEGIES:
            strategy = loading.build("strategies", spec)
            runs = (runner.search(strategy, evaluator, seed=seed, max_queries=QUERIES) for seed in range(POPULATION))
            chosen = np.array([run.records[-1].incumbent for run in runs])
            yield f"{name}, {spec}", evaluator.table.truth[chosen]


PILES = (  # table, schedule searched, strategy, queries, seeds: how many, as models take their time
    ("cifar100", 200, "local_search", 200, 2000),
    ("cifar100", "oracle", "local_search", 200, 2000),
    ("cifar100", 200, "gp_bo", 40, 300),
    ("cifar100", 200, "tpe", 100, 300),
    ("cifar100", 200, "regularized_evolution", 200, 2000),
    ("cifar100", 200, "random_search", 100, 2000),
    ("cifar10", 200, "local_search", 200, 2000),
    ("cifar10", "oracle", "local_search", 150, 2000),
    ("cifar10", 200, "gp_bo", 40, 300),
    ("digits", None, "gp_bo", 40, 300),
    ("digits", None, "local_search", 200, 2000),
)
PILE_RUNS = (10, 20, 50, 100, 200, 500)
MADE_UP = np.array(
    [0.0, -60.0] + [-60 / 9] * 9
)  # a table for populations of losses: a blind draw loses 12 points, at most 60


def piles() -> None:
    print(f"Coverage, % of {SAMPLES} samples: without -> with what was not seen, and how much wider on average\n")
    print(f"| population | pile | {' | '.join(f'n = {n}' for n in PILE_RUNS)} |\n|" + " --- |" * (2 + len(PILE_RUNS)))
    for name, population, possible in (*real_piles(), *made_piles()):
        most = np.unique(population, return_counts=True)[1].max() / len(population)
        cells = [before_and_after(population, possible, n) for n in PILE_RUNS]
        print(f"| {name} | {shares.percent(most)} | {' | '.join(cells)} |", flush=True)


def real_piles() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name, search, spec, queries, seeds in PILES:
        evaluator = Tabular(catalog.load(name), search=search)
        strategy = loading.build("strategies", spec)
        runs = (runner.search(strategy, evaluator, seed=seed, max_queries=queries) for seed in range(seeds))
        chosen = np.array([run.records[-1].incumbent for run in runs])
        seen = f", {search}" if search == "oracle" else ""
        yield f"{name}{seen}, {spec}, {queries} queries", evaluator.table.truth[chosen], evaluator.table.truth


def made_piles() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Populations of a million losses."""
    rng, count = np.random.default_rng(0), 1_000_000
    normal = rng.standard_normal(count)
    made = {
        "1% miss by 1 point": (0.01, np.ones(count)),
        "5% miss, exponential, mean 1": (0.05, rng.standard_exponential(count)),
        "2% miss, lognormal, sigma 1": (0.02, np.exp(normal - 0.5)),
        "5% miss, lognormal, sigma 1.5": (0.05, np.exp(1.5 * normal)),
        "1% miss by 20 points": (0.01, np.full(count, 20.0)),
        "10% miss by 0.1, every tenth of them by 5": (0.1, np.where(rng.random(count) < 0.1, 5.0, 0.1)),
        "20% miss by 50 points": (0.2, np.full(count, 50.0)),
        "no pile: exponential": (1.0, rng.standard_exponential(count)),
        "no pile: lognormal, sigma 1": (1.0, np.exp(normal)),
        "no pile: Student's t, 3 degrees": (1.0, rng.standard_t(3, count)),
    }
    for name, (share, losses) in made.items():
        yield name, -np.where(rng.random(count) < share, losses, 0.0), MADE_UP
    mixed = {
        "4% miss by 0.05, 1% by 30": ((0.0, 0.05, 30.0), (0.95, 0.04, 0.01)),
        "49% miss by 0.1, 2% by 10": ((0.0, 0.1, 10.0), (0.49, 0.49, 0.02)),
    }
    for name, (values, chances) in mixed.items():
        yield name, -rng.choice(values, count, p=chances), MADE_UP


def before_and_after(population: np.ndarray, possible: np.ndarray, n: int) -> str:
    samples, mean = np.random.default_rng(n).choice(population, (n, SAMPLES)), population.mean()
    rates, widths = [], []
    for known in (None, possible):
        low, high = intervals.mean_interval(samples, possible=known, resamples=1000, fewest=2)
        if population.max() <= possible.max():
            high = np.minimum(high, possible.max())  # as on a leaderboard
        rates.append(f"{100 * ((low <= mean + 1e-9) & (mean - 1e-9 <= high)).mean():.1f}")
        widths.append(float((high - low).mean()))
    return f"{' -> '.join(rates)}" + (f", x {widths[1] / widths[0]:.2f}" if widths[0] > 1e-9 else "")


def ours(samples: np.ndarray) -> intervals.Ends:
    return intervals.mean_interval(samples, resamples=1000)


def bca(samples: np.ndarray) -> intervals.Ends:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # samples without spread
        found = scipy_stats.bootstrap((samples,), np.mean, n_resamples=1000, batch=50, rng=np.random.default_rng(0))
    return np.asarray(found.confidence_interval.low), np.asarray(found.confidence_interval.high)


def iqm(samples: np.ndarray) -> intervals.Ends:
    ends = [intervals.aggregate_interval(column[:, None], "iqm", resamples=1000) for column in samples.T]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


Interval = Callable[[np.ndarray], intervals.Ends]
KINDS: tuple[tuple[Interval, Callable[[np.ndarray], float], int], ...] = (
    (ours, np.mean, SAMPLES),
    (bca, np.mean, BCA_SAMPLES),
    (intervals.median_interval, np.median, SAMPLES),
    (iqm, lambda x: intervals.aggregate(x[:, None], "iqm"), SAMPLES),
)


def covered(
    population: np.ndarray, n: int, interval: Interval, truth: Callable[[np.ndarray], float], count: int
) -> float:
    samples = np.random.default_rng(n).choice(population, (n, count))
    low, high = interval(samples)
    return 100 * float(((low <= truth(population) + 1e-9) & (truth(population) - 1e-9 <= high)).mean())


def alarms(population: np.ndarray, n: int, repetitions: int = 1000) -> tuple[float, float, float]:
    rng = np.random.default_rng(n)
    differences = rng.choice(population, (n, repetitions)) - rng.choice(population, (n, repetitions))
    tests = (significance.permutation_test(differences), significance.wilcoxon_test(differences))
    single = [100 * float((p <= significance.ALPHA).mean()) for p in tests]
    copies = (rng.choice(population, (n, 4)) for _ in range(repetitions))
    family = [significance.compare(scores).separated.any() for scores in copies]
    return single[0], single[1], 100 * float(np.mean(family))


def baseline_alarms(rows: Sequence[np.ndarray], n: int, repetitions: int = 1000) -> float:
    """Percent of repetitions in which any of the rows, a population each, is called worse than its other copy."""
    rng = np.random.default_rng(n)
    p = np.empty((len(rows), repetitions))
    for row, population in zip(p, rows, strict=True):
        pairs = rng.choice(population, (repetitions, 2, n))
        means, errors = pairs.mean(axis=2).tolist(), (pairs.std(axis=2, ddof=1) / n**0.5).tolist()
        for i, (mean, error) in enumerate(zip(means, errors, strict=True)):
            then, now = (regression.Summary(m, e, n) for m, e in zip(mean, error, strict=True))
            row[i] = regression.welch(then, now)[0]
    smallest = [significance.holm(column).min() for column in p.T]
    return 100 * float((np.array(smallest) <= regression.ALPHA).mean())


def binomial(share: float, count: int) -> float:
    """Half a 95% interval of a share, in percent."""
    return 196 * float(np.sqrt(share * (1 - share) / count))


if __name__ == "__main__":
    main()
