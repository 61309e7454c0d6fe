from __future__ import annotations

import json

import pytest

from nasbench_lab import extras, loading
from nasbench_lab.listing import plugins


def test_list_names_every_plugin_with_its_parameters(lab):
    code, out, err = lab("list")
    assert (code, err) == (0, "")
    for kind in plugins.KINDS:
        for name in loading.leaves(kind):
            assert f"\n  {name} " in out
    for words in ("population=10, sample=3", "arXiv:1802.01548", "\nevolution\n", "\nsurrogates\n", "\nevaluators\n"):
        assert words in out


def test_list_of_one_family(lab):
    code, out, _ = lab("list", "--family", "tree")
    assert code == 0
    assert out.startswith("\ntree\n  mcts ")
    assert "local_search" not in out
    assert "surrogates" not in out


def test_list_explains_one_parameter_by_parameter(lab):
    code, out, _ = lab("list", "local_search")
    assert code == 0
    for words in (
        "local_search: Local search: hill climbing",
        "\nHill climbing at the highest fidelity.\n",
        "family    local\n",
        "paper     White et al. 2021, arXiv:2005.02960\n",
        "  improvement=first             one of first, best\n",
        "moves to the first better neighbour",
        "example   local_search:improvement=best,restarts=True\n",
        "  restarts=True                 bool\n",
    ):
        assert words in out


def test_list_json_holds_everything(lab):
    rows = json.loads(lab("list", "--json")[1], parse_constant=pytest.fail)
    assert [(row["kind"], row["name"]) for row in rows if row["kind"] != "strategies"] == [
        (kind, name) for kind in plugins.KINDS[1:] for name in loading.names(kind)
    ]
    by_name = {row["name"]: row for row in rows}
    assert {row["name"] for row in rows if row["kind"] == "strategies"} == set(loading.names("strategies"))
    assert by_name["local_search"]["parameters"][0] == {
        "name": "improvement",
        "type": "Literal['first', 'best']",
        "default": "first",
        "required": False,
        "meaning": '"first" moves to the first better neighbour in random order; "best" tries all and moves to the best of '
        "them (the variant of White et al.).",
        "allowed": ["first", "best"],
    }
    assert [row["name"] for row in json.loads(lab("list", "gp_bo", "--json")[1])] == ["gp_bo"]
    assert {row["family"] for row in json.loads(lab("list", "--family", "tree", "--json")[1])} == {"tree"}


def test_list_marks_what_is_absent_and_how_to_get_it(lab, monkeypatch):
    monkeypatch.setattr(extras, "absent", lambda package: package in ("torch", "optuna"))
    out = lab("list")[1]
    assert out.count("(needs [training])") >= len(plugins.families("one_shot")["one_shot"])
    assert out.count("(needs [optuna])") == 2
    assert out.count("(needs [optuna,training])") == 1
    assert "'darts' needs torch, which is not installed; in a clone: pip install" in lab("list", "darts")[1]
    assert "absent" not in lab("list", "gp_bo")[1]
    rows = {row["name"]: row for row in json.loads(lab("list", "--json")[1])}
    assert (rows["darts"]["absent"], rows["gp_bo"]["absent"], rows["gp_bo"]["install"]) == (["torch"], [], "")


def test_list_of_a_file_that_was_not_installed(lab, tmp_path):
    (tmp_path / "mine.py").write_text('"""Mine: a file."""\nprint("ran")\nclass Mine: ...\n')
    code, out, _ = lab("list", tmp_path / "mine.py")
    assert code == 0
    assert "Mine: a file." in out
    assert "no parameters" in out
    assert "\nran" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["locl_search"], "did you mean local_search"),
        (["--family", "evolutoin"], "no family named 'evolutoin'; did you mean evolution? Allowed: bandits, baselines"),
        (["gp_bo", "--family", "tree"], "either a name or --family"),
        (["no/such.py"], "cannot be read"),
    ],
)
def test_what_cannot_be_listed_is_one_message(lab, arguments, message):
    code, out, err = lab("list", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_lines_of_the_list_fit_a_screen(lab):
    lines = lab("list")[1].splitlines()
    assert {len(line.split()) for line in lines if len(line) > 120} <= {1}  # a parameter stays whole


def test_what_is_explained_is_for_users(lab):
    """How a default came about, with which seeds, stands in a comment."""
    rows = json.loads(lab("list", "--json")[1])
    assert [row["name"] for row in rows if "seeds from" in " ".join(str(row["about"]).split())] == []
