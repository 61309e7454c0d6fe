"""A check ends: what does not return is told with the line it stands at, and whatever is raised is a failure."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest

from nasbench_lab.core import Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study import runner
from nasbench_lab.testing.checks import Check, CheckFailed, Stuck
from nasbench_lab.testing.strategy_kit import HashEvaluator


@dataclass
class Hangs(RandomSearch):
    how: str = "loop"

    def propose(self):
        return self.wait()

    def wait(self):
        while True:
            if self.how == "sleep":
                time.sleep(100)
            if self.how == "swallow":
                with suppress(Exception):
                    time.sleep(100)


@pytest.mark.parametrize("how", ["loop", "sleep", "swallow"])
def test_a_strategy_that_does_not_return_is_told_with_the_line_it_stands_at(how):
    begin = time.monotonic()
    with pytest.raises(Stuck, match=r"does not return within 0\.5 s: propose stands in wait at .*test_checks.py:\d+$"):
        Check(
            "any",
            lambda: runner.search(Hangs(how), HashEvaluator(Task((Space((2, 3))), (1,))), seed=0, max_queries=3),
            limit=0.5,
        )()
    assert time.monotonic() - begin < 10
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_whether_a_strategy_returns_is_found_out_first(tmp_path, lab):
    (tmp_path / "hangs.py").write_text(HANGS)
    code, out, _ = lab("check", f"{tmp_path / 'hangs.py'}:what=hang", "--time-limit", 1)
    assert code == 1
    second, left = out.splitlines()[1:3]
    assert second.startswith("FAIL")
    assert "does not return within 1 s: propose stands at" in out
    assert "other checks were not run" in out


@pytest.mark.parametrize("what", ["die", "insist"])
@pytest.mark.slow
def test_a_strategy_that_ends_its_process_or_will_not_be_ended_fails(tmp_path, lab, what):
    (tmp_path / "hangs.py").write_text(HANGS)
    code, out, _ = lab("check", f"{tmp_path / 'hangs.py'}:what={what}", "--time-limit", 1)
    assert code == 1
    assert {"die": "ends the process that it runs in", "insist": "catches whatever would end it"}[what] in " ".join(
        out.split()
    )
    assert "other checks were not run" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    "error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), MemoryError(), RecursionError()]
)
def test_whatever_is_raised_fails_a_check(error):
    def raises() -> None:
        raise error

    with pytest.raises(CheckFailed, match=type(error).__name__):
        Check("any", raises)()


HANGS = '''"""Does not return."""
import os, time
from dataclasses import dataclass
from nasbench_lab.strategies.baselines.random_search import RandomSearch

@dataclass
class Mine(RandomSearch):
    """Does not return."""
    what: str = "hang"

    def propose(self):
        if self.what == "die":
            os._exit(0)
        while True:
            try:
                time.sleep(100)
            except BaseException:
                if self.what == "hang":
                    raise
'''
