"""Validation: candidates, statistics that hold on made-up truth, tuning, and the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from other_tables import trainable

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.experiments import candidates, validation, validation_report
from nasbench_lab.spaces import cell, chain, naming
from nasbench_lab.stats import agreement
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table
from nasbench_lab.training import grouped
from nasbench_lab.training.cache import Trained
from nasbench_lab.training.problem import make_problem

TINY = make_problem("digits", epochs=2, part_size=64, held_out_size=100)
SIZES = ["--epochs", 2, "--part-size", 64, "--held-out-size", 100]
MEMBERS = np.unique(cell.representatives())
# botorch's dependencies use a deprecated part of torch while they are imported
needs_botorch = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def settings(**changes) -> validation.Settings:
    return validation.Settings(TINY, **{"top": 3, "seeds": 2, **changes})


def honest_table(*, noise=1.0, trials=3, seed=0) -> tuple[Table, np.ndarray]:
    """A table of noisy trials of known true scores, as if measured on the tiny problem: (table, (A,) truth)."""
    rng = np.random.default_rng(seed)
    true = rng.normal(70, 4, len(MEMBERS))[cell.SPACE.classes]
    draws = rng.normal(0, noise, (len(MEMBERS), 2, trials))[cell.SPACE.classes]
    val, test = true[:, None] + draws[:, 0], true[:, None] + draws[:, 1]
    schedule = Schedule(
        epochs=(1, 2),
        val=np.stack([val.mean(1) / 2, val.mean(1)], axis=1),
        val_trials=np.stack([val / 2, val], axis=1),
        test=test.mean(1),
        test_trials=test,
        seconds=np.ones((len(val), 2)).cumsum(axis=1),
    )
    about = {"dataset": "digits", "data": TINY.described, "rows": "class"}
    return Table("honest", {2: schedule}, {}, about), true


def measured_again(chosen, true, *, seeds=3, noise=1.0, seed=1):
    """New trainings of the same true scores."""
    rng = np.random.default_rng(seed)
    out = {}
    for candidate in chosen:
        val, test = true[candidate.arch] + rng.normal(0, noise, (2, seeds))
        out[candidate.arch] = [
            Trained("d", candidate.arch, 1000 + i, (v / 2, v), t, 0.1)
            for i, (v, t) in enumerate(zip(val, test, strict=True))
        ]
    return out


# Statistics


def test_local_noise_is_found():
    rng, found = np.random.default_rng(0), []
    for _ in range(6):  # one finds it to .08, as it looks at the cells of about one level, however many there are
        level = rng.uniform(10, 90, 3000)
        trials = level[:, None] + (level[:, None] / 30) * rng.standard_normal((3000, 3))
        trials[:1500, 2] = np.nan
        noise = agreement.trial_noise(trials)
        assert noise is not None
        found.append(noise.sd(np.array([15.0, 45.0, 85.0])))
    assert np.mean(found, axis=0) == pytest.approx([0.5, 1.5, 2.83], rel=0.2)
    assert agreement.trial_noise(trials[:5]) is None
    assert agreement.trial_noise(trials[:, :1]) is None


def test_the_posterior_of_a_normal_prior_is_the_textbooks():
    rng = np.random.default_rng(0)
    count = 20_000  # means and deviations are then known to .03
    scores = rng.normal(70, 3, count) + rng.normal(0, 1, count)
    prior = agreement.prior_of(scores, np.ones(count))
    mean, sd = prior.posterior(np.array([66.0, 70.0, 74.0]), np.ones(3))
    assert mean == pytest.approx([70 + 0.9 * x for x in (-4, 0, 4)], abs=0.25)
    assert sd == pytest.approx([np.sqrt(0.9)] * 3, abs=0.2)


def test_the_best_of_a_noisy_table_agree_once_regression_to_the_mean_is_allowed_for():
    """z against the table's means is off for the best, by how they were chosen; for random cells it is not."""
    raw, allowed, others = [], [], []
    for seed in range(12):  # the means of 360 and 720 z are known to .053 and .037
        table, true = honest_table(noise=2.0, trials=2, seed=seed)
        ranked = MEMBERS[np.argsort(-table.last.val[MEMBERS, -1])]
        best = [candidates.Candidate(int(a), "best") for a in ranked[:30]]
        chosen = [*best, *candidates.random_others(best, table, 60, seed)]
        content = validation.compare(
            table, chosen, measured_again(chosen, true, noise=2.0, seed=seed + 50), settings(seeds=3)
        )
        assert content["comparable"] == ["val", "test"]
        raw.append(content["summary"]["best"]["val"]["mean"])
        allowed.append(content["summary"]["best"]["val, regression to the mean allowed for"]["mean"])
        others.append(content["summary"]["random"]["val"])
    assert np.mean(raw) < -0.5
    assert abs(np.mean(allowed)) < 0.25
    assert abs(np.mean([o["mean"] for o in others])) < 0.2
    assert np.mean([o["sd"] for o in others]) == pytest.approx(1.0, abs=0.15)
    assert np.mean([o["within"] for o in others]) > 0.9


def test_a_table_that_is_wrong_is_seen():
    table, true = honest_table()
    chosen = candidates.random_others([], table, 30, 0)
    content = validation.compare(table, chosen, measured_again(chosen, true - 3.0), settings(seeds=3))
    assert content["summary"]["random"]["val"]["p"] < 1e-6
    assert content["summary"]["random"]["val"]["mean"] < -2


def test_other_data_or_another_recipe_is_compared_by_rank_only():
    table, true = honest_table()
    chosen = candidates.random_others([], table, 12, 0)
    for problem in (
        make_problem("digits", epochs=1, part_size=64, held_out_size=100),
        make_problem("digits", epochs=2),
    ):
        other = replace(settings(), problem=problem)
        content = validation.compare(table, chosen, measured_again(chosen, true, seeds=2), other)
        assert content["comparable"] == []
        page = validation_report.to_markdown({**content, "target": "x"})
        assert "only ranks" in page
        assert "| z |" not in page


def test_what_would_have_been_chosen_and_what_it_costs():
    table, true = honest_table()
    chosen = [candidates.Candidate(int(a), "given") for a in MEMBERS[:4]]
    new = measured_again(chosen, true)
    best = max(new, key=lambda arch: np.mean([t.val[-1] for t in new[arch]]))
    choice = validation.compare(table, chosen, new, settings(seeds=3))["choice"]
    assert choice["by_measurement"] == best
    by_table = max(new, key=lambda arch: table.last.val[arch, -1])
    expected = np.mean([a.test - b.test for a, b in zip(new[best], new[by_table], strict=True)])
    assert choice["loss"] == pytest.approx(expected)


def test_what_a_seed_does_to_all_cells_is_found():
    rng = np.random.default_rng(0)
    own, shared = rng.normal(0, 1, (400, 400)), rng.normal(0, 0.5, 400)  # seeds enough to know the share to .011
    assert agreement.common_share(own + shared) == pytest.approx(0.25 / 1.25, abs=0.08)
    assert agreement.common_share(own) < 0.01
    assert agreement.common_share(own[:, :1]) == 0
    assert agreement.summary(np.zeros(100), common=0.03)["mean_se"] == pytest.approx(0.2)


def test_tau_from_noise_is_that_of_scipy():
    rng = np.random.default_rng(0)
    predicted = np.round(rng.normal(0, 2, 20))  # with ties
    sharp = agreement.tau_from_noise(predicted, predicted + 0.01 * np.arange(20), np.zeros(20), np.zeros(20), draws=3)
    assert sharp[0] == pytest.approx(agreement.tau(predicted, predicted + 0.01 * np.arange(20)))
    loose = agreement.tau_from_noise(predicted, predicted, np.zeros(20), np.full(20, 2.0))
    by_hand = [agreement.tau(predicted, predicted + 2 * rng.standard_normal(20)) for _ in range(300)]
    assert loose[0] == pytest.approx(np.mean(by_hand), abs=0.05)
    assert loose[1:] == pytest.approx(np.percentile(by_hand, [2.5, 97.5]), abs=0.1)


# Candidates


def test_the_best_of_a_study_are_its_final_incumbents_by_what_the_search_saw(tmp_path, toy):
    api.compare("random_search", "local_search", table="toy", seeds=8, max_queries=12, out=tmp_path)
    table, found = candidates.of_target(str(tmp_path), table=None, top=100, epochs=2)
    assert table.name == "toy"
    assert sum(candidate.recommended for candidate in found) == 16
    scores = [toy.schedules[12].val[c.arch, -1] for c in found]
    assert scores == sorted(scores, reverse=True)
    assert [c.arch for c in candidates.of_target(str(tmp_path), table=None, top=2, epochs=2)[1]] == [
        c.arch for c in found[:2]
    ]


def test_cells_by_name_and_tables_by_name(toy):
    _, found = candidates.of_target("11, 284,11", table="toy", top=5, epochs=2)
    assert [c.arch for c in found] == [int(cell.representatives()[a]) for a in (11, 284)]
    _, found = candidates.of_target("3,3,3,3,3,3", table="toy", top=5, epochs=2)
    assert [c.arch for c in found] == [int(cell.representatives()[1462])]
    _, found = candidates.of_target("toy", table=None, top=3, epochs=12)
    assert found[0].arch == MEMBERS[np.argmax(toy.schedules[12].val[MEMBERS, -1])]


def test_random_cells_are_other_cells(toy):
    found = [candidates.Candidate(int(a), "best") for a in MEMBERS[:10]]
    others = candidates.random_others(found, toy, 50, 3)
    assert len({c.arch for c in [*found, *others]}) == 60
    assert others == candidates.random_others(found, toy, 50, 3)


@pytest.mark.parametrize("target", ["nonsense", "11,99999", "|conv~0|"])
def test_targets_that_are_nothing(target):
    with pytest.raises(LabError, match="neither a results folder nor a table nor cells"):
        candidates.of_target(target, table=None, top=3, epochs=2)


def test_a_study_without_runs(tmp_path):
    with pytest.raises(LabError, match="run the study first"):
        candidates.of_target(str(tmp_path), table=None, top=3, epochs=2)


@pytest.mark.parametrize(
    "changes", [{"top": 0}, {"top": -1, "random": 5}, {"seeds": 0}, {"tune": 1}, {"device": "tpu9"}, {"workers": 0}]
)
def test_settings_that_cannot_be(changes):
    with pytest.raises(LabError):
        settings(**changes)


def test_seeds_of_the_table_are_not_new():
    table, _ = honest_table()
    made = replace(table, about={**table.about, "seeds": {"777": 6466, "1001": 3}})
    with pytest.raises(LabError, match="made with seed 1001"):
        validation._check_new(made, settings())
    validation._check_new(made, settings(first_seed=2000))


# The whole


def test_the_command_trains_compares_and_goes_on_from_the_cache(lab, tmp_path):
    arguments = ["validate", "11,284,1462", "--table", "toy", *SIZES, "--seeds", 2, "--random", 2, "--out", tmp_path]
    code, _, err = lab(*arguments)
    assert code == 0, err
    assert {p.name for p in tmp_path.iterdir()} == set(validation_report.FILES)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert lab(*arguments)[0] == 0
    assert {
        p.name: p.read_bytes() for p in tmp_path.iterdir()
    } == before  # measured seconds too: nothing was trained again
    content = json.loads(before["validation.json"])
    assert len(content["records"]) == 10
    assert before["validation.csv"].count(b"\n") == 11
    assert before["validation.svg"].startswith(b"<svg")


def test_chains_are_validated_as_cells_are(lab, tmp_path):
    table, out = trainable().save(tmp_path / "trainable.npz"), tmp_path / "out"
    arguments = ["validate", table, *SIZES, "--top", 2, "--random", 1, "--seeds", 2, "--out", out]
    code, _, err = lab(*arguments)
    assert code == 0, err
    content = json.loads((out / "validation.json").read_text())
    space = chain.space()
    assert [row["group"] for row in content["rows"]] == ["best", "best", "random"]
    for row in content["rows"]:
        assert naming.parse(space, row["cell"]) == row["arch"] == space.representatives[row["arch"]]
    page = (out / "validation.md").read_text()
    assert "3 chains trained for real on digits" in page
    assert "2 epochs, batch 32, lr of each configuration; predictions" in page
    assert lab(*arguments, "--tune", 5)[::2] == (
        2,
        "nasbench-lab: lr is part of what chains are: there is nothing to tune; leave out --tune\n",
    )
    _, found = candidates.of_target("3,fc,5,8,2,0.3", table=str(table), top=5, epochs=2)
    assert [c.arch for c in found] == [naming.parse(space, "3,fc,3,8,1,0.3")]
    assert [c.arch for c in candidates.of_target("4, 5", table=str(table), top=5, epochs=2)[1]] == [4, 5]
    with pytest.raises(LabError, match="is of the space 'chain'; trained are cells"):
        validation.validate(str(table), settings())


@pytest.mark.slow
def test_workers_give_the_same_trainings(tmp_path):
    def run(workers: int):
        return validation.validate("11,284", settings(workers=workers), table="toy")

    def numbers(content):
        return [(r["arch"], r["seed"], r["val"], r["test"]) for r in content["records"]]

    assert numbers(run(2)) == numbers(run(1))


@needs_botorch
def test_tuning_is_resumable_and_compares_on_fresh_seeds(lab, tmp_path):
    arguments = ["validate", "11", "--table", "toy", *SIZES, "--seeds", 2, "--tune", 5, "--out", tmp_path]
    code, out, err = lab(*arguments)
    assert code == 0, err
    assert "Hyper-parameter optimisation" in out
    tuning = json.loads((tmp_path / "validation.json").read_text())["tuning"]
    assert [len(row["trials"]) for row in tuning["rows"]] == [5]
    assert tuning["rows"][0]["trials"][0]["lr"] == TINY.recipe.lr  # the recipe is the first trial
    before = (tmp_path / "validation.json").read_bytes()
    assert lab(*arguments)[0] == 0
    assert (tmp_path / "validation.json").read_bytes() == before


def tuned(evaluate, trials):
    from nasbench_lab.training import tuning

    asked = tuning.proposals(TINY.recipe, trials)
    recipe = next(asked)
    for number in range(trials):
        try:
            recipe = asked.send(evaluate(recipe, number))
        except StopIteration as ended:
            return ended.value
    raise AssertionError("more trials than were allowed")


def test_many_at_once_are_the_same_trainings(tmp_path, monkeypatch):
    """As on a GPU, here on the CPU: the same candidates, seeds and numbers but for rounding."""

    def run(folder: str):
        monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / folder))
        return validation.validate("11,284", settings(), table="toy")["records"]

    alone = run("one")
    monkeypatch.setattr(grouped, "at_once", lambda _device: True)
    together = run("two")
    assert [(r["arch"], r["seed"]) for r in together] == [(r["arch"], r["seed"]) for r in alone]
    assert all(r["made"].startswith("together") for r in together)
    np.testing.assert_allclose([r["test"] for r in together], [r["test"] for r in alone], atol=6)


@needs_botorch
def test_tuning_many_at_once_takes_every_candidates_own_trials(tmp_path, monkeypatch):
    monkeypatch.setattr(grouped, "at_once", lambda _device: True)
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    rows = validation.validate("11,284", settings(tune=5), table="toy")["tuning"]["rows"]
    assert [len(row["trials"]) for row in rows] == [5, 5]
    first, second = ([(t["lr"], t["batch"]) for t in row["trials"]] for row in rows)
    assert first[0] == second[0]
    assert first[1:] != second[1:]


@needs_botorch
@pytest.mark.slow
def test_tuning_finds_a_better_recipe_under_noise():
    from nasbench_lab.training import tuning

    goal = np.array([0.7, 0.3, 0.5, 1.0])

    def evaluate(recipe, number):
        gap = np.array(tuning.encode(recipe)) - goal
        return 85 - 30 * float(gap @ gap) + 0.3 * np.random.default_rng(number).standard_normal()

    best, done = tuned(evaluate, 16)
    truth = [85 - 30 * float(np.sum((np.array(tuning.encode(t.recipe)) - goal) ** 2)) for t in done]
    assert len(done) == 16
    assert done[0].recipe == TINY.recipe
    chosen = next(i for i, t in enumerate(done) if t.recipe == best)
    assert truth[chosen] > truth[0] + 3
    assert truth[chosen] > max(truth) - 1


@needs_botorch
def test_tuning_survives_divergence():
    from nasbench_lab.training import tuning

    best, done = tuned(lambda recipe, n: np.nan if n % 2 else 50.0 + n, 8)
    assert np.isfinite(next(t.val for t in done if t.recipe == best))
    assert tuning.decode(tuning.encode(TINY.recipe), TINY.recipe) == TINY.recipe


def test_a_chart_has_no_nan_in_it():
    """Where nothing is known of a spread it is left out of the chart, which is JSON."""
    from nasbench_lab.plots import validation as charts

    row = {"score": "val", "group": "best", "arch": 1, "predicted": 80.0, "measured": 81.0, "y_lo": float("nan")}
    svg = charts.predicted_against_measured([row | {"x_lo": 80.0, "x_hi": 80.0, "y_hi": float("nan")}], "one training")
    assert svg.startswith("<svg")


def test_noise_is_taken_of_all_trials_unless_the_first_decided_who_got_more():
    rng = np.random.default_rng(0)
    whole = rng.normal(80, 1, (50, 3))
    assert validation._chosen_by_none(whole) is whole
    some = whole.copy()
    some[10:, 1:] = np.nan
    np.testing.assert_array_equal(validation._chosen_by_none(some), some[:, 1:])
    assert validation._chosen_by_none(some[:, :2]).shape == (50, 2)
