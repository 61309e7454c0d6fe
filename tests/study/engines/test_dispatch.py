"""Whatever an engine does to its jobs, each that can be computed is computed once, and what kills is named; see `Made`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.study.engines import dispatch
from nasbench_lab.study.engines.engine import Died, Engine, Lost, Token

Range = tuple[int, int]


class Made(Engine):
    """An engine of this process: jobs are ranges of numbers; some numbers kill, some jobs are lost, as often as is said.

    Args:
        slots: jobs at once.
        killers: numbers that kill who computes them.
        losses: how many jobs are lost, from the first on.
        together: whether all that run beside a killer die with it.
        tries: of a job whose process died, before the engine says so.
    """

    def __init__(
        self, slots: int, killers: set[int], losses: int = 0, *, together: bool = False, tries: int = 1
    ) -> None:
        self.slots, self.killers, self.losses, self.shared_fate, self.tries = slots, killers, losses, together, tries
        self.ends: deque[Token] = deque()
        self.made: dict[int, Any] = {}
        self.deaths = self.most = 0

    def start(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Token]:
        tokens = list(range(len(self.made), len(self.made) + len(jobs)))
        self.made.update(zip(tokens, jobs, strict=True))
        self.ends.extend(tokens)
        self.most = max(self.most, len(self.ends))
        return tokens

    def finished(self, seconds: float) -> list[Token]:
        kills = [token for token in self.ends if self.killers & set(range(*self.made[token]))]
        if kills and self.shared_fate:
            found, self.ends = list(self.ends), deque()
            self.deaths += 1
            self.made |= dict.fromkeys(found, "died")
            return found
        return [self.ends.popleft()]

    def result(self, token: Token) -> Any:
        job = self.made[token]
        if self.losses:
            self.losses -= 1
            raise Lost("made up")
        if job == "died" or self.killers & set(range(*job)):
            self.deaths += not self.shared_fate
            raise Died("made up", self.tries)
        return list(range(*job))

    def waits_for(self) -> str:
        return "nothing"


def cut(job: Range) -> list[Range]:
    middle = (job[0] + job[1] + 1) // 2
    return [(job[0], middle), (middle, job[1])] if job[1] - job[0] > 1 else [job]


def ranges(sizes: Sequence[int]) -> list[Range]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return list(zip([0, *ends], ends, strict=False))


def dispatched(engine: Engine, jobs: list[Range]) -> tuple[list[int], str]:
    """The numbers that were computed, and what was said in the end."""
    found: list[int] = []
    first, *others = jobs
    try:
        for _, numbers in dispatch._Dispatch(engine, sum, first, iter(others), cut, lambda _: None).run():
            found += numbers
    except LabError as error:
        return found, str(error)
    return found, ""


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_all_but_what_kills_is_computed_once_and_what_kills_is_named(data):
    jobs = ranges(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=8)))
    numbers = list(range(jobs[-1][1]))
    killers = data.draw(st.sets(st.sampled_from(numbers), max_size=3))
    engine = Made(
        data.draw(st.integers(1, 4)),
        killers,
        data.draw(st.integers(0, 5)),
        together=data.draw(st.booleans()),
        tries=data.draw(st.sampled_from([1, 4])),
    )
    found, said = dispatched(engine, jobs)
    assert sorted(found) == [number for number in numbers if number not in killers]
    assert all(f"({number}, {number + 1})" in said for number in killers)
    assert bool(said) == bool(killers)
    assert engine.most <= 2 * engine.slots
    assert engine.deaths <= len(killers) * (dispatch.TRIES + 4) + 1  # 4: cuts of 9 numbers


def test_what_is_lost_again_and_again_is_said_instead_of_tried_for_ever():
    found, said = dispatched(Made(1, set(), 1000), [(0, 1), (1, 2)])
    assert found == []
    assert "(0, 1) was lost 10 times (made up)" in said


def test_where_every_process_dies_it_is_said_soon():
    engine = Made(2, set(range(1000)))
    found, said = dispatched(engine, [(i, i + 1) for i in range(1000)])
    assert found == []
    assert "died with no result between" in said
    assert engine.deaths <= 31


def test_who_waits_is_told_on_what(monkeypatch):
    monkeypatch.setattr(dispatch, "SILENT", 0.0)
    told: list[str] = []
    engine = Made(1, set())
    quick = engine.finished
    monkeypatch.setattr(engine, "finished", lambda seconds: quick(seconds) if told else [])
    list(dispatch._Dispatch(engine, sum, (0, 1), iter([]), cut, told.append).run())
    assert told
    assert told[0].endswith("waiting for nothing")


@pytest.mark.parametrize(
    ("backend", "afar"),
    [
        ("loky", False),
        ("dask", False),
        ("dask:tcp://x:1", True),
        ("ray", False),
        ("ray:auto", True),
        ("slurm:cluster=local", True),
    ],
)
def test_files_are_sent_where_workers_may_stand_elsewhere(backend, afar):
    """Not to those that are started here for the study."""
    assert dispatch.is_afar(backend) is afar
