"""Training on a GPU, settled in one command of less than 8 minutes: `python benchmarks/gpu.py` writes `results/gpu/`.

Stages follow one another; what each finds is in `gpu.json` as soon as it is found, and `index.md` is the page of it. Started
again, it goes on with the stages that are not finished (`--again STAGE` repeats one). What fails is a line in the result, not
the end of the run, and no stage begins after `--minutes`. `--device cpu --small` runs every stage on a CPU, tiny.
Measurements, and how they are timed: `measured/on_device.py` and `measured/device_right.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from nasbench_lab.core import LabError
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.training.problem import check_device

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.measured import device_right, on_device

Row = dict[str, Any]
CLASSES, SEEDS, CELLS = 6_466, 3, 15_625  # of the cell space; trainings of the table; cells of NAS-Bench-201
MARKS = {"digits": 30.0, "CIFAR size": 4.0}  # times the plain loop's candidates a second


class Result:
    """What is known so far, on disk after every row."""

    def __init__(self, folder: Path) -> None:
        self.file, self.page = folder / "gpu.json", folder / "index.md"
        self.stages: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def add(self, stage: str, row: Row) -> None:
        """A row of a stage."""
        self.stages.setdefault(stage, {"done": False, "rows": []})["rows"].append(row)
        self.save()

    def rows(self, stage: str) -> list[Row]:
        """Those of a stage; none before it has begun."""
        found: list[Row] = self.stages.get(stage, {"rows": []})["rows"]
        return found

    def save(self) -> None:
        """Both files, whole or as they were."""
        write_atomically(self.file, json.dumps(self.stages, indent=1, sort_keys=True).encode())
        write_atomically(self.page, to_markdown(self).encode())


def main(arguments: list[str] | None = None) -> int:
    """Run what is not finished; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--minutes", type=float, default=7.5, help="no stage or row begins after so many")
    parser.add_argument("--again", action="append", default=[], help="a stage to repeat")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    options = parser.parse_args(arguments)
    try:
        check_device(options.device)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    result, deadline = Result(options.out), time.monotonic() + 60 * options.minutes
    for name, stage in stages(result, options.device, small=options.small, deadline=deadline).items():
        if result.stages.get(name, {}).get("done") and name not in options.again:
            continue
        result.stages[name] = {"done": False, "rows": []}
        if time.monotonic() > deadline:
            result.add(name, {"failed": "no time was left; run the same command again"})
            continue
        _run(result, name, stage)
    result.save()
    print(to_markdown(result))
    print(f"Written to {result.file} and {result.page}")
    return 0


def _run(result: Result, name: str, stage: Callable[[], Row | Iterable[Row]]) -> None:
    begin = time.perf_counter()
    try:
        found = stage()
        for row in [found] if isinstance(found, dict) else found:
            result.add(name, row)
        result.stages[name]["done"] = True
    except Exception as error:  # whatever it is: the next stages are worth having
        result.add(name, {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"})
    result.stages[name]["seconds"] = round(time.perf_counter() - begin, 2)
    result.save()
    print(f"{name}: {result.stages[name]['seconds']} s", file=sys.stderr)


def stages(
    result: Result, device: str, *, small: bool, deadline: float
) -> dict[str, Callable[[], Row | Iterable[Row]]]:
    """The stages by name, in order; what matters most comes first."""

    def limits() -> Row:
        return result.rows("device")[0]

    def speeds(setting: Callable[..., on_device.Setting]) -> Iterable[Row]:
        made = setting(device, small=small)
        return on_device.speeds(made, device, limits(), small=small, deadline=deadline)

    def rounding() -> Row:
        made = [setting(device, small=small) for setting in (on_device.digits, on_device.cifar)]
        return {f"float32 logits of {each.name}": device_right.logits_apart(each, device) for each in made}

    return {
        "device": lambda: on_device.facts(device, small=small),
        "correctness": lambda: device_right.correctness(device, small=small),
        "digits": lambda: speeds(on_device.digits),
        "block": lambda: on_device.whole_block(device, fastest(result.rows("digits")), small=small),
        "cifar": lambda: speeds(on_device.cifar),
        "options": lambda: on_device.options(
            on_device.digits(device, small=small), device, small=small, deadline=deadline
        ),
        "rounding": rounding,
        "supernet": lambda: on_device.supernet(device, small=small),
        "gp": lambda: device_right.gaussian_process(device, small=small),
        "whole": lambda: whole(result),
    }


def whole(result: Result) -> Row:
    """How long everything would take, from what was measured: estimates, and named so."""
    found: Row = {}
    block = next((row for row in result.rows("block") if "seconds" in row), None)
    if block:
        found["all classes of digits x 3 seeds, minutes"] = (
            CLASSES * SEEDS * block["seconds"] / block["count"] * block["of_epochs"] / block["epochs"] / 60
        )
    best = fastest(result.rows("cifar"))
    if best:
        epoch = best["epoch"] + 25_000 * best["validation"]  # of K candidates: trained, then validated
        alone = epoch / best["count"]
        found |= {
            "a training of 12 epochs at CIFAR size, K at once, seconds each": 12 * alone,
            "a training of 200 epochs at CIFAR size, K at once, seconds each": 200 * alone,
            "all classes of NAS-Bench-201 at 12 epochs, hours": CLASSES * 12 * alone / 3600,
            "all cells of NAS-Bench-201 at 12 epochs, hours": CELLS * 12 * alone / 3600,
            "K": best["count"],
            "way": best["way"],
        }
    return found or {"failed": "nothing was measured to tell it from"}


def fastest(rows: list[Row]) -> Row | None:
    """The group that trains the most images a second."""
    groups = [row for row in rows if "times_plain" in row]
    return max(groups, key=lambda row: float(row["images"]), default=None)


# The page


def to_markdown(result: Result) -> str:
    """The page: what was run, the marks, a table a stage."""
    lines = ["# Training on one device", "", "Printed by `python benchmarks/gpu.py`; do not edit.", ""]
    lines += [*_marks(result), ""]
    for name, stage in result.stages.items():
        state = "" if stage["done"] else ", not finished"
        lines += [f"## {name}", "", f"{stage.get('seconds', 0)} s{state}.", "", *_table(stage["rows"]), ""]
    return "\n".join(lines)


def _marks(result: Result) -> list[str]:
    """What was to be reached, and what was; nothing where nothing was measured, nor on a CPU."""
    if not str(next(iter(result.rows("device")), {}).get("device", "")).startswith("cuda"):
        return ["Not run on a GPU: these numbers show that every stage runs, and say nothing of a GPU."]
    lines = []
    for stage, (name, mark) in zip(("digits", "cifar"), MARKS.items(), strict=True):
        best = fastest(result.rows(stage))
        if best:
            of = f", {best['of_limits']:.0%} of what the measured limits allow"
            lines.append(
                f"- {name}: {best['times_plain']:.1f} times the plain loop's candidates a second with {best['count']} at once "
                f"({best['way']}; mark: {mark:g}){of}"
            )
    return lines


def _table(rows: list[Row]) -> list[str]:
    """Rows of the same keys as a table; a single one as a list."""
    if len(rows) == 1:
        plain = _flat(rows[0])
        return [f"- {key}: {_text(value)}" for key, value in plain.items()]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    head = [f"| {' | '.join(keys)} |", "|" + " --- |" * len(keys)]
    return [*head, *(f"| {' | '.join(_text(row.get(key, '')) for key in keys)} |" for row in rows)]


def _flat(row: Row) -> Row:
    found: Row = {}
    for key, value in row.items():
        found |= {f"{key}, {inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return found


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str("" if value is None else value).replace("|", "/")
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    torch.backends.cudnn.benchmark = False
    sys.exit(main())
