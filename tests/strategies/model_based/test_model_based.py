"""The shared loop of model-based strategies: every component does what its name says, and every strategy is itself."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench_lab import loading
from nasbench_lab.core import LabError, Result, Strategy, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.baselines.zero_cost import ZeroCost
from nasbench_lab.strategies.model_based._model_based import ACQUISITIONS, CANDIDATES, ModelBased
from nasbench_lab.strategies.model_based.gp_bo import GpBo
from nasbench_lab.strategies.model_based.pnas import Pnas
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog

FAST = "gp:targets=none,spent=0"
NAMES = [
    name
    for name, module in loading.leaves("strategies").items()
    if ".model_based." in module and issubclass(loading.load("strategies", name), ModelBased)
]


def score(arch: int) -> float:
    row = cell.ops(arch)
    return 50.0 + 6 * row.count(cell.CONV3) + 2 * row.count(cell.CONV1) - 3 * row.count(cell.NONE)


def run(strategy: Strategy, count: int, *, known: dict[str, np.ndarray] | None = None, seed: int = 0) -> list[int]:
    strategy.start(Task(cell.SPACE, (12,), known=known or {}), seed)
    asked = []
    for _ in range(count):
        query = strategy.ask()
        assert query is not None
        asked.append(query.arch)
        strategy.tell(Result(query, score(query.arch), 1.0))
    return asked


def test_the_published_strategies_are_built_on_it() -> None:
    wanted = {"gp_bo", "nasbowl", "bananas", "npenas", "smac_forest", "bayes_linear_ts", "surrogate_local_search"}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_any_surrogate_acquisition_and_candidates_can_be_exchanged(name: str) -> None:
    for candidates in CANDIDATES:
        spec = f"{name}:surrogate=(knn:neighbours=3),acquisition=ucb,candidates={candidates},initial=4"
        asked = run(loading.build("strategies", spec), 8)
        assert len(set(asked)) == 8


@pytest.mark.parametrize("acquisition", list(ACQUISITIONS))
def test_every_acquisition_improves_on_the_design(acquisition: str) -> None:
    asked = run(ModelBased(initial=5, surrogate=FAST, acquisition=acquisition), 25)
    assert max(map(score, asked)) >= 50 + 6 * 6 - 8
    assert max(map(score, asked)) > max(map(score, asked[:5]))


def test_mutation_asks_for_neighbours_of_the_best() -> None:
    asked = run(ModelBased(initial=6, surrogate=FAST, candidates="mutation", parents=2), 14)
    for i in range(6, 14):
        best = sorted(asked[:i], key=score)[-6:]  # equals may be ranked either way
        assert any(asked[i] in cell.SPACE.neighbours_of(parent) for parent in best)


def test_climbing_ends_where_no_neighbour_is_better() -> None:
    strategy = ModelBased(initial=6, surrogate=FAST, candidates="climb", acquisition="mean")
    run(strategy, 12)
    strategy._learn()
    one_of, group_of = strategy._model.alike(cell.SPACE)
    values = strategy._acquirer(one_of)()[group_of]
    allowed = ~strategy._asked
    worth = np.where(allowed, values, -np.inf)
    for arch in strategy._climbed(values, allowed):
        assert worth[arch] >= worth[cell.SPACE.neighbours[arch]].max()


def test_a_batch_is_chosen_with_one_fit() -> None:
    strategy = ModelBased(initial=4, surrogate=FAST, batch=5)
    fits = []
    run(strategy, 4)
    learn = strategy._learn
    strategy._learn = lambda: (fits.append(1), learn())[1]  # type: ignore[method-assign]
    for _ in range(10):
        query = strategy.ask()
        assert query is not None
        strategy.tell(Result(query, score(query.arch), 1.0))
    assert len(fits) == 2


def test_random_share_asks_for_uniform_cells() -> None:
    always = run(ModelBased(initial=2, surrogate=FAST, random_share=1.0), 92)
    everything = [score(a) for a in range(15625)]
    error = np.std(everything) / np.sqrt(90)
    assert abs(np.mean([score(a) for a in always[2:]]) - np.mean(everything)) < 5 * error


def test_a_warm_start_begins_with_what_is_known() -> None:
    known = {"proxy/good": np.array([score(a) for a in range(15625)])}
    warm = run(GpBo(initial=5, warm_start="proxy/good"), 5, known=known)
    cold = run(GpBo(initial=5), 5)
    assert min(map(score, warm)) > np.mean([score(a) for a in cold])
    with pytest.raises(LabError, match=r"warm_start='proxy/bad'.*known: proxy/good"):
        run(GpBo(warm_start="proxy/bad"), 2, known=known)


def test_unknown_components_are_refused_by_name() -> None:
    for spec, message in [
        ("gp_bo:surrogate=gpp", "no surrogate named 'gpp'"),
        ("gp_bo:acquisition=pi", "log_ei, ei, ucb, thompson, its, mean"),
        ("gp_bo:candidates=all", "pool, mutation, climb"),
        ("gp_bo:batch=0", "batch must be at least 1"),
        ("gp_bo:random_share=2", "random_share in 0..1"),
    ]:
        with pytest.raises(LabError, match=message):
            loading.build("strategies", spec)


class TestPnas:
    def test_complexity_grows_level_by_level(self) -> None:
        asked = run(Pnas(beam=6, surrogate="knn"), 5 + 6 * 5)
        sizes = [6 - cell.ops(a).count(cell.NONE) for a in asked]
        assert sizes == sorted(sizes)
        assert sizes[:5] == [1] * 5  # the four that connect, and one for all that do not
        assert sizes[-1] == 6

    def test_the_beam_holds_the_best_predicted(self) -> None:
        asked = run(Pnas(beam=6, surrogate="gp"), 35)
        chosen = [score(a) for a in asked if cell.ops(a).count(cell.NONE) == 1]
        level = [score(a) for a in range(15625) if cell.ops(a).count(cell.NONE) == 1]
        assert np.mean(chosen) > np.quantile(level, 0.9)

    def test_no_class_is_trained_twice_on_the_way_up(self) -> None:
        asked = run(Pnas(beam=8, surrogate="knn"), 60)
        assert len({int(cell.SPACE.classes[a]) for a in asked}) == 60


class TestZeroCost:
    def test_cells_come_best_first(self) -> None:
        proxy = np.array([score(a) for a in range(15625)])
        asked = run(ZeroCost(sample=200), 200, known={"proxy/synflow": proxy})
        assert [score(a) for a in asked] == sorted(map(score, asked), reverse=True)

    def test_the_proxies_are_paid_for_once_per_sample(self) -> None:
        known = {"proxy/zen": np.arange(15625.0), "proxy_seconds/zen": np.full(15625, 0.5)}
        strategy = ZeroCost(sample=40)
        strategy.start(Task(cell.SPACE, (12,), known=known), 0)
        overheads = []
        for _ in range(80):
            query = strategy.propose()
            assert query is not None
            overheads.append(query.overhead)
            if query.overhead:
                assert strategy.propose() is None  # what is not paid for yet is not known yet
            strategy.observe(Result(query, 1.0, 1.0))
        assert overheads[0] == overheads[40] == 20.0
        assert sum(overheads) == 40.0

    def test_cells_without_a_score_come_last(self) -> None:
        proxy = np.where(np.arange(15625) % 2 == 0, np.nan, 1.0)
        asked = run(ZeroCost(sample=100), 100, known={"proxy/synflow": proxy})
        nothing = [a % 2 == 0 for a in asked]
        assert nothing == sorted(nothing)

    def test_votes_are_mean_ranks(self) -> None:
        up, down = np.arange(15625.0), -np.arange(15625.0)
        strategy = ZeroCost(proxy="a+b")
        strategy.start(Task(cell.SPACE, (12,), known={"a": up, "b": down}), 0)
        assert np.ptp(strategy._value) == 0

    def test_a_proxy_that_is_not_there_is_named(self) -> None:
        with pytest.raises(LabError, match="'proxy/magic' is not known"):
            run(ZeroCost(proxy="proxy/magic"), 1)

    def test_size_serves_where_there_is_nothing_else(self) -> None:
        evaluator = Tabular(catalog.load("toy"))
        records = search(ZeroCost(sample=500), evaluator, seed=0, max_queries=20).records
        sizes = [evaluator.task.known["params_m"][r.result.query.arch] for r in records]
        assert sizes == sorted(sizes, reverse=True)

    def test_the_whole_space_can_be_the_sample(self) -> None:
        proxy = np.array([score(a) for a in range(15625)])
        asked = run(ZeroCost(sample=20_000), 3, known={"proxy/synflow": proxy})
        assert [score(a) for a in asked] == sorted(proxy, reverse=True)[:3]


def test_proxies_are_paid_for_by_whoever_reads_them() -> None:
    known = {"proxy/zen": np.arange(15625.0), "proxy_seconds/zen": np.full(15625, 0.5)}
    for strategy, first in [
        (GpBo(initial=2, warm_start="proxy/zen"), [50.0, 50.0, 0.0]),
        (GpBo(initial=2, surrogate="gp:proxies=true,targets=none,spent=0"), [0.0, 0.0, 7812.5]),
        (GpBo(initial=2), [0.0, 0.0, 0.0]),
    ]:
        strategy.start(Task(cell.SPACE, (12,), known=known), 0)
        overheads = []
        for _ in range(3):
            query = strategy.ask()
            assert query is not None
            overheads.append(query.overhead)
            strategy.tell(Result(query, score(query.arch), 1.0))
        assert overheads == first
