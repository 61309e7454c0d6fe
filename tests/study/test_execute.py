from __future__ import annotations

import dataclasses
import json
import math
import os

import numpy as np
import pandas as pd
import pytest
from conftest import make_table

from nasbench_lab import api, sources
from nasbench_lab.core import LabError
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import execute, jobs, shelf, store
from nasbench_lab.study.engines import dispatch
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables.table import Table


def small(**changes) -> Study:
    arguments = {
        "strategies": ("random_search", "local_search"),
        "tasks": (StudyTask("toy", max_queries=6),),
        "seeds": 5,
        "block": 2,
    }
    return Study(**(arguments | changes))


def digests(chosen, out):
    return {(group.id, group.spec): store.digest(runs.columns) for group, runs in execute.collect(resolve(chosen), out)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "nope"}, "no table named 'nope'"),
        ({"score": ("nope",)}, "no table named 'nope'"),
        ({"search": 13}, "no schedule of 13 epochs"),
        ({"search": "²"}, "search must be one of"),
        ({"trials": "all"}, "'mean', 'sample' or 'split'"),
        ({"noise": -1.0}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"objectives": ("params_m",)}, "first objective is 'val'"),
        ({"objectives": ("val", "beauty")}, "beauty"),
        ({"objectives": ("val", "latency_ms/tpu")}, "latency_ms/tpu"),
        ({"repeats": "never"}, "repeats must be one of"),
        ({"simulated_workers": 0}, "workers"),
        ({"max_queries": math.inf}, "needs a budget"),
        ({"max_queries": 0}, "positive"),
        ({"max_queries": 1.5}, "whole number"),
        ({"max_seconds": -1.0}, "positive"),
    ],
)
def test_what_a_task_cannot_mean_is_refused_before_anything_runs(tmp_path, changes, message):
    def run():
        task = dataclasses.replace(StudyTask("toy", max_queries=6), **changes)
        execute.run(resolve(small(tasks=(task,))), tmp_path / "out")

    with pytest.raises(LabError) as error:
        run()
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_table_without_all_test_scores_cannot_score(tmp_path):
    table = make_table("holes")
    test = table.last.test.copy()
    val = table.last.val.copy()
    test[5] = val[5] = np.nan
    broken = dataclasses.replace(table.last, test=test, val=val)
    path = dataclasses.replace(table, schedules={12: broken}).save(tmp_path / "holes.npz")
    with pytest.raises(LabError, match="cannot score"):
        resolve(small(tasks=(StudyTask("toy", score=(str(path),), max_queries=5),)))


@pytest.mark.parametrize("spec", ["nope", "local_search:improvement=worst", "nasbench_lab.study.study:Study:seeds=1"])
def test_an_unknown_strategy_is_refused_before_anything_runs(tmp_path, spec):
    with pytest.raises(LabError):
        execute.run(resolve(small(strategies=("random_search", spec))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gp_bo:warm_start=proxy/none", "gp_bo:warm_start=proxy/none cannot search toy: .*known: params_m"),
        ("zero_cost:proxy=proxy/none", "zero_cost:proxy=proxy/none cannot search toy: .*known: params_m, flops_m"),
        ("q_learning:cost=beauty", "q_learning:cost=beauty cannot search toy: .*params_m; got 'beauty'"),
    ],
)
def test_a_strategy_that_does_not_go_with_its_task_is_refused_before_any_run(tmp_path, spec, message):
    with pytest.raises(LabError, match=message):
        execute.run(resolve(small(strategies=("random_search", spec))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spec", ["zero_cost", "portfolio:second=zero_cost"])
def test_nothing_known_of_cells_is_not_taken_from_other_cells(tmp_path, spec):
    """NAS-Bench-201's sizes say nothing of another space."""
    rows = pd.DataFrame([(a, b, a + b + 0.5) for a in range(4) for b in range(4)], columns=["a", "b", "val"])
    path = Table.from_frame(rows, name="mine", decisions=("a", "b"), val=("val",)).save(tmp_path / "mine.npz")
    with pytest.raises(LabError, match="zero_cost ranks cells by what is known of them beforehand.*known: nothing"):
        execute.run(resolve(small(strategies=(spec,), tasks=(StudyTask(str(path), max_queries=5),))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_strategy_that_fails_while_starting_is_told_before_any_run(tmp_path):
    from test_loading import FILE

    path = tmp_path / "mine.py"
    path.write_text(FILE + "\n    def setup(self):\n        1 / 0\n")
    with pytest.raises(LabError, match=r"failed while starting: ZeroDivisionError.*mine.py"):
        execute.run(resolve(small(strategies=("random_search", str(path)))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_that_is_no_strategy_is_refused():
    spec = "nasbench_lab.study.study:StudyTask:table=toy"
    with pytest.raises(LabError, match="is not a strategy: StudyTask"):
        resolve(small(strategies=(spec,)))


def handed(chosen, out, monkeypatch, **options):
    """The seeds of the jobs that a study is run with."""
    planned = []

    def execute_and_note(function, found, *rest, **more):
        return dispatch_execute(function, (planned.append(list(job.seeds)) or job for job in found), *rest, **more)

    dispatch_execute = dispatch.execute
    with monkeypatch.context() as patched:
        patched.setattr(dispatch, "execute", execute_and_note)
        execute.run(resolve(chosen), out, **options)
    return planned


def test_blocks_cover_the_seeds_once(tmp_path, monkeypatch):
    assert handed(small(first_seed=3), tmp_path, monkeypatch) == [[3, 4], [5, 6], [7]] * 2


def test_blocks_are_as_large_as_their_runs_are_short(tmp_path, monkeypatch):
    planned = handed(small(strategies=("random_search",), seeds=300, block=None), tmp_path, monkeypatch)
    assert [seed for seeds in planned for seed in seeds] == list(range(300))
    assert len(planned) < 10


@pytest.mark.parametrize(("seconds", "seeds"), [(0.0, 32), (0.1, 20), (5.0, 1)])
def test_the_next_block_takes_about_two_seconds_and_is_not_much_larger_than_the_last(tmp_path, seconds, seeds):
    plan = resolve(small(seeds=1000))
    group = execute._Group.of(plan, plan.groups[0], shelf.Shelf(tmp_path))
    assert len(group.next(execute._Size(None, 1, 2.0)).seeds) == 4
    group.largest, group.seconds = 4, seconds
    assert len(group.next(execute._Size(None, 1, 2.0)).seeds) == seeds


def test_what_is_done_is_not_done_again_and_what_is_broken_is(tmp_path):
    chosen = small()
    execute.run(resolve(chosen), tmp_path)
    files = sorted((tmp_path / "runs").iterdir())
    assert [path.name.split("-")[0] for path in files] == ["index.json", "local_search", "random_search"]
    whole, measured = digests(chosen, tmp_path), decided(chosen, tmp_path)
    files[1].write_bytes(files[1].read_bytes()[:-20])
    (tmp_path / "runs" / ".x.parquet.abc.tmp").write_bytes(b"left by a killed process")
    with pytest.raises(LabError, match="5 runs of the study are missing.*local_search.*damaged"):
        execute.collect(resolve(chosen), tmp_path)
    execute.run(resolve(chosen), tmp_path)
    assert digests(chosen, tmp_path) == whole
    now = decided(chosen, tmp_path)
    assert now["random_search"] == measured["random_search"]
    assert now["local_search"] != measured["local_search"]


def decided(chosen, out):
    """The measured seconds of every strategy's runs, which no second run has again."""
    return {group.spec: runs.columns["decided"].tolist() for group, runs in execute.collect(resolve(chosen), out)}


def test_damage_that_neither_size_nor_time_shows_is_found_by_who_reads_and_mended_by_the_next_run(tmp_path):
    chosen = small()
    execute.run(resolve(chosen), tmp_path)
    whole = digests(chosen, tmp_path)
    path = next((tmp_path / "runs").glob("local_search*"))
    then, content = path.stat(), bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    execute.run(resolve(chosen), tmp_path)  # sees nothing
    with pytest.raises(LabError, match="5 runs of the study are missing, damaged"):
        execute.collect(resolve(chosen), tmp_path)
    execute.run(resolve(chosen), tmp_path)
    assert digests(chosen, tmp_path) == whole


def test_more_seeds_keep_the_runs_there_are(tmp_path):
    execute.run(resolve(small(seeds=4)), tmp_path)
    before = decided(small(seeds=4), tmp_path)
    execute.run(resolve(small(seeds=6)), tmp_path)
    after = decided(small(seeds=6), tmp_path)
    assert {spec: seconds[: len(before[spec])] for spec, seconds in after.items()} == before


@pytest.mark.parametrize("options", [{"workers": 2}, {"backend": "threading", "workers": 2}, {"backend": "sequential"}])
def test_every_engine_gives_the_same_records(tmp_path, options):
    chosen = small(
        strategies=("random_search", "regularized_evolution"),
        tasks=(StudyTask("toy", max_queries=20, trials="sample"),),
    )
    execute.run(resolve(chosen), tmp_path / "one")
    execute.run(resolve(chosen), tmp_path / "other", **options)
    assert digests(chosen, tmp_path / "one") == digests(chosen, tmp_path / "other")


def test_block_size_does_not_matter_to_the_records(tmp_path):
    for block in (1, 4):
        execute.run(
            resolve(small(block=block, tasks=(StudyTask("toy", max_queries=6, noise=1.0),))), tmp_path / str(block)
        )
    one, four = (
        execute.collect(resolve(small(block=b, tasks=(StudyTask("toy", max_queries=6, noise=1.0),))), tmp_path / str(b))
        for b in (1, 4)
    )
    assert [store.digest(runs.columns) for _, runs in one] == [store.digest(runs.columns) for _, runs in four]


@pytest.mark.parametrize(
    "backend", ["nonsense", pytest.param("dask:nonsense://x", marks=pytest.mark.needs("distributed"))]
)
def test_an_engine_that_is_not_there_is_a_lab_error(tmp_path, backend):
    with pytest.raises(LabError, match="cannot be used"):
        execute.run(resolve(small()), tmp_path, backend=backend)


def test_progress_counts_runs_up_to_all_of_them(tmp_path):
    seen = []
    execute.run(resolve(small()), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 10), (2, 10), (4, 10), (5, 10), (7, 10), (9, 10), (10, 10)]
    seen.clear()
    execute.run(resolve(small()), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 10)]


def test_an_id_depends_on_everything_but_the_seeds():
    ids = {group.id for group in resolve(small()).groups} | {
        group.id for group in resolve(small(seeds=9, block=3)).groups
    }
    assert len(ids) == 2
    changes = [
        {"max_queries": 7}, {"max_seconds": 9.0}, {"trials": "sample"}, {"noise": 0.1}, {"simulated_workers": 2},
        {"repeats": "free"}, {"search": "oracle"}, {"objectives": ("val", "params_m")},
    ]  # fmt: skip
    for change in changes:
        task = dataclasses.replace(StudyTask("toy", max_queries=6), **change)
        ids |= {group.id for group in resolve(small(tasks=(task,))).groups}
    assert len(ids) == 2 * (1 + len(changes))


def test_an_edited_strategy_file_makes_other_runs(tmp_path):
    from test_loading import FILE

    ids = []
    for i, cell in enumerate((7, 8)):
        path = tmp_path / str(i) / "mine.py"
        path.parent.mkdir()
        path.write_text(FILE.replace("cell: int = 7", f"cell: int = {cell}"))
        ids.append(resolve(small(strategies=(str(path),))).groups[0].header["code"])
    assert ids[0] != ids[1]


def test_headers_are_json_and_name_what_the_runs_depend_on():
    header = resolve(small()).groups[0].header
    assert json.loads(json.dumps(header)) == header
    assert header["strategy"] == "random_search"
    assert header["parameters"] == {"replacement": False}
    assert header["evaluator"]["digest"] == api.load_table("toy").digest
    assert {"numpy", "nasbench-lab", "python"} <= set(header["versions"])


def test_runs_of_another_table_of_the_same_name_are_refused(tmp_path):
    chosen = small()
    plan = resolve(chosen)
    job = jobs.of_group(plan, plan.groups[0])
    other = make_table("toy").save(tmp_path / "toy.npz")
    with pytest.raises(LabError, match="another one now"):
        jobs.opened(dataclasses.replace(job, table=str(other)))


def test_an_unwritable_results_folder_is_a_lab_error(blocked):
    with pytest.raises(LabError, match="cannot write"):
        execute.run(resolve(small()), blocked)


@pytest.mark.parametrize("name", ["evaluators/_known.py", "tables/readings.py", "evaluators/tabular.py"])
def test_what_answers_is_part_of_a_runs_code(name: str) -> None:
    assert sources.ROOT / name in sources.followed([], Tabular)


@pytest.mark.needs("torch", "sklearn")
def test_a_supernet_is_part_of_a_one_shot_runs_code() -> None:
    from nasbench_lab.strategies.one_shot.gdas import Gdas

    assert {sources.ROOT / "training" / name for name in ("supernet.py", "shared.py")} <= sources.followed([], Gdas)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_may_write_into_a_folder_that_they_share(tmp_path, workers):
    chosen = small()
    execute.run(resolve(chosen), tmp_path / "sent", workers=workers)
    execute.run(resolve(chosen), tmp_path / "shared", workers=workers, write_on="workers")
    assert digests(chosen, tmp_path / "shared") == digests(chosen, tmp_path / "sent")
    assert sorted(os.listdir(tmp_path / "shared/runs")) == sorted(os.listdir(tmp_path / "sent/runs"))


def test_what_workers_wrote_is_kept_where_nobody_was_there_to_hear_of_it(tmp_path):
    plan = resolve(small())
    group, kept = plan.groups[0], shelf.Shelf(tmp_path)
    with kept.shared() as proof:
        shared = jobs.Shared(kept.of(group).prefix, proof)
        done = jobs.run(dataclasses.replace(jobs.of_group(plan, group).of(range(1, 4)), shared=shared))
    assert isinstance(done, jobs.Done)
    assert shelf.Shelf(tmp_path).of(group).seeds == [range(1, 4)]
    execute.run(plan, tmp_path)
    execute.run(plan, tmp_path / "whole")
    assert digests(small(), tmp_path) == digests(small(), tmp_path / "whole")


def test_a_folder_that_only_has_the_name_of_the_studys_is_refused_before_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_PATIENCE", 0.2)
    plan = resolve(small())
    shared = jobs.Shared(str(tmp_path / "runs/some"), str(tmp_path / "runs/.shared-1"))
    with pytest.raises(LabError, match="is not the folder of the study, which is not shared or lies elsewhere there"):
        jobs.run(dataclasses.replace(jobs.of_group(plan, plan.groups[0]), shared=shared))
    assert not list(tmp_path.rglob("*.parquet"))
    with pytest.raises(LabError, match="write_on must be one of caller, workers, got 'both'"):
        execute.run(plan, tmp_path, write_on="both")
