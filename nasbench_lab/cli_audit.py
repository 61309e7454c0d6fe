"""`nasbench-lab audit`: what other readings of the tables change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab import screen


def audit(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables; the embedded one if left out.")] = None,
    strategies: Annotated[
        list[str] | None, typer.Option("--strategy", help="Name or spec; repeat. Eight cheap ones if left out.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="Schedule searched on; the longest if left out.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs per strategy and reading.", min=2)] = 50,
    max_queries: Annotated[int, typer.Option(help="Budget in queries.", min=1)] = 100,
    out: Annotated[Path, typer.Option(help="Where audit.md, audit.json and the runs go.")] = Path("results/my_audit"),
    as_json: screen.AsJson = False,
) -> None:
    """Replay how others read NAS-Bench-201, and say how far numbers, ranks and significant differences move."""
    import json

    from nasbench_lab import audit as audits
    from nasbench_lab.tables import catalog

    chosen = tuple(strategies or audits.DEFAULTS)
    schedule = int(search) if search and search.isdecimal() else search
    contents = []
    for table in tables or [catalog.default()]:
        with screen.progress("readings") as progress:
            contents.append(
                audits.audit(
                    table,
                    chosen,
                    search=schedule,
                    seeds=seeds,
                    max_queries=max_queries,
                    runs=out,
                    progress=progress,
                )
            )
    written = audits.write(contents, out)
    if as_json:
        screen.print_json(json.loads(written[1].read_text()))
        return
    print("\n".join(map(audits.to_markdown, contents)))
    print(f"Written to {out}: {', '.join(path.name for path in written)}; runs/")
