"""The content of a results folder -> its charts: which there are, what each shows, in the order a reader asks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.leaderboard import details
from nasbench_lab.plots import compare, rank_ranges, style
from nasbench_lab.plots import curves as plots_curves
from nasbench_lab.plots import landscape as plots_landscape
from nasbench_lab.plots.curves import Reference
from nasbench_lab.stats import intervals, measures
from nasbench_lab.stats.measures import Measure

Row = dict[str, Any]
Key = tuple[str, ...]
_EXACT = "(exact) "
_RECOMMENDED = "the cell the search would recommend, mean over seeds"


@dataclass(frozen=True)
class Chart:
    """One picture.

    Attributes:
        name: of its file.
        group: the page's section: curves, tests, fronts or landscape.
        title: what it shows.
        about: how to read it.
        spec: the altair chart.
        named: strategies whose names stand at the right of the plot, and `also` what else does: a page too narrow for
            that names them below.
    """

    name: str
    group: str
    title: str
    about: str
    spec: Any
    named: Sequence[str] = ()
    also: Sequence[str] = ()


@dataclass(frozen=True)
class Setting:
    """What is known of one setting: rows, best first, reference, curves; tests and details, empty where there are none."""

    rows: list[Row]
    reference: Row
    curves: pd.DataFrame
    tests: Row
    details: Row

    @property
    def key(self) -> Key:
        """What tells it from the others."""
        return details.key_of(self.reference)

    @property
    def order(self) -> list[str]:
        """Strategies, best first."""
        return [row["strategy"] for row in self.rows]

    @property
    def optimum(self) -> float:
        """The best test score, in the table's unit."""
        return float(self.reference["optimum"])

    @property
    def measure(self) -> Measure:
        """How its scores are read."""
        return measures.of(self.reference)


@dataclass(frozen=True)
class Board:
    """A results folder as it was read.

    Attributes:
        title: of the study.
        rows, references: as in leaderboard.json, unknown numbers as nan.
        curves: as in curves.csv.
        tests: as in leaderboard.json.
        extra: as in details.json; empty where there is none.
    """

    title: str
    rows: list[Row]
    references: list[Row]
    curves: pd.DataFrame
    tests: list[Row] = field(default_factory=list)
    extra: Row = field(default_factory=dict)

    @cached_property
    def settings(self) -> list[Setting]:
        """In the order of the references."""
        by_key = {details.key_of(row): row for row in self.extra.get("settings", [])}
        own: dict[Key, list[Row]] = {}
        for row in self.rows:
            own.setdefault(details.key_of(row), []).append(row)
        parts = dict(self._parts())
        found = [(details.key_of(reference), reference) for reference in self.references]
        empty = self.curves.iloc[:0]
        tested = {details.key_of(row): row for row in self.tests}
        return [
            _endless(Setting(own[k], ref, parts.get(k, empty), tested.get(k, {}), by_key.get(k, {})))
            for k, ref in found
            if k in own
        ]

    def _parts(self) -> Iterator[tuple[Key, pd.DataFrame]]:
        names = ["table", "score", "search", "budget", "policy"]
        frame = self.curves.assign(**{name: self.curves[name].astype(object).fillna("").astype(str) for name in names})
        for key, part in frame.groupby(names, sort=False):
            yield tuple(str(value) for value in key), part

    @cached_property
    def looks(self) -> dict[str, style.Look]:
        """Of all strategies; the best of every setting have hues of their own."""
        return style.looks([row["strategy"] for row in self.rows], best_first(self.settings))

    @cached_property
    def charts(self) -> list[tuple[Setting, list[Chart]]]:
        """Per setting all charts that its content suffices for."""
        return [(each, list(self.drawn(each))) for each in self.settings]

    def drawn(self, setting: Setting, names: Mapping[str, style.Look] | None = None) -> Iterator[Chart]:
        """The charts of a setting, each made when it is asked for; `names`: looks other than the board's own."""
        for make in (_curves, _tests, _fronts):
            yield from make(setting, names or self.looks)

    def landscape(self, table: str) -> list[Chart]:
        """Of a scored table, where its details are known."""
        content = self.extra.get("landscapes", {}).get(table)
        return _landscape(content) if content else []


def best_first(settings: Sequence[Setting]) -> list[str]:
    """The strategies that are in colour in some setting: the best of each, then the second of each, and so on."""
    bests = [style.emphasised(setting.order) for setting in settings]
    return list(dict.fromkeys(name for place in zip_longest(*bests) for name in place if name is not None))


def _endless(setting: Setting) -> Setting:
    """The same with the seeds that no number suffices for as inf: JSON has null both for that and for the unknown."""

    def more(pair: Row) -> Any:
        seen = pair["more_seeds"] is None and pair["difference"] is not None and setting.tests["runs"] > 1
        return math.inf if seen else pair["more_seeds"]

    pairs = [pair | {"more_seeds": more(pair)} for pair in setting.tests.get("pairs", [])]
    found = {(pair["one"], pair["other"]): pair["more_seeds"] for pair in pairs}
    for row, below in pairwise(setting.rows):
        if found.get((row["strategy"], below["strategy"])) == math.inf:
            row["seeds_to_next"] = math.inf
    return replace(setting, tests=setting.tests | {"pairs": pairs}) if pairs else setting


def _series(setting: Setting, axis: str, mean: str, low: str, high: str, turn: float | None = None) -> pd.DataFrame:
    """strategy, at, mean, low, high along an axis; with `turn`, what is missing to that in the table's direction."""
    curves = setting.curves
    if mean not in curves:
        return pd.DataFrame(columns=["strategy", "at", "mean", "low", "high"])
    own = curves[(curves["axis"] == axis) & ~curves["strategy"].str.startswith(_EXACT)].dropna(subset=[mean])
    values = {"mean": own[mean], "low": own[low], "high": own[high]}
    if turn is not None and setting.measure.sign > 0:
        values = {"mean": turn - own[mean], "low": turn - own[high], "high": turn - own[low]}
    elif turn is not None:
        values = {"mean": own[mean] - turn, "low": own[low] - turn, "high": own[high] - turn}
    return own[["strategy", "at"]].assign(**values)


def _bands(frame: pd.DataFrame, named: Sequence[str]) -> str:
    """Which intervals a chart of curves shows, in a sentence."""
    known = frame.dropna(subset=["low"])
    without = [name for name in named if name in set(frame["strategy"]) - set(known["strategy"])]
    if not len(known):
        return f"No intervals are shown: they take {intervals.FEWEST} seeds."
    some = f"; of {', '.join(without)} none is known" if without else ""
    return f"Shaded: 95% intervals of the strategies that are named at their ends{some}."


def _grid(strategies: Sequence[str], at: Sequence[float], values: Sequence[Sequence[float]]) -> pd.DataFrame:
    """A matrix of details as the frame that charts take."""
    rows = [(s, a, v) for s, line in zip(strategies, values, strict=True) for a, v in zip(at, line, strict=True)]
    return pd.DataFrame(rows, columns=["strategy", "at", "mean"]).assign(low=math.nan, high=math.nan)


def _references(setting: Setting, axis: str) -> list[Reference]:
    found = []
    exact = setting.curves[setting.curves["strategy"].str.startswith(_EXACT) & (setting.curves["axis"] == axis)]
    if len(exact):
        found.append(Reference("random search, exact", tuple(exact["at"]), tuple(exact["regret_mean"])))
    gap = setting.measure.sign * (setting.optimum - float(setting.reference["best_by_search"]))
    if gap > plots_curves.floor(setting.curves["regret_mean"], setting.measure):
        found.append(Reference("best by what is seen", (0.0,), (gap,)))
    return found


def _curves(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    order, extra, named = setting.order, setting.details, style.emphasised(setting.order)
    measure = setting.measure
    for axis, along in (("queries", "queries"), ("seconds", "simulated time")):
        frame = _series(setting, axis, "test_mean", "test_lo", "test_hi", setting.optimum)
        if len(frame):
            least = plots_curves.floor(frame["mean"], measure)
            about = (
                f"Best {measure.what} of the table minus that of {_RECOMMENDED}; {least:g} points stands for anything less."
                if measure.plain
                else f"How much worse than the best {measure.what} of the table is that of {_RECOMMENDED}, in {measure.points}; "
                f"{least:g} stands for anything less."
            )
            about = f"{about} {_bands(frame, named)}"
            references = _references(setting, axis)
            spec = plots_curves.regret(frame, names, order, axis=axis, references=references, measure=measure)
            also = [each.label for each in references]
            yield Chart(f"regret-{axis}", "curves", f"Regret over {along}", about, spec, named, also)
    if extra:
        strategies, rank, hit = extra["strategies"], extra["rank"], extra["targets"]
        about = (
            f"Rank by {measure.what} among the strategies on the same seed, mean over seeds; 1 is the best, equals "
            "share."
        )
        spec = plots_curves.ranks(_grid(strategies, rank["at"], rank["mean"]), names, order)
        yield Chart("rank", "curves", "Rank over queries", about, spec, named)
        targets = ", ".join(f"{target:g}" for target in hit["targets"])
        about = (
            f"Share of pairs of run and target hit so far; targets are {measure.regret}s of {targets} {measure.points}; one "
            "never hit still counts."
        )
        spec = plots_curves.targets_hit(_grid(strategies, hit["at"], hit["share"]), names, order)
        yield Chart("targets", "curves", "Targets hit over queries", about, spec, named)


def _tests(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    for charts in (_rank_ranges, _who_beats_whom, _profile, _deciding):
        yield from charts(setting, names)


def _rank_ranges(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    columns = {"strategy": "strategy", "rank": "rank", "rank_low": "low", "rank_high": "high"}
    frame = pd.DataFrame([{new: row[old] for old, new in columns.items()} for row in setting.rows]).dropna()
    if len(frame) > 1:
        about = (
            "Ranks that the tests cannot exclude: 1 + how many strategies are significantly better, to how many there are "
            "less those significantly worse (paired sign-flip tests of means, Holm over all pairs, 5%), as in the "
            "leaderboard; all hold at once. The dot is the rank by the mean."
        )
        spec = rank_ranges.rank_ranges(frame, names, setting.order)
        yield Chart("rank-ranges", "tests", "Ranks that cannot be excluded", about, spec)


def _who_beats_whom(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    if setting.tests.get("pairs"):
        better, separated = _matrices(setting.tests["pairs"], setting.order)
        about = (
            f"Probability that a run of the row's strategy ends with better {setting.tests['by']} than one of the "
            "column's, equals count half; grey: means not separated (paired sign-flip test, Holm over all pairs, 5%)."
        )
        spec = compare.better(better, separated, setting.order, names)
        yield Chart("who-beats-whom", "tests", "Who beats whom", about, spec)


def _profile(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    if setting.details:
        profile = setting.details["profile"]
        frame = _grid(setting.details["strategies"], profile["at"], profile["share"])
        spec = plots_curves.profile(frame[frame["at"] > 0], names, setting.order, measure=setting.measure)
        about = "Share of runs that end with at most so much regret: the higher, the better."
        yield Chart("profile", "tests", "Performance profile", about, spec, style.emphasised(setting.order))


def _deciding(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    cost = [
        {
            "strategy": row["strategy"],
            "milliseconds": 1e3 * row["decision_seconds_per_query"],
            "regret": row["regret_mean"],
            "low": row["regret_lo"],
            "high": row["regret_hi"],
        }
        for row in setting.rows
    ]
    frame = pd.DataFrame(cost).dropna(subset=["milliseconds", "regret"])
    if len(frame[frame["milliseconds"] > 0]):
        spec = compare.cost_of_deciding(frame, names, setting.order, measure=setting.measure)
        about = "Real time a strategy thinks per query, against what it reaches; near the lower left is best."
        yield Chart("deciding", "tests", "Decision time against regret", about, spec)


def _matrices(pairs: Sequence[Row], order: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(S, S) probabilities of improvement, and whether the two are separated."""
    place = {name: i for i, name in enumerate(order)}
    better, separated = np.full((len(order),) * 2, 0.5), np.zeros((len(order),) * 2, dtype=bool)
    for pair in pairs:
        i, j, chance = place[pair["one"]], place[pair["other"]], pair["improvement"]
        better[i, j], better[j, i] = (0.5, 0.5) if chance is None else (chance, 1 - chance)
        separated[i, j] = separated[j, i] = pair["separated"]
    return better, separated


def _fronts(setting: Setting, names: Mapping[str, style.Look]) -> Iterator[Chart]:
    front = setting.details.get("front")
    if front:
        parts = [pd.DataFrame(points).assign(strategy=name) for name, points in front["attained"].items()]
        exact = pd.DataFrame(front["exact"])
        exact["cell"] = [f"cell {cell}" for cell in exact["cell"]]
        measure = setting.measure
        spec = compare.fronts(exact, pd.concat(parts), names, setting.order, cost=front["cost"], measure=measure)
        about = "Points: the exact front. Lines: what half of a strategy's runs attain (median attainment surface)."
        named = style.emphasised([name for name in setting.order if name in front["attained"]])
        yield Chart("front", "fronts", f"Front of {measure.what} and {front['cost']}", about, spec, named)
    for axis, along in (("queries", "queries"), ("seconds", "simulated time")):
        columns = ("hypervolume_mean", "hypervolume_lo", "hypervolume_hi")
        frame = _series(setting, axis, *columns)
        if len(frame):
            spec = plots_curves.hypervolume(frame, names, setting.order, axis=axis)
            about = (
                "Normalised hypervolume of the cells queried as a share of the exact front's, mean over seeds; less than "
                f"the axis shows is drawn at its foot. {_bands(frame, style.emphasised(setting.order))}"
            )
            named = style.emphasised(setting.order)
            yield Chart(f"hypervolume-{axis}", "fronts", f"Hypervolume over {along}", about, spec, named)


def _landscape(content: Row) -> list[Chart]:
    local, measure = content["local_optima"], measures.of(content)
    change, among = content.get("differ", "edges"), content.get("optima", len(local))
    up = measure.sign > 0
    beyond = "first bar also counts all below it, down" if up else "last bar also counts all above it, up"
    found = []
    if content["distance"]:
        chart = Chart(
            "distance",
            "landscape",
            f"{measure.name.title()} by distance to the optimum",
            f"Cells by the number of {change} in which they differ from the nearest best cell: middle half, 5 to 95%, median; "
            "a diamond marks the best of them.",
            plots_landscape.distance(content["distance"], measure=measure),
        )
        found.append(chart)
    some = f"; drawn are {len(local):,}, with the largest basins" if among > len(local) else ""
    return [
        *found,
        Chart(
            "distribution",
            "landscape",
            f"Distribution of {measure.name}",
            f"All cells; the {beyond} to {content['below']:g}.",
            plots_landscape.distribution(content["edges"], content["counts"], measure=measure),
        ),
        Chart(
            "local-optima",
            "landscape",
            "Local optima",
            f"The {among:,} cell{'s' * (among > 1)} that no one-{change[:-1]} change betters: how many cells lead there by "
            f"steepest {'ascent' if up else 'descent'}{some}.",
            plots_landscape.local_optima(local, measure=measure),
        ),
    ]
