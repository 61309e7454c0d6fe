"""A validation as files: validation.md, .json, .csv (a row per training) and .svg (predicted against measured)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab.files import markdown, spreadsheet
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.plots import validation as charts
from nasbench_lab.stats import shares

Content = dict[str, Any]
FILES = ("validation.md", "validation.json", "validation.csv", "validation.svg")


def write(content: Content, folder: Path) -> list[Path]:
    """Write all files; returns their paths.

    Raises:
        LabError: the folder cannot be written.
    """
    records = spreadsheet.to_csv(pd.DataFrame(content["records"]), lineterminator="\n")
    texts = (to_markdown(content), json.dumps(_plain(content), indent=1) + "\n", records, _figure(content))
    for name, text in zip(FILES, texts, strict=True):
        write_atomically(folder / name, text.encode())
    return [folder / name for name in FILES]


def _plain(value: Any) -> Any:
    """As strict JSON: nan becomes null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(content: Content) -> str:
    rows = []
    for row in content["rows"]:
        for name, label in (("val", "validation"), ("test", "test")):
            sd = row[f"{name}_sd"]
            x_half, y_half = (1.96 * sd / math.sqrt(n) for n in (row[f"{name}_trials"], len(content["seeds"])))
            x, y = row[f"{name}_predicted"], row[f"{name}_measured"]
            rows.append(
                {"score": label, "group": row["group"], "arch": row["arch"], "predicted": x, "measured": y}
                | {"x_lo": x - x_half, "x_hi": x + x_half, "y_lo": y - y_half, "y_hi": y + y_half}
            )
    return charts.predicted_against_measured(rows, f"{content['table']}: table against new trainings, 95% intervals")


def to_markdown(content: Content) -> str:
    """The page."""
    seeds, recipe = content["seeds"], content["recipe"]
    lines = [f"# Validation of {markdown.text(str(content['target']))}", ""]
    lines += [
        f"{len(content['rows'])} {content['what']} trained for real on {content['data']}, {len(seeds)} new seeds each "
        f"({seeds[0]} to {seeds[-1]}), {recipe['epochs']} epochs, {content['trained']}; "
        f"predictions from table {markdown.text(content['table'])}.",
        "",
        "![Predicted against measured](validation.svg)",
        "",
    ]
    lines += [*_agreement(content), *_ranks(content), *_choice(content), *_tuning(content)]
    lines += [*_inheritance(content), *_rows(content)]
    return "\n".join(lines)


def _agreement(content: Content) -> list[str]:
    if not content["comparable"]:
        return [
            "The table's scores are of other data, another recipe or another number of epochs than these trainings: "
            "levels cannot be compared, only ranks.",
            "",
        ]
    lines = ["## Do new trainings agree with the table?", ""]
    shared = [f"{shares.percent(content['common'][name])} of the variance of {name}" for name in content["comparable"]]
    heads = ["cells", "score", "n", "mean z", "SD of z", "within ±1.96", "p"]
    lines += [*markdown.table(heads, _summaries(content)), ""]
    return [
        *lines,
        "z = (new mean - table mean) / (trial SD x sqrt(1 / new seeds + 1 / table's trials)); the trial SD is pooled over the "
        "table's 100 nearest classes with several trials. If the table is right and nothing was selected, the mean is "
        "0 within its ±, the SD 1, 95% lie within ±1.96, and p (chi-square of all z) is uniform. The best were selected for "
        "high scores, part of which is luck, so their new scores are lower: the second line of a score compares with "
        "the expectation given the distribution of true scores over the space (empirical Bayes, see `agreement.py`). "
        "All cells see a seed's training images, so part of the noise is common to them (here "
        f"{' and '.join(shared)}): "
        "the ± of the mean z allows for it.",
        "",
    ]


def _summaries(content: Content) -> list[list[str]]:
    return [
        [
            group,
            name,
            str(part["count"]),
            f"{_number(part.get('mean'))} ± {_number(part.get('mean_se'))}",
            _number(part.get("sd")),
            shares.percent(part.get("within", math.nan)),
            _number(part.get("p"), 3),
        ]
        for group, parts in content["summary"].items()
        for name, part in parts.items()
    ]


def _ranks(content: Content) -> list[str]:
    rows = [
        [name, str(part["count"]), _number(part["tau"]), _number(part["if_right"]), _range(part, "if_right")]
        for name, part in content["ranks"].items()
        if part["count"] > 2
    ]
    if not rows:
        return []
    note = "Kendall's tau between table and new means. Expected: if the table is right and only trial noise differs."
    if len(content["comparable"]) < 2:
        rows, note = [row[:3] for row in rows], "Kendall's tau between table and new means."
    header = ["score", "n", "tau", "expected", "95% of draws"][: len(rows[0])]
    return ["## Ranks", "", *markdown.table(header, rows), "", note, ""]


def _choice(content: Content) -> list[str]:
    choice = content["choice"]
    if not choice:
        return ["Every training diverged.", ""]
    same = choice["by_table"] == choice["by_measurement"]
    text = (
        f"The table's validation picks cell {choice['by_table']} (new test {choice['by_table_test']:.2f}); "
        f"new validation picks cell {choice['by_measurement']} (new test {choice['by_measurement_test']:.2f})."
    )
    if same:
        text += " The same: nothing is lost by trusting the table."
    else:
        text += f" Lost by trusting the table: {choice['loss']:.2f} points of test ({_range(choice, 'loss')}, paired by seed)."
    text += f" Best by new test: cell {choice['best']} ({choice['best_test']:.2f})."
    return ["## What would have been chosen", "", text, ""]


def _tuning(content: Content) -> list[str]:
    tuning = content.get("tuning")
    if not tuning:
        return []
    rows = [
        [
            str(row["arch"]),
            ", ".join(f"{key} {value:g}" for key, value in row["tuned"].items()) + (" (the recipe)" * row["is_recipe"]),
            f"{row['recipe_test']:.2f}",
            f"{row['gain']:+.2f}",
            _range(row, "gain"),
        ]
        for row in tuning["rows"]
    ]
    return [
        "## Hyper-parameter optimisation of each candidate",
        "",
        *markdown.table(["cell", "chosen on validation", "recipe's test", "gain", "95% interval"], rows),
        "",
        f"Mean gain {tuning['gain']:+.2f} points of test ({_range(tuning, 'gain')} over cells), {tuning['trials']} trials a "
        "cell, the recipe's among them: Gaussian process with expected improvement on validation. Recipe and winner are "
        "then trained with the same fresh seeds, which no choice has seen; intervals are paired by seed.",
        "",
    ]


def _inheritance(content: Content) -> list[str]:
    found = content.get("inheritance")
    if not found:
        return []
    rows = [
        [
            markdown.code(row["strategy"]) if "strategy" in row else "all strategies",
            str(row["runs"]),
            *(_number(row[name]) for name in ("before", "scratch", "inherited")),
            f"{row['gain']:+.2f}" if math.isfinite(row["gain"]) else "",
            _range(row, "gain"),
        ]
        for row in [*found["strategies"], found["all"]]
    ]
    heads = ["strategy", "runs", "val before", "test, from scratch", "test, inherited", "gain", "95% interval"]
    return [
        "## From scratch or from the supernet's weights",
        "",
        *markdown.table(heads, rows, numbers=True),
        "",
        f"The cell every run ended with, trained for {found['epochs']} epochs from a seed's weights and from those of the run's "
        f"supernet, by the same recipe on the same images, {found['seeds']} seeds each, other ones for every seed of the search. "
        "Gain: points of test accuracy, with a t-interval over runs; of all strategies the mean of theirs, over strategies. "
        "What the supernet's training cost is not in it: from scratch a cell has the recipe's epochs alone. Val before: "
        "validation accuracy with the supernet's weights, untrained; too high where the search chose the cell by it."
        + (
            f" Runs with a training that diverged, left out: {found['all']['diverged']}."
            if found["all"]["diverged"]
            else ""
        ),
        "",
    ]


def _rows(content: Content) -> list[str]:
    header = ["cell", "group", "runs", "table val", "new val", "z", "table test", "new test", "z"]
    rows = [
        [
            str(row["arch"]),
            row["group"],
            str(row["recommended"] or ""),
            *(_number(row[f"{score}_{key}"]) for score in ("val", "test") for key in ("predicted", "measured", "z")),
        ]
        for row in content["rows"]
    ]
    drop = {5: "val", 8: "test"}  # a z-score means something only where the table's score is of the same kind
    keep = [i for i in range(len(header)) if drop.get(i, "val") in content["comparable"] or i not in drop]
    header, rows = [header[i] for i in keep], [[row[i] for i in keep] for row in rows]
    diverged = sum(row["diverged"] for row in content["rows"])
    note = "A cell stands for its class (lowest index); runs: how many runs of the study ended with it."
    note += f" {diverged} trainings diverged and are left out." if diverged else ""
    return ["## Cells", "", *markdown.table(header, rows), "", f"{note} Every training is in validation.csv.", ""]


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _range(part: dict[str, Any], name: str) -> str:
    low, high = part[f"{name}_lo"], part[f"{name}_hi"]
    return f"{low:.2f} to {high:.2f}" if math.isfinite(low) else "no interval"
