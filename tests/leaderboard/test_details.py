from __future__ import annotations

import json

import numpy as np
import pytest

from nasbench_lab import api
from nasbench_lab.leaderboard import details, landscapes
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import progress
from nasbench_lab.stats.measures import Measure
from nasbench_lab.study.study import Study, StudyTask

STRATEGIES = ("random_search", "local_search")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    api.run(Study(STRATEGIES, (StudyTask("toy", search="oracle", max_queries=40),), seeds=6, title="t"), out)
    return out


@pytest.fixture(scope="module")
def setting(folder):
    content = json.loads((folder / "details.json").read_text())
    assert set(content) == {"settings", "landscapes", "sha256"}
    return content["settings"][0]


@pytest.fixture(scope="module")
def finals(folder):
    """(R, S) incumbents at the end, from the runs themselves."""
    from nasbench_lab.study import execute
    from nasbench_lab.study.plan import resolve
    from nasbench_lab.study.study import load_study

    plan = resolve(load_study(folder))

    return np.stack([runs.last("incumbent") for _, runs in execute.collect(plan, folder)], axis=1).astype(int)


def test_ranks_end_with_the_ranks_of_the_end(setting, finals, toy):
    expected = progress.mean_ranks(toy.truth[finals])
    assert [line[-1] for line in setting["rank"]["mean"]] == pytest.approx(expected, abs=1e-3)
    assert setting["rank"]["at"][-1] == 40


def test_targets_hit_count_those_never_hit(setting, finals, toy):
    regret = toy.truth.max() - toy.truth[finals]
    expected = [(regret[:, i][:, None] <= np.array(details.TARGETS) + 1e-9).mean() for i in range(2)]
    assert [line[-1] for line in setting["targets"]["share"]] == pytest.approx(expected, abs=1e-4)
    for line in setting["targets"]["share"]:
        assert line == sorted(line)


def test_the_profile_is_the_share_of_runs_within_a_regret(setting, finals, toy):
    regret = toy.truth.max() - toy.truth[finals]
    at = np.array(setting["profile"]["at"])
    for i, line in enumerate(setting["profile"]["share"]):
        between = np.array([np.abs(regret[:, i] - a).min() > 1e-3 for a in at])  # places are rounded
        expected = (regret[:, i][:, None] <= at).mean(axis=0)
        assert np.array(line)[between] == pytest.approx(expected[between], abs=1e-4)
        assert line[-1] == 1


def test_the_best_cells_are_those_that_runs_ended_with(setting, finals, toy):
    best = setting["best"]
    ended = {int(cell.SPACE.classes[arch]) for arch in finals.ravel()}
    assert [item["test"] for item in best] == sorted((item["test"] for item in best), reverse=True)
    assert best[0]["test"] == pytest.approx(max(toy.truth[finals].ravel()))
    assert best[0]["test_rank"] == 1 + (toy.truth > best[0]["test"] + 1e-9).sum()
    assert {int(cell.SPACE.classes[item["cell"]]) for item in best} <= ended
    if len(best) == len(ended):
        assert sum(item["runs"] for item in best) == finals.size
    assert all(sum(item["by"].values()) == item["runs"] for item in best)


def test_what_is_not_known_is_null():
    assert details._known({"a": [float("nan"), 1.5], "b": float("inf")}) == {"a": [None, 1.5], "b": None}


def test_a_landscape_of_any_space_and_direction():
    """54 cells, lower is better, cell 20 alone is best and every decision away from it costs: one optimum, all lead there."""
    space = Space((3, 3, 3, 2))
    away = (space.choices != space.choices[20]).sum(axis=1)
    found = landscapes.of(space, -1e-4 * (1.0 + away), Measure("mean squared error", "lower"))
    assert [(row["distance"], row["cells"], row["best"]) for row in found["distance"]] == [
        (0, 1, 1e-4), (1, 7, 2e-4), (2, 18, 3e-4), (3, 20, 4e-4), (4, 8, 5e-4)
    ]  # fmt: skip
    assert found["local_optima"] == [{"cell": 20, "test": 1e-4, "basin": 1.0, "best": True}]
    assert sum(found["counts"]) == 54
    assert (found["edges"][0], found["below"]) == (1e-4, 5e-4)
    assert found["counts"][0] == 1
    assert found["differ"] == "decisions"


def test_a_landscape_of_a_listed_space_follows_the_neighbours_that_exist():
    space = Space((3, 2), listed=np.array([[0, 0], [1, 0], [2, 1]]))  # the last has no neighbour
    found = landscapes.of(space, np.array([1.0, 2.0, 1.5]), Measure("SSIM"))
    assert [(row["cell"], row["basin"]) for row in found["local_optima"]] == [(1, pytest.approx(2 / 3)), (2, 0.333333)]
    assert [row["distance"] for row in found["distance"]] == [0, 1, 2]


def test_a_landscape_of_one_cell_and_of_a_plateau():
    assert len(landscapes.of(Space((1, 1)), np.array([0.5]), Measure("SSIM"))["local_optima"]) == 1
    flat = landscapes.of(Space((50, 50)), np.full(2500, 0.5), Measure("SSIM"))
    assert (flat["optima"], len(flat["local_optima"]), flat["distance"]) == (2500, 1000, [])


def test_local_optima_have_no_better_neighbour_and_basins_are_everything(toy):
    rows = landscapes.of(cell.SPACE, toy.truth, Measure())["local_optima"]
    cells = [row["cell"] for row in rows]
    assert (toy.truth[cell.SPACE.neighbours[cells]] <= toy.truth[cells][:, None]).all()
    assert sum(row["basin"] for row in rows) == pytest.approx(1, abs=1e-3)
    assert [row["best"] for row in rows].count(True) == (toy.truth == toy.truth.max()).sum()
