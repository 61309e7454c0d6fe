"""Tables of other spaces, units and directions from the search to everything that is shown: signs, units and labels."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from other_tables import CHAINS, SIZES, STRATEGIES, TABLES, UNIT, made

import nasbench_lab
from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.interop import nats_bench
from nasbench_lab.spaces import naming


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with the three tables, and what three strategies did on each."""
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASBENCH_LAB_DATA", str(folder / "data"))
        for name, make in TABLES.items():
            make().save(folder / "data" / f"{name}.npz")
            api.compare(*STRATEGIES, table=name, seeds=20, max_queries=15, out=folder / name)
        yield folder


@pytest.fixture(params=TABLES)
def name(request: pytest.FixtureRequest, data: Path) -> str:
    return str(request.param)


@pytest.fixture
def board(name: str, data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / name / "leaderboard.json").read_text())
    return found


def unescaped(path: Path) -> str:
    return html.unescape(path.read_text())


def test_a_board_is_in_the_tables_unit_and_direction(name: str, board: dict[str, Any], data: Path) -> None:
    table = TABLES[name]()
    best = table.truth.min() if table.better == "lower" else table.truth.max()
    (reference,) = board["references"]
    assert reference["optimum"] == pytest.approx(best, rel=1e-12)
    worse = sorted(board["rows"], key=lambda row: row["rank"])
    assert [table.sign * row["test_mean"] for row in worse] == sorted(
        (table.sign * row["test_mean"] for row in worse), reverse=True
    )
    for row in board["rows"]:
        assert row["unit"] == table.unit
        assert row["test_lo"] <= row["test_mean"] <= row["test_hi"]
        assert row["regret_mean"] == pytest.approx(abs(row["test_mean"] - best), rel=1e-9)
        assert row["regret_lo"] <= row["regret_mean"] <= row["regret_hi"]
    text = (data / name / "leaderboard.md").read_text()
    assert f"{'score' if table.scored else 'test'} {table.unit}" in text
    assert ("↓" in text) == (table.better == "lower")
    assert "accuracy" not in text
    assert " points" not in text.replace("points of", "")
    assert "accuracy" not in json.dumps(board["columns"])
    assert "percent" not in board["columns"]["test_mean"]
    frame = pd.read_csv(data / name / "leaderboard.csv")
    assert set(frame["unit"]) == {table.unit}
    assert ("scored on trial 2" in text) == (name == "sizes")


def test_a_scale_of_1e_7_is_told_apart_like_any_other(data: Path) -> None:
    """The same numbers in another unit have the same ranks, tests and, times the factor, intervals."""
    folder = data / "times"
    if not folder.exists():
        base = TABLES["sizes"]()
        values = np.stack([base.last.val[:, 0], base.truth], axis=1) * 2.0**22
        made("times", SIZES, values, UNIT, "lower").save(data / "data" / "times.npz")
        api.compare(*STRATEGIES, table="times", seeds=20, max_queries=15, out=folder)
    small, large = (json.loads((data / each / "leaderboard.json").read_text()) for each in ("sizes", "times"))
    for one, other in zip(small["rows"], large["rows"], strict=True):
        assert [one[key] for key in ("strategy", "rank", "rank_low")] == [
            other[key] for key in ("strategy", "rank", "rank_low")
        ]
        for key in ("test_lo", "test_hi", "regret_mean", "val_regret_hi"):
            assert one[key] * 2.0**22 == pytest.approx(other[key], rel=1e-9)
    pairs = zip(small["tests"][0]["pairs"], large["tests"][0]["pairs"], strict=True)
    for one, other in pairs:
        assert one["p_holm"] == other["p_holm"]
        assert one["difference"] * 2.0**22 == pytest.approx(other["difference"], rel=1e-5)


def test_details_have_targets_and_landscapes_of_their_scale(name: str, data: Path) -> None:
    table = TABLES[name]()
    found = json.loads((data / name / "details.json").read_text())
    (setting,), landscape = found["settings"], found["landscapes"][name]
    spread = abs(np.median(table.truth) - table.sign * (table.sign * table.truth).max())
    assert 0.2 * spread < setting["targets"]["targets"][0] < 5 * spread
    for line in setting["targets"]["share"]:
        assert line[0] < 1
    assert setting["unit"] == landscape["unit"] == table.unit
    best = table.sign * (table.sign * table.truth).max()
    assert landscape["distance"][0]["best"] == pytest.approx(best, rel=1e-5)
    assert sum(row["cells"] for row in landscape["distance"]) == sum(landscape["counts"]) == table.space.size
    assert landscape["local_optima"][0]["test"] == pytest.approx(best, rel=1e-5)
    for item in setting["best"]:
        assert item["labels"] == naming.labels(table.space, item["cell"])
        assert item["test"] == table.truth[item["cell"]]
        assert item["test_rank"] == 1 + (table.sign * table.truth > table.sign * item["test"]).sum()


def test_a_page_shows_units_and_labels(name: str, data: Path, lab: Any) -> None:
    table = TABLES[name]()
    code, out, err = lab("report", data / name)
    assert (code, err) == (0, "")
    text = unescaped(data / name / "report.html")
    assert len(text) < 3_000_000
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "accuracy" not in re.sub(r"<section id=\"made.*?</section>", "", body, flags=re.DOTALL).lower()
    assert "nan" not in re.findall(r"[a-z]+", re.sub(r"<[^>]*>", " ", body))
    assert f"{'regret' if table.scored else 'test regret'}, {table.unit}" in body
    assert f"test {table.unit}" not in body or not table.scored
    lower = " (lower is better)" if table.better == "lower" else ""
    assert f"test score, {table.unit}{lower}" in body
    (setting,) = json.loads((data / name / "details.json").read_text())["settings"]
    for item in setting["best"]:
        assert f"<code>{naming.text(table.space, item['cell'])}</code>" in body
    drawn = body.count('class="cell"')
    assert drawn == (len(setting["best"]) if name == "ssim" else 0)
    for decision in table.space.decisions:
        assert (decision.name if name != "ssim" else decision.name.replace("-", " to ")) in body
    assert "Scores of these tables are not in the page" in body
    assert "15,625" not in body


def test_query_says_options_unit_and_ranks(name: str, data: Path, lab: Any) -> None:
    table = TABLES[name]()
    arch = int(np.argmax(table.sign * table.truth))
    for written in (arch, naming.text(table.space, arch), ",".join(naming.labels(table.space, arch).values())):
        code, out, err = lab("query", written, "--table", name, "--json")
        assert (code, err) == (0, "")
        facts = json.loads(out)
        assert facts["cell"] == arch
        assert facts["unit"] == f"{table.unit}, {table.better} is better"
        assert facts["ops" if name == "ssim" else "options"] == naming.labels(table.space, arch)
        score = facts["scores"]["score (trial 2; search sees trial 1)" if name == "sizes" else "test"]
        assert score == {"value": table.truth[arch], "rank": 1, "of": table.space.size}
        around = [int(key.split()[0]) for key in facts["neighbours"]]
        assert sorted(around) == sorted(table.space.neighbours_of(arch))
        ranks = [each["rank"] for each in facts["neighbours"].values()]
        assert ranks == sorted(ranks)
    code, out, _ = lab("query", arch, "--table", name)
    assert f"the best of {len(around)} by" in out
    code, out, _ = lab("query", arch, "--table", name, "--svg", data / f"{name}.svg", "--force")
    assert (code, (data / f"{name}.svg").exists()) == ((0, True) if name == "ssim" else (2, False))
    assert lab("query", "no,such,cell", "--table", name)[0] == 2


def test_a_table_is_told_with_its_space(name: str, lab: Any) -> None:
    table = TABLES[name]()
    code, out, _ = lab("tables", "info", name, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["space"].startswith(table.space.name)
    assert facts["unit"] == f"{table.unit}, {table.better} is better"
    assert facts.get("scored on", "") == table.scored
    best = int(np.argmax(table.sign * table.truth))
    assert facts["optimum"].startswith(f"{table.truth[best]:.6g} ")
    assert naming.text(table.space, best) in facts["optimum"] or "tied" in facts["optimum"]
    kind = "minima" if table.better == "lower" else "maxima"
    strict = [
        all(table.sign * table.truth[a] > table.sign * table.truth[b] for b in table.space.neighbours_of(a))
        for a in range(table.space.size)
    ]
    assert facts[f"local {kind}"].startswith(f"{sum(strict)} ")
    code, out, _ = lab("tables", "list", "--json")
    row = next(row for row in json.loads(out) if row["table"] == name)
    assert (row["space"], row["cells"], row["error"]) == (table.space.name, table.space.size, "")


def test_a_front_is_of_the_better_ends(name: str, data: Path, lab: Any) -> None:
    table = TABLES[name]()
    code, out, err = lab(
        "front", "--table", name, "--objectives", "params_m", "--out", data / f"front-{name}", "--json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["unit"], found["better"]) == (table.unit, table.better)
    better, size = table.sign * table.truth, table.metrics["params_m"]
    front = {
        arch
        for arch in range(table.space.size)
        if not ((better >= better[arch]) & (size <= size[arch]) & ((better > better[arch]) | (size < size[arch]))).any()
    }
    assert {row["arch"] for row in found["front"]} == front
    for row in found["front"]:
        assert row["test"] == table.truth[row["arch"]]
        assert row["cell"] == naming.text(table.space, row["arch"])
    said = f"{'score' if table.scored else 'test score'}, {table.unit}"
    assert f">{said}" in unescaped(data / f"front-{name}" / "front.svg")


def test_what_was_run_is_reproduced(name: str, data: Path, lab: Any) -> None:
    code, out, err = lab("reproduce", data / name)
    assert code == 0, (out, err)
    assert "differs" not in out


def test_a_run_and_an_objective_speak_the_tables_direction(name: str, data: Path) -> None:
    table = TABLES[name]()
    frame = api.search("local_search", table, seed=1, max_queries=12)
    assert frame["val"].to_numpy() == pytest.approx(table.last.val[frame["arch"], 0])
    assert frame["incumbent_test"].to_numpy() == pytest.approx(table.truth[frame["incumbent"]])
    f = nasbench_lab.objective(table)
    assert f.direction == ("minimize" if table.better == "lower" else "maximize")
    for arch in (0, table.space.size - 1):
        labels = naming.labels(table.space, arch)
        options = [each.options[o] for each, o in zip(table.space.decisions, table.space.row(arch), strict=True)]
        ways = [
            arch,
            labels,
            dict(zip(labels, options, strict=True)),
            naming.text(table.space, arch),
            table.space.row(arch),
        ]
        ways += [options, list(labels.values())]
        assert {f(way) for way in ways} == {table.last.val[arch, 0]}
    best = max(range(2), key=lambda i: table.sign * table.last.val[(0, table.space.size - 1)[i], 0])
    assert f.truth() == table.truth[(0, table.space.size - 1)[best]]
    with pytest.raises(LabError, match="has no decision 'no'"):
        nasbench_lab.objective(table)({"no": "such"})


def test_optuna_prunes_what_a_listed_space_has_not() -> None:
    optuna = pytest.importorskip("optuna")
    objective = nasbench_lab.optuna_objective(TABLES["chains"]())
    sampler = optuna.samplers.GridSampler(objective.parameters, seed=0)
    study = optuna.create_study(direction=objective.function.direction, sampler=sampler)
    study.optimize(objective)
    states = [trial.state.name for trial in study.trials]
    assert (states.count("COMPLETE"), states.count("PRUNED")) == (CHAINS.size, 81 - CHAINS.size)
    assert study.best_value == TABLES["chains"]().last.val.min()


def test_surrogates_are_assessed_in_the_tables_unit(data: Path, lab: Any) -> None:
    out = data / "assessed"
    code, _, err = lab(
        "surrogates", "knn", "--table", "sizes", "--train", "20", "--seeds", 3, "--test-size", 30, "--max-queries", 6,
        "--out", out,
    )  # fmt: skip
    assert code == 0, err
    text = (out / "surrogates.md").read_text()
    assert f"validation score ({UNIT})" in text
    assert "all 54 cells" in text
    assert "accuracy" not in text
    rmse = json.loads((out / "surrogates.json").read_text())["rows"][0]["rmse"]
    assert 1e-9 < rmse < 1e-6
    assert f"{rmse:.4g}" in text


def test_an_audit_reads_scores_as_they_are(data: Path, lab: Any) -> None:
    out = data / "audited"
    code, _, err = lab(
        "audit", "sizes", "--strategy", "random_search", "--strategy", "local_search", "--seeds", 3, "--max-queries", 6,
        "--out", out,
    )  # fmt: skip
    assert code == 0, err
    (content,) = json.loads((out / "audit.json").read_text())
    truth = TABLES["sizes"]().truth
    assert all(truth.min() <= mean <= truth.max() for mean in content["plain"]["means"].values())
    text = (out / "audit.md").read_text()
    assert f"Reported score, {UNIT}" in text
    assert "sizes: validation, 6 queries" in text


@pytest.mark.parametrize("format", ["csv", "parquet", "syne-tune"])
def test_exports_have_labels_and_scores_as_they_are(name: str, data: Path, lab: Any, format: str) -> None:
    table, to = TABLES[name](), data / f"exported-{name}.{format}"
    assert lab("tables", "export", name, "--format", format, "--out", to)[0] == 0
    if format == "syne-tune":
        values = np.load(to / "objectives_evaluations.npy")
        assert np.allclose(values[0, :, 0, 0, 0], table.last.val[:, 0], rtol=1e-6)
        space = json.loads((to / "configspace.json").read_text())
        assert list(space) == [f"hp_{each.name}" for each in table.space.decisions]
        kinds = ["Ordinal" if each.ordered else "Categorical" for each in table.space.decisions]
        assert [each["domain_cls"] for each in space.values()] == kinds
        frame = pd.read_parquet(to / "hyperparameters.parquet")
        assert len(frame.drop_duplicates()) == table.space.size
    else:
        frame = pd.read_csv(to) if format == "csv" else pd.read_parquet(to)
        assert len(frame) == table.space.size


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "sizes"),
        ("supernet", "spos", "--table", "sizes"),
        ("tables", "export", "sizes", "--format", "nats-simple"),
        ("compare", "random_search", "--table", "sizes", "--evaluator", "training:data=digits"),
    ],
)
def test_what_is_for_cells_says_so(
    data: Path, lab: Any, tmp_path: Path, monkeypatch: Any, command: tuple[str, ...]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    code, _, err = lab(*command)
    assert (
        code,
        "is of the space 'sizes'" in err,
        "for nas-bench-201 and chain alone" in err.replace("\n", " ")
        or "nas-bench-201 alone" in err.replace("\n", " "),
    ) == (
        2,
        True,
        True,
    ), err


def test_the_official_api_says_so_too(data: Path) -> None:
    with pytest.raises(LabError, match="nas-bench-201 alone"):
        nats_bench.nats(TABLES["sizes"]())


CHROMIUM = shutil.which("chromium")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_the_explorer_of_any_space(data: Path) -> None:
    """On one page of all three tables: an explorer each, by labels, neighbours and, of cells, a drawing."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from nasbench_lab.report import publish

    out = data / "all"
    api.compare("random_search", "local_search", table=list(TABLES), seeds=3, max_queries=5, out=out)
    (path,) = publish.write_report(out)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab, wrong = browser.new_page(), []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        tab.goto(path.as_uri())
        assert "Across tables" in tab.locator("#leaderboard").inner_text()
        for number, (name, make) in enumerate(TABLES.items()):
            space, end = make().space, "" if number == 0 else f"-{number + 1}"
            field, facts = tab.locator(f"#cell{end}"), tab.locator(f"#cell-facts{end}")
            arch = space.size // 2
            for written in (str(arch), naming.text(space, arch), ",".join(naming.labels(space, arch).values())):
                field.fill("0")
                field.fill(written)
                assert field.get_attribute("aria-invalid") == "false"
                assert naming.text(space, arch) in facts.inner_text()
            shown = tab.locator(f"#cell-near{end} tbody th").all_inner_texts()
            assert sorted(map(int, shown)) == sorted(space.neighbours_of(arch))
            assert tab.locator(f"#cell-svg{end} svg path").count() == (6 if name == "ssim" else 0)
            members = np.flatnonzero(space.classes == space.classes[arch])
            assert (f"{len(members)} cells" in facts.inner_text()) == (name == "ssim" and len(members) > 1)
            field.fill("no such cell")
            assert field.get_attribute("aria-invalid") == "true"
        field = tab.locator("#cell-2")
        field.fill(str(CHAINS.index((1, 0, 0, 0))))
        tab.locator("#cell-ops-2 select").nth(3).select_option("1")  # a third stage needs a second
        assert "not listed together" in tab.locator("#cell-wrong-2").inner_text()
        browser.close()
    assert wrong == []
