from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from nasbench_lab.core import LabError
from nasbench_lab.experiments import regression
from nasbench_lab.stats import significance

SETTING = {"table": "a", "score": "a", "search": "12", "budget": "9 queries", "policy": ""}


def row(strategy, mean, *, sd=0.5, runs=50, **others):
    return {**SETTING, "strategy": strategy, "test_mean": mean, "test_sd": sd, "runs": runs, **others}


@pytest.fixture
def baseline(tmp_path):
    rows = [row("good", 94.0), row("bad", 93.0), row("gone", 90.0)]
    (tmp_path / "leaderboard.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "manifest.json").write_text(json.dumps({"tables": {"a": {"digest": "abc"}}}))
    return tmp_path


def test_a_fall_is_found_and_the_same_numbers_are_not(baseline):
    same, fallen = regression.against([row("good", 94.0), row("bad", 92.0)], {"a": "abc"}, baseline)
    assert (same.worse, same.p) == (False, 1.0)
    assert fallen.worse
    assert (fallen.then, fallen.now) == (93.0, 92.0)
    rise = regression.against([row("bad", 99.0)], {"a": "abc"}, baseline)
    assert not rise[0].worse


@pytest.mark.parametrize("sd", [0.0, 3e-16])
def test_nothing_is_said_of_power_where_no_run_differs(tmp_path, sd):
    """What is left of equal scores by rounding is no spread."""
    (tmp_path / "leaderboard.json").write_text(json.dumps({"rows": [row("same", 3.0, sd=sd), row("good", 3.0)]}))
    (tmp_path / "manifest.json").write_text(json.dumps({"tables": {"a": {"digest": "abc"}}}))
    said = [
        regression.in_words(regression.against([each], {"a": "abc"}, tmp_path), tmp_path, 0.05)
        for each in (row("same", 3.0, sd=sd), row("good", 3.0))
    ]
    assert ["would be found with power" in each for each in said] == [False, True]


def test_of_an_error_a_rise_is_worse(tmp_path):
    """In any unit: the same numbers times 1e-9 are judged alike."""
    for unit in (1.0, 1e-9):
        kind = {"unit": "error", "better": "lower", "sd": 0.5 * unit}
        committed = [row("good", 3.0 * unit, **kind), row("bad", 3.0 * unit, **kind)]
        (tmp_path / "leaderboard.json").write_text(json.dumps({"rows": committed}))
        (tmp_path / "manifest.json").write_text(json.dumps({"tables": {"a": {"digest": "abc"}}}))
        now = [row("good", 2.0 * unit, **kind), row("bad", 4.0 * unit, **kind)]
        good, bad = verdicts = regression.against(now, {"a": "abc"}, tmp_path)
        assert (good.worse, bad.worse) == (False, True)
        assert (bad.then, bad.now) == (pytest.approx(3 * unit), pytest.approx(4 * unit))
        assert "a rise of" in regression.in_words(verdicts, tmp_path, 0.05)


def test_the_test_is_scipys_welch_with_holm(baseline):
    now = [row("good", 93.9, sd=0.7, runs=30), row("bad", 92.9, sd=0.2, runs=20)]
    theirs = []
    for then, mean in ((94.0, now[0]), (93.0, now[1])):
        found = scipy_stats.ttest_ind_from_stats(
            then, 0.5, 50, mean["test_mean"], mean["test_sd"], mean["runs"], equal_var=False
        )
        theirs.append(found.pvalue / 2)
    p = [verdict.p for verdict in regression.against(now, {"a": "abc"}, baseline)]
    assert p == pytest.approx(significance.holm(np.array(theirs)).tolist())


def test_the_fall_it_says_it_would_find_is_found_with_power_80(baseline):
    (verdict,) = regression.against([row("good", 94.0)], {"a": "abc"}, baseline)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):  # a share of .8 is known to .009
        now = rng.normal(94.0 - verdict.detectable, 0.5, 50)
        then = rng.normal(94.0, 0.5, 50)
        a, b = (regression.Summary(x.mean(), x.std(ddof=1) / math.sqrt(50), 50) for x in (then, now))
        found.append(regression.welch(a, b)[0] <= regression.ALPHA)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        ({"mean": None, "sd": None}, True),  # no answer any more
        ({"mean": 93.9, "sd": 0.0, "runs": 1}, False),  # one seed says nothing
        ({"mean": 94.0, "sd": 0.0}, False),
    ],
)
def test_rows_without_a_mean_or_a_deviation(baseline, now, worse):
    (verdict,) = regression.against([row("good", now.pop("mean"), **now)], {"a": "abc"}, baseline)
    assert verdict.worse == worse


def test_a_baseline_of_one_seed_is_no_all_clear(baseline):
    rows = [row("good", 99.0, sd=None, runs=1), row("bad", 93.0)]
    (baseline / "leaderboard.json").write_text(json.dumps({"rows": rows}))
    with pytest.raises(LabError, match="nothing can be tested"):
        regression.against([row("good", 80.0, sd=None, runs=1)], {"a": "abc"}, baseline)
    (same,) = regression.against([row("good", 99.0, sd=None, runs=1)], {"a": "abc"}, baseline)
    assert (same.p, same.worse) == (1.0, False)  # the same records
    both = regression.against([row("good", 80.0), row("bad", 93.0)], {"a": "abc"}, baseline)
    _, known, unknown = regression.in_words(both, baseline, 0.01).splitlines()
    assert unknown.startswith("  ?      good")
    assert known.startswith("  ok     bad")


def test_words_for_runs_without_an_answer(baseline):
    verdicts = regression.against([row("good", None, sd=None), row("bad", 93.0)], {"a": "abc"}, baseline)
    _, gone, same = regression.in_words(verdicts, baseline, 0.01).splitlines()
    assert gone.endswith("test 94 then, not every run answered now, p = 0")
    assert "p = 1; a fall of 0.34 would be found with power 80%" in same


def test_where_all_seeds_agree_any_fall_counts(baseline):
    (baseline / "leaderboard.json").write_text(json.dumps({"rows": [row("good", 94.0, sd=0.0)]}))
    for mean, worse in ((93.99, True), (94.0, False), (94.01, False)):
        (verdict,) = regression.against([row("good", mean, sd=0.0)], {"a": "abc"}, baseline)
        assert verdict.worse == worse


def test_several_objectives_are_judged_by_hypervolume(baseline):
    def front(volume):
        return row("good", 94.0, hypervolume_mean=volume, hypervolume_lo=volume - 0.01, hypervolume_hi=volume + 0.01)

    (baseline / "leaderboard.json").write_text(json.dumps({"rows": [front(0.9)]}))
    (verdict,) = regression.against([front(0.8)], {"a": "abc"}, baseline)
    assert (verdict.what, verdict.then, verdict.now, verdict.worse) == ("hypervolume", 0.9, 0.8, True)


def test_another_table_or_nothing_in_common_is_said(baseline, tmp_path):
    with pytest.raises(LabError, match="table 'a' is another one now"):
        regression.against([row("good", 94.0)], {"a": "xyz"}, baseline)
    with pytest.raises(LabError, match=r"nothing to compare.*bad, gone, good"):
        regression.against([row("new", 94.0)], {"a": "abc"}, baseline)
    with pytest.raises(LabError, match="alpha"):
        regression.against([row("good", 94.0)], {"a": "abc"}, baseline, alpha=1.0)
    (baseline / "manifest.json").unlink()
    with pytest.raises(LabError, match="manifest"):
        regression.against([row("good", 94.0)], {"a": "abc"}, baseline)


WORSE = '''"""Worse: asks for the one cell that does nothing."""
from dataclasses import dataclass
from nasbench_lab.core import Query, Result, Strategy

@dataclass
class Changing(Strategy):
    family = "test"
    paper = "none"

    def propose(self) -> Query | None:
        return Query({cell}, self.task.full)

    def observe(self, result: Result) -> None:
        pass
'''


@pytest.mark.usefixtures("repeated_once")
def test_the_command_exits_3_when_a_strategy_got_worse(lab, tmp_path, toy):
    """One file, edited between the baseline and now."""
    file, base = tmp_path / "changing.py", tmp_path / "base"
    best, worst = int(toy.truth.argmax()), int(toy.truth.argmin())
    file.write_text(WORSE.format(cell=best))
    budget = ("--table", "toy", "--max-queries", 3, "--seeds", 2)
    assert lab("compare", file, "random_search", *budget, "--out", base)[0] == 0
    code, out, _ = lab("compare", "--baseline", base, "--out", tmp_path / "same", "--trust", file)
    assert code == 0
    assert "0 of 2 rows significantly worse" in out
    file.write_text(WORSE.format(cell=worst))
    code, out, _ = lab("compare", file, "random_search", "--baseline", base, "--out", tmp_path / "now")
    assert code == 3
    assert "1 of 2 rows significantly worse" in out
    assert f"WORSE  {file}" in out
    code, out, _ = lab("compare", "random_search", "--baseline", base, "--out", tmp_path / "one", "--json")
    assert code == 0
    assert [each["strategy"] for each in json.loads(out)] == ["random_search"]


def test_a_study_file_can_have_a_baseline_too(lab, tmp_path):
    file = tmp_path / "x.toml"
    file.write_text('strategies = ["random_search"]\nseeds = 2\n[[task]]\ntable = "toy"\nmax_queries = 2\n')
    assert lab("run", file, "--out", tmp_path / "base")[0] == 0
    assert lab("run", file, "--out", tmp_path / "now", "--baseline", tmp_path / "base")[0] == 0
    code, _, error = lab("run", file, "--out", tmp_path / "base", "--baseline", tmp_path / "base")
    assert code == 2
    assert "is the baseline itself" in error


def test_what_the_baseline_decides_cannot_be_given(lab, tmp_path):
    assert (
        lab("compare", "random_search", "--table", "toy", "--max-queries", 2, "--seeds", 2, "--out", tmp_path / "b")[0]
        == 0
    )
    code, _, error = lab("compare", "--baseline", tmp_path / "b", "--max-queries", 3, "--out", tmp_path / "n")
    assert code == 2
    assert "decides --max-queries" in error
    code, out, _ = lab("compare", "--baseline", tmp_path / "b", "--seeds", 3, "--out", tmp_path / "n")
    assert code == 0
    assert "seeds: 3" in out
