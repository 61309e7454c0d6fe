"""Facts of NAS-Bench-201 on the real table. Skipped where the data is absent; in CI beside the data they must run."""

from __future__ import annotations

import numpy as np
import pytest
from official_data import TIDY as FILE
from official_data import present

from nasbench_lab.core import stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.stats import agreement, references
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.regularized_evolution import RegularizedEvolution
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog, describe
from nasbench_lab.tables.formats.tidy import read_tidy

if not present(FILE):
    pytest.skip(f"needs {FILE}", allow_module_level=True)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Imported once, written, and read back through the catalog."""
    folder = tmp_path_factory.mktemp("nb201")
    paths = [table.save(folder / f"{table.name}.npz") for table in read_tidy(FILE)]
    return {path.stem: catalog.load(str(path)) for path in paths}


@pytest.fixture(scope="module")
def c10(tables):
    return tables["cifar10"]


@pytest.fixture(scope="module")
def c100(tables):
    return tables["cifar100"]


def best(values) -> tuple[float, list[int]]:
    return float(values.max()), np.flatnonzero(values == values.max()).tolist()


def test_both_datasets_are_complete_with_both_schedules(tables):
    assert sorted(tables) == ["cifar10", "cifar100"]
    for table in tables.values():
        assert table.measured.all()
        assert list(table.schedules) == [12, 200]
        assert table.default_search == 12
        assert table.kind == "measured"


def test_optima_of_mean_test(c10, c100):
    assert best(c10.truth) == (pytest.approx(94.3733, abs=5e-5), [6111, 13714])
    assert best(c100.truth) == (pytest.approx(73.5133, abs=5e-5), [9930])


def test_optima_of_mean_validation(c10, c100):
    assert best(c10.schedules[200].val[:, 0]) == (pytest.approx(91.6067, abs=5e-5), [6111])
    assert best(c100.schedules[200].val[:, 0])[0] == pytest.approx(73.4933, abs=5e-5)
    assert 9930 in best(c100.schedules[200].val[:, 0])[1]
    assert best(c10.schedules[12].val[:, 0]) == (pytest.approx(84.892, abs=5e-4), [13714])


def trial(table, seed):
    return table.last.test_trials[:, table.about["seeds"]["200"]["test"].index(seed)]


def test_known_cells(c10, c100):
    assert (c10.truth[1462], c100.truth[1462]) == (pytest.approx(93.760, abs=5e-4), pytest.approx(71.107, abs=5e-4))
    # the published figures of the ResNet cell are those of seed 888; its means are 93.91 and 70.89
    assert (trial(c10, "888")[11472], trial(c100, "888")[11472]) == (pytest.approx(93.97), pytest.approx(70.86))
    assert (c10.truth[11472], c100.truth[11472]) == (pytest.approx(93.91), pytest.approx(70.89))


def test_the_quoted_94_56_is_the_maximum_of_seed_777(c10):
    assert np.nanmax(trial(c10, "777")) == pytest.approx(94.56)
    assert c10.truth.max() < 94.4


def test_strict_local_maxima(c10, c100):
    for table, count in ((c10, 21), (c100, 29)):
        assert describe.table_facts(table)["local maxima"].startswith(f"{count} ")


def test_params_and_flops_are_the_closed_forms(tables):
    for name, table in tables.items():
        assert table.metrics["params_m"] == pytest.approx(cell.params_m(name), abs=1e-5)
        assert table.metrics["flops_m"] == pytest.approx(cell.flops_m(name), abs=2e-4)


def test_the_files_strings_and_index_agree_with_ours():
    import pandas as pd

    frame = pd.read_parquet(FILE, columns=["index", "arch"])
    assert len(frame) == 15625
    assert [cell.to_string(arch) for arch in frame["index"]] == frame["arch"].tolist()


def test_trials_and_costs(c10):
    assert c10.last.test_trials.shape[1] >= 3
    assert set(np.unique(c10.metrics["trials"])) <= {1, 2, 3}
    known = (~np.isnan(c10.last.test_trials)).sum(axis=1)
    assert (known >= 1).all()
    assert 90 < c10.schedules[12].seconds.mean() < 130  # about 110 s for 12 epochs


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cifar10", [93.69, 93.85, 93.92, 93.97, 94.12]), ("cifar100", [71.12, 71.57, 71.83, 72.01, 72.54])],
)
def test_exact_random_search_curve(tables, name, expected):
    truth = tables[name].truth
    assert references.random_search_expectation(truth, truth, [50, 100, 150, 200, 500]) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize(("name", "expected"), [("cifar10", 5209), ("cifar100", 7813)])
def test_expected_random_queries_to_the_optimum(tables, name, expected):
    hits = len(best(tables[name].truth)[1])
    assert references.random_search_queries_to(hits, 15625) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(
    ("make", "expected"),
    [(lambda: RandomSearch(replacement=True), (93.75, 71.18)), (RegularizedEvolution, (93.95, 71.97))],
    ids=["random search", "evolution 10/3"],
)
def test_protocol_means(c10, c100, make, expected):
    """12-epoch validation for 12,000 s, scored on CIFAR-10 and, by transfer, CIFAR-100; three standard errors."""
    evaluator = Tabular(c10, search=12)
    ends = [runner.search(make(), evaluator, seed=seed, max_seconds=12_000).records[-1] for seed in range(100)]
    assert 95 < np.mean([record.order + 1 for record in ends]) < 115
    for table, mean in zip((c10, c100), expected, strict=True):
        test = table.truth[[record.incumbent for record in ends]]
        assert test.mean() == pytest.approx(mean, abs=3 * test.std(ddof=1) / 10)


@pytest.mark.parametrize(("name", "expected"), [("cifar10", 67), ("cifar100", 74)])
def test_local_search_queries_to_the_optimum(tables, name, expected):
    table = tables[name]
    evaluator = Tabular(table, search="oracle")
    optima, needed = best(table.truth)[1], []
    for seed in range(100):
        for budget in (250, 2000):  # a longer run begins with the same records
            run = runner.search(LocalSearch(), evaluator, seed=seed, max_queries=budget, repeats="free")
            reached = [record.order + 1 for record in run.records if record.incumbent in optima]
            if reached:
                break
        needed.append(reached[0])
    assert np.mean(needed) == pytest.approx(expected, abs=3 * np.std(needed, ddof=1) / 10)


def test_evolution_curve_with_the_oracle(c10):
    """numbers.md section 3: 10/3 after 200 unique queries, 94.31."""
    evaluator = Tabular(c10, search="oracle")
    runs = [
        runner.search(RegularizedEvolution(), evaluator, seed=s, max_queries=200, repeats="free").records
        for s in range(60)
    ]
    test = c10.truth[[records[-1].incumbent for records in runs]]
    assert test.mean() == pytest.approx(94.31, abs=3 * test.std(ddof=1) / np.sqrt(60))


def held_out(shipped):
    """Cells of the classes that the networks of a predicted table were not fitted to (benchmarks/make_surrogates.py)."""
    fitted = shipped.about["fitted"]
    order = stream(fitted["seed"], 77).permutation(6466)
    return np.isin(cell.SPACE.classes, order[fitted["classes"] :])


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_shipped_networks_are_as_good_as_their_card_says(tables, name):
    real, shipped = tables[name], catalog.load(f"{name}-surrogate")
    cells = held_out(shipped)
    assert (~cells).sum() == shipped.about["fitted"]["cells"]
    for last in (12, 200):
        pairs = {
            f"val {last}": (real.schedules[last].val[:, 0], shipped.schedules[last].val[:, 0]),
            f"test {last}": (real.schedules[last].test, shipped.schedules[last].test),
            f"seconds {last}": (real.schedules[last].seconds[:, 0], shipped.schedules[last].seconds[:, 0]),
        }
        for quantity, (measured, made) in pairs.items():
            card, errors = shipped.about["held_out"][quantity], (measured - made)[cells]
            assert agreement.tau(measured[cells], made[cells]) == pytest.approx(card["tau"], abs=2e-3)
            assert 1 - (errors**2).mean() / measured[cells].var() == pytest.approx(card["r2"], abs=2e-3)
            assert card["tau"] > 0.9


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_shipped_files_hold_no_value_of_the_table(tables, name):
    """Predictions differ from the measured scores everywhere, but for what rounding makes equal."""
    real, shipped = tables[name], catalog.load(f"{name}-surrogate")
    passing = cell.reachable().any(axis=1)
    assert (np.abs(real.truth - shipped.truth) < 2e-3)[passing].mean() < 0.02


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_simple_strategies_rank_on_the_surrogate_as_on_the_table(tables, name):
    makers = (RandomSearch, RegularizedEvolution, LocalSearch)
    scores = []
    for table in (tables[name], catalog.load(f"{name}-surrogate")):
        evaluator = Tabular(table, search=200)
        runs = [
            [runner.search(make(), evaluator, seed=seed, max_queries=100).records[-1] for make in makers]
            for seed in range(25)
        ]
        scores.append(np.array([[table.truth[record.incumbent] for record in row] for row in runs]))
    assert agreement.rankings(*scores).tau == 1.0
