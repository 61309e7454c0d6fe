"""A strategy in another program, over lines of JSON; the protocol is told in `docs/serve.md`.

The lab says hello first; after that every message of the program gets exactly one reply:

    {"ask": {"arch": 11}}   ->   {"arch": 11, "epochs": 12, "val": 84.2, "seconds": 110.3}
    anything else           ->   {"error": "..."}, and the program may go on
    {"done": true}: nothing more will be asked

Every score a program is told is larger-is-better; the hello message has the table's unit and direction.
One query at a time: with several simulated workers the others stay idle.
"""

from __future__ import annotations

import json
import math
import sys
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from nasbench_lab.core import LabError, Query, Result, Strategy, Task, direction
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.space import Space

PROTOCOL = 1
_LONGEST = 1 << 20  # letters of a line
_DESIGN = 20  # cells of the common design that the hello message names
Message = dict[str, Any]


@dataclass
class Spoken(Strategy):
    """Passes on what a program asks for and what it is told."""

    patience = math.inf  # errors in a row before the program is given up

    def setup(self) -> None:
        self.waiting = False  # whether the program has asked and was not answered yet
        self._done = False
        self.cut = False  # whether the program's lines ended before it was done
        self.send(hello(self.task, int(self.rng.integers(2**31)), [self.design() for _ in range(_DESIGN)]))

    @abstractmethod
    def receive(self) -> str | None:
        """The program's next line; None at the end."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """A line to the program."""

    def propose(self) -> Query | None:
        errors = 0
        while not self.waiting and not self._done:
            line = self.receive()
            try:
                query = None if line is None else query_of(line, self.task)
            except ValueError as error:
                self.send({"error": str(error)})
                errors += 1
                if errors > self.patience:
                    raise LabError(f"the program made {errors} errors in a row, the last one: {error}") from None
                continue
            self._done, self.waiting, self.cut = query is None, query is not None, line is None
            return query
        return None

    def observe(self, result: Result) -> None:
        self.waiting = False
        self.send(answer(result, self.task.space))


@dataclass
class Standard(Spoken):
    """The program is at the other end of our own standard input and output."""

    def receive(self) -> str | None:
        """The next line of the other side; None at its end."""
        return sys.stdin.readline(_LONGEST) or None

    def send(self, message: Message) -> None:
        """A message to the other side, as a line."""
        print(json.dumps(message), flush=True)


def hello(task: Task, seed: int, design: list[int]) -> Message:
    """What a program may know; `directions` are of what it is told, `sign` turns that into the table's scores."""
    message: Message = {
        "hello": "nasbench_lab",
        "protocol": PROTOCOL,
        "seed": seed,
        "size": task.space.size,
        "options": list(task.space.options),
        "decisions": [
            {"name": each.name, "labels": list(each.options), "ordered": each.ordered} for each in task.space.decisions
        ],
        "fidelities": list(task.fidelities),
        "objectives": list(task.objectives),
        "unit": task.unit,
        "better": task.better,
        "sign": 1 if task.better == "higher" else -1,
        "directions": {name: direction(name) for name in task.objectives},
        "max_queries": None if math.isinf(task.max_queries) else int(task.max_queries),
        "max_seconds": _finite(task.max_seconds),
        "design": design,
    }
    if cells.is_cell(task.space):
        message |= {"ops": list(cells.labels_of(task.space)), "edges": [list(edge) for edge in cells.EDGES]}
    return message


def query_of(line: str, task: Task) -> Query | None:
    """The query of a line; None for "done".

    Raises:
        ValueError: anything else; says what is allowed.
    """
    try:
        message = json.loads(line)
    except ValueError:
        raise ValueError(f"a message is one line of JSON, got {line.strip()[:80]!r}") from None
    if isinstance(message, dict) and message.get("done") is True:
        return None
    asked = message.get("ask") if isinstance(message, dict) else None
    if not isinstance(asked, dict) or ("arch" in asked) == ("ops" in asked):
        raise ValueError('say {"ask": {"arch": INDEX}}, {"ask": {"ops": [...]}} or {"done": true}')
    arch = _arch_of(asked["arch"], task) if "arch" in asked else _arch_of_ops(asked["ops"], task)
    epochs = asked.get("epochs", task.full)
    if epochs not in task.fidelities or isinstance(epochs, bool):
        raise ValueError(f"epochs must be one of {', '.join(map(str, task.fidelities))}, got {epochs!r}")
    return Query(arch, int(epochs))


def _arch_of(arch: object, task: Task) -> int:
    if not isinstance(arch, int) or isinstance(arch, bool) or not 0 <= arch < task.space.size:
        raise ValueError(f"arch must be a whole number in 0..{task.space.size - 1}, got {arch!r}")
    return arch


def _arch_of_ops(ops: object, task: Task) -> int:
    """Of options by number, or by decision and label; of a cell also of its string or of op names separated by commas."""
    if isinstance(ops, str) and cells.is_cell(task.space):
        return (
            cells.from_string(task.space, ops)
            if "|" in ops
            else task.space.index(_labelled(ops.split(","), task.space))
        )
    if isinstance(ops, dict) and set(ops) == {each.name for each in task.space.decisions}:
        return task.space.index(_labelled([ops[each.name] for each in task.space.decisions], task.space))
    if not isinstance(ops, list) or not all(isinstance(op, int) and not isinstance(op, bool) for op in ops):
        named = ", ".join(each.name for each in task.space.decisions)
        raise ValueError(
            f"ops must be a list of {len(task.space.options)} whole numbers, or the label of each of {named}, got {ops!r}"
        )
    return task.space.index(ops)


def _labelled(labels: list[Any], space: Space) -> list[int]:
    """Options by label, one per decision."""
    if len(labels) != len(space.decisions):
        raise ValueError(f"expected {len(space.decisions)} options, got {len(labels)}: {', '.join(map(str, labels))}")
    return [each.number(label) for each, label in zip(space.decisions, labels, strict=True)]


def answer(result: Result, space: Space) -> Message:
    """What a program is told; a failed evaluation has no `val`."""
    query = result.query
    message: Message = {
        "arch": query.arch,
        "ops": list(space.row(query.arch)),
        "epochs": query.epochs,
        "val": _finite(result.val),
        "seconds": result.seconds,
    }
    return message | ({"metrics": dict(result.metrics)} if result.metrics else {})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
