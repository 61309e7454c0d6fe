"""`nasbench-lab check`: the conformance kits."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any, Literal

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import counted


class _Printed(io.RawIOBase):
    """Takes what somebody's code prints, which at every query would hide what is found: how many lines, and the first."""

    def __init__(self) -> None:
        self.lines, self.bytes, self.first = 0, 0, b""
        self._one_at_a_time = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        with self._one_at_a_time:
            if not self.lines:
                self.first = (self.first + content)[:400].partition(b"\n")[0]
            self.lines += content.count(b"\n")
            self.bytes += len(content)
        return len(content)

    def __str__(self) -> str:
        first = self.first.decode("utf-8", "replace")[:100]
        return f"{counted(max(self.lines, 1), 'line')}, the first: {first!r}"


@contextmanager
def _taken(printed: _Printed) -> Iterator[int]:
    """A descriptor: what is written there, by whatever process, is taken as printed."""
    reading, writing = os.pipe()

    def read() -> None:
        while content := os.read(reading, 1 << 16):
            printed.write(content)
        os.close(reading)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join(timeout=1.0)  # a process that was left behind may keep its end open


def check(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=complete.strategies,
            help="A name, pkg.module:Class or file.py, with :key=value,... if wanted.",
        ),
    ],
    kind: Annotated[Literal["strategy", "surrogate"], typer.Option(help="What it is.")] = "strategy",
) -> None:
    """Run the conformance kit on a strategy or a surrogate; exit code 1 if a check fails.

    Examples:
        nasbench-lab check my_search.py
        nasbench-lab check --kind surrogate "sklearn.svm:SVR:C=10"
    """
    from nasbench_lab.testing.checks import CheckFailed, NotRun
    from nasbench_lab.testing.strategy_kit import check_strategy, check_surrogate

    console = screen.console()
    failed: dict[str, list[str]] = {}  # cause -> checks
    skipped, printed = 0, _Printed()
    output = io.TextIOWrapper(printed, encoding="utf-8", errors="replace", write_through=True)  # type: ignore[type-var]
    with _taken(printed) as writing:
        for test in check_strategy(name) if kind == "strategy" else check_surrogate(name):
            try:
                with screen.diverted(writing), redirect_stdout(output):
                    test()
            except NotRun:
                skipped += 1
            except CheckFailed as error:
                cause = next((known for known in failed if str(error).endswith(known)), str(error))
                failed.setdefault(cause, []).append(test.name)
                console.print(f"FAIL  {test.name}", style="red", highlight=False, markup=False)
            else:
                console.print(f"pass  {test.name}", highlight=False, markup=False)
    for cause, checks in failed.items():
        share = f'{len(checks)} checks, the first: "{checks[0]}"' if len(checks) > 1 else f"{checks[0]}:"
        console.print(f"\n{share}\n    {cause}", style="red", highlight=False, markup=False)
    output.flush()
    if printed.bytes:
        console.print(f"\nnote: it printed {printed}", highlight=False, markup=False)
    count = sum(map(len, failed.values()))
    more = f", {counted(skipped, 'other')} not run" if skipped else ""
    console.print(f"\n{counted(count, 'check')} failed{more}" if failed else "all checks passed", highlight=False)
    raise typer.Exit(1 if failed else 0)
