"""A portfolio: what arms are told, who asks next, and that nothing is asked for twice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nasbench_lab import loading, sources
from nasbench_lab.core import LabError, Query, Result
from nasbench_lab.errors import StrategyError
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.strategies.portfolio.portfolio import Portfolio
from nasbench_lab.study import runner
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog

GOOD, POOR = "local_search", "random_search"


def searched(portfolio: Portfolio, queries: int = 80, seed: int = 3, **options: int) -> runner.Run:
    return runner.search(portfolio, Tabular(catalog.load("toy")), seed=seed, max_queries=queries, **options)


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("third", ["", "regularized_evolution", "hyperband"])
def test_nothing_is_asked_for_twice_at_one_fidelity(third, workers):
    records = searched(Portfolio(GOOD, POOR, third), workers=workers).records
    asked = [(record.result.query.arch, record.result.query.epochs) for record in records]
    assert len(asked) == 80
    assert len(set(asked)) == 80


def test_an_arm_that_finds_better_cells_asks_more_often():
    portfolio, share = Portfolio("gp_bo", POOR, ""), []
    for seed in range(6):
        searched(portfolio, seed=seed)
        first, second = portfolio._scores
        share.append(len(first) / (len(first) + len(second)))
    assert np.mean(share) > 0.65  # .80 over 20 seeds, .74 the least; .5 if it did not learn
    assert min(share) > 0.5


def test_successes_are_answers_among_the_best_so_far_whoever_gave_them():
    portfolio = Portfolio(GOOD, POOR, "", share=0.25)
    portfolio.start(Tabular(catalog.load("toy")).task, 0)
    assert portfolio.successes() == [0, 0]
    portfolio._scores = [[70.0, 60.0, -math.inf], [69.0, 68.0]]
    assert portfolio.successes() == [1, 1]  # two of five: 70 and 69
    portfolio._scores[1] += [71.0, 72.0, 73.0]
    assert portfolio.successes() == [0, 2]  # two of eight: 70 counts no longer
    portfolio._scores = [[-math.inf], [-math.inf]]
    assert portfolio.successes() == [0, 0]


def test_arms_that_can_learn_from_any_answer_get_all_and_others_their_own():
    portfolio = Portfolio("tpe", POOR, "simulated_annealing")
    records = searched(portfolio, queries=40).records
    tpe, random, annealing = portfolio.arms
    assert len(tpe._archs) == 40
    best = max(records, key=lambda record: record.result.score).result
    assert portfolio.recommend() == tpe.recommend() == best.query.arch
    assert {random.recommend(), annealing.recommend()} != {best.query.arch}


def test_what_another_arm_knows_is_told_for_free_when_it_is_asked_for():
    portfolio = Portfolio(POOR, "simulated_annealing", "")
    portfolio.start(Tabular(catalog.load("toy")).task, 0)
    first, second = portfolio.arms
    query = first.ask()
    assert query is not None
    assert second.ask() == query  # the common design
    for arm in portfolio.arms:
        arm.start(portfolio.task, 0)
    known = portfolio._of(0)
    assert known == query
    portfolio.tell(Result(known, 70.0, 5.0))
    other = portfolio._of(1)
    assert other is not None
    assert other.arch != known.arch
    assert second.recommend() == known.arch  # it was told


def test_who_waits_for_a_cell_another_asked_for_is_told_with_it():
    portfolio = Portfolio(POOR, "simulated_annealing", "")
    portfolio.start(Tabular(catalog.load("toy")).task, 0)
    query = portfolio._of(0)
    assert portfolio._of(1) is None  # it asks for the same, which is on its way
    portfolio.tell(Result(query, 70.0, 5.0))
    assert [arm.recommend() for arm in portfolio.arms] == [query.arch, query.arch]
    assert [len(scores) for scores in portfolio._scores] == [1, 0]


def test_arms_that_have_ended_are_followed_by_uniform_cells_until_none_is_left():
    ended = "local_search:restarts=false"
    records = searched(Portfolio(ended, ended, ""), queries=300).records
    assert len({record.result.query.arch for record in records}) == 300


def test_answers_without_a_training_go_to_who_asked():
    portfolio = Portfolio(POOR, POOR, "")
    portfolio.start(Tabular(catalog.load("toy")).task, 0)
    for number in (0, 1):
        portfolio._wanted(Query(5, 0, 1.0), number)
    portfolio.tell(Result(Query(5, 0, 1.0), math.nan, 1.0))
    assert [number for number, _ in portfolio._pending[5, 0]] == [1]
    assert portfolio._scores == [[], []]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"share": 1.0}, "share"),
        ({"second": ""}, "second"),
        ({"third": "nobody"}, "nobody"),
        ({"first": "tpe:gamma=2"}, "gamma"),
    ],
)
def test_what_makes_no_portfolio_is_refused(fields, said):
    with pytest.raises((ValueError, LabError), match=said):
        Portfolio(**fields)


def test_a_run_depends_on_the_code_of_all_its_arms(tmp_path):
    def ids(spec: str) -> str:
        return resolve(Study((spec,), (StudyTask("toy", max_queries=5),), 1)).groups[0].id

    source = tmp_path / "own.py"
    text = (loading.leaves("strategies")["random_search"].replace(".", "/")) + ".py"
    source.write_text((sources.ROOT.parent / text).read_text())
    before = ids(f"portfolio:second=({source})")
    source.write_text(source.read_text() + "\n# edited\n")
    assert ids(f"portfolio:second=({source})") != before
    own = {path.name for path in sources.files_in("portfolio:second=mcts,third=")}
    assert {"portfolio.py", "mcts.py"} <= own
    assert "gp_bo.py" in {path.name for path in sources.files_in("gp_bo")}  # a default is named by its value


def test_what_it_needs_is_what_its_arms_need():
    task = replace(Tabular(catalog.load("toy")).task)
    assert Portfolio("random_search", "optuna_tpe", "").requires(task) == ("optuna",)
    assert not Portfolio().cell_only
    assert Portfolio("random_search", "darts:epochs=2", "").cell_only


@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_of_portfolios_runs_in_processes_and_is_reproduced(lab, tmp_path, workers):
    specs = ("portfolio", "portfolio:second=tpe,third=")
    how = ("--table", "toy", "--seeds", 2, "--max-queries", 8, "--workers", workers, "--out", tmp_path / "out")
    code, _, error = lab("compare", *specs, *how)
    assert code == 0, error
    code, out, error = lab("reproduce", tmp_path / "out")
    assert code == 0, out + error


def test_an_arm_that_asks_for_what_there_is_not_is_named(tmp_path):
    source = tmp_path / "wrong.py"
    source.write_text(
        "from dataclasses import dataclass\nfrom nasbench_lab import Query, Strategy\n\n"
        "@dataclass\nclass AsksForMuch(Strategy):\n    def propose(self):\n        return Query(7, 999)\n"
        "    def observe(self, result):\n        pass\n"
    )
    with pytest.raises(StrategyError, match="AsksForMuch, an arm of the portfolio, asked for .*epochs=999"):
        searched(Portfolio("random_search", str(source), ""))
