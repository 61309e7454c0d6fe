from __future__ import annotations

import pytest
from conftest import make_table

from nasbench_lab.study.notes import notes
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask


def test_what_a_strategy_is_for_and_does_not_get_is_noted_once_per_kind():
    names = ("random_search", "transfer_gp", "zero_shot_prior", "hyperband", "asha", "nsga2")
    oracle = StudyTask("toy", search="oracle", max_queries=5)
    transfer, fidelities, objectives = notes(resolve(Study(names, (oracle, StudyTask("toy", max_queries=5)))))
    assert transfer.startswith("transfer_gp, zero_shot_prior: no other dataset's scores to read on toy (oracle), toy")
    assert fidelities == "hyperband, asha: one fidelity on toy (oracle): every training is a full one, none is saved"
    assert objectives.startswith("nsga2: one objective on toy (oracle), toy (12 epochs)")


def test_what_is_given_is_not_noted(tmp_path):
    other = str(make_table("other").save(tmp_path / "other.npz"))
    task = StudyTask("toy", max_queries=5, sources=(other,), objectives=("val", "params_m"))
    assert notes(resolve(Study(("transfer_gp", "hyperband", "nsga2", "random_search"), (task,)))) == []


@pytest.mark.needs("torch", "sklearn")
def test_strategies_that_learn_from_other_images_than_the_table_is_of_are_noted():
    tasks = (StudyTask("cifar10-surrogate", max_queries=5), StudyTask("digits", max_queries=5))
    specs = ("darts:epochs=2", "gdas:epochs=2", "enas:data=cifar10-valid,epochs=2", "random_search")
    on_cifar, on_digits = notes(resolve(Study(specs, tasks)))
    assert on_cifar.startswith(
        "darts:epochs=2, gdas:epochs=2: trained on images of digits, scored on cifar10-surrogate"
    )
    assert on_digits.startswith("enas:data=cifar10-valid,epochs=2: trained on images of cifar10, scored on digits")


def test_a_one_shot_strategy_from_elsewhere_need_not_say_what_it_trains_on(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom nasbench_lab.strategies.baselines.random_search import RandomSearch as Base\n"
        '@dataclass\nclass Mine(Base):\n    family = "one_shot"\n'
    )
    assert notes(resolve(Study((str(path),), (StudyTask("toy", max_queries=5),)))) == []


def test_a_kernel_and_features_that_a_space_lacks_are_noted_where_they_are_not_the_default():
    specs = (
        "nasbowl",
        "gp_bo",
        "gp_bo:surrogate=(gp:kernel=path)",
        "bayes_linear_ts",
        "gp_bo:surrogate=(gp:kernel=counts)",
        "portfolio:first=nasbowl",
    )
    rows = "gp_bo:surrogate=(bayes_linear:features=wl)"
    tasks = (
        StudyTask("toy", max_queries=5),
        StudyTask("chain", max_queries=5, evaluator="surrogate:model=(gp:kernel=wl),cells=50"),
    )
    wl, path, features = notes(resolve(Study((*specs, rows), tasks)))
    assert (
        wl
        == f"{tasks[1].evaluator}, nasbowl, portfolio:first=nasbowl: kernel wl is for four-node cells; on chain, choices"
    )
    assert path.startswith("gp_bo:surrogate=(gp:kernel=path): kernel path is for four-node cells; on chain")
    assert features.startswith(f"{rows}: features wl are for four-node cells; on chain, one-hot rows")
