"""The command line, `nasbench-lab`: thin wrappers; everything heavy is imported when a command runs.

Exit codes: 0 done; 1 a check failed or a run was not reproduced; 2 bad input or nothing that can be done, said in one
message on stderr without a traceback; 3 a strategy is significantly worse than its baseline.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nasbench_lab.cli.audit import audit
from nasbench_lab.cli.bring import bring
from nasbench_lab.cli.check import check
from nasbench_lab.cli.commands import Commands, sentences
from nasbench_lab.cli.compare import compare, run
from nasbench_lab.cli.front import front
from nasbench_lab.cli.leaderboard import leaderboard
from nasbench_lab.cli.listing import list_plugins
from nasbench_lab.cli.measure import proxies, train
from nasbench_lab.cli.new import new
from nasbench_lab.cli.paper import latex, plot
from nasbench_lab.cli.report import query, report
from nasbench_lab.cli.reproduce import reproduce
from nasbench_lab.cli.serve import serve_ask
from nasbench_lab.cli.supernet import supernet
from nasbench_lab.cli.surrogates import surrogates
from nasbench_lab.cli.tables import tables_app
from nasbench_lab.cli.validate import validate

app = Commands(
    help="Compare neural-architecture-search strategies honestly, in seconds.",
    context_settings={"help_option_names": ["-h", "--help"]},  # of all commands
)
tables_app.command()(train)
tables_app.command()(proxies)
app.add_typer(tables_app, name="tables")


def main() -> None:
    """Entry point: what a user can mend, and an interruption, become one message and exit code 2."""
    with sentences():
        app()


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from nasbench_lab import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command()(compare)
app.command()(run)
app.command()(leaderboard)


app.command("list")(list_plugins)
app.command()(new)
app.command()(check)
app.command()(reproduce)
app.command()(validate)
app.command()(audit)
app.command("front")(front)
app.command()(query)
app.command()(report)
app.command()(bring)
app.command()(latex)
app.command()(plot)
app.command("serve-ask")(serve_ask)
app.command()(supernet)
app.command()(surrogates)


if __name__ == "__main__":
    main()
