"""Shared by all tests: no user data folder, and a small table made of the real arrays' shapes."""

from __future__ import annotations

import os
import tempfile

# Before anything of ours is imported, and inherited by every subprocess: tests never see the user's tables.
_HOME = tempfile.mkdtemp(prefix="nasbench_lab_tests_")
os.environ["NASBENCH_LAB_DATA"] = os.path.join(_HOME, "data")
os.environ["XDG_DATA_HOME"] = os.path.join(_HOME, "share")

import shutil  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from scipy.stats import kendalltau  # noqa: E402
from web_server import Server  # noqa: E402

from nasbench_lab import imports  # noqa: E402
from nasbench_lab.cli import app  # noqa: E402
from nasbench_lab.core import FloatArray, Result, Task, stream  # noqa: E402
from nasbench_lab.evaluators.tabular import Tabular  # noqa: E402
from nasbench_lab.extras import MissingPackage  # noqa: E402
from nasbench_lab.spaces import cell, encodings  # noqa: E402
from nasbench_lab.spaces.space import IntArray, Space  # noqa: E402
from nasbench_lab.study import replays, store  # noqa: E402
from nasbench_lab.study.plan import Group  # noqa: E402
from nasbench_lab.tables import catalog  # noqa: E402
from nasbench_lab.tables.table import Schedule, Table  # noqa: E402

Scores = Callable[[IntArray], FloatArray]

settings.register_profile(
    "lab", deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("lab")


# A test that needs a package which the core does without asks for it by `pytest.importorskip`, at the top of its file or
# where it is used, or by the marker `needs`: it is skipped where the package is absent. With `--everything`, as in the
# session that installs all extras, such a skip is a failure.
_ABSENT = "could not import"  # how importorskip begins what it says


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--everything", action="store_true", help="all extras are installed: skipped for want of one is failed"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for package in marker.args:
            pytest.importorskip(package)


def few(values: Iterable[Any], *fast: Any) -> list[Any]:
    """Parameters of a test: those of `fast` stand for their kind in the fast suite, the others are of the slow session."""
    every = list(values)
    assert all(each in every for each in fast)
    return [each if each in fast else _slow(each) for each in every]


def _slow(value: Any) -> Any:
    known = value if hasattr(value, "marks") else pytest.param(value)
    return pytest.param(*known.values, id=known.id, marks=[*known.marks, pytest.mark.slow])


@contextmanager
def skipped_where_absent() -> Iterator[None]:
    """For what is true of every plug-in: one that needs an absent package is skipped. `test_extras` says which may."""
    try:
        yield
    except MissingPackage as error:
        assert error.name
        pytest.importorskip(error.name)
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Before the terminal's own, which prints the summary."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not session.config.getoption("--everything"):
        return
    for report in terminal.stats.get("skipped", ()):
        if _ABSENT in str(report.longrepr):
            terminal.write_line(f"FAILED {report.nodeid}: skipped, {report.longrepr[-1]}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _no_litter() -> Iterator[None]:
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def toy() -> Table:
    return catalog.load("toy")


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """One thread of torch meanwhile: at the sizes of tests they only wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def evaluator(toy) -> Tabular:
    return Tabular(toy)


def make_table(name="made", *, epochs=(12,), trials=2, seed=0, metrics=None, one_run=True, **about) -> Table:
    """A complete table of random numbers."""
    rng = np.random.default_rng(seed)
    cells, fidelities = cell.SPACE.size, len(epochs)
    val_trials = rng.uniform(0, 100, (cells, fidelities, trials))
    test_trials = rng.uniform(0, 100, (cells, trials))
    schedule = Schedule(
        epochs=tuple(epochs),
        val=val_trials.mean(axis=2) if trials else rng.uniform(0, 100, (cells, fidelities)),
        val_trials=val_trials,
        test=test_trials.mean(axis=1) if trials else rng.uniform(0, 100, cells),
        test_trials=test_trials,
        seconds=rng.uniform(1, 2, (cells, 1)) * np.array(epochs),
        one_run=one_run,
    )
    return Table(name, {epochs[-1]: schedule}, metrics or {}, about)


def structure_scores(archs: IntArray) -> FloatArray:
    """A made-up accuracy that depends on a cell's structure, with noise of its own."""
    structure = encodings.structure()[archs]
    noise = stream(1, 9).standard_normal(cell.SPACE.size)[archs]
    out: FloatArray = 60 + 6 * structure[:, 0] + 4 * structure[:, 12] - 3 * structure[:, 4] + 0.5 * noise
    return out


class HeldOut(NamedTuple):
    """Means over some fits: Kendall's tau, and the shares of scores within the 90% interval, by quantiles and by spread."""

    tau: float
    between: float
    within: float


def held_out(
    make: Callable[[], Any], cells: IntArray, train: int, *, fits: int, scores: Scores = structure_scores
) -> HeldOut:
    """How a surrogate does on the last 2,000 of some cells, each fit on `train` cells and random numbers of its own.

    What one fit covers differs from another's by .02 to .05 (a standard deviation), and rounding alone can make it another
    fit: so a bound is put to the mean of enough fits that it lies four standard errors off at least.
    """
    asked, found = cells[-2000:], []
    y = scores(asked)
    for i, archs in enumerate(cells[: fits * train].reshape(fits, train)):
        model = make().fit(archs, scores(archs), stream(i, 1))
        mean, std = model.predict(asked)
        low, high = model.quantiles(asked, (0.05, 0.95))
        covered = ((low <= y) & (y <= high)).mean(), (np.abs(mean - y) < 1.645 * std).mean()
        found.append((kendalltau(mean, y).statistic, *covered))
    return HeldOut(*np.mean(found, axis=0).tolist())


@pytest.fixture
def cells() -> IntArray:
    """All cells in one random order."""
    return stream(1, 8).permutation(cell.SPACE.size)


class Additive:
    """An exact, noise-free evaluator on any space: val = sum of per-decision gains, cost = epochs * cost of the cell."""

    def __init__(self, options=(3, 3, 2), *, fidelities=(1, 3, 9), seed=0, one_run=True, cost=None) -> None:
        rng = np.random.default_rng(seed)
        self.task = Task(Space(options), fidelities, one_run=one_run)
        self.val = self.task.space.one_hot @ rng.uniform(0, 10, sum(options))
        self.cost = rng.uniform(1, 5, self.task.space.size) if cost is None else np.full(self.task.space.size, cost)

    def evaluate(self, query, seed):
        return Result(query, float(self.val[query.arch]), float(query.epochs * self.cost[query.arch]))

    def truth(self, arch):
        return float(self.val[arch])


_VERDICTS: dict[tuple[str, str], dict[str, Any]] = {}


@pytest.fixture(scope="module")
def repeated_once() -> Iterator[None]:
    """The same runs of the same code are repeated without tables once in all these tests, and one seed of them.

    A repeated run starts a process. Where answers are dealt anew (`replays.foreknown`), which starts more, is no matter of
    theirs.
    """
    of = replays._of

    def once(group: Group, runs: store.Runs) -> dict[str, Any]:
        key = group.id, store.digest(runs.columns)
        if key not in _VERDICTS:
            _VERDICTS[key] = of(group, runs)
        return dict(_VERDICTS[key])

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(replays, "_of", once)
        monkeypatch.setattr(replays, "SEEDS", 1)
        monkeypatch.setattr(replays, "foreknown", lambda *_: (replays.SAME, ""))
        yield


@pytest.fixture
def lab(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nasbench-lab", *map(str, arguments)])
        code = 0
        try:
            app.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def blocked(tmp_path) -> Path:
    """A folder that cannot be made, even by root: its parent is a regular file."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "folder"


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A web server on localhost; between attempts nobody waits."""
    import pooch

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    running = Server()
    yield running
    running.close()


@pytest.fixture
def own_modules(monkeypatch):
    """Of modules, and what was imported and linked: as before after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(imports._heard, "libraries", set())
    yield
    for name in ("helper", "helper_a", "helper_b"):
        sys.modules.pop(name, None)
