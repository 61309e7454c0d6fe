"""`tables fetch transnas` and `macro` against a server on localhost, with made files in the real format."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.spaces import named
from nasbench_lab.tables.fetching import macro, offers, transnas
from nasbench_lab.tables.formats import importing
from nasbench_lab.tables.formats.transnas import ROWS


def csv(**columns: object) -> bytes:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {name: rng.uniform(0.1, 0.9, ROWS).round(4) for name in ("valid_ssim", "test_ssim", "valid_l1_loss")}
    )
    return frame.assign(**({"time_elapsed": 5.0, "file_id": range(ROWS)} | columns)).to_csv(index=False).encode()


def digits(number: int) -> str:
    return np.base_repr(number, 3).zfill(8)


def entries() -> dict[str, object]:
    return {
        digits(i): {"test_acc": [50 + i / 200, 60.0, 70.0], "mean_acc": 0, "std": 0, "params": i, "flops": 2 * i}
        for i in reversed(range(3**8))
    }


def publish(server, monkeypatch, module, key: str, content: bytes) -> None:
    file = module.FILES[key]._replace(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(module.FILES, key, file)
    server.files[file.address] = content


def test_a_task_gives_two_tables(server, monkeypatch, tmp_path):
    content = csv()
    publish(server, monkeypatch, transnas, "normal", content)
    micro, chains = transnas.fetch(["normal"], tmp_path, origin=server.url)
    frame = pd.read_csv(__import__("io").BytesIO(content))
    assert np.array_equal(chains.truth, frame["test_ssim"][:3256])
    assert np.array_equal(micro.truth, frame["test_ssim"][3256:])
    assert (micro.space, chains.space) == (named.transnas_micro(), named.transnas_macro())
    assert (micro.unit, micro.dataset, micro.last.seconds.max()) == ("SSIM", "normal", 5.0)
    assert "NASGraph-Public@1f8fd621c60a/data/transbench101_normal.csv" in micro.about["source"]


def test_the_macro_table(server, monkeypatch, tmp_path):
    publish(server, monkeypatch, macro, "cifar10", json.dumps(entries()).encode())
    (table,) = macro.fetch(["cifar10"], tmp_path, origin=server.url)
    assert table.last.val[:, 0] == pytest.approx(50 + np.arange(3**8) / 200)
    assert set(table.truth) == {65.0}
    assert table.metrics["flops"].tolist() == [2.0 * i for i in range(3**8)]


@pytest.mark.parametrize(
    "content",
    [
        csv(file_id=range(1, ROWS + 1)),
        csv().replace(b"time_elapsed", b"time"),
        csv()[:100_000],
        b"",
        b"\x00" * 99,
        b"a,a\n1,2\n",
    ],
    ids=["other rows", "no time", "cut short", "empty", "zeros", "a name twice"],
)
def test_what_is_no_task_is_refused(content, tmp_path):
    path = tmp_path / "transbench101_normal.csv"
    path.write_bytes(content)
    with pytest.raises(LabError, match=r"transbench101_normal\.csv"):
        importing.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pop("00000000"),
        lambda e: e.update({"0000000": e.pop("00000000")}),
        lambda e: e.update({"00000003": e.pop("00000000")}),
        lambda e: e["00000000"].update(test_acc=[1.0, 2.0]),
        lambda e: e["00000000"].update(test_acc=[1.0, 2.0, float("nan")], params="x"),
        lambda e: e["00000000"].update(test_acc=[1.0, 2.0, 101.0]),
        lambda e: e.update({"00000000": 3}),
    ],
    ids=["one less", "seven digits", "a digit 3", "two runs", "no number", "beyond 100", "no entry"],
)
def test_what_is_not_nas_bench_macro_is_refused(change, tmp_path):
    content = entries()
    change(content)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(LabError):
        importing.read(path)


def test_what_is_offered():
    assert list(offers.OFFERS) == ["nb201", "transnas", "macro"]
    with pytest.raises(LabError, match="nothing called 'x' to fetch; there are nb201, transnas, macro"):
        offers.named("x")
    for name, offer in offers.OFFERS.items():
        with pytest.raises(LabError, match="no public file"):
            offer.fetch([*offer.datasets, name + "x"], None)
    for file in (*transnas.FILES.values(), *macro.FILES.values()):
        assert (len(bytes.fromhex(file.sha256)), len(bytes.fromhex(file.commit))) == (32, 20)
