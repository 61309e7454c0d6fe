"""Facts in words: what a cell is, what a table holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import core
from nasbench_lab.core import LabError
from nasbench_lab.errors import counted, queries
from nasbench_lab.spaces import cell, cells, naming
from nasbench_lab.spaces.decisions import listed
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import references, shares
from nasbench_lab.stats.measures import Measure
from nasbench_lab.stats.repeated import Noise
from nasbench_lab.tables import trainings, typed
from nasbench_lab.tables.table import Table

_AFTER = (100, 1000)  # queries of random search that are told
_ALWAYS = 0.995  # a chance that is none, told in percent
_DIGITS = 6  # of a score that is no percentage, at least


def cell_facts(text: str, table: Table) -> dict[str, Any]:
    """Everything known of one cell: how it is written, its class, its cost and its scores with ranks on a table.

    Of four-node cells operations and whether anything reaches the output, of NAS-Bench-201's parameters too; of any other
    space the label of every decision.

    Raises:
        LabError: not a cell of the table's space.
    """
    space = table.space
    try:
        arch = typed.cell_of(space, text)
    except ValueError as error:
        raise LabError(str(error)) from error
    facts: dict[str, Any] = {"cell": arch}
    if cells.is_cell(space):
        facts |= {"string": cells.to_string(space, arch), "ops": naming.labels(space, arch)}
    else:
        facts["options"] = naming.labels(space, arch)
    if space == cell.SPACE:
        facts["naslib"] = str(cell.to_naslib(arch))
    if (classes := _classes(space)) < space.size:
        members = np.flatnonzero(space.classes == space.classes[arch]).tolist()
        facts["class"] = f"{int(space.classes[arch])} of {classes}, members ({len(members)}): {_few(members)}"
    if cells.is_cell(space):
        facts["connected"] = "yes" if _connected(space, arch) else "no, nothing reaches the output"
    if space == cell.SPACE:
        facts |= _network(arch, table)
    facts["table"] = table.label
    if not table.measure.plain:
        facts["unit"] = _unit(table.measure)
    return facts | {"scores": _scores(arch, table)}


def _network(arch: int, table: Table) -> dict[str, str]:
    """What a network of NAS-Bench-201's skeleton costs."""
    dataset = str(table.about.get("dataset", ""))
    known = dataset if dataset in ("cifar10", "cifar100", "ImageNet16-120") else "cifar10"
    return {
        "params": f"{cell.params_m(known)[arch]:.6f} M ({known} network, C=16, N=5)",
        "flops": f"{cell.flops_m(known)[arch]:.2f} M",
    }


def _connected(space: Space, arch: int) -> bool:
    passes = cells.kinds(space)[arch] != cells.NONE
    return any(passes[list(path)].all() for path in cells.PATHS)


def _classes(space: Space) -> int:
    return len(np.unique(space.classes))


def _unit(measure: Measure) -> str:
    return f"{measure.unit}, {measure.better} is better"


def neighbours(arch: int, table: Table, *, shown: int) -> dict[str, Score]:
    """The best cells that differ in one decision, with what differs, by mean test score on a table; `neighbours_by` says so."""
    space, truth, sign = table.space, table.truth, table.measure.sign
    own, better = space.row(arch), np.nan_to_num(sign * truth, nan=-np.inf)
    order = sorted(space.neighbours_of(arch), key=lambda a: (-better[a], a))
    found = {}
    for other in order[:shown]:
        edge = next(i for i, (a, b) in enumerate(zip(own, space.row(other), strict=True)) if a != b)
        name, label = space.decisions[edge].name, naming.labels(space, other)[space.decisions[edge].name]
        change = f"{other} ({name} {label})" if cells.is_cell(space) else f"{other} ({name}={label})"
        found[change] = _scored(truth, other, table)
    return found


def neighbours_by(table: Table) -> str:
    """What the scores of `neighbours` are."""
    return f"{_truth_of(table)} on {table.label}" + ("" if table.measure.plain else f" ({_unit(table.measure)})")


def _truth_of(table: Table, last: int | None = None) -> str:
    """What the test score is called, of one schedule or the last."""
    if table.scored:
        return f"score ({table.scored})"
    return f"test after {last or table.last.epochs[-1]} epochs" if table.counts_epochs else "test"


def _seen_of(table: Table, epochs: int, last: int | None = None) -> str:
    """What a validation score is called."""
    if not table.counts_epochs:
        return "validation"
    return f"val after {epochs}" + (f" of {last}" if last else "") + " epochs"


def elsewhere(arch: int, space: Space, tables: Iterable[Table]) -> dict[str, Score]:
    """Validation and test score of a cell at the end of the last schedule, with its ranks, on every table of its space."""
    found = {}
    for table in tables:
        if table.space == space:
            seen = _seen_of(table, table.last.epochs[-1])
            found[f"{table.label}, {seen}"] = _scored(table.last.val[:, -1], arch, table)
            found[f"{table.label}, {_truth_of(table)}"] = _scored(table.truth, arch, table)
    return found


def _few(members: list[int], limit: int = 12) -> str:
    shown = ", ".join(map(str, members[:limit]))
    return shown + (", ..." if len(members) > limit else "")


_SECONDS = {
    "measured_seconds": "what one training took on the machine that measured; no search is charged it",
    "proxy_seconds": "what a search is charged for the score",
}


class Score(NamedTuple):
    """A value of one cell and its rank among all cells that have one; both None where there is none to give."""

    value: float | None
    rank: int | None = None
    of: int | None = None
    digits: int = 2
    meaning: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return "not measured"
        rank = f" (rank {self.rank} of {self.of})" if self.rank else ""
        text = (f"{self.value:.2f}" if self.digits == 2 else f"{self.value:.{self.digits}g}") + rank
        return f"{text} ({self.meaning})" if self.meaning else text


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as JSON values: a score becomes {"value", "rank", "of"}."""
    out: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Score):
            out[key] = {"value": value.value, "rank": value.rank, "of": value.of}
        else:
            out[key] = plain(value) if isinstance(value, dict) else value
    return out


def _scores(arch: int, table: Table) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for last, schedule in table.schedules.items():
        for i, epochs in enumerate(schedule.epochs):
            out[_seen_of(table, epochs, last)] = _scored(schedule.val[:, i], arch, table)
        out[_truth_of(table, last)] = _scored(schedule.test, arch, table)
        trials, seconds = schedule.test_trials[arch], float(schedule.seconds[arch, -1])
        after = f", {last} epochs" if table.counts_epochs else ""
        if trials.size:
            each = ("-" if np.isnan(t) else table.measure.text(float(t)) for t in trials)
            out[("score trials" if table.scored else "test trials") + after] = ", ".join(each)
        shown = f"{seconds:.1f}" if table.counts_epochs else f"{seconds:.4g}"
        out["seconds" + after] = f"{shown} (what a query is charged on the simulated clock)"
    for name, values in table.metrics.items():
        score = _ranked(values, arch, core.known_direction(name), 4)
        out[name] = score._replace(meaning=_SECONDS.get(name.partition("/")[0], ""))
    return out


def _scored(values: NDArray[np.float64], arch: int, table: Table) -> Score:
    return _ranked(values, arch, table.measure.sign, 2 if table.measure.percent else 4)


def _ranked(values: NDArray[np.float64], arch: int, sign: int, digits: int) -> Score:
    """The score of a cell; without a rank where it is not known which direction is better (sign 0)."""
    if np.isnan(values[arch]):
        return Score(None)
    value = float(values[arch])
    if sign == 0:
        return Score(value, digits=digits)
    known = sign * values[~np.isnan(values)]
    return Score(value, 1 + int((known > sign * value).sum()), len(known), digits)


def table_facts(table: Table) -> dict[str, Any]:
    """Size, space, optimum, fidelities, trials, noise, local optima, digest and source."""
    space, measure, better = table.space, table.measure, table.measure.sign * table.truth
    best = np.flatnonzero(better == np.nanmax(better))
    classes = _classes(space)
    facts: dict[str, Any] = {
        "table": table.label,
        "what": table.about.get("title", table.about.get("dataset", "")),
        "cells": f"{int(table.measured.sum()):,} of {space.size:,} {'predicted' if table.kind == 'predicted' else 'measured'}"
        + (f", in {classes:,} classes" if classes < space.size else ""),
    }
    if space != cell.SPACE:
        facts |= _space_facts(space)
    if not measure.plain:
        facts["unit"] = _unit(measure)
    if table.scored:
        facts["scored on"] = table.scored
    where = f"cell {' and '.join(map(str, best[:6]))}{' (tied)' if len(best) > 1 else ''}"
    facts["optimum"] = f"{_exact(measure, table.truth[best[0]])} {_test(table)}, {where}"
    if space != cell.SPACE:
        facts["optimum"] += f": {naming.text(space, int(best[0]))}"
    if (found := trainings.noise(table)) is not None:
        facts["as its trainings tell"] = _likely(table, found)
    around = "all 24 neighbours'" if space == cell.SPACE else "those of all neighbours"
    facts[f"local {_optima(measure)}"] = f"{_strict_optima(space, better)} (cells whose {_test(table)} beats {around})"
    name = "schedule {}" if table.counts_epochs else "scores"
    facts |= {name.format(last): _schedule_facts(table, last) for last in table.schedules}
    if table.measured.all():
        name = "search on {}" if table.counts_epochs else "search"
        facts |= {name.format(last): _exactly(table, last) for last in table.schedules}
    if "held_out" in table.about:
        facts["on held-out classes"] = {name: _worth(figures) for name, figures in table.about["held_out"].items()}
        noise = ", ".join(f"--noise {sd:.2f} at {last} epochs" for last, sd in table.about["noise"].items())
        facts["query noise"] = f"none of its own; like that of real trainings: {noise}"
    facts["metrics"] = ", ".join(table.metrics) or "none"
    if "proxies" in table.about:
        facts["scores without training"] = _scored_without_training(table)
    facts["source"] = table.about.get("source", "")
    facts["licence"] = table.about.get("licence", "")
    facts["digest"] = table.digest
    return facts


def _scored_without_training(table: Table) -> dict[str, str]:
    """How the zero-cost scores were computed that `tables proxies` added; scores that were computed alike in one line."""
    found: dict[str, list[str]] = {}
    for name, how in table.about["proxies"].items():
        shape, data = how["network"], how["data"]
        kind = data if isinstance(data, str) else data["name"]
        words = (
            f"{how['classes']:,} classes, {how['images']} {kind} images, seed {how['seed']}, C={shape['channels']}, "
            f"N={shape['cells']}, torch {how['versions']['torch']}, code {how['code']}"
        )
        found.setdefault(words, []).append(name)
    return {", ".join(names): words for words, names in found.items()}


def luck(table: Table) -> str:
    """What the best score of a table measured several times is expected to be when trained anew; "" where that is not known."""
    found, measure = trainings.noise(table), table.measure
    if found is None:
        return ""
    best = int(np.nanargmax(measure.sign * table.truth))
    then, again = measure.text(float(table.truth[best])), measure.text(measure.sign * float(found.level[best]))
    return (
        f"Scores are means of a cell's trainings, and the best of many is also a lucky one: cell {best}, {then}, is expected "
        f"to have {again} when trained anew, to which boards measure regret whose runs are scored on trainings of their own."
    )


def _likely(table: Table, found: Noise) -> str:
    """What repeated trainings say of the optimum."""
    repeated, measure = found.repeated, table.measure
    first = int(np.flatnonzero(found.row == repeated.best)[0])
    chances = np.sort(repeated.chances)[::-1]
    own = int(found.row[np.nanargmax(measure.sign * table.truth)])
    most = int(np.searchsorted(np.cumsum(chances), 0.9)) + 1
    return (
        f"that is the best of all with probability {shares.percent(float(repeated.chances[own]))}; likely best: cell {first}, "
        f"expected {_exact(measure, measure.sign * float(repeated.posterior[repeated.best]))} when trained anew; "
        f"{most:,} {'cells share' if most > 1 else 'cell has'} 90% of the chance"
    )


def _space_facts(space: Space) -> dict[str, Any]:
    """What a space other than NAS-Bench-201's consists of."""
    combined = "all combinations" if space.listed is None else "those combinations that are listed"
    options = {
        each.name: listed(each.options) + (" (ordered)" if each.ordered and len(each.options) > 1 else "")
        for each in space.decisions
    }
    return {"space": f"{space.name}: {len(space.decisions)} decisions, {combined}", "decisions": options}


def _test(table: Table) -> str:
    return "score" if table.scored else "test"


def _optima(measure: Measure, count: int = 0) -> str:
    """What the best cells among their neighbours are called, of one or of several."""
    return ("maxim" if measure.sign > 0 else "minim") + ("um" if count == 1 else "a")


def _exact(measure: Measure, value: float) -> str:
    """A score with the digits that tell it from others: four decimals of a percentage, six digits or more of another."""
    return f"{value:.4f}" if measure.percent else measure.text(value, max(_DIGITS, measure.digits))


def _strict_optima(space: Space, better: NDArray[np.float64]) -> int:
    """Cells better than all their neighbours; rows of a listed space are filled up with the cell itself."""
    beaten = better[:, None] > better[space.neighbours]
    filled = np.arange(space.size)[:, None] == space.neighbours
    return int((beaten | filled).all(axis=1).sum())


def _worth(figures: dict[str, float]) -> str:
    """How good the predictions of one quantity are; see `benchmarks/make_surrogates.py`."""
    return (
        f"Kendall tau {figures['tau']:.3f}, R2 {figures['r2']:.3f}, RMSE {figures['rmse']:.2f}, "
        f"of the better half {figures['rmse_upper']:.2f}"
    )


def _schedule_facts(table: Table, last: int) -> dict[str, str]:
    schedule, measure = table.schedules[last], table.measure
    val, test = schedule.val[:, -1], schedule.test
    best, final = int(np.nanargmax(measure.sign * val)), schedule.val_trials[:, -1, :]
    top = measure.sign * float(np.nanmax(measure.sign * test))
    facts = {}
    if table.counts_epochs:
        facts["epochs"] = ", ".join(map(str, schedule.epochs)) if len(schedule.epochs) < 15 else f"1 .. {last}"
    per = f" per query of {last} epochs" if table.counts_epochs else " per query"
    seconds = float(np.nanmean(schedule.seconds[:, -1]))
    return facts | {
        "validation": f"best {_exact(measure, val[best])} (cell {best}), median {measure.text(float(np.nanmedian(val)))}",
        _test(table): f"best {_exact(measure, top)}, of the best by validation {_exact(measure, test[best])}",
        "trials": f"validation {_trials(final)}; {_test(table)} {_trials(schedule.test_trials)}"
        + (
            ""
            if table.default_trials == "mean"
            else f"; a search gets --trials {table.default_trials} if not told otherwise"
        ),
        "noise": f"validation {_noise(final, measure)}; {_test(table)} {_noise(schedule.test_trials, measure)}",
        "seconds": f"mean {seconds:.1f}{per}" if table.counts_epochs else f"mean {seconds:.4g}{per}",
    }


def _exactly(table: Table, last: int) -> dict[str, str]:
    """What is known without running anything of a search on one schedule's validation; by enumeration."""
    schedule, space, measure, sign = table.schedules[last], table.space, table.measure, table.measure.sign
    truth, seen = sign * table.truth, sign * schedule.val[:, -1]
    optimal, what = truth == truth.max(), _test(table)
    counts = [count for count in _AFTER if count <= space.size] or [space.size]
    after = [_exact(measure, sign * value) for value in references.random_search_expectation(seen, truth, counts)]
    random = references.random_search_to(seen, optimal)
    tried = references.random_search_queries_to(int(optimal.sum()), len(truth))
    around = space.neighbours if space.neighbours.shape[1] else np.arange(space.size)[:, None]
    descent = references.local_search(seen, truth, around)
    to_optimum = f"{queries(shares.count(tried))} until it has tried an optimum"
    if random.chance < _ALWAYS:
        to_optimum += f", which is its choice at some time in {shares.percent(random.chance)} of searches of all cells"
    if random.chance:
        to_optimum += f"; where it becomes its choice, after {queries(shares.count(random.queries))} on average"
    facts = {
        "best by validation": f"{_exact(measure, sign * references.ceiling(seen, truth))} {what}",
        "random search": f"expects {after[0]} {what} after {queries(str(counts[0]))}"
        + (f", {after[1]} after {counts[1]:,}" if len(counts) > 1 else ""),
        "random search to an optimum": to_optimum,
        "local search": f"{_exact(measure, sign * descent.score)} {what} after {descent.steps:.2f} moves on average, from a "
        f"random cell by best moves; ends in the best by validation with chance {shares.percent(descent.best, 1)} "
        f"({len(descent.optima):,} local {_optima(measure, len(descent.optima))} by validation)",
    }
    if schedule.val_trials.shape[2]:
        single = sign * references.sampled_ceiling(sign * schedule.val_trials[:, -1], truth)
        facts["best by one trial"] = (
            f"{_exact(measure, single)} {what} expected of a search of all with --trials sample"
        )
    return facts


def _trials(values: NDArray[np.float64]) -> str:
    if values.shape[1] == 0:
        return "one number a cell"
    counts = [f"{count:,}" for count in (~np.isnan(values)).sum(axis=0).tolist()]
    if len(set(counts)) == 1:
        return f"{counted(len(counts), 'trial')} of {counts[0]} cells" + (" each" if len(counts) > 1 else "")
    return f"{counted(len(counts), 'trial')}, of {', '.join(counts[:-1])} and {counts[-1]} cells"


def _noise(values: NDArray[np.float64], measure: Measure) -> str:
    """Root mean variance between the trials of a cell."""
    several = (~np.isnan(values)).sum(axis=1) > 1
    if not several.any():
        return "unknown"
    found = float(np.sqrt(np.nanvar(values[several], axis=1, ddof=1).mean()))
    return f"{found:.3f} points between trials" if measure.percent else f"{measure.text(found)} between trials"
