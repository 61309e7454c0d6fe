"""Real training of a space that is not of cells: the same search, cache and answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from other_tables import trainable

from nasbench_lab import api
from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators.training import Training
from nasbench_lab.spaces import naming
from nasbench_lab.tables.table import Table
from nasbench_lab.training import networks
from nasbench_lab.training.problem import make_problem
from nasbench_lab.training.trainer import train

CHAIN = make_problem("digits", space="chain", epochs=2, part_size=64, held_out_size=100)


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    return trainable().save(tmp_path_factory.mktemp("chains") / "trainable.npz")


def test_a_chain_is_searched_as_a_cell_is(chains, tmp_path):
    opened = Training.open(
        str(chains), epochs="2", part_size="64", held_out_size="100", cache=str(tmp_path / "c.jsonl")
    )
    assert opened.problem == CHAIN
    assert opened.task.space == networks.CHAINS.space
    a = naming.parse(opened.task.space, "3,fc,5,8,2,0.3")
    member = int(opened.task.space.representatives[a])
    assert member != a
    result = opened.evaluate(Query(a, 2), 4)
    outcome = train(member, CHAIN.load(), CHAIN.recipe, seed=4, networks=networks.CHAINS)
    assert (result.val, opened.truth(a)) == (outcome.val[1], outcome.test)
    assert set(np.flatnonzero(opened.table().measured)) == set(
        np.flatnonzero(opened.task.space.representatives == member)
    )
    frame = api.search("tpe", opened, seed=0, max_queries=6)
    assert len(frame) == 6
    assert opened.policy["data"]["space"] == "chain"


def test_a_space_without_networks_cannot_be_trained(tmp_path):
    table = Table.from_frame(
        pd.DataFrame({"a": [1, 2], "val": [51.0, 52.0]}), name="own", decisions=["a"], val=["val"], unit="%"
    )
    with pytest.raises(LabError, match="networks are built for nas-bench-201 and chain alone"):
        Training.open(table, data="digits")


def test_compare_trains_chains(lab, chains, tmp_path):
    spec = "training:epochs=1,part_size=64,held_out_size=100"
    arguments = ["--table", chains, "--evaluator", spec, "--seeds", 2, "--max-queries", 3, "--out", tmp_path]
    code, out, err = lab("compare", "random_search", "local_search", *arguments)
    assert code == 0, err
    assert spec in out
