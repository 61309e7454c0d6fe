"""What the command line shows: tables, facts, JSON, a progress bar; and the options its commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from rich.console import Console

    from nasbench_lab.leaderboard.parts import Leaderboard
    from nasbench_lab.leaderboard.wording import Block

_answer: ContextVar[list[str] | None] = ContextVar("answer", default=None)  # what `aside` prints at the end
_OFTEN = 10.0  # seconds between two lines that say how far a command is
_SEED: dict[str, Any] = {"metavar": "N", "min": 0, "max": (1 << 63) - 1}
Seed = Annotated[int, typer.Option(help="Decides noise, trials and the seed the program is handed.", **_SEED)]
FirstSeed = Annotated[int, typer.Option(help="The first new seed; none the table was made with.", **_SEED)]
Seeds = Annotated[
    list[int] | None,
    typer.Option(help="A seed every class is trained with; repeat for several. 777 if left out.", **_SEED),
]
MoreSeeds = Annotated[
    list[int] | None,
    typer.Option(help="A further seed, for the best and a random sample; repeat for several.", **_SEED),
]
Search = Annotated[str | None, typer.Option(help="Schedule to search on (its last epoch), 'all' of them, or 'oracle'.")]
MaxQueries = Annotated[float, typer.Option(help="Budget in queries; 100 if no budget is given.", metavar="N", min=1)]
MaxSeconds = Annotated[float, typer.Option(help="Budget in simulated seconds.", metavar="X", min=0)]
Trials = Annotated[
    str | None,
    typer.Option(
        help="What a query returns: mean, sample (one trial per seed and cell) or split (one training, and runs are "
        "scored on the cell's others); the table's own policy if left out: split for digits and chain, mean for most."
    ),
]
Noise = Annotated[float, typer.Option(help="Extra query noise, standard deviation in points.", metavar="X", min=0)]
Repeats = Annotated[str, typer.Option(help="Repeated queries: charge, free, or free-class.")]
Objectives = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC", help="A further objective, a metric of the table; repeat for several."),
]
Workers = Annotated[int, typer.Option(help="Processes to run with.", metavar="N", min=1)]
Backend = Annotated[
    str,
    typer.Option(
        metavar="ENGINE",
        help="Who computes: loky (processes here), threading, sequential; dask, ray (started here), dask:ADDRESS or "
        "dask:SCHEDULER_FILE.json, ray:ADDRESS (running elsewhere, all its workers unless --workers says fewer); "
        "slurm:partition=P,time=MINUTES,... Results are written here, whoever computes: see 'From a laptop to a cluster' in "
        "the guide.",
    ),
]
WriteOn = Annotated[
    str,
    typer.Option(
        "--write-on",
        metavar="WHO",
        help="Who writes results: caller (this command, what workers send back), or workers, into --out, which they must "
        "share under the same path; each sees to that first.",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Another number of epochs than the recipe's.", metavar="N", min=1)]
PartSize = Annotated[int | None, typer.Option(help="Digits: canvases per epoch.", metavar="N", min=1)]
HeldOutSize = Annotated[int | None, typer.Option(help="Digits: canvases in val and test each.", metavar="N", min=1)]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Run this of others that the folder names (a file, a class), or all; repeat for several."
    ),
]


def _aside(context: typer.Context, asked: bool) -> bool:
    """Of an answer in JSON, stdout is for the answer alone: what else is printed meanwhile, by a strategy say, is not lost."""
    if asked:
        context.with_resource(aside())
    return asked


@contextmanager
def aside() -> Iterator[None]:
    """Whatever is printed meanwhile, by processes that are started too, goes to stderr; `print_json` prints on stdout."""
    parts = list[str]()
    token = _answer.set(parts)
    try:
        with diverted(2), redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        _answer.reset(token)
        print("".join(parts), end="", flush=True)  # also where the command ends with another exit code


@contextmanager
def diverted(to: int) -> Iterator[None]:
    """What is written to standard output past Python, by processes that are started too, goes to this descriptor meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(to, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def trusted(names: list[str] | None) -> list[str] | None:
    """What `--trust` names; None for all."""
    return None if "all" in (names or ()) else names or []


AsJson = Annotated[bool, typer.Option("--json", callback=_aside, help="Print rows as JSON instead of a table.")]


Explain = Annotated[bool, typer.Option("--explain", help="Say what every column means, too.")]


def now_and_then() -> Callable[[str], None]:
    """Says on stderr how far something is: what it is told, once `_OFTEN` seconds have passed since it said something."""
    import time

    last = time.monotonic()

    def say(words: str) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _OFTEN:
            last = now
            print(words, file=sys.stderr, flush=True)

    return say


@contextmanager
def progress(what: str = "runs", kept: str = "", to: Path | str | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar with time left, on stderr, elsewhere than on a terminal a line now and then; both say where it is written `to`.

    An interruption becomes a message, which says what is `kept` (`what` if left out).
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    where = f" to {to}" if to else ""
    columns = (
        TextColumn(what + where, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)  # elsewhere than on a terminal a bar would only leave an empty line
    say = now_and_then() if not console.is_terminal else lambda _words: None
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            say(f"{what}{where}: {done:,} of {total:,}")

        try:
            yield update
        except KeyboardInterrupt:
            raise LabError(
                f"interrupted; finished {kept or what} are kept; the same command goes on from there"
            ) from None


def show(board: Leaderboard, folder: Path, as_json: bool, *, explain: bool = False) -> None:
    """The leaderboard, section by section, and what its columns mean where that is asked for; or its rows as JSON."""
    import json

    from nasbench_lab.leaderboard import wording
    from nasbench_lab.leaderboard import written as boards

    if as_json:
        print_json(json.loads(boards.to_json(board))["rows"])
        return
    files = "leaderboard.md, .csv, .json, curves.csv, details.json, manifest.json; runs/"
    print_blocks(wording.blocks(board, doubts=True), f"Written to {folder}: {files}")
    if explain:
        _explain(board)
    if said := wording.answer(board):
        console().print(f"\n{said}", style="bold", highlight=False, markup=False)


def _explain(board: Leaderboard) -> None:
    """Every column that is shown, with what it means."""
    from rich.table import Table as Grid

    from nasbench_lab.leaderboard import wording

    grid = Grid(box=None, pad_edge=False, show_header=False)
    for head, meaning in wording.explained(board).items():
        grid.add_row(head, meaning)
    terminal = console()
    terminal.print("\nColumns", style="bold")
    terminal.print(grid, highlight=False)


def print_blocks(blocks: Iterable[Block], end: str) -> None:
    """Tables with their titles and notes, then a line below all of them."""
    from rich.table import Table as Grid

    from nasbench_lab.leaderboard import decimals

    terminal = console()
    for block in blocks:
        terminal.print(f"\n{block.title}", style="bold", highlight=False, markup=False)
        if block.answer:
            terminal.print(block.answer, highlight=False, markup=False)
        grid = Grid(box=None, pad_edge=False, header_style="dim")
        for i, head in enumerate(block.heads):
            grid.add_column(head.replace(" (", "\n("), justify="left" if i in block.words else "right", overflow="fold")
        for row in decimals.even(block.rows):
            grid.add_row(*row)
        terminal.print(grid)
        terminal.print(block.note, style="dim", highlight=False, markup=False)
    terminal.print(f"\n{end}", highlight=False, markup=False)


def console() -> Console:
    """The terminal; 160 columns where output goes to a file or a pipe. Names are shown as they are: no markup, no emoji."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, markup=False, emoji=False)


def print_json(content: Any) -> None:
    """Content as indented JSON on stdout, once all else is done."""
    import json

    text = json.dumps(content, indent=1) + "\n"
    parts = _answer.get()
    if parts is None:
        print(text, end="")
    else:
        parts.append(text)


def print_facts(facts: dict[str, Any]) -> None:
    """Nested facts as an indented list."""
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        lines = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else [str(value)]
        for i, line in enumerate(lines or ["none"]):
            print(f"{key if i == 0 else '':<{width}}  {line}")
