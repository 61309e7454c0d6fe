"""An assessment as files: surrogates.md, .csv (a row per fit), .json (means with intervals), manifest.json, three charts.

Every number is a mean over seeds with its 95% interval: bootstrap (`intervals.mean_interval`) from 20 seeds on, Student's t
with fewer. Surrogates of a seed share their cells, so "behind" is the mean of paired differences to the best.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab.core import FloatArray
from nasbench_lab.experiments import assessment
from nasbench_lab.experiments.assessment import Settings
from nasbench_lab.experiments.outcomes import Job, Outcome, read_all
from nasbench_lab.files import markdown, spreadsheet
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.plots import surrogates as plots
from nasbench_lab.spaces import cell
from nasbench_lab.stats import calibration, intervals, means, measures, references
from nasbench_lab.tables import catalog, curve_ranks, proxy_ranks
from nasbench_lab.tables.table import Table

Content = dict[str, Any]
Row = dict[str, Any]
FILES = (
    "surrogates.md",
    "surrogates.csv",
    "surrogates.json",
    "manifest.json",
    "tau.svg",
    "calibration.svg",
    "parity.svg",
)
# Beside the surrogates: scores without training, and beginnings of learning curves; name in surrogates.json -> who ranks by them
RANKED = {"proxies": proxy_ranks, "curves": curve_ranks}
# Columns of the two tables per train size: measure, heading, digits
RANKS = (
    ("tau", "Kendall tau", 3),
    ("behind", "behind", 3),
    ("spearman", "Spearman", 3),
    ("recall", "P@1%", 3),
    ("ndcg", "nDCG", 3),
    ("best_rank", "N@10", 1),
    ("rmse", "RMSE", 3),
    ("mae", "MAE", 3),
    ("r2", "R2", 3),
)
_IN_UNIT = ("rmse", "mae", "pinball")
SPREAD = (
    ("nll", "NLL", 3),
    ("pinball", "pinball", 4),
    ("cover50", "in 50%", 3),
    ("cover90", "in 90%", 3),
    ("cover90_top", "best tenth", 3),
    ("sharpness", "sharpness", 3),
    ("ece", "ECE", 3),
    ("fit_s", "fit s", 3),
    ("predict_ms", "predict ms", 1),
)


def build(settings: Settings, jobs: Sequence[Job], out: Path) -> Content:
    """Everything the report is written from, as JSON values.

    Raises:
        LabError: outcomes are missing.
    """
    found = read_all(jobs, "fits")
    outcomes: dict[tuple[str, int, int], Outcome] = {
        (header["surrogate"], header["train"], header["seed"]): outcome for header, outcome in found
    }
    table = catalog.load(settings.table)
    return {
        "table": table.label,
        "digest": table.digest,
        "schedule": settings.schedule.epochs[-1],
        "settings": asdict(settings),
        "command": command(settings),
        "versions": {name: of for header, _ in found for name, of in header["versions"].items()},
        "code": {header["surrogate"]: header["code"] for header, _ in found},
        **_facts(table),
        "top": calibration.top_count(settings.test_size),
        "interval": "bootstrap" if settings.seeds >= intervals.FEWEST else "t",
        "rows": [_row(outcomes, settings, spec, count) for count in settings.train for spec in settings.surrogates],
        "regret": _regret_rows(settings, out),
        **{name: ranked for name, ranks in RANKED.items() if (ranked := ranks.rows(table))},
        "fits": [
            {"surrogate": spec, "train": count, "seed": seed, **outcome["measures"]}
            for (spec, count, seed), outcome in outcomes.items()
        ],
        "sample": {spec: outcomes[spec, settings.train[-1], 0]["sample"] for spec in settings.surrogates},
    }


def _facts(table: Table) -> Row:
    """What is not as in NAS-Bench-201's tables."""
    found: Row = {} if table.space == cell.SPACE else {"cells": table.space.size}
    found |= {} if table.counts_epochs else {"schedule": None}
    return found | ({} if table.measure.plain else {"unit": table.unit, "better": table.better})


def command(settings: Settings) -> str:
    """The command that makes this report, but for where it is written and with how many processes."""
    options = {
        "table": settings.table,
        "train": ",".join(map(str, settings.train)),
        "seeds": settings.seeds,
        "target": settings.target,
        "search": settings.search,
        "split": settings.split,
        "test-size": settings.test_size,
        "max-queries": settings.max_queries,
    }
    words = [f"--{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None]
    return " ".join(["nasbench-lab surrogates", *map(shlex.quote, settings.surrogates), *words])


def _row(outcomes: dict[tuple[str, int, int], Outcome], settings: Settings, spec: str, count: int) -> Row:
    """One surrogate on one number of training cells: means over seeds with their intervals."""
    seeds = range(settings.seeds)

    def over_seeds(name: str, measure: str) -> FloatArray:
        return np.array([outcomes[name, count, seed]["measures"][measure] for seed in seeds], dtype=np.float64)

    taus = {name: over_seeds(name, "tau") for name in settings.surrogates}
    best = max(taus, key=lambda name: taus[name].mean())
    row: Row = {"surrogate": spec, "train": count, "seeds": settings.seeds}
    for measure in outcomes[spec, count, 0]["measures"]:
        row |= means.row(measure, over_seeds(spec, measure))
    row |= means.row("behind", taus[best] - taus[spec])
    observed = np.array([outcomes[spec, count, seed]["observed"] for seed in seeds])
    curve = [means.row("observed", column) for column in observed.T]
    row["curve"] = [{"level": level, **point} for level, point in zip(calibration.LEVELS, curve, strict=True)]
    return row


def _regret_rows(settings: Settings, out: Path) -> list[Row]:
    """Regret of every surrogate's search, and what random search is expected to have (exact)."""
    found = assessment.regrets(settings, out)
    rows = [
        {
            "surrogate": spec,
            "seeds": settings.seeds,
            **means.row("val", regret["val"]),
            **means.row("test", regret["test"]),
        }
        for spec, regret in found.items()
    ]
    if rows:
        table = catalog.load(settings.table)
        seen, truth = table.sign * settings.schedule.val[:, -1], table.sign * table.truth
        random: Row = {"surrogate": "random search, expectation", "seeds": None}
        for name, scored in (("val", seen), ("test", truth)):
            expected = references.random_search_expectation(seen, scored, [settings.max_queries])[0]
            random |= {name: float(scored.max() - expected), f"{name}_lo": None, f"{name}_hi": None}
        rows.append(random)
    return rows


def write(content: Content, folder: Path) -> list[Path]:
    """Write all files; returns their paths.

    Raises:
        LabError: the folder cannot be written.
    """
    kept = {key: value for key, value in content.items() if key not in ("fits", "sample", "code", "versions")}
    manifest = {key: content[key] for key in ("command", "settings", "table", "digest", "code", "versions")}
    texts = (
        to_markdown(content),
        spreadsheet.to_csv(pd.DataFrame(content["fits"]), lineterminator="\n"),
        json.dumps(kept, indent=1) + "\n",
        json.dumps(manifest, indent=1) + "\n",
        *_charts(content),
    )
    for name, text in zip(FILES, texts, strict=True):
        write_atomically(folder / name, text.encode())
    return [folder / name for name in FILES]


def _charts(content: Content) -> tuple[str, str, str]:
    """Rank correlation over n, calibration at the largest n, predictions of one seed at the largest n."""
    settings = content["settings"]
    order, last = list(settings["surrogates"]), settings["train"][-1]
    taus = [{key: row[key] for key in ("surrogate", "train", "tau", "tau_lo", "tau_hi")} for row in content["rows"]]
    curves = [
        {"surrogate": row["surrogate"], **point}
        for row in content["rows"]
        if row["train"] == last
        for point in row["curve"]
    ]
    points = [
        {"surrogate": spec, **dict(zip(columns, values, strict=True))}
        for spec, columns in content["sample"].items()
        for values in zip(*columns.values(), strict=True)
    ]
    what = target_of(content)
    held_out = f"{settings['test_size']:,} cells held out by {settings['split']}"
    unit = "seconds" if settings["target"] == "seconds" else measures.of(content).unit
    return (
        plots.tau_over_train(taus, order, f"{what}: rank correlation on {held_out}"),
        plots.calibration_curves(
            curves, order, f"{what}: scores below predicted quantiles, {last} training cells, {held_out}"
        ),
        plots.parity(
            points, order, f"{what}: {last} training cells, seed 0, 90% intervals, worst tenth left out", unit
        ),
    )


def target_of(content: Content) -> str:
    """What is predicted, in words."""
    measure = measures.of(content)
    unit = "" if measure.plain else f" ({measure.unit})"
    what = {
        "val": f"validation {measure.name}{unit}",
        "test": f"test {measure.name}{unit}",
        "seconds": "training seconds",
    }
    return f"{content['table']}, {what[content['settings']['target']]}{_after(content)}"


def digits_of(content: Content, name: str, digits: int) -> int | None:
    """Decimals of a measure; None where it is in a unit of which decimals say nothing."""
    plain = measures.of(content).percent or content["settings"]["target"] == "seconds"
    return None if name in _IN_UNIT and not plain else digits


def _after(content: Content) -> str:
    """The schedule in words; nothing where epochs are not counted."""
    return f" after {content['schedule']} epochs" if content["schedule"] is not None else ""


def to_markdown(content: Content) -> str:
    """The page."""
    settings = content["settings"]
    lines = ["# How good are the surrogates?", "", *_preface(content), "", "## Kendall tau by training cells", ""]
    lines += [*_pivot(content), "![Kendall tau over training cells](tau.svg)", ""]
    for count in settings["train"]:
        rows = [row for row in content["rows"] if row["train"] == count]
        lines += [f"## {count} training cells", "", *_table(content, rows, RANKS), *_table(content, rows, SPREAD)]
    lines += ["## Calibration", "", "![Nominal against observed](calibration.svg)", ""]
    lines += ["## Predicted against true", "", "![Predicted against true](parity.svg)", ""]
    lines += [*_regret(content), *_ranked(content)]
    return "\n".join([*lines, *_definitions(content)])


def _preface(content: Content) -> list[str]:
    settings, seeds, name = content["settings"], content["settings"]["seeds"], measures.of(content).name
    split = {
        "class": "by isomorphism class: no held-out cell is the same network as a training cell",
        "cell": "cell by cell, as in the literature: a held-out cell can be the same network as a training cell",
    }[settings["split"]]
    interval = {
        "bootstrap": "bootstrap intervals (BCa)",
        "t": f"Student's t intervals, as {seeds} seeds are too few for a bootstrap",
    }[content["interval"]]
    seen = f" Test {name} is what the literature predicts; a search must not see it." * (settings["target"] == "test")
    return [
        f"Predicted: {markdown.text(target_of(content))}.{seen} Fitted on random cells, scored on "
        f"{settings['test_size']:,} others, split {split}. "
        f"Mean over {seeds} seeds ± half of its 95% interval ({interval}); all surrogates of a seed have the "
        "same cells.",
        "",
        markdown.indented(content["command"]),
    ]


def _pivot(content: Content) -> list[str]:
    train, order = content["settings"]["train"], content["settings"]["surrogates"]
    rows = {(row["surrogate"], row["train"]): row for row in content["rows"]}
    table = [[markdown.code(spec), *(means.shown(rows[spec, count], "tau", 3) for count in train)] for spec in order]
    return [*markdown.table(["surrogate", *map(str, train)], table, numbers=True), ""]


def _table(content: Content, rows: list[Row], columns: Sequence[tuple[str, str, int]]) -> list[str]:
    ordered = sorted(rows, key=lambda row: -row["tau"])
    heads = ["surrogate", *(heading for _, heading, _ in columns)]
    table = [
        [
            markdown.code(row["surrogate"]),
            *(means.shown(row, name, digits_of(content, name, digits)) for name, _, digits in columns),
        ]
        for row in ordered
    ]
    return [*markdown.table(heads, table, numbers=True), ""]


def _regret(content: Content) -> list[str]:
    if not content["regret"]:
        return []
    queries, measure = content["settings"]["max_queries"], measures.of(content)
    points = "Points of accuracy" if measure.plain else f"How far (in {measure.unit})"
    rows = [
        [
            markdown.code(row["surrogate"]) if row["seeds"] else row["surrogate"],
            *(means.shown(row, n, 3 if measure.percent else None) for n in ("val", "test")),
        ]
        for row in sorted(content["regret"], key=lambda row: row["val"])
    ]
    return [
        f"## Regret after {queries} queries",
        "",
        f"`gp_bo` with the surrogate in the place of its Gaussian process, searching on validation{_after(content)}. "
        f"{points} below the best of all cells: on that validation, and on mean test after the longest schedule.",
        "",
        *markdown.table(["surrogate", "validation regret", "test regret"], rows, numbers=True),
        "",
    ]


def _ranked(content: Content) -> list[str]:
    """How well what needs no surrogate ranks the same cells, of tables that have it."""
    lines = []
    for name, ranks in RANKED.items():
        if name in content:
            rows = [ranks.cells(row, measures.of(content)) for row in content[name]]
            lines += [f"## {ranks.TITLE}", "", *markdown.table(ranks.HEADS, rows, numbers=True), "", ranks.NOTE, ""]
    return lines


def _definitions(content: Content) -> list[str]:
    measure, size = measures.of(content), content.get("cells", cell.SPACE.size)
    unit = "points of accuracy" if measure.plain else measure.unit
    unit = "seconds" if content["settings"]["target"] == "seconds" else unit
    return [
        "## What the columns mean",
        "",
        "- behind: the highest mean tau less this one's, paired by seed; an interval that holds 0 is no difference.",
        f"- P@1%: of the {content['top']} truly best held-out cells, the share among the {content['top']} predicted best. nDCG: "
        f"discounted gain of these {content['top']} over the largest possible (gain: score above the median's; scikit-learn's "
        "`ndcg_score`). N@10: true rank of the best of the 10 predicted best, 1 if it is the best of all. Ties in expectation.",
        f"- RMSE, MAE, pinball: in {unit}. R2: 1 - mean square error / variance.",
        "- NLL: of the scores under normal(mean, std), nats; a single score predicted with near certainty, and wrongly, makes it "
        "explode. Pinball: mean quantile loss at 5%, 10%, ..., 95%, which assumes no shape.",
        "- in 50%, in 90%: share of scores within the central 50% and 90% intervals; best tenth: in 90%, of the tenth of the "
        "cells that is predicted best, where a search asks. Sharpness: mean width of the 90% interval "
        "in standard deviations of the scores (3.29: a normal distribution that knows no cell). ECE: mean distance between these "
        "19 levels and the share of scores below the quantile (Kuleshov et al. 2018, absolute distances).",
        f"- fit s, predict ms: one thread; mean and std of all {size:,} cells, the fastest of three. Wall time: everything else "
        "is reproduced exactly, this is not.",
        "",
    ]
