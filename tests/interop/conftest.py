"""Records in the official format, made and real, what the official package answers about them, and what ours does."""

from __future__ import annotations

import pytest
from official_data import ARCHS, REAL, made, present, write

from nasbench_lab.interop.nats_bench import nats
from nasbench_lab.tables.formats import importing


@pytest.fixture(scope="module", params=["made", "real"])
def folder(request, tmp_path_factory):
    if request.param == "made":
        return write(tmp_path_factory.mktemp("official") / "simple", {arch: made(arch) for arch in ARCHS})
    if not present():
        pytest.skip("needs ../shared/data/official")
    return REAL


@pytest.fixture(scope="module")
def official(folder):
    nats_bench = pytest.importorskip("nats_bench")

    return nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)


@pytest.fixture(scope="module")
def ours(folder):
    return nats(folder)


@pytest.fixture(scope="module")
def over_tables(folder):
    return nats(*importing.read(folder).tables)
