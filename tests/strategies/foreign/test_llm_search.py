"""Search by a language model, against an endpoint on localhost that speaks the real protocol and has its manners."""

from __future__ import annotations

import json
import math
import pickle
import re

import numpy as np
import pytest
from chat_server import KEY, Model
from conftest import make_table
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab import loading
from nasbench_lab.core import LabError, Result, Task, stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell, named
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.foreign import _endpoint, llm_search
from nasbench_lab.strategies.foreign.llm_search import LlmSearch
from nasbench_lab.study import runner
from nasbench_lab.testing.strategy_kit import check_strategy


@pytest.fixture(scope="module")
def model():
    found = Model()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def endpoint(model, monkeypatch, tmp_path):
    model.bodies.clear()
    model.manners.clear()
    monkeypatch.setenv("OPENAI_BASE_URL", model.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "made-up")
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    monkeypatch.setattr(_endpoint, "_WAITS", 0.01)
    return model


NAMES = [check.name for check in check_strategy("random_search")]


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_conformance(endpoint, number):
    list(check_strategy("llm_search"))[number]()


def searched(table, queries=30, seed=0, **settings):
    strategy = LlmSearch(**settings)
    return strategy, runner.search(strategy, Tabular(table), seed=seed, max_queries=queries).records


def archs(records):
    return [record.result.query.arch for record in records]


def test_it_climbs_where_the_model_does(endpoint, toy):
    strategy, records = searched(toy, 60)
    assert len(set(archs(records))) == 60
    best = [record.result.val for record in records]
    assert np.mean(best[-20:]) > np.mean(best[:10])
    assert strategy.counts["random"] <= 2
    assert strategy.counts["used"] >= 48
    assert strategy.counts["tokens"] == 100 * strategy.counts["replies"]


def test_the_first_are_those_of_the_common_design(endpoint, toy):
    _, records = searched(toy, 12, initial=10)
    others = runner.search(loading.build("strategies", "random_search"), Tabular(toy), seed=0, max_queries=10).records
    assert archs(records)[:10] == archs(others)
    assert len(endpoint.bodies) >= 2


def test_a_run_is_repeated_without_the_network_and_only_then(endpoint, toy, tmp_path, monkeypatch):
    _, first = searched(toy, answers=str(tmp_path / "kept"))
    asked = len(endpoint.bodies)
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    _, again = searched(toy, answers=str(tmp_path / "kept"))
    assert archs(again) == archs(first)
    assert len(endpoint.bodies) == asked
    with pytest.raises(LabError, match="has no reply to what is asked, and OPENAI_BASE_URL names no endpoint"):
        searched(toy, answers=str(tmp_path / "kept"), seed=1)
    with pytest.raises(LabError, match="set OPENAI_BASE_URL"):
        searched(toy, answers=str(tmp_path / "others"))


def test_every_run_has_a_file_of_its_own(endpoint, lab, tmp_path, monkeypatch):
    """Several seeds in one process and in two: each is then repeated from its file."""
    folders = []
    for workers in (1, 2):
        folders.append(tmp_path / f"answers{workers}")
        spec = f"llm_search:answers={folders[-1]},initial=2"
        asked = ("compare", spec, "--table", "toy", "--seeds", 3, "--max-queries", 6, "--workers", workers)
        assert lab(*asked, "--out", tmp_path / f"out{workers}")[0] == 0
    one, two = ({path.name: path.read_text() for path in folder.iterdir()} for folder in folders)
    assert one == two
    assert len(one) == 3
    monkeypatch.delenv("OPENAI_BASE_URL")
    code, out, _ = lab("reproduce", tmp_path / "out1")
    assert code == 0
    assert "3 runs reproduced exactly" in out


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: raw.replace(b": 100,", b": 900,", 1), lambda raw: b"\0" + raw]
)
def test_a_line_that_was_damaged_is_asked_again(endpoint, toy, tmp_path, damage):
    _, first = searched(toy, 14, answers=str(tmp_path / "kept"))
    asked = len(endpoint.bodies)
    (file,) = (tmp_path / "kept").iterdir()
    before = file.read_bytes()
    file.write_bytes(damage(before))
    assert file.read_bytes() != before
    _, again = searched(toy, 14, answers=str(tmp_path / "kept"))
    assert archs(again) == archs(first)
    assert len(endpoint.bodies) == asked + 1
    searched(toy, 14, answers=str(tmp_path / "kept"))
    assert len(endpoint.bodies) == asked + 1


def test_the_key_is_nowhere(endpoint, toy, tmp_path):
    strategy, _ = searched(toy, 14)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"made-up" not in kept  # nor anything else of the request
    assert KEY.encode() not in kept + pickle.dumps(strategy)
    assert KEY not in json.dumps(endpoint.bodies)
    endpoint.manners.append(401)
    with pytest.raises(LabError, match="HTTP 401") as caught:
        searched(toy, 14, seed=1)
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_nothing_of_the_table_is_named_and_without_words_nothing_of_the_space(endpoint, toy):
    searched(toy, 12)
    said = json.dumps(endpoint.bodies)
    assert "nor_conv_3x3" in said
    assert "toy" not in said
    assert "201" not in said
    endpoint.bodies.clear()
    strategy, records = searched(toy, 30, words=False)
    words = set(re.findall(r"[a-z]+", json.dumps(endpoint.bodies).lower().replace("none was", "")))
    assert not words & {"conv", "nor", "skip", "pool", "avg", "none", "node", "edge"}
    assert strategy.counts["used"] > 15
    assert len(set(archs(records))) == 30


@pytest.mark.parametrize(
    ("said", "count", "told"),
    [
        ("I would try a convolution.", "nonsense", "it is no JSON list"),
        ('{"a": 1}', "nonsense", "it is no JSON list"),
        ("[NaN]", "nonsense", "it is no JSON list"),
        ("[" * 5000, "nonsense", "it is no JSON list"),
        ("[]", "", "the list is empty"),
        ('[{"op": "conv"}]', "nonsense", "a configuration has"),
        ('[{"op": "conv", "width": 9}]', "nonsense", "is one of"),
        ('[{"op": "conv", "width": [8]}]', "nonsense", "is one of"),
        ('[{"op": "fc", "width": 32}]', "nonsense", "does not exist"),
        ("SEEN", "repeats", "was tried before"),
    ],
)
def test_a_reply_that_cannot_be_used_is_counted_and_answered(endpoint, said, count, told, capsys):
    space = Space(
        [Decision("op", ("conv", "fc", "pool")), Decision("width", (8, 16, 32), ordered=True)],
        listed=[[a, b] for a in range(3) for b in range(3) if (a, b) != (1, 2)],
        name="small",
    )
    strategy = LlmSearch(initial=1, retries=2)
    strategy.start(Task(space, (1,), max_queries=9), 0)
    seen = strategy.ask()
    strategy.tell(Result(seen, 50.0, 1.0))
    if said == "SEEN":
        said = json.dumps([strategy._names.labels(seen.arch)])
    endpoint.manners += [said] * 3
    query = strategy.ask()
    assert query.arch != seen.arch
    assert len(endpoint.bodies) == 3
    assert told in endpoint.bodies[1]["messages"][-1]["content"]
    assert endpoint.bodies[1]["messages"][-2] == {"role": "assistant", "content": said}
    assert [strategy.counts[name] for name in ("nonsense", "repeats", "random")] == [
        3 * (count == "nonsense"),
        3 * (count == "repeats"),
        1,
    ]
    assert "a random cell is asked for instead" in capsys.readouterr().err


def test_numbers_and_fences_are_understood_and_what_is_new_is_kept_for_later(endpoint):
    space = Space([Decision("op", ("conv", "fc")), Decision("width", (8, 16, 32), ordered=True)], name="small")
    strategy = LlmSearch(initial=0, batch=3)
    strategy.start(Task(space, (1,), max_queries=9, unit="loss", better="lower"), 0)
    rows = [{"op": "conv", "width": 16}, {"op": "fc", "width": "32"}, {"op": "conv", "width": 16.0}]
    endpoint.manners.append(f"```json\n{json.dumps(rows)}\n```")
    first, second = strategy.ask(), strategy.ask()
    assert [space.row(each.arch) for each in (first, second)] == [(0, 1), (1, 2)]
    assert len(endpoint.bodies) == 1
    assert strategy.counts["repeats"] == 1
    strategy.tell(Result(first, -0.25, 1.0))
    strategy.ask()
    shown = endpoint.bodies[1]["messages"]
    assert "lower is better" in shown[0]["content"]
    assert '{"op": "conv", "width": "16"}: 0.25' in shown[1]["content"]
    assert 'Tried and not scored yet:\n{"op": "fc", "width": "32"}' in shown[1]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        "```json\n{}\n```",
        "```json\n{}```",
        "Here is one that I would try:\n\n```json\n{}\n```\nIt is wide.",
        "<think>\nperhaps [1, 2], or ```\nthis\n```?\n</think>\n\n{}",
        "<think>hm</think>\n```\n{}\n```",
    ],
)
def test_the_one_list_of_a_reply_is_read_whatever_stands_around_it(endpoint, reply):
    space = Space([Decision("op", ("conv", "fc")), Decision("rate", (0.001, 0.01), ordered=True)], name="small")
    strategy = LlmSearch(initial=0, batch=3)
    strategy.start(Task(space, (1,), max_queries=9), 0)
    endpoint.manners.append(reply.replace("{}", json.dumps([{"op": "fc", "rate": "1e-3"}])))
    assert space.row(strategy.ask().arch) == (1, 0)
    assert strategy.counts["nonsense"] == 0


def test_a_small_space_is_gone_through_to_its_end(endpoint):
    strategy = LlmSearch(initial=0, retries=0)
    space = Space([Decision("op", ("conv", "fc")), Decision("width", (8, 16, 32), ordered=True)], name="small")
    strategy.start(Task(space, (1,), max_queries=99), 0)
    found = []
    while (query := strategy.ask()) is not None:
        strategy.tell(Result(query, math.nan if query.arch == 2 else 1.0, 1.0))
        found.append(query.arch)
    assert sorted(found) == list(range(6))


@pytest.mark.parametrize("manner", [503, 429, 0.4])
def test_a_busy_or_silent_endpoint_is_asked_again(endpoint, toy, manner):
    endpoint.manners.append(manner)
    _, records = searched(toy, 11, timeout=0.2 if manner == 0.4 else 5.0)
    assert len(records) == 11
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        ([500, 502], "did not answer in 2 attempts: HTTP 502"),
        ([0.5, 0.5], "did not answer in 2 attempts: no answer within 0.2 s"),
        ([404], "answers HTTP 404"),
        ([302], "answers HTTP 302"),
        ([b"hello"], "is no chat completion"),
        ([b'{"choices": []}'], "is no chat completion"),
        ([b'{"choices": [{"message": {"content": null}}]}'], "holds no text"),
        ([b" " * (_endpoint._LONGEST + 1)], "sends more than"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_said(endpoint, toy, manners, said):
    endpoint.manners += manners
    with pytest.raises(LabError, match=re.escape(said)):
        searched(toy, 11, timeout=0.2 if 0.5 in manners else 5.0, attempts=2)


def test_nobody_at_the_address(endpoint, toy, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(LabError, match="did not answer in 2 attempts: ConnectionError"):
        searched(toy, 11, attempts=2)
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:9")
    with pytest.raises(LabError, match="must be the address of an OpenAI-compatible endpoint, got 'localhost:9'"):
        searched(toy, 11)


def test_tokens_have_an_end(endpoint, toy, capsys):
    strategy, records = searched(toy, 60, run_tokens=500)
    assert 500 <= strategy.counts["tokens"] < 600
    assert len(records) < 60
    assert "500 tokens are spent" in capsys.readouterr().err


def test_pickled_it_goes_on_from_what_is_recorded(endpoint, toy):
    strategy = LlmSearch(initial=2)
    strategy.start(Tabular(toy).task, 3)
    for _ in range(5):
        strategy.tell(Result(query := strategy.ask(), float(query.arch), 1.0))
    copy = pickle.loads(pickle.dumps(strategy))
    expected = strategy.ask()
    asked = len(endpoint.bodies)
    assert copy.ask() == expected
    assert len(endpoint.bodies) == asked


@pytest.mark.parametrize("space", ["transnas-macro", "fcnet", "nas-bench-201", "chain"])
def test_every_space_is_described_and_answers_are_found(space):
    space = named.named(space)
    for words in (True, False):
        names = llm_search._Names(Task(space, (1,)), words)
        assert len(list(names.lines())) == len(space.decisions)
        for arch in stream(0, 1).integers(space.size, size=20).tolist():
            assert names.arch(json.loads(json.dumps(names.labels(arch)))) == arch


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_whatever_a_model_says_is_understood_or_counted(said):
    strategy = LlmSearch(model="m")
    strategy.counts = dict.fromkeys(("nonsense", "repeats"), 0)
    strategy._names, strategy._asked = llm_search._Names(Task(cell.SPACE, (1,)), True), {}
    fresh, wrong = strategy._understood(json.dumps(said))
    assert fresh == []
    assert all(isinstance(each, str) and len(each) < 1000 for each in wrong)


def test_several_objectives_are_told_with_their_directions(endpoint):
    table = make_table(metrics={"latency_ms/x": stream(0, 2).uniform(1, 9, cell.SPACE.size)})
    strategy = LlmSearch(initial=2)
    runner.search(strategy, Tabular(table, objectives=("val", "latency_ms/x")), seed=0, max_queries=4)
    shown = endpoint.bodies[0]["messages"]
    assert "latency_ms/x, lower is better" in shown[0]["content"]
    assert re.search(r"\}: [\d.]+, latency_ms/x [\d.]+$", shown[1]["content"], re.M)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch": 0}, "batch"),
        ({"timeout": 0}, "timeout"),
        ({"temperature": 3}, "temperature"),
        ({"retries": -1}, "retries"),
    ],
)
def test_settings_that_cannot_be(wrong, said):
    with pytest.raises(ValueError, match=said):
        LlmSearch(**wrong)


def test_without_a_model_it_is_refused_before_any_run(endpoint, monkeypatch, lab, tmp_path):
    monkeypatch.delenv("OPENAI_MODEL")
    code, _, err = lab("compare", "llm_search", "--table", "toy", "--seeds", 2, "--out", tmp_path / "out")
    assert code == 2
    assert "which model? Say model=NAME, or set OPENAI_MODEL" in err
    assert not (tmp_path / "out" / "runs").exists()


def test_a_board_says_that_a_model_may_know_the_table(endpoint, lab, tmp_path):
    asked = ("compare", "llm_search", "llm_search:words=false", "random_search", "--table", "toy", "--seeds", 1)
    code, _, err = lab(*asked, "--max-queries", 3, "--out", tmp_path / "out")
    assert code == 0
    board = (tmp_path / "out" / "leaderboard.md").read_text()
    for said in (
        "llm_search: asked of made-up; its model may have read this table's scores",
        "words=false: asked of made-up\n",
    ):
        assert said in err
        assert said.strip() in board
    assert "words=false: asked of made-up; its model" not in err


def test_an_address_keeps_its_password_and_a_record_the_key(endpoint, toy, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:hunter2@127.0.0.1:9/v1?token=abc123")
    for text in ("http://me:hunter2@127.0.0.1:9/v1?token=abc123", "Basic bWU6aHVudGVyMg==", f"you sent {KEY}"):
        shown = _endpoint._without_secrets(text)
        assert "***" in shown
        assert not any(secret in shown for secret in ("hunter2", "abc123", "bWU6aHVudGVyMg==", KEY))
    reply = _endpoint._reply(json.dumps({"choices": [{"message": {"content": f"[] {KEY}"}}]}).encode())
    assert reply.text == "[] ***"
    monkeypatch.setenv("OPENAI_API_KEY", "none")  # what many a local endpoint is given; and an operation's name
    said = json.dumps([{"edge 0-1": "none"}])
    assert _endpoint._reply(json.dumps({"choices": [{"message": {"content": said}}]}).encode()).text == said
    assert _endpoint._without_secrets("got none") == "got ***"
