"""The Python interface: `compare`, `assess`, `search`, `load_table`, and what the command line calls; frames are pandas'."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from nasbench_lab import loading
from nasbench_lab.core import Evaluator, LabError, Strategy, once, real, spread, whole
from nasbench_lab.evaluators.tabular import Tabular, Trials, measure_of, score_of
from nasbench_lab.files import paths
from nasbench_lab.leaderboard import latex, written
from nasbench_lab.leaderboard.parts import Leaderboard
from nasbench_lab.leaderboard.rebuild import rebuild
from nasbench_lab.study import execute, jobs, runner, sent, store
from nasbench_lab.study.given import named
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

DEFAULT_STRATEGIES = ("random_search", "local_search", "regularized_evolution", "tpe", "gp_bo")


def load_table(name: str | Path) -> Table:
    """A table by name or path; `tables list` names those at hand.

    Raises:
        LabError: no such table.
    """
    return catalog.load(str(name))


def search(
    strategy: Strategy | str,
    table: Table | str | Evaluator,
    *,
    seed: int = 0,
    search: int | str | None = None,
    max_queries: float = math.inf,
    max_seconds: float = math.inf,
    trials: Trials | None = None,
    noise: float = 0.0,
    objectives: Sequence[str] = ("val",),
    sources: Sequence[str] = (),
    workers: int = 1,
    repeats: runner.Repeats = "charge",
) -> pd.DataFrame:
    """One run as a frame: a row per answered query, with the test score of the incumbent joined afterwards.

    Args:
        strategy: an instance, or a spec such as "local_search:improvement=best".
        table: a table, its name, or any evaluator. With an evaluator `search`, `trials`, `noise`, `objectives` and
            `sources` are its own, and cannot be given here.
        seed: decides everything.
        search: schedule searched on, "all", "oracle", or None for the table's default.
        max_queries: budget in queries.
        max_seconds: budget in simulated seconds; at least one of the two.
        trials: what a query returns: "mean" of the trials, "sample", one of them, or "split", one training, with the run
            scored on the others; None: as the table says, "mean" for most.
        noise: standard deviation of extra query noise, in the unit of the scores.
        objectives: "val", and metrics of the table.
        sources: names of tables of other datasets whose validation scores the strategy may read.
        workers: simulated asynchronous workers.
        repeats: how repeated queries count: "charge", "free" or "free-class"; see `study.runner.search`.

    Returns:
        Columns order, arch, epochs, val (the validation score in the table's unit and direction: accuracy in percent unless
        the table says otherwise), seconds and finished (simulated), incumbent, decided (real seconds), objectives, and
        incumbent_test (the test score, likewise). Of an evaluator without a table both are as it gives them.

    Raises:
        LabError: a name, policy or budget that does not exist.
    """
    instance = loading.build("strategies", strategy) if isinstance(strategy, str) else strategy
    if not isinstance(instance, Strategy):
        raise LabError(f"strategy must be an instance or a spec such as 'local_search', got {strategy!r}")
    evaluation = {
        "search": search,
        "trials": trials,
        "noise": spread(noise, "noise"),
        "objectives": _listed(objectives),
        "sources": _texts("sources", sources),
    }
    evaluator = _evaluator(table, evaluation)
    loop: dict[str, Any] = {
        "max_queries": real(max_queries, "max_queries"),
        "max_seconds": real(max_seconds, "max_seconds"),
        "workers": whole(workers, "workers", least=1),
        "repeats": repeats,
    }
    with jobs.one_blas_thread():
        run = runner.search(instance, evaluator, seed=seed, **loop)
    frame = pd.DataFrame(store.columns_of({seed: run}, evaluator.task.objectives)).drop(columns="seed")
    truths = [score_of(evaluator, int(arch), seed) if arch >= 0 else math.nan for arch in frame["incumbent"]]
    sign = measure_of(evaluator).sign
    return frame.assign(val=sign * frame["val"], incumbent_test=sign * np.array(truths, dtype=np.float64))


_PLAIN = MappingProxyType({"search": None, "trials": None, "noise": 0.0, "objectives": ("val",), "sources": ()})


def _evaluator(table: Table | str | Evaluator, evaluation: dict[str, Any]) -> Evaluator:
    """The evaluator of a table, or the one that is given.

    Raises:
        LabError: an evaluator, and with it what is its own.
    """
    if isinstance(table, (str, Table)):
        return Tabular.open(table, **evaluation)
    if not (hasattr(table, "evaluate") and hasattr(table, "task")):
        raise LabError(f"a table is a name, a path, a Table or an evaluator; got {table!r}"[:200])
    given = [name for name, value in evaluation.items() if value != _PLAIN[name]]
    if given:
        raise LabError(f"{given[0]} is the evaluator's own; got {given[0]}={evaluation[given[0]]!r} beside {table!r}")
    return table


def _listed(objectives: str | Sequence[str]) -> tuple[str, ...]:
    """Objectives as a tuple; a single metric stands beside "val"."""
    return ("val", objectives) if isinstance(objectives, str) else _texts("objectives", objectives)


def _texts(name: str, values: Any) -> tuple[str, ...]:
    """A text or several as a tuple.

    Raises:
        LabError: something else.
    """
    found = (values,) if isinstance(values, str) else values
    if not isinstance(found, Sequence) or not all(isinstance(each, str) for each in found):
        raise LabError(f"{name} must be text or a list of texts, got {values!r}")
    return once(found, name)


def compare(
    *strategies: str | type[Strategy] | Strategy,
    table: str | Table | Sequence[str | Table] | None = None,
    score: str | Sequence[str] = (),
    search: int | str | None = None,
    seeds: int = 50,
    max_queries: float = math.inf,
    max_seconds: float = math.inf,
    trials: Trials | None = None,
    noise: float = 0.0,
    objectives: str | Sequence[str] = ("val",),
    sources: Sequence[str] = (),
    simulated_workers: int = 1,
    repeats: runner.Repeats = "charge",
    evaluator: str = "tabular",
    out: str | Path = "results/compare",
    workers: int = 1,
    backend: str = "loky",
    write_on: str = "caller",
) -> pd.DataFrame:
    """Run strategies on a table and return the leaderboard as a frame; files go to `out`.

    Args:
        *strategies: names, specs, `Strategy` classes or instances; the standard ones if left out. Runs of a class from
            a script, a notebook or a function are not reused: put it into a file of its own and name that.
        table: searched. If left out `digits`, or, where no strategy is named either, the suite: all measured tables of the
            package. Of several, each is searched and scored on itself; from three on the board says what holds across them.
            A name, a path or a `Table`, which is then kept in the user's cache.
        score: tables scored on; the searched one if left out.
        search: schedule searched on, "all", "oracle", or None for the table's default.
        seeds: runs per strategy and table.
        max_queries: budget in queries; 100 if no budget is given.
        max_seconds: budget in simulated seconds.
        trials: what a query returns: "mean" of the trials, "sample", one of them per seed and cell, or "split", one
            training, with runs scored on the others; None: as the table says, "mean" for most.
        noise: standard deviation of extra query noise, in the unit of the scores.
        objectives: "val", and metrics of the table; a single metric may stand alone.
        sources: tables of other datasets whose validation scores strategies may read.
        simulated_workers: asynchronous workers on the simulated clock.
        repeats: how repeated queries count: "charge", "free" or "free-class"; see `study.runner.search`.
        evaluator: what answers queries: "tabular", "training" (every cell that is asked for is trained) or "surrogate",
            with options as in "surrogate:model=gp,cells=500".
        out: results folder; finished runs in it are not repeated.
        workers: processes.
        backend: engine of the processes; see `study.execute.run`.
        write_on: who writes results: "caller", or "workers", into `out`, which they must share.

    Returns:
        A row per strategy and table scored on, best first; columns as in `leaderboard.parts.COLUMNS`.

    Raises:
        LabError: anything that does not exist or cannot be written.
    """
    specs, given = named(strategies)
    chosen = make_study(
        specs,
        table=table,
        score=score,
        search=search,
        seeds=seeds,
        max_queries=max_queries,
        max_seconds=max_seconds,
        trials=trials,
        noise=noise,
        objectives=objectives,
        sources=sources,
        simulated_workers=simulated_workers,
        repeats=repeats,
        evaluator=evaluator,
    )
    if not isinstance(out, (str, Path)) or not str(out).strip():
        raise LabError(f"out must be the path of a folder, got {out!r}")
    return run(chosen, paths.home(out), workers=workers, backend=backend, write_on=write_on, given=given).frame()


def assess(
    *surrogates: Any,
    table: str | None = None,
    train: Sequence[int] | None = None,
    seeds: int = 10,
    target: Literal["val", "test", "seconds"] = "val",
    split: Literal["class", "cell"] = "class",
    test_size: int | None = None,
    max_queries: int = 0,
    out: str | Path = "results/surrogates",
    workers: int = 1,
) -> pd.DataFrame:
    """Fit surrogates on cells of a table and score them on others, as `nasbench-lab surrogates` does; files go to `out`.

    Args:
        *surrogates: specs such as "gp:kernel=wl"; regressors with `fit` and `predict`, scikit-learn's or yours, as spec
            ("sklearn.ensemble:ExtraTreesRegressor:n_estimators=300"), class or instance.
        table: name or path; the embedded benchmark if left out.
        train: numbers of training cells, ascending; 50, 100, 200, 400, 800, or those that the table has.
        seeds: splits and fits per surrogate and number of cells.
        target: predicted: validation after the longest schedule, test, or seconds.
        split: held out are isomorphism classes, or single cells.
        test_size: held-out cells; 3000, of a small table a third of its cells.
        max_queries: of a search that every surrogate drives; 0 for none.
        out: results folder; finished fits in it are not repeated.
        workers: processes.

    Returns:
        A row per surrogate and number of training cells: rank correlations, errors, calibration, times.

    Raises:
        LabError: a surrogate or a table that does not exist, or numbers out of range.
    """
    from nasbench_lab.experiments import assessment, assessment_report
    from nasbench_lab.surrogates._estimators import written

    named = table or catalog.default()
    counts = None if train is None else tuple(whole(count, "train", least=2) for count in train)
    held_out, counts = assessment.sizes_for(named, test_size, counts)
    settings = assessment.Settings(
        tuple(written(each) for each in surrogates),
        named,
        counts,
        whole(seeds, "seeds", least=1),
        target=target,
        split=split,
        test_size=held_out,
        max_queries=whole(max_queries, "max_queries", least=0),
    )
    jobs_done = assessment.run(settings, paths.home(out), workers=whole(workers, "workers", least=1))
    content = assessment_report.build(settings, jobs_done, paths.home(out))
    assessment_report.write(content, paths.home(out))
    return pd.DataFrame(content["rows"])


def make_study(
    strategies: Sequence[str],
    *,
    table: str | Table | Sequence[str | Table] | None,
    score: str | Sequence[str],
    search: int | str | None,
    seeds: int,
    max_queries: float,
    max_seconds: float,
    trials: str | None,
    noise: float,
    objectives: str | Sequence[str],
    sources: Sequence[str],
    simulated_workers: int,
    repeats: str,
    evaluator: str,
) -> Study:
    """The study that `compare`'s arguments describe; see there.

    Raises:
        LabError: an argument of another type than is said there.
    """
    seeds = whole(seeds, "seeds", least=1)
    unlimited = max_queries == max_seconds == math.inf
    scored_on = _texts("score", score)
    tables = _texts(
        "table", _named_tables(table) or (catalog.default() if strategies or scored_on else catalog.suite())
    )
    if not tables or (scored_on and len(tables) > 1):
        raise LabError(
            f"score goes with one table, got {', '.join(tables) or 'none'}; of several each is scored on itself"
        )
    task = StudyTask(
        tables[0],
        search=search,
        score=scored_on,
        max_queries=100 if unlimited else max_queries,
        max_seconds=max_seconds,
        trials=trials,
        noise=noise,
        objectives=_listed(objectives),
        simulated_workers=simulated_workers,
        repeats=repeats,
        evaluator=evaluator,
        sources=_texts("sources", sources),
    )
    tasks = tuple(replace(task, table=name) for name in tables)
    return Study(tuple(strategies) or DEFAULT_STRATEGIES, tasks, seeds)


def _named_tables(table: str | Table | Sequence[str | Table] | None) -> Any:
    """Tables by where they are."""
    if isinstance(table, Table):
        return sent.kept(table)
    if isinstance(table, (list, tuple)):
        return [sent.kept(each) if isinstance(each, Table) else each for each in table]
    return table


def to_latex(*folders: str | Path, spread: str = "interval", columns: int = 4, label: str = "tab:leaderboard") -> str:
    r"""The leaderboards of results folders as one LaTeX table (`\usepackage{booktabs}`), settings side by side.

    Args:
        *folders: of results, as `compare` writes them.
        spread: beside a mean its 95% "interval", "plusminus" half of it, or "none".
        columns: settings side by side; further ones below them.
        label: of the table.

    Returns:
        a `table` environment: best mean bold, a star where the tests do not tell a strategy from the best, and a caption that
        states protocol, seeds and tests.

    Raises:
        LabError: no such folder, or one without a leaderboard.
    """
    if not folders:
        raise LabError("which results folders? at least one")
    boards = [written.read_rows(paths.home(folder)) for folder in folders]
    return latex.table(boards, spread=spread, columns=columns, label=label)


def run(
    chosen: Study,
    out: Path,
    *,
    workers: int = 1,
    backend: str = "loky",
    write_on: str = "caller",
    progress: execute.Progress | None = None,
    given: Mapping[str, Strategy] | None = None,
) -> Leaderboard:
    """Run what is missing of a study, then build and write its leaderboard; see `study.execute.run` and `plan.resolve`.

    Raises:
        LabError: the study cannot be run as written, or results cannot be written.
    """
    workers = whole(workers, "workers", least=1)
    plan = resolve(chosen, given)
    execute.run(plan, out, workers=workers, backend=backend, write_on=write_on, progress=progress)
    return rebuild(plan, out)
