"""What scripts of `nas_201_api` find: its class, its defaults, and files that are named but not there."""

from __future__ import annotations

import inspect
import sys
from importlib import metadata

import pytest

from nasbench_lab.core import LabError
from nasbench_lab.interop import nas_201, nats_bench
from nasbench_lab.interop.nats import Nats
from nasbench_lab.tables import catalog

WRAPPED = {
    "query_meta_info_by_index": (7,),
    "query_by_index": (7,),
    "query_info_str_by_arch": (7,),
    "query_by_arch": (7,),
    "get_more_info": (7, "cifar100", None),
    "get_cost_info": (7, "cifar100"),
    "get_latency": (7, "cifar100"),
    "get_net_param": (7, "cifar100", None),
    "find_best": ("cifar100", "test"),
}


def of_12(cls):
    methods = {name: method for name, method in vars(cls).items() if inspect.isfunction(method)}
    asked = {name: inspect.signature(method).parameters.get("hp") for name, method in methods.items()}
    return {name for name, hp in asked.items() if hp and hp.default == "12"}


@pytest.mark.parametrize("name", WRAPPED)
def test_without_a_schedule_version_1_means_200_epochs(name):
    trainings = nats_bench.create("cifar100-surrogate").trainings

    def answer(cls, **named):
        more = {"is_random": False} if name == "get_more_info" else {}
        found = getattr(cls(trainings), name)(*WRAPPED[name], **named, **more)
        return str(found.get_total_epoch() if hasattr(found, "get_total_epoch") else found)  # nan is itself there

    assert answer(nas_201.Nas201) == answer(Nats, hp="200")
    named = {} if name == "get_net_param" else {"use_12epochs_result": True}
    assert answer(nas_201.Nas201, **named or {"hp": "12"}) == answer(Nats, hp="12") == answer(Nats)
    if name not in ("get_latency", "get_net_param", "get_cost_info"):
        assert answer(Nats) != answer(Nats, hp="200")


def test_every_default_of_12_epochs_is_200_there():
    assert of_12(Nats) - {"simulate_train_eval"} == set(WRAPPED) <= vars(nas_201.Nas201).keys()
    assert "simulate_train_eval" not in vars(nas_201.Nas201)  # it came with nats_bench, and has 12 there, too


@pytest.mark.parametrize(("version", "cls"), [("1.3", nas_201.Nas201), ("2.1", Nats), (None, nas_201.Nas201)])
def test_defaults_are_those_of_the_version_that_is_installed(monkeypatch, version, cls):
    def found(_name):
        if version is None:
            raise metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(metadata, "version", found)
    assert type(nats_bench.NASBench201API("toy")) is cls


def test_a_script_finds_nas_201_api_and_a_file_that_is_not_there_is_said(monkeypatch, tmp_path, capsys):
    for name in ("nats_bench", "nats_bench.api_topology", "nats_bench.api_size", "nas_201_api"):
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    for name in ("nats_bench", "nats_bench.api_topology", "nats_bench.api_size", "nas_201_api"):
        if sys.modules[name] is None:
            del sys.modules[name]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    nats_bench.stand_in()
    from nas_201_api import NASBench201API

    with pytest.raises(LabError, match="nasbench-lab tables import"):  # nothing can stand for it
        NASBench201API(str(tmp_path / "NAS-Bench-201-v1_0-e61699.pth"))
    with pytest.raises(LabError, match="no such table"):  # and of a name of the user's own nothing does
        NASBench201API(str(tmp_path / "mine.pth"))
    catalog.load("cifar100-surrogate").save(tmp_path / "cifar100.npz")
    api = NASBench201API(str(tmp_path / "NAS-Bench-201-v1_0-e61699.pth"))
    assert "is not there; instead of it: cifar100\n" in capsys.readouterr().err
    trained = api.query_by_index(7, "cifar100", 12)
    assert [each.get_eval("ori-test")["accuracy"] > 0 for each in trained.values()]
