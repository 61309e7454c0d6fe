"""However a command is ended, it says so, and nothing that it started goes on; what a strategy raises to end it is a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nasbench_lab import api, errors
from nasbench_lab.core import LabError

STRATEGY = '''"""Does what its parameter says."""
import os, time
from dataclasses import dataclass
from pathlib import Path
from nasbench_lab.core import Query, Strategy

@dataclass
class Mine(Strategy):
    """Does what its parameter says."""
    what: str = "sleep"

    def propose(self):
        if self.what == "sleep":
            Path(os.environ["MARKS"], str(os.getpid())).touch()
            time.sleep(100)
        if self.what == "swallow":
            while True:
                try:
                    time.sleep(100)
                except Exception:
                    pass
        if self.what == "exit": raise SystemExit(0)
        if self.what == "interrupt": raise KeyboardInterrupt
        if self.what == "close": raise GeneratorExit
        if self.what == "die": os._exit(0)
        return Query(self.task.space.sample(self.rng), self.task.full)

    def observe(self, result):
        if self.what == "exit late": raise SystemExit(0)
'''
QUICK = ("--table", "toy", "--seeds", "60", "--max-queries", "3")


@pytest.fixture
def mine(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(STRATEGY)
    return path


def alive(pid: int) -> bool:
    """Whether a process is there and has not only not been waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def heard() -> None:
    """Signals end a process, even where the tests themselves run under nohup or in the background of a script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(folder: Path, number: signal.Signals, *arguments: str) -> tuple[int, str, float]:
    """Exit code, what was said and seconds until the last process was gone, of a command ended in the middle of a run."""
    marks = folder / "marks"
    marks.mkdir()
    workers = 2 if "2" in arguments else 1
    process = subprocess.Popen(
        [sys.executable, "-m", "nasbench_lab", *arguments, "--out", str(folder / "out")],
        env=os.environ | {"MARKS": str(marks)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heard,  # noqa: PLW1509  no threads: none of the tests starts any before
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while len(list(marks.iterdir())) < workers and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        pids = [int(path.name) for path in marks.iterdir()]
        if len(pids) != workers:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{len(pids)} processes run, not {workers}; {process.communicate()[1]}")
        begin = time.monotonic()
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        while any(map(alive, pids)) and time.monotonic() < begin + 60:
            time.sleep(0.05)
        return process.returncode, said, time.monotonic() - begin
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_as_ctrl_c_does(tmp_path, mine, number, workers):
    code, said, seconds = ended(tmp_path, number, "compare", str(mine), *QUICK, "--workers", workers)
    assert code == 2
    assert said.startswith("nasbench-lab: interrupted; finished runs")
    assert said.count("\n") == 1
    assert seconds < 20


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", pytest.param("dask", marks=pytest.mark.needs("distributed"))])
def test_workers_end_soon_after_a_command_that_was_killed(tmp_path, mine, backend):
    assert ended(tmp_path, signal.SIGKILL, "compare", str(mine), *QUICK, "--workers", "2", "--backend", backend)[2] < 20


@pytest.mark.slow
@pytest.mark.needs("distributed")
def test_a_signal_ends_a_dask_cluster(tmp_path, mine):
    code, said, seconds = ended(
        tmp_path, signal.SIGTERM, "compare", str(mine), *QUICK, "--workers", "2", "--backend", "dask"
    )
    assert code == 2
    assert "nasbench-lab: interrupted" in said
    assert seconds < 30


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("what", ["exit", "interrupt", "close", "exit late", "die"])
def test_what_a_strategy_raises_to_end_the_command_is_its_failure(tmp_path, mine, lab, what, backend):
    code, out, err = lab("compare", f"{mine}:what={what}", *QUICK, "--out", tmp_path / "r", "--backend", backend)
    kind = {"interrupt": "KeyboardInterrupt", "close": "GeneratorExit", "die": "_Exit"}.get(what, "SystemExit")
    assert (code, out) == (2, "")
    assert f"Mine ends the program instead of returning: {kind}" in err
    assert "mine.py:" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said"), [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt"), ("die", "os._exit(0)")]
)
def test_the_same_of_several_processes(tmp_path, mine, lab, what, said):
    code, out, err = lab("compare", f"{mine}:what={what}", *QUICK, "--out", tmp_path / "r", "--workers", 2)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("what", ["exit", "interrupt", "close", "die"])
def test_search_raises_what_can_be_caught(mine, what):
    with pytest.raises(errors.StrategyError):
        api.search(f"{mine}:what={what}", "toy", max_queries=3)


@pytest.mark.parametrize("line", ["raise SystemExit(0)", "raise KeyboardInterrupt", "import sys; sys.exit()"])
def test_a_file_that_ends_the_process_cannot_be_imported(tmp_path, lab, line):
    (tmp_path / "ends.py").write_text(f"{line}\n{STRATEGY}")
    code, _, err = lab("compare", tmp_path / "ends.py", *QUICK, "--out", tmp_path / "r")
    assert code == 2
    assert "importing" in err
    code, out, _ = lab("check", tmp_path / "ends.py")
    assert code == 1
    assert "pass" not in out


def test_a_constructor_that_ends_the_process_is_an_error(tmp_path, lab):
    (tmp_path / "ends.py").write_text(STRATEGY + "\n    def __post_init__(self):\n        raise SystemExit(0)\n")
    code, _, err = lab("compare", tmp_path / "ends.py", *QUICK, "--out", tmp_path / "r")
    assert code == 2
    assert "SystemExit" in err


def test_a_surrogate_that_ends_the_process_has_failed(tmp_path, lab):
    (tmp_path / "ends.py").write_text(
        '"""Ends."""\nfrom dataclasses import dataclass\nfrom nasbench_lab.surrogates._base import Surrogate\n@dataclass\n'
        'class Mine(Surrogate):\n    """Ends."""\n    def fit(self, *a, **k): raise SystemExit(0)\n    def predict(self, a): return a, a\n'
    )
    code, _, err = lab(
        "surrogates", tmp_path / "ends.py", "--table", "toy", "--train", "5", "--seeds", 2, "--out", tmp_path / "r"
    )
    assert code == 2
    assert "SystemExit" in err


@pytest.fixture
def _interruptible():
    """Ctrl-C as it is in a terminal: a process that was started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interruption_is_no_failure_of_the_code_it_meets():
    def meets() -> None:
        with errors.contained("X"):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    with pytest.raises(errors.Interrupted):
        meets()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with errors.heard(signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_as_many_processes_as_a_slip_of_the_finger_are_refused(mine, lab, tmp_path):
    code, _, err = lab("compare", "random_search", *QUICK, "--out", tmp_path / "r", "--workers", 10**9)
    assert code == 2
    assert "1..1,024" in err
    with pytest.raises(LabError, match="workers must be"):
        api.compare("random_search", table="toy", max_queries=3, seeds=2, out=tmp_path / "r", workers=2.5)


def test_an_interrupted_command_claims_to_keep_nothing_that_it_does_not(lab, monkeypatch):
    def interrupted(_name):
        raise KeyboardInterrupt

    monkeypatch.setattr("nasbench_lab.testing.strategy_kit.check_strategy", interrupted)
    assert lab("check", "random_search")[::2] == (2, "nasbench-lab: interrupted\n")
