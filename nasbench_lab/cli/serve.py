"""`nasbench-lab serve-ask`: acts as the evaluator over stdin and stdout, for a strategy in any language.

The protocol is told in `docs/serve.md`. The loop, its clock and its budget are `runner.search`'s: what is served is a
strategy that passes on what it reads.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.evaluators.tabular import Tabular
    from nasbench_lab.strategies.foreign._lines import Message
    from nasbench_lab.study.runner import Run


def serve_ask(
    table: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", autocompletion=complete.tables, help="Table that answers; the embedded one if left out."
        ),
    ] = None,
    seed: screen.Seed = 0,
    search: screen.Search = None,
    max_queries: screen.MaxQueries = math.inf,
    max_seconds: screen.MaxSeconds = math.inf,
    trials: screen.Trials = None,
    noise: screen.Noise = 0.0,
    repeats: screen.Repeats = "charge",
    objectives: screen.Objectives = None,
    out: Annotated[Path | None, typer.Option(help="Also write the run's records to this Parquet file.")] = None,
) -> None:
    """Answer queries over stdin and stdout, a line of JSON each, so that a strategy in any language can be tried.

    Examples:
        nasbench-lab serve-ask --table digits --seed 3 --max-queries 20
    """
    from nasbench_lab.evaluators.tabular import Tabular
    from nasbench_lab.strategies.foreign._lines import Standard
    from nasbench_lab.study import runner
    from nasbench_lab.study.plan import check_objectives
    from nasbench_lab.tables import catalog

    if math.isinf(max_queries) and math.isinf(max_seconds):
        max_queries = 100
    searched = catalog.load(table or catalog.default())
    check_objectives(objectives or [], searched)
    policies: dict[str, Any] = {"search": search, "trials": trials, "noise": noise}
    evaluator = Tabular.open(searched, objectives=("val", *(objectives or [])), **policies)
    budget: dict[str, Any] = {"max_queries": max_queries, "max_seconds": max_seconds, "repeats": repeats}
    served = Standard()
    run = runner.search(served, evaluator, seed=seed, **budget)
    if served.cut:
        run = run._replace(ended="input")
    elif out is not None:
        _write(out, evaluator, run, seed, budget)
    done = run.ended in ("strategy", "input")
    if served.waiting or done or sys.stdin.readline():  # the last word is a reply, like every other message
        served.send(_final(evaluator, run, seed))
    if served.cut and out is not None:
        raise LabError(
            f'the input ended before {{"done": true}} or the budget did: an unfinished run is not written to {out}'
        )


def _final(evaluator: Tabular, run: Run, seed: int) -> Message:
    """What came out of it, the test score included: the search is over. Larger is better, like all a program is told."""
    from nasbench_lab.evaluators.tabular import score_of

    last = run.records[-1] if run.records else None
    found = last is not None and last.incumbent >= 0
    return {
        "final": {
            "ended": run.ended,
            "queries": len(run.records),
            "seconds": last.finished if last else 0.0,
            "arch": last.incumbent if last and found else None,
            "test": score_of(evaluator, last.incumbent, seed) if last and found else None,
        }
    }


def _write(path: Path, evaluator: Tabular, run: Run, seed: int, budget: dict[str, Any]) -> None:
    """The records as a run file; its strategy is a program nobody can run again from here.

    Raises:
        LabError: not a .parquet file, or it cannot be written.
    """
    from nasbench_lab import sources
    from nasbench_lab.study import plan, store

    if path.suffix != ".parquet":
        raise LabError(f"--out is a .parquet file, got {path}")
    plain = {key: None if value == math.inf else value for key, value in budget.items()}
    header = {
        "format": plan.FORMAT,
        "strategy": "serve-ask",
        "parameters": {},
        "evaluator": evaluator.policy,
        "workers": 1,
        "seeds": [seed, seed + 1],
        "versions": sources.versions(evaluator),
        **plain,
    }
    store.write(path, header, {seed: run}, evaluator.task.objectives)
