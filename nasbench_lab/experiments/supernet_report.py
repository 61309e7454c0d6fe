"""Supernets as files: supernets.md, .csv (a row per seed and scoring), epochs.csv, .json, manifest.json, four charts.

Every number is a mean over seeds with its 95% interval; see `means`. That is over supernets, given the classes that were
scored; how much these matter is told beside it.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab.core import FloatArray
from nasbench_lab.experiments.outcomes import Job, Outcome, read_all
from nasbench_lab.experiments.supernets import TOP, Settings, sampled
from nasbench_lab.files import markdown, spreadsheet
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.plots import supernets as plots
from nasbench_lab.stats import means, shares
from nasbench_lab.tables import catalog

Content = dict[str, Any]
Row = dict[str, Any]
FILES = (
    "supernets.md",
    "supernets.csv",
    "epochs.csv",
    "supernets.json",
    "manifest.json",
    "agreement.svg",
    "skips.svg",
    "entropy.svg",
    "inherited.svg",
)
# Columns of the table at the end of training: measure, heading, digits
ENDS = (
    ("tau", "Kendall tau", 3),
    ("spearman", "Spearman", 3),
    ("recall", "top recall", 3),
    ("regret", "regret", 2),
    ("level", "mean %", 1),
    ("skips", "skips", 1),
    ("entropy", "entropy", 2),
    ("seconds", "simulated s", 0),
)
_PANEL = 300  # cells of a chart's panel


def build(settings: Settings, jobs: Sequence[Job]) -> Content:
    """Everything the report is written from, as JSON values.

    Raises:
        LabError: outcomes are missing.
    """
    found = read_all(jobs, "supernets")
    outcomes = {spec: [each for header, each in found if header["strategy"] == spec] for spec in settings.strategies}
    table = catalog.load(settings.table)
    archs = sampled(settings.truth, settings.cells)
    share = len(archs) / len(sampled(settings.truth, 0))
    rows = [
        _row(spec, own) | {"tau_classes": classes_error(settings.truth[archs], _ranking(own), share)}
        for spec, own in outcomes.items()
    ]
    rows.sort(key=lambda row: -math.inf if row["tau"] is None else row["tau"], reverse=True)
    return {
        "table": table.label,
        "digest": table.digest,
        "settings": asdict(settings),
        "cells": len(archs),
        "command": command(settings),
        "versions": {name: of for header, _ in found for name, of in header["versions"].items()},
        "code": {header["strategy"]: header["code"] for header, _ in found},
        "rows": rows,
        "curves": [curve for spec in settings.strategies for curve in _curves(spec, outcomes[spec])],
        "points": _listed(outcomes, "points"),
        "epochs": _listed(outcomes, "epochs"),
        "scatter": [
            {"strategy": spec, "truth": float(truth), "score": score}
            for spec, own in outcomes.items()
            for truth, score in list(zip(settings.truth[archs], own[0]["scores"], strict=True))[
                :: -(-len(archs) // _PANEL)
            ]
        ],
    }


def _listed(outcomes: dict[str, list[Outcome]], part: str) -> list[Row]:
    """All entries of a part of the outcomes, with strategy and seed."""
    return [
        {"strategy": spec, "seed": seed, **entry}
        for spec, own in outcomes.items()
        for seed, outcome in enumerate(own)
        for entry in outcome[part]
    ]


def command(settings: Settings) -> str:
    """The command that makes this report, but for where it is written and with how many processes."""
    options = {key: value for key, value in asdict(settings).items() if key != "strategies"}
    words = [f"--{name} {shlex.quote(str(value))}" for name, value in options.items()]
    return " ".join(["nasbench-lab supernet", *map(shlex.quote, settings.strategies), *words])


def _row(spec: str, outcomes: list[Outcome]) -> Row:
    """One strategy at the end of its training."""
    diverged = sum(outcome["points"][-1]["tau"] is None for outcome in outcomes)
    epochs = outcomes[0]["points"][-1]["epoch"]
    row: Row = {"strategy": spec, "seeds": len(outcomes), "diverged": diverged, "epochs": epochs}
    ends = [outcome["points"][-1] | outcome["epochs"][-1] for outcome in outcomes]
    for measure, _, _ in ENDS:
        row |= means.row(measure, _floats([end[measure] for end in ends]))
    return row


def _ranking(outcomes: list[Outcome]) -> list[list[float]]:
    """The scores of the supernets that did not diverge."""
    return [each["scores"] for each in outcomes if each["points"][-1]["tau"] is not None]


def classes_error(truth: FloatArray, scores: Sequence[Sequence[float]], share: float) -> float:
    """Half of the 95% interval of mean tau that comes from which classes were drawn, by Hajek's projection.

    Args:
        truth: (n,) of the classes drawn. scores: (R, n), a row per supernet.
        share: of all classes that were drawn; of all of them there is no other draw.

    Returns:
        0 where there is no supernet.
    """
    if not len(scores):
        return 0.0
    order = np.sign(truth[:, None] - truth)
    signs = sum(np.sign(own[:, None] - own) for own in np.asarray(scores, dtype=np.float64)) / len(scores)
    own = (order * signs).sum(axis=1) / (len(truth) - 1)  # every class's part in tau
    return float(1.96 * 2 * own.std(ddof=1) / math.sqrt(len(truth)) * math.sqrt(1 - share))


def _curves(spec: str, outcomes: list[Outcome]) -> list[Row]:
    """Agreement per scoring, skips and entropy per epoch."""
    found = []
    for part, measure in (("points", "tau"), ("points", "recall"), ("epochs", "skips"), ("epochs", "entropy")):
        for entries in zip(*(outcome[part] for outcome in outcomes), strict=True):
            values = means.row("mean", _floats([entry[measure] for entry in entries]))
            if values["mean"] is not None:
                ends = {"mean": values["mean"], "low": values["mean_lo"], "high": values["mean_hi"]}
                found.append({"strategy": spec, "measure": measure, "at": entries[0]["epoch"], **ends})
    return found


def _floats(values: list[float | None]) -> Any:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def write(content: Content, folder: Path) -> list[Path]:
    """Write all files; returns their paths. A chart that nothing can be drawn in is not written.

    Raises:
        LabError: the folder cannot be written.
    """
    listed = ("points", "epochs", "scatter", "code", "versions")
    manifest = {key: content[key] for key in ("command", "settings", "table", "digest", "code", "versions")}
    texts: list[str | None] = [
        to_markdown(content),
        _csv(content["points"]),
        _csv(content["epochs"]),
        json.dumps({key: value for key, value in content.items() if key not in listed}, indent=1) + "\n",
        json.dumps(manifest, indent=1) + "\n",
        *_charts(content),
    ]
    written = [folder / name for name, text in zip(FILES, texts, strict=True) if text is not None]
    for name, text in zip(FILES, texts, strict=True):
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_atomically(folder / name, text.encode())
    return written


def _csv(rows: list[Row]) -> str:
    return spreadsheet.to_csv(pd.DataFrame(rows).round(4), lineterminator="\n")


def _charts(content: Content) -> list[str | None]:
    order = [row["strategy"] for row in content["rows"]]
    what = f"{content['table']}, {content['cells']:,} classes"
    kinds = (
        ("tau", f"{what}: shared-weight ranking against the table", "Kendall tau", (-0.2, 1.0)),
        ("skips", "Skip connections in the derived cell, mean over seeds", "skips of 6 edges", (0.0, 6.0)),
        ("entropy", "How undecided the choice of operations is", "nats per edge", (0.0, math.log(5))),
    )
    charts: list[str | None] = []
    for measure, title, axis, domain in kinds:
        rows = [curve for curve in content["curves"] if curve["measure"] == measure]
        if measure == "skips":  # whole numbers that jump: bands of many strategies would hide the lines
            rows = [row | {"low": None, "high": None} for row in rows]
        own = {row["strategy"] for row in rows}
        shown = [spec for spec in order if spec in own]
        charts.append(plots.over_epochs(rows, shown, title, axis, domain) if rows else None)
    title = f"{what}: seed 0 after the last epoch, worst tenth left out"
    return [*charts, plots.inherited_against_true(content["scatter"], order, title)]


def to_markdown(content: Content) -> str:
    """The page."""
    settings = content["settings"]
    seeds = settings["seeds"]
    target = {"test": "mean test accuracy", "val": "mean validation accuracy"}[settings["target"]]
    norms = (
        f"norms recalibrated on {settings['calibration']} training batches"
        if settings["calibration"]
        else "norms with the statistics of the batch at hand"
    )
    lines = [
        "# Do supernets rank cells as the table does?",
        "",
        f"{markdown.line(content['table'])}: {content['cells']:,} classes, scored on "
        f"{settings['images']:,} validation images each with the "
        f"shared weights ({norms}), against the table's {target} after its longest schedule. Mean over {seeds} "
        f"seed{'s' * (seeds > 1)} ± half of its 95% interval. A cell is scored as a path of its own; "
        "darts and drnas train mixtures and never such a path, spos recalibrates norms before it scores.",
        "",
        markdown.indented(content["command"]),
        "",
        "## After the last epoch",
        "",
        *_ends(content["rows"]),
        *_sample(content),
        "## By epoch",
        "",
        *_by_epoch(content),
    ]
    charts = (
        ("tau", "agreement", "Kendall tau over epochs"),
        ("skips", "skips", "Skips in the derived cell"),
        ("entropy", "entropy", "Entropy of the choices"),
    )
    present = {curve["measure"] for curve in content["curves"]}
    for measure, file, words in charts:
        lines += [f"![{words}]({file}.svg)", ""] if measure in present else []
    lines += ["![Inherited against true accuracy](inherited.svg)", "", *_definitions(content)]
    return "\n".join(lines)


def _ends(rows: list[Row]) -> list[str]:
    heads = ["strategy", "epochs", *(heading for _, heading, _ in ENDS)]
    table = [
        [
            markdown.Markup(markdown.code(row["strategy"]) + lost(row)),
            str(row["epochs"]),
            *(means.shown(row, name, digits) for name, _, digits in ENDS),
        ]
        for row in rows
    ]
    return [*markdown.table(heads, table, numbers=True), ""]


def lost(row: Row) -> str:
    """How many supernets diverged, in words; nothing if none did."""
    return f" ({row['diverged']} of {row['seeds']} diverged)" if row["diverged"] else ""


def _sample(content: Content) -> list[str]:
    """What the intervals do not hold."""
    largest = max(row["tau_classes"] for row in content["rows"])
    if not largest:
        return []
    return [
        f"Intervals are over supernets, all of them scored on the same {content['cells']:,} classes. Tau over all classes may "
        f"differ by up to ±{largest:.3f} more (95%): that is how far another draw of classes moves it; "
        "strategies share part of that.",
        "",
    ]


def _by_epoch(content: Content) -> list[str]:
    curves = {(c["strategy"], c["at"]): c for c in content["curves"] if c["measure"] == "tau"}
    epochs = sorted({at for _, at in curves})
    shown = epochs if len(epochs) <= 8 else [epochs[round(i * (len(epochs) - 1) / 7)] for i in range(8)]
    table = [
        [
            markdown.code(row["strategy"]),
            *(f"{curves[row['strategy'], at]['mean']:.3f}" if (row["strategy"], at) in curves else "" for at in shown),
        ]
        for row in content["rows"]
    ]
    return [
        "Kendall tau after so many epochs.",
        "",
        *markdown.table(["strategy", *map(str, shown)], table, numbers=True),
        "",
    ]


def _definitions(content: Content) -> list[str]:
    return [
        "## What the columns mean",
        "",
        f"- top recall: of the best {shares.percent(TOP)} of these classes, the share among the "
        f"{shares.percent(TOP)} that score best; {TOP:.2f} is chance.",
        "- regret: accuracy of the best of these classes less that of the class that scores best, in points.",
        "- mean %: accuracy with the shared weights, averaged over the classes. skips, entropy: skip connections in the cell the "
        f"search derives in the end, and the entropy of its choice of operations in nats per edge ({math.log(5):.2f}: uniform); "
        "empty where the search has no such distribution or derives nothing while it trains.",
        "- simulated s: multiply-adds of the training at one nominal speed, as on every other page.",
        "",
    ]
