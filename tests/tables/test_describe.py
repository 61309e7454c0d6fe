from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import make_table

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.stats import references
from nasbench_lab.tables import describe
from nasbench_lab.tables.table import Table


def test_a_cell_is_told_with_its_class_cost_and_ranked_scores(toy):
    facts = describe.cell_facts("11472", toy)
    assert facts["cell"] == 11472
    assert facts["string"] == cell.to_string(11472)
    assert facts["ops"] == {
        "0-1": "nor_conv_3x3", "0-2": "none", "1-2": "nor_conv_3x3", "0-3": "skip_connect", "1-3": "none", "2-3": "skip_connect",
    }  # fmt: skip
    members = cell.class_members()[int(cell.SPACE.classes[11472])]
    assert f"of 6466, members ({len(members)})" in facts["class"]
    assert facts["table"] == "toy (synthetic)"
    rank = 1 + int((toy.truth > toy.truth[11472]).sum())
    assert str(facts["scores"]["test after 12 epochs"]) == f"{toy.truth[11472]:.2f} (rank {rank} of 15625)"
    assert describe.cell_facts(cell.to_string(11472), toy) == facts


def test_small_costs_rank_first():
    values = np.arange(float(cell.SPACE.size))
    facts = describe.cell_facts("3", make_table(metrics={"latency_ms/tpu": values}))
    assert "rank 4 of 15625" in str(facts["scores"]["latency_ms/tpu"])


def test_what_was_not_measured_is_said():
    values = np.full(cell.SPACE.size, np.nan)
    values[1] = 1.0
    facts = describe.cell_facts("3", make_table(metrics={"latency_ms/tpu": values}))
    assert str(facts["scores"]["latency_ms/tpu"]) == "not measured"


def test_a_disconnected_cell_is_called_that(toy):
    assert describe.cell_facts("none,none,none,none,none,none", toy)["connected"].startswith("no")


def test_no_cell_is_a_lab_error(toy):
    with pytest.raises(LabError, match="not a cell"):
        describe.cell_facts("my cell", toy)


def test_a_table_is_told_with_optimum_noise_and_maxima(toy):
    facts = describe.table_facts(toy)
    best = np.flatnonzero(toy.truth == toy.truth.max())
    assert facts["optimum"].startswith(f"{toy.truth.max():.4f} test, cell {best[0]}")
    assert facts["cells"].startswith("15,625 of 15,625")
    brute = sum(all(toy.truth[a] > toy.truth[b] for b in cell.SPACE.neighbours_of(a)) for a in range(cell.SPACE.size))
    assert facts["local maxima"].startswith(f"{brute} ")
    assert facts["digest"] == toy.digest
    assert facts["schedule 12"]["epochs"] == "1, 4, 12"
    assert "0.5" in facts["schedule 12"]["noise"] or "0.6" in facts["schedule 12"]["noise"]  # made with sd 0.6


def test_a_table_is_told_with_what_is_known_exactly(toy):
    facts = describe.table_facts(toy)["search on 12"]
    seen = toy.schedules[12].val[:, -1]
    assert facts["best by validation"] == f"{toy.truth[seen.argmax()]:.4f} test"
    after = references.random_search_expectation(seen, toy.truth, [100])[0]
    assert facts["random search"].startswith(f"expects {after:.4f} test after 100 queries")
    maxima = sum(all(seen[a] >= seen[b] for b in cell.SPACE.neighbours_of(a)) for a in range(cell.SPACE.size))
    assert f"({maxima} local maxima by validation)" in facts["local search"]
    assert "test expected" in facts["best by one trial"]


@pytest.mark.parametrize(
    ("better", "one", "several"), [("lower", "minimum", "minima"), ("higher", "maximum", "maxima")]
)
def test_one_optimum_is_no_optima_and_is_said_to_be_by_validation(better, one, several):
    sign = 1 if better == "higher" else -1
    frame = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "one": [4.0, 3, 2, 1], "two": [4.0, 1, 2, 3]})
    frame = frame.assign(one=sign * frame["one"], two=sign * frame["two"])
    for val, test, said in (
        ("one", "two", f"(1 local {one} by validation)"),
        ("two", "one", f"(2 local {several} by v"),
    ):
        table = Table.from_frame(frame, name="x", decisions=["a", "b"], val=val, test=test, better=better)
        facts = describe.table_facts(table)
        assert said in facts["search"]["local search"]
        assert facts[f"local {several}"].startswith("2 (" if test == "two" else "1 (")


def test_trials_that_not_all_cells_have_are_counted_each():
    frame = pd.DataFrame({"a": range(4), "v1": [1.0, 2, 3, 4], "v2": [1.0, 2, None, 4], "t1": 1.0, "t2": 2.0})
    facts = describe.table_facts(Table.from_frame(frame, name="x", decisions="a", val=["v1", "v2"], test=["t1", "t2"]))
    assert facts["scores"]["trials"] == "validation 2 trials, of 4 and 3 cells; test 2 trials of 4 cells each"


def test_what_random_search_must_do_is_told_in_one_query_or_more():
    frame = pd.DataFrame({"a": range(3), "v": [1.0, 1, 1]})
    facts = describe.table_facts(Table.from_frame(frame, name="x", decisions="a", val="v"))
    told = "1 query until it has tried an optimum; where it becomes its choice, after 1 query on average"
    assert facts["search"]["random search to an optimum"] == told


def test_a_table_of_means_alone_has_unknown_noise():
    facts = describe.table_facts(make_table(trials=0))
    assert facts["schedule 12"]["noise"] == "validation unknown; test unknown"
    assert facts["schedule 12"]["trials"] == "validation one number a cell; test one number a cell"


def test_seconds_of_other_kinds_than_the_clocks_say_whose_they_are(toy):
    """JSON has the numbers alone."""
    other = np.ones(15625)
    table = replace(toy, metrics={**toy.metrics, "measured_seconds": other, "proxy_seconds/zen": other})
    facts = describe.cell_facts(7, table)["scores"]
    assert "what a query is charged" in facts["seconds, 12 epochs"]
    assert (
        str(facts["measured_seconds"])
        == "1 (what one training took on the machine that measured; no search is charged it)"
    )
    assert str(facts["proxy_seconds/zen"]) == "1 (what a search is charged for the score)"
    assert describe.plain(facts)["measured_seconds"] == {"value": 1.0, "rank": None, "of": None}
