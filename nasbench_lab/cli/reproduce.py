"""`nasbench-lab reproduce`: whether recorded runs are what the code gives now."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.cli import screen

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from nasbench_lab.experiments.reproduce import Outcome


_SHOWN = 3  # differences told of one strategy


def reproduce(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    run_id: Annotated[str | None, typer.Option("--run", help="Only this: id, or id:seed where runs/ is there.")] = None,
    workers: screen.Workers = 1,
    trust: screen.Trust = None,
) -> None:
    """Re-run what a results folder recorded and compare every record and every shown number; exit code 1 if any differs.

    Where runs/ is not there, as in a fresh clone, the manifest's study is run elsewhere and compared by digest.
    Strategies that are somebody's files, classes or programs are run only with --trust.

    Examples:
        nasbench-lab reproduce results/compare
        nasbench-lab reproduce results/digits --workers 2
    """
    from collections import Counter

    from nasbench_lab.experiments import reproduce as again

    say = screen.now_and_then()
    done = 0

    def counted() -> Iterator[Outcome]:
        nonlocal done
        for outcome in again.reproduce(
            folder, run=run_id, workers=workers, trusted=screen.trusted(trust), progress=row
        ):
            done += 1
            say(f"{done:,} compared so far")
            yield outcome

    def row(runs: int, total: int) -> None:
        say(f"{done:,} compared so far; of the next row {runs:,} of {total:,} runs are done")

    runs: Counter[str] = Counter()
    good = True
    others: Counter[str] = Counter()  # tables and what is shown: only told where they differ
    for outcomes, lines in told(counted()):
        for outcome in outcomes:
            if outcome.kind == "run":
                runs[outcome.verdict] += outcome.runs
            else:
                others[outcome.kind] += 1
        if lines:
            good = False
            print("\n".join(lines), flush=True)
    there = any((folder / "runs").glob("*.parquet"))
    what = "runs" if there else "rows (each by the manifest's digest of all its runs)"
    counts = f"{runs['same']} {what} reproduced exactly, {runs['differs']} differ, {runs['not run']} could not be run"
    print(f"{counts}; {_of_shown(others)}" if run_id is None or others else counts)
    if run_id is None and (note := again.unchecked(folder)):
        print(note)
    raise typer.Exit(0 if good else 1)


def told(outcomes: Iterator[Outcome]) -> Iterator[tuple[list[Outcome], list[str]]]:
    """Outcomes, strategy by strategy as they come, with what is to be said of them: nothing if all are the same."""
    for (identity, strategy), found in groupby(outcomes, key=lambda each: (each.id.partition(":")[0], each.strategy)):
        block = list(found)
        said = []
        for verdict in ("differs", "not run"):
            bad = [each for each in block if each.verdict == verdict]
            if bad:
                count = sum(each.runs for each in bad)
                share = f", {count} of {sum(each.runs for each in block)} runs" if ":" in bad[0].id or count > 1 else ""
                said += [f"{verdict}  {identity}  {strategy}{share}", *(f"    {line}" for line in _reasons(bad))]
        yield block, said


def _reasons(bad: Sequence[Outcome]) -> Iterator[str]:
    """Each reason once with its seeds, the first few; then each cause once."""
    seeds: dict[str, list[str]] = {}
    for each in bad:
        seeds.setdefault(each.reason, []).append(each.id.partition(":")[2])
    for reason, own in list(seeds.items())[:_SHOWN]:
        numbers = ", ".join(own[:_SHOWN]) + (f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else "")
        yield (f"seed {numbers}: " if own[0] else "") + reason
    if len(seeds) > _SHOWN:
        yield f"and {len(seeds) - _SHOWN} more"
    yield from dict.fromkeys(each.cause for each in bad if each.cause)


def _of_shown(others: Counter[str]) -> str:
    """What became of tables and of what is shown."""
    parts = [
        f"{others[kind]} {what}" for kind, what in (("table", "tables"), ("shown", "shown values")) if others[kind]
    ]
    return f"{' and '.join(parts)} differ or cannot be had" if parts else "tables and shown values as they were"
