"""No invocation, however odd, ends in a traceback, writes where nobody said, or leaves a process behind; see `odd`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import odd
import odd_lines
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="every invocation runs in a forked child")
SHOWN = 20


def misbehaved(count: int, seed: int) -> list[str]:
    """What did not behave, in a process of its own, which forks safely as it has one thread."""
    here = Path(__file__).parent
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, [str(here), *sys.path]))}
    command = [sys.executable, str(here / "odd.py"), str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *found, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["run"] == count
    return [f"{each['found']}: {each['arguments']} {each['environment']}\n{each['err'][-500:]}" for each in found]


def test_twenty_odd_invocations_one_of_every_command():
    assert misbehaved(20, 12) == []


@pytest.mark.slow
def test_two_thousand_odd_invocations():
    found = misbehaved(2000, 0)
    assert not found, "\n\n".join([f"{len(found)} of 2,000", *found[:SHOWN]])


def test_every_command_and_option_is_among_them():
    made = [each.arguments for each in odd_lines.invocations(4000, 1)]
    for path, parameters in odd_lines.commands().items():
        own = [arguments for arguments in made if tuple(arguments[: len(path)]) == path]
        words = {text.partition("=")[0] for arguments in own for text in arguments}
        assert own
        assert {each.option for each in parameters if each.option} <= words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": 70}, "exit code 70"),
        ({"err": "Traceback (most recent call last):"}, "a traceback"),
        ({"err": "one\ntwo"}, "not one sentence"),
        ({"err": "nasbench-lab: " + "x" * 2000}, "a long sentence"),
        ({"code": 0, "out": "hello\n[]"}, "no JSON"),
        ({"code": 0, "err": "UserWarning: look"}, "said aside"),
        ({"left": True}, "a process is left"),
        ({"written": ["elsewhere/x"]}, "written: elsewhere/x"),
        ({"written": ["~/x"]}, "written: ~/x"),
        ({"written": ["made/.x.tmp"]}, "written: made/.x.tmp"),
    ],
)
def test_what_misbehaves_is_found(change, said):
    invocation = odd_lines.Invocation(["query", "0", "--json", "--svg", "made"], {})
    plain = odd.Outcome(2, "", "nasbench-lab: no", 0.1, False, ["made", "results/x"], False)
    assert odd.complaints(invocation, plain) == []
    assert said in odd.complaints(invocation, plain._replace(**change))
