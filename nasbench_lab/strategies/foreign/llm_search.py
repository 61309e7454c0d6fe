"""Search by a language model: the space and the results so far in words, the next configurations as JSON.

Any OpenAI-compatible endpoint: `OPENAI_BASE_URL` is its address, `OPENAI_API_KEY` the key where it wants one; neither is
kept. As in GENIUS (Zheng et al. 2023, arXiv:2304.10970) and OPRO (Yang et al. 2024, arXiv:2309.03409) every prompt holds
the space and what was tried, with scores, and asks for what comes next. The first `initial` are cells of the common design,
so that comparisons are paired.

A reply must be a JSON list of configurations, each {decision: label}. What was asked before, or stands in the reply twice,
is a repeat; what is no configuration of the space is nonsense; neither is asked for. A reply with nothing new is answered by
what is wrong with it; after `retries` of these the next cell is a random one. All of it is counted (`counts`); the first
random cell of a run, and the end of its tokens, are said on stderr.

A model may have read the published tables: with `words=true` it knows what "nor_conv_3x3" is, and perhaps which cell is best,
and what it knows is no search. With `words=false` decisions are d1, d2, ... and options a, b, ..., so that results are all
there is to go by: compare both. The table and the space are named in neither.

Replies are recorded in a file per run, in the folder `answers`, and the same request of the same run is answered from there:
a run is repeated without the network, on another machine too with that folder. What an endpoint says to the same request
twice is its own affair; it is sent the run's seed.

Deviations: GENIUS asks for one at a time and shows all results; here `batch` and `history`. OPRO optimises prompts.
"""

from __future__ import annotations

import json
import math
import os
import re
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError, Query, Result, Strategy, directed, direction
from nasbench_lab.files import bounded, paths, writing
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.decisions import text_of
from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.strategies.foreign import _endpoint
from nasbench_lab.strategies.foreign._answers import Answers, digest

MODEL = "OPENAI_MODEL"
_DIGITS = 6  # of a score in a prompt
_SHOWN = 8  # things wrong with a reply that it is told of
Message = dict[str, str]


@dataclass
class LlmSearch(Strategy):
    """Asks a language model what to try next.

    Attributes:
        model: what the endpoint calls it; that of `$OPENAI_MODEL` if left out.
        batch: configurations asked for in one reply.
        history: results in a prompt, half of them the best and half the latest.
        initial: cells of the common design before the model decides.
        words: decisions and options have their names; else d1, d2, ... and a, b, ....
        temperature: of the model's draws, 0 to 2.
        answers: folder of recorded replies; `answers` in the user's data folder if left out.
        timeout: seconds of one request.
        attempts: of one request, while the endpoint is busy or not reached.
        retries: replies without anything new before a random cell is asked for.
        reply_tokens: in one reply at most, as the endpoint counts.
        run_tokens: in a run at most, requests and replies; then the strategy ends.
    """

    model: str = ""
    batch: int = 1
    history: int = 50
    initial: int = 10
    words: bool = True
    temperature: float = 1.0
    answers: str = ""
    timeout: float = 60.0
    attempts: int = 5
    retries: int = 3
    reply_tokens: int = 2048
    run_tokens: int = 5_000_000

    paper = "Zheng et al. 2023, arXiv:2304.10970"

    def __post_init__(self) -> None:
        self.model = self.model or os.environ.get(MODEL, "").strip()
        least = {
            "batch": 1,
            "history": 1,
            "initial": 0,
            "attempts": 1,
            "retries": 0,
            "reply_tokens": 1,
            "run_tokens": 1,
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if not 0 < self.timeout < 1e6 or not 0 <= self.temperature <= 2:
            raise ValueError(
                f"need a timeout in seconds, more than 0, and a temperature in 0..2; got {self.timeout} and {self.temperature}"
            )

    @property
    def caveat(self) -> str:
        """For the board: what stands beside its rows."""
        known = "its model may have read this table's scores, and what it knows beforehand is no search; compare words=false"
        return "; ".join(filter(None, (f"asked of {self.model}" if self.model else "", known if self.words else "")))

    def setup(self) -> None:
        folder = self._folder()
        if not self.model:
            raise LabError(f"llm_search: which model? Say model=NAME, or set {MODEL}")
        if not _endpoint.is_there() and not folder.is_dir():
            raise LabError(
                f"llm_search: set {_endpoint.ADDRESS} to the address of an OpenAI-compatible endpoint, or say answers=DIR where "
                f"replies are recorded; there are none in {folder}"
            )
        self.counts = {"replies": 0, "used": 0, "repeats": 0, "nonsense": 0, "random": 0, "tokens": 0}
        self.__dict__.pop("_file", None)  # of an earlier run
        self._seed = int(self.rng.integers(2**31))
        self._names = _Names(self.task, self.words)
        self._results: list[tuple[int, float, dict[str, float]]] = []  # cell, val, metrics
        self._asked: dict[int, bool] = {}  # cell -> whether it was answered, in the order of asking
        self._wanted: list[int] = []
        self._ended = False

    def propose(self) -> Query | None:
        if len(self._asked) >= self.task.space.size or self._ended:
            return None
        arch = self._next()
        if arch is None:
            self._ended = True
            self._say(f"{self.run_tokens:,} tokens are spent, the search ends")
            return None
        self._asked[arch] = False
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._asked[result.query.arch] = True
        self._results.append((result.query.arch, result.val, dict(result.metrics)))

    def _next(self) -> int | None:
        """The next cell; None once tokens are spent."""
        if len(self._asked) < self.initial:
            return unseen(self, self._asked.keys())
        while self._wanted:
            if (arch := self._wanted.pop(0)) not in self._asked:
                return arch
        return self._advised()

    def _advised(self) -> int | None:
        """What the model says, or a random cell where it says nothing that is new."""
        messages = [{"role": "system", "content": self._task()}, {"role": "user", "content": self._so_far()}]
        for _ in range(self.retries + 1):
            if self.counts["tokens"] >= self.run_tokens:
                return None
            text = self._reply(messages)
            fresh, wrong = self._understood(text)
            self.counts["used"] += len(fresh)
            if fresh:
                self._wanted = fresh[1:]
                return fresh[0]
            messages = [
                *messages,
                {"role": "assistant", "content": text},
                {"role": "user", "content": "That cannot be used: " + "; ".join(wrong[:_SHOWN]) + ". " + self._wish()},
            ]
        self.counts["random"] += 1
        if self.counts["random"] == 1:
            self._say(f"{self.retries + 1} replies with nothing new, a random cell is asked for instead")
        return unseen(self, self._asked.keys())

    def _reply(self, messages: list[Message]) -> str:
        body = {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.reply_tokens,
            "seed": self._seed,
        }
        recorded, request = self._recorded(), digest(body)
        if request not in recorded:
            if not _endpoint.is_there():
                raise LabError(
                    f"llm_search: {recorded.path} has no reply to what is asked, and {_endpoint.ADDRESS} names no endpoint"
                )
            recorded.add(request, _endpoint.ask(body, timeout=self.timeout, attempts=self.attempts))
        reply = recorded[request]
        self.counts["replies"] += 1
        self.counts["tokens"] += reply.tokens
        return reply.text

    def _recorded(self) -> Answers:
        """Read once a run; not kept when a run is pickled."""
        if "_file" not in self.__dict__:
            run = digest([self.model, self.temperature, self.reply_tokens, self._seed, self._task()])
            self._file = Answers(self._folder() / f"{run}.jsonl")
        return self._file

    def _folder(self) -> Path:
        if self.answers:
            return paths.home(self.answers)
        known = writing.data_folders()
        if not known:
            raise LabError("llm_search: no folder is known for recorded replies; say answers=DIR")
        return known[0] / "answers"

    def _understood(self, text: str) -> tuple[list[int], list[str]]:
        """New cells of a reply, and what is wrong with the rest of it."""
        try:
            given = _configurations(text)
        except ValueError as error:
            self.counts["nonsense"] += 1
            return [], [str(error)]
        fresh: list[int] = []
        wrong: list[str] = []
        for each in given:
            try:
                arch = self._names.arch(each)
            except ValueError as error:
                self.counts["nonsense"] += 1
                wrong.append(str(error))
                continue
            if arch in self._asked or arch in fresh:
                self.counts["repeats"] += 1
                wrong.append(f"{json.dumps(self._names.labels(arch))} was tried before")
            else:
                fresh.append(arch)
        return fresh, wrong or ["the list is empty"]

    def _task(self) -> str:
        """What does not change during a run."""
        task, names = self.task, self._names
        lines = [
            "You search for the best configuration of a neural network. A configuration has one option of each decision:",
            *names.lines(),
        ]
        whole = math.prod(task.space.options)
        if task.space.size < whole:
            lines.append(f"Of the {whole:,} combinations {task.space.size:,} exist; what does not will be refused.")
        if self.words and cells.is_cell(task.space):
            edges = ", ".join(f"{a}->{b}" for a, b in cells.EDGES)
            lines.append(
                f"The decisions are the operations on the edges {edges} of a graph of four nodes, in this order; a node is "
                "the sum of what its edges bring, node 0 the input and node 3 the output."
            )
        lines.append(f"Each is trained and scored: {_score(task.unit)}, {task.better} is better.")
        for name in task.objectives[1:]:
            better = "higher" if direction(name) > 0 else "lower"
            lines.append(
                f"It also has {directed(name)[0]}, {better} is better; every trade-off between these is wanted."
            )
        return "\n".join(lines)

    def _so_far(self) -> str:
        """Results, best first, then the latest, and the wish."""
        sign = 1 if self.task.better == "higher" else -1
        known = [row for row in self._results if row[1] == row[1]]
        best = sorted(range(len(known)), key=lambda i: -known[i][1])
        half = self.history - self.history // 2
        chosen = best[:half]
        latest = [i for i in range(len(known) - 1, -1, -1) if i not in chosen][: self.history - len(chosen)]
        scored = f"{len(known)} configurations were scored. The best, and of the others the latest:"
        lines = [scored if known else "None was scored yet."]
        for i in (*chosen, *reversed(latest)):
            arch, val, metrics = known[i]
            more = "".join(f", {directed(name)[0]} {value:.{_DIGITS}g}" for name, value in metrics.items())
            lines.append(f"{json.dumps(self._names.labels(arch))}: {sign * val:.{_DIGITS}g}{more}")
        waiting = [arch for arch, answered in self._asked.items() if not answered]
        if waiting:
            lines.append("Tried and not scored yet:")
            lines += [json.dumps(self._names.labels(arch)) for arch in waiting]
        return "\n".join([*lines, self._wish()])

    def _wish(self) -> str:
        count = "one configuration" if self.batch == 1 else f"{self.batch} different configurations"
        return (
            f"Name {count} not among these that may be better than all of them. Answer with nothing but a JSON list "
            'of objects, each with one option of every decision: [{"' + self._names.decisions[0] + '": ..., ...}].'
        )

    def _say(self, what: str) -> None:
        counted = ", ".join(f"{value:,} {name}" for name, value in self.counts.items())
        print(f"llm_search: {what}; so far {counted}", file=sys.stderr, flush=True)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_file"}


class _Names:
    """What decisions and options are called in prompts."""

    def __init__(self, task: Any, words: bool) -> None:
        self._space, self._words = task.space, words
        decisions = task.space.decisions
        self.decisions = [each.name if words else f"d{i}" for i, each in enumerate(decisions, 1)]
        self._labels = [
            [text_of(option) for option in each.options] if words else list(_letters(len(each.options)))
            for each in decisions
        ]
        self._ordered = [each.ordered for each in decisions]

    def lines(self) -> Iterator[str]:
        """A line per decision."""
        for name, labels, ordered in zip(self.decisions, self._labels, self._ordered, strict=True):
            kind = "one of these, in their order" if ordered else "one of"
            yield f"- {json.dumps(name)}: {kind} {json.dumps(labels)}"

    def labels(self, arch: int) -> dict[str, str]:
        """Decision -> option, of a cell."""
        row = self._space.row(arch)
        return {name: labels[option] for name, labels, option in zip(self.decisions, self._labels, row, strict=True)}

    def _number_of(self, place: int, option: str | None) -> int | None:
        """The option that is the same number, "1e-3" for 0.001; None if there is none."""
        try:
            known = self._words and option is not None
            return int(self._space.decisions[place].number(option)) if known else None
        except ValueError:
            return None

    def arch(self, given: Any) -> int:
        """The cell of a configuration that a reply holds.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(given, dict) or set(given) != set(self.decisions):
            raise ValueError(
                f"a configuration has {', '.join(map(json.dumps, self.decisions))}, got {json.dumps(given)[:200]}"
            )
        row: list[int] = []
        for name, labels in zip(self.decisions, self._labels, strict=True):
            option = given[name] if isinstance(given[name], str) else _number(given[name])
            found = labels.index(option) if option in labels else self._number_of(len(row), option)
            if found is None:
                raise ValueError(
                    f"{json.dumps(name)} is one of {', '.join(labels)}; got {json.dumps(given[name])[:80]}"
                )
            row.append(found)
        try:
            return int(self._space.index(tuple(row)))
        except ValueError:
            raise ValueError(f"{json.dumps(given)} does not exist") from None


_THOUGHT = re.compile(r"\A<think>.*?</think>\s*", re.DOTALL)
_FENCE = re.compile(r"^```[^\n]*\n(.*?)```", re.DOTALL | re.MULTILINE)


def _configurations(text: str) -> list[Any]:
    """The list of a reply: all of it, or what stands in the one fence that it has; what a model thought first is no reply.

    Raises:
        ValueError: there is none.
    """
    inner = _THOUGHT.sub("", text.strip())
    fences = _FENCE.findall(inner)
    inner = fences[0] if len(fences) == 1 else inner
    try:
        found = bounded.parsed(inner)
    except ValueError:
        raise ValueError("it is no JSON list") from None
    if not isinstance(found, list):
        raise ValueError("it is no JSON list")
    return found


def _number(value: Any) -> str | None:
    """A number or a truth value as the label of an option; None of anything else."""
    return text_of(value) if isinstance(value, bool | int | float) else None


def _letters(count: int) -> Iterator[str]:
    """a, b, ..., z, aa, ab, ...."""
    for i in range(count):
        text, rest = "", i + 1
        while rest:
            rest, place = divmod(rest - 1, 26)
            text = string.ascii_lowercase[place] + text
        yield text


def _score(unit: str) -> str:
    return "accuracy in percent" if unit == "%" else f"the score ({unit})"
