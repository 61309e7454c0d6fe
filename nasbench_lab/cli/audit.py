"""`nasbench-lab audit`: what other readings of the tables change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import complete, screen


def audit(
    tables: Annotated[
        list[str] | None, typer.Argument(autocompletion=complete.tables, help="Tables; the embedded one if left out.")
    ] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            autocompletion=complete.strategies,
            help="Name or spec; repeat. Eight cheap ones if left out.",
        ),
    ] = None,
    readings: Annotated[
        list[str] | None,
        typer.Option("--reading", metavar="NAME", help="Name of a reading; repeat. All of them if left out."),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Schedule searched on, 'all' or 'oracle'; the longest if left out.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs per strategy and reading.", metavar="N", min=2)] = 50,
    max_queries: Annotated[int, typer.Option(help="Budget of a run, in queries.", metavar="N", min=1)] = 100,
    out: Annotated[Path, typer.Option(help="Where audit.md, audit.json and the runs go.")] = Path("results/my_audit"),
    as_json: screen.AsJson = False,
) -> None:
    """Replay how others read NAS-Bench-201, and say how far numbers, ranks and significant differences move.

    Every reading runs the same strategies and seeds beside the plain one: eight cheap strategies, 50 seeds and 100 queries
    take half a minute a table. What each reading is and where it was found: docs/audit.md. Exit code 0 however much moves.

    Examples:
        nasbench-lab audit digits --seeds 20
    """
    import json

    from nasbench_lab.experiments import audit as audits
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.readings import READINGS

    chosen = tuple(strategies or audits.DEFAULTS)
    schedule = int(search) if search and search.isdecimal() else search
    names = tables or [catalog.default()]
    for name in names:
        catalog.load(name)  # a name misspelt is told before anything runs
    contents = []
    for table in names:
        with screen.progress("readings", to=out) as progress:
            contents.append(
                audits.audit(
                    table,
                    chosen,
                    search=schedule,
                    seeds=seeds,
                    max_queries=max_queries,
                    readings=tuple(readings or READINGS),
                    runs=out,
                    progress=progress,
                )
            )
    written = audits.write(contents, out)
    if as_json:
        screen.print_json(json.loads(written[1].read_text(encoding="utf-8")))
        return
    blocks = [block for content in contents for block in audits.blocks(content)]
    screen.print_blocks(blocks, f"Written to {out}: {', '.join(path.name for path in written)}; runs/")
