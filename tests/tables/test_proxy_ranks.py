"""How zero-cost scores rank is said of the table's own cells: all, unique, in its direction; in surrogates and on the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from other_tables import TABLES

from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, proxy_ranks


def toy():
    """With a perfect score on half of the cells, one that only counts convolutions, and sizes."""
    table = catalog.load("toy")
    perfect = np.where(np.arange(cell.SPACE.size) % 2, table.truth, np.nan)
    counts = cell.op_counts(live=True)[:, cell.CONV3].astype(np.float64)
    metrics = {**table.metrics, "proxy/perfect": perfect, "proxy/convs": counts}
    about = {key: value for key, value in table.about.items() if key != "rows"}  # the members of a class differ
    return replace(table, name="scored", metrics=metrics, about=about).check()


def test_all_and_unique_cells_and_the_test_of_the_pick():
    table = toy()
    found = {(row["score"], row["cells"]): row for row in proxy_ranks.rows(table)}
    perfect = found["perfect", "all"]
    assert (perfect["n"], perfect["tau"], perfect["ndcg"]) == (7812, pytest.approx(1.0), pytest.approx(1.0))
    assert perfect["pick"] == perfect["best"] == table.truth[1::2].max()
    assert found["convs", "unique"]["n"] == cell.CLASSES
    assert found["convs", "all"]["n"] == cell.SPACE.size
    six = (cell.SPACE.choices == cell.CONV3).all(axis=1)
    assert found["convs", "all"]["pick"] == pytest.approx(float(table.truth[six].mean()))
    assert list(found)[:2] == [("perfect", "all"), ("perfect", "unique")]  # the best by tau comes first


def test_tables_without_zero_cost_scores_say_nothing():
    assert proxy_ranks.rows(catalog.load("toy")) == []


def test_where_lower_is_better_the_pick_is_low():
    table = TABLES["chains"]()
    scored = replace(table, metrics={**table.metrics, "proxy/minus": -table.truth})
    row = next(row for row in proxy_ranks.rows(scored) if row["score"] == "minus")
    assert row["tau"] == pytest.approx(1.0)
    assert row["pick"] == row["best"] == table.truth.min()


@pytest.fixture
def scored(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    return toy().save(tmp_path / "data" / "scored.npz")


@pytest.mark.slow
def test_surrogates_show_them(lab, scored, tmp_path):
    command = [
        "surrogates",
        "knn",
        "--table",
        "scored",
        "--train",
        20,
        "--seeds",
        1,
        "--test-size",
        100,
        "--out",
        tmp_path,
    ]
    code, out, err = lab(*command)
    assert code == 0, err
    page = (tmp_path / "surrogates.md").read_text()
    for text in (out, page):
        assert proxy_ranks.TITLE in text
        assert "test of its pick" in text
        assert "unique" in text
    assert {row["score"] for row in json.loads(lab(*command, "--json")[1])["proxies"]} >= {"perfect", "convs"}


@pytest.mark.slow
def test_the_page_shows_them(lab, scored, tmp_path):
    board = tmp_path / "board"
    assert (
        lab("compare", "random_search", "--table", "scored", "--seeds", 2, "--max-queries", 5, "--out", board)[0] == 0
    )
    assert lab("report", board)[0] == 0
    assert 'id="proxies"' in (board / "report.html").read_text()
    other = {**toy().metrics, "proxy/convs": toy().metrics["params_m"]}
    replace(toy(), metrics=other).save(scored)  # another table of that name
    assert lab("report", board)[0] == 0
    assert 'id="proxies"' not in (board / "report.html").read_text()
