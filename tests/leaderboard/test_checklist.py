from __future__ import annotations

import json

import pytest

from nasbench_lab.leaderboard import checklist


def manifest_of(*strategies, seeds=50, tables=("digits",), **task):
    return {
        "study": {
            "strategies": strategies or ("random_search", "local_search"),
            "tasks": [{"table": "digits", "max_queries": 9, "max_seconds": None, **task}],
            "seeds": seeds,
            "first_seed": 3,
        },
        "tables": {name: {"label": name, "digest": "x"} for name in tables},
        "versions": {"numpy": "2"},
        "runs": [],
    }


def answer(number, manifest):
    (found,) = [each for each in checklist.of(manifest) if each["item"].startswith(f"{number} ")]
    assert found["why"]
    return found["status"], found["why"]


def test_every_item_is_answered_once_with_a_reason():
    answers = checklist.of(manifest_of())
    assert len({each["item"] for each in answers}) == 16
    assert {each["status"] for each in answers} <= {"yes", "no", "partly", "by hand"}
    assert all(each["why"] for each in answers)


@pytest.mark.parametrize(
    ("number", "manifest", "status", "why"),
    [
        ("1a", manifest_of(), "yes", "digits"),
        ("1a", manifest_of(tables=("toy (synthetic)",)), "partly", "made up"),
        (
            "1a",
            manifest_of(tables=("x-surrogate (predicted)", "digits")),
            "partly",
            "x-surrogate (predicted): by a fitted",
        ),
        ("1a", manifest_of(evaluator="surrogate:model=gp"), "partly", "surrogate:model=gp: by a fitted"),
        ("1c", manifest_of(tables=("x-surrogate (predicted)",)), "partly", "nothing was trained"),
        ("1a", manifest_of(evaluator="training:device=cuda"), "yes", "recipe"),
        ("1d", manifest_of("local_search:restarts=2"), "yes", "package"),
        ("1d", manifest_of("random_search", "mine/my_search.py"), "by hand", "my_search.py"),
        ("1d", manifest_of("other.package:Search"), "by hand", "other.package"),
        ("1d", manifest_of("external:command=(./search)"), "by hand", "external"),
        ("1e", manifest_of(seeds=4), "yes", "seeds 3 to 6"),
        ("2a", manifest_of(), "yes", "same table"),
        ("2a", manifest_of(search="oracle"), "partly", "test accuracy"),
        (
            "2a",
            manifest_of("random_search", "rsps:epochs=3"),
            "partly",
            "from images, not from the table: rsps:epochs=3",
        ),
        ("2h", manifest_of("random_search", "rsps:epochs=3"), "partly", "none were asked by rsps:epochs=3"),
        ("2a", manifest_of(evaluator="tabular:reading=search-on-test"), "partly", "search-on-test"),
        ("2c", manifest_of(), "no", "variants"),
        ("2c", manifest_of("a:x=1", "a:x=2"), "yes", "variants of a"),
        ("2e", manifest_of(max_seconds=10.0), "yes", "simulated seconds"),
        ("2f", manifest_of("random_search:replacement=true", "gp_bo"), "yes", "among"),
        ("2f", manifest_of("gp_bo"), "yes", "exact expectation"),
        ("2f", manifest_of("gp_bo", trials="sample"), "no", "not among"),
        ("2g", manifest_of(), "yes", "50 runs per strategy, seeds 3 to 52,"),
        ("2g", manifest_of(seeds=5), "partly", "5 runs per strategy, seeds 3 to 7;"),
        ("2g", manifest_of(seeds=1), "no", "1 run per strategy, seed 3;"),
        ("2h", manifest_of(evaluator="training"), "partly", "training"),
        ("3a", manifest_of(), "by hand", "default parameters"),
        ("3a", manifest_of("gp_bo", "tpe:gamma=0.2"), "by hand", "set for tpe:gamma=0.2;"),
    ],
)
def test_answers_follow_the_manifest(number, manifest, status, why):
    found = answer(number, manifest)
    assert found[0] == status
    assert why in found[1]


def test_a_study_s_manifest_carries_it(lab, tmp_path):
    lab("compare", "random_search", "--table", "toy", "--max-queries", 2, "--seeds", 2, "--out", tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["checklist"] == checklist.of(manifest)
    assert answer("1a", manifest)[0] == "partly"  # toy is made up
