"""How the numbers of a results folder came about, as HTML text: commands, policies, tables, versions, runs, checklist."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasbench_lab.report.charts import Row
from nasbench_lab.report.sections import element, escaped, table


def made(manifest: Row, checklist: Sequence[Row], folder: str) -> str:
    """The section as HTML, of what manifest.json says."""
    study = manifest.get("study", {})
    tasks = study.get("tasks", [])
    again = commands(study, folder, others=bool(manifest.get("strategies")))
    parts = [
        "<h3>Again, on your machine</h3>",
        element("pre", escaped("\n".join(again)), tabindex="0", aria_label="commands", role="region"),
    ]
    if tasks:
        keys = [key for key in tasks[0] if any(task.get(key) not in (None, [], ()) for task in tasks)]
        rows = [[_plain(task.get(key)) for key in keys] for task in tasks]
        parts += [
            "<h3>Tasks and policies</h3>",
            table([key.replace("_", " ") for key in keys], rows, "Tasks and policies"),
        ]
    tables = [
        (name, item.get("label", ""), item.get("digest", "")) for name, item in manifest.get("tables", {}).items()
    ]
    if tables:
        parts += ["<h3>Tables</h3>", table(("table", "what", "digest"), tables, "Tables", class_="digests")]
    versions = list(manifest.get("versions", {}).items())
    if versions:
        parts += ["<h3>Versions</h3>", table(("package", "version"), versions, "Versions")]
    runs = [
        (run.get("strategy", ""), run.get("table", ""), run.get("id", ""), run.get("records_sha256", ""))
        for run in manifest.get("runs", [])
    ]
    if runs:
        inner = table(("strategy", "table", "run id", "SHA-256 of the records"), runs, "Runs", class_="digests")
        parts.append(f"<details><summary>{len(runs)} runs and the digests of their records</summary>{inner}</details>")
    if checklist:
        items = [
            (str(item.get("item", "")), str(item.get("status", "")), str(item.get("why", ""))) for item in checklist
        ]
        about = "Best practice of NAS research (Lindauer and Hutter, JMLR 21-243, 2020), as far as the manifest tells."
        parts += [
            "<h3>Checklist</h3>",
            element("p", about, class_="note"),
            table(("item", "status", "why"), items, "Checklist"),
        ]
    return "".join(parts)


def commands(study: Row, folder: str, *, others: bool = False) -> list[str]:
    """What gives the same numbers again: all at once, and task by task into folders of their own.

    `compare` begins with seed 0: of a study that began elsewhere it would give other numbers, and is not named. `others`:
    there are strategies of others, which run by the user's word only.
    """
    trust = " --trust all" if others else ""
    lines = [f"nasbench-lab reproduce {_quoted(folder)}{trust}      # re-runs everything and compares every record"]
    if study.get("first_seed"):
        return lines
    out = Path(folder).parent / f"mine_{Path(folder).name}"
    quoted = " ".join(_quoted(spec) for spec in study.get("strategies", []))
    tasks = study.get("tasks", [])
    for number, task in enumerate(tasks, start=1):
        options = [f"--table {_quoted(str(task['table']))}"]
        options += [f"--score {_quoted(str(name))}" for name in task.get("score") or []]
        for key, default in (
            ("search", None),
            ("trials", None),
            ("noise", 0),
            ("repeats", "charge"),
            ("simulated_workers", 1),
            ("evaluator", "tabular"),
            ("max_queries", None),
            ("max_seconds", None),
        ):
            value = task.get(key)
            if value is not None and value != default:
                options.append(
                    f"--{key.replace('_', '-')} {value:g}"
                    if isinstance(value, (int, float))
                    else f"--{key.replace('_', '-')} {_quoted(str(value))}"
                )
        options += [f"--objectives {_quoted(str(name))}" for name in (task.get("objectives") or ["val"])[1:]]
        options += [f"--source {_quoted(str(name))}" for name in task.get("sources") or []]
        where = _quoted(f"{out}_{number}" if len(tasks) > 1 else str(out))
        lines.append(f"nasbench-lab compare {quoted} {' '.join(options)} --seeds {study.get('seeds')} --out {where}")
    return lines


def _quoted(word: str) -> str:
    """A word as a shell takes it; short names as they are."""
    return f"'{word}'" if set(word) & set(":=, ") and "'" not in word else shlex.quote(word)


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else (value if isinstance(value, str) else json.dumps(value))
