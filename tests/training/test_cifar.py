"""CIFAR: the real format from a real server on localhost, and everything that goes wrong on the way."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
from web_server import Server

from nasbench_lab.core import LabError
from nasbench_lab.training import cifar


def made(name: str, count: int = 12, seed: int = 0) -> tuple[dict[str, bytes], dict[str, cifar.Split]]:
    """Members of an archive with `count` records each, and what should be read from them."""
    archive, rng = cifar.ARCHIVES[name], np.random.default_rng(seed)
    members: dict[str, bytes] = {}
    splits: dict[str, cifar.Split] = {}
    for split, names in (("train", archive.train), ("test", (archive.test,))):
        images = rng.integers(256, size=(len(names) * count, 3, 32, 32), dtype=np.uint8)
        labels = rng.integers(archive.classes, size=len(images))
        heads = np.stack([np.full_like(labels, 19), labels], axis=1)[:, -archive.labels :].astype(np.uint8)
        records = np.concatenate([heads, images.reshape(len(images), -1)], axis=1)
        members |= {m: records[i * count : (i + 1) * count].tobytes() for i, m in enumerate(names)}
        splits[split] = images, labels
    return members, splits


def packed(members: dict[str, bytes]) -> bytes:
    """A .tar.gz as published: a folder, a readme, the members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in {"readme.html": b"<html>", **members}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def publish(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> str:
    """Make `content` the published archive; returns its file name."""
    archive = replace(cifar.ARCHIVES[name], sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    monkeypatch.setattr(cifar, "ARCHIVES", {**cifar.ARCHIVES, name: archive})
    return archive.file


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_downloaded_once_and_read(name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members, expected = made(name)
    content = packed(members)
    file = publish(monkeypatch, name, content)
    server.files[file] = content
    seen: list[tuple[int, int]] = []
    folders = [tmp_path / "new" / "folder", tmp_path]
    for _ in range(2):
        splits = cifar.load(name, folders, base_url=server.url, progress=lambda *numbers: seen.append(numbers))
        assert list(splits) == ["train", "test"]
        for split, (images, labels) in expected.items():
            np.testing.assert_array_equal(splits[split][0], images)
            np.testing.assert_array_equal(splits[split][1], labels)
            assert (splits[split][0].dtype.name, splits[split][1].dtype.name) == ("uint8", "int64")
    assert server.asked == [file]
    assert os.listdir(folders[0]) == [file]
    assert (folders[0] / file).stat().st_mode & 0o777 == 0o644
    assert seen[-1] == (len(content), len(content))


def test_found_in_a_later_folder_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members, expected = made("cifar10")
    content = packed(members)
    (tmp_path / publish(monkeypatch, "cifar10", content)).write_bytes(content)
    splits = cifar.load("cifar10", [tmp_path / "absent", tmp_path], base_url="http://127.0.0.1:9/")
    np.testing.assert_array_equal(splits["test"][0], expected["test"][0])
    assert not (tmp_path / "absent").exists()


def test_the_published_numbers() -> None:
    """By several sources: MD5s from the site, SHA-256 in agreement with what others pin."""
    assert {a.file: a.sha256[:8] for a in cifar.ARCHIVES.values()} == {
        "cifar-10-binary.tar.gz": "c4a38c50", "cifar-100-binary.tar.gz": "58a81ae1",
    }  # fmt: skip
    assert all(len(bytes.fromhex(a.sha256)) == 32 for a in cifar.ARCHIVES.values())


@pytest.mark.parametrize(("manners", "attempts"), [(["die"], 2), (["break", "die"], 3)])
def test_a_second_attempt(
    manners: list[str], attempts: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(made("cifar10")[0])
    file = publish(monkeypatch, "cifar10", content)
    server.files[file], server.manners = content, manners
    assert len(cifar.load("cifar10", [tmp_path], base_url=server.url)["train"][1]) == 60
    assert len(server.asked) == attempts
    assert os.listdir(tmp_path) == [file]


@pytest.mark.parametrize(("manner", "message"), [
    ("die", r"cannot download http.*cifar-10-binary.tar.gz: .*broken.*put the file into"),
    ("break", r"cannot download .*503.*put the file into"),
    ("absent", r"cannot download .*404"),
    ("other", r"what http.* gave is not the published file: .*hash"),
])  # fmt: skip
def test_a_download_that_fails_leaves_nothing(
    manner: str, message: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(made("cifar10")[0])
    file = publish(monkeypatch, "cifar10", content)
    server.manners = [manner] * 9 if manner in ("die", "break") else []
    if manner != "absent":
        server.files[file] = content[:-1] + b"!" if manner == "other" else content
    with pytest.raises(LabError, match=message):
        cifar.load("cifar10", [tmp_path], base_url=server.url)
    assert server.asked == [file] * 3
    assert os.listdir(tmp_path) == []


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(LabError, match=f"cannot download {url}.*refused.*put the file into {tmp_path}"):
            cifar.load("cifar10", [tmp_path], base_url=url)
    with pytest.raises(LabError, match="not to be downloaded"):
        cifar.load("cifar10", [tmp_path], download=False)
    assert os.listdir(tmp_path) == []


def test_nowhere_to_write(server: Server, blocked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(made("cifar10")[0])
    server.files[publish(monkeypatch, "cifar10", content)] = content
    with pytest.raises(LabError, match=r"cannot write cifar-10-binary\.tar\.gz to .*: Not a directory"):
        cifar.load("cifar10", [blocked], base_url=server.url)


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(made("cifar10")[0])
    server.files[publish(monkeypatch, "cifar10", content)] = content
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, hard))
    try:
        with pytest.raises(LabError, match=r"cannot write cifar-10-binary\.tar\.gz to .*: File too large"):
            cifar.load("cifar10", [tmp_path], base_url=server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []
    assert len(server.asked) == 1  # another attempt would not help


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from nasbench_lab.training import cifar
cifar.fetch(replace(cifar.ARCHIVES["cifar10"], sha256=sys.argv[1]), Path(sys.argv[2]), base_url=sys.argv[3])
"""


def test_killed_half_way_it_is_downloaded_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(made("cifar10")[0])
    file = publish(monkeypatch, "cifar10", content)
    server.files[file], server.manners = content, ["hang"]
    command = [sys.executable, "-c", SCRIPT, cifar.ARCHIVES["cifar10"].sha256, str(tmp_path), server.url]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert server.half_sent.wait(20)
        process.send_signal(signal.SIGKILL)
    server.go_on.set()
    assert not (tmp_path / file).exists()
    assert len(cifar.load("cifar10", [tmp_path], base_url=server.url)["test"][1]) == 12
    assert (tmp_path / file).read_bytes() == content


def test_another_file_of_that_name_is_neither_read_nor_replaced(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(made("cifar10")[0])
    file = publish(monkeypatch, "cifar10", content)
    server.files[file] = content
    for wrong in (content[: len(content) // 2], b"", content[:-1] + b"!"):
        (tmp_path / file).write_bytes(wrong)
        with pytest.raises(LabError, match=r"not the published file: its SHA-256 is .*Delete it"):
            cifar.load("cifar10", [tmp_path], base_url=server.url)
        assert (tmp_path / file).read_bytes() == wrong
    assert server.asked == []


def _missing(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in members.items() if "test" not in name}


def _cut(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content[:-1] for name, content in members.items()}


def _strange(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: b"\xff" + content[1:] for name, content in members.items()}


@pytest.mark.parametrize(("change", "message"), [
    (_missing, "missing"), (_cut, "records of 3073"), (_strange, r"a label is 255, allowed are 0\.\.9"),
    (None, "damaged"),
])  # fmt: skip
def test_a_damaged_archive(
    change: Callable[[dict[str, bytes]], dict[str, bytes]] | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if its hash were right."""
    members = made("cifar10")[0]
    content = packed(change(members)) if change else packed(members)[:-5000]
    (tmp_path / publish(monkeypatch, "cifar10", content)).write_bytes(content)
    with pytest.raises(LabError, match=message):
        cifar.load("cifar10", [tmp_path])


def test_links_in_an_archive_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members, archive = made("cifar10")[0], cifar.ARCHIVES["cifar10"]
    (tmp_path / "secret").write_bytes(members.pop(archive.test))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for kind, target in ((tarfile.SYMTYPE, str(tmp_path / "secret")), (tarfile.LNKTYPE, archive.train[0])):
            link = tarfile.TarInfo(archive.test)
            link.type, link.linkname = kind, target
            tar.addfile(link)
        info = tarfile.TarInfo("../outside")
        tar.addfile(info)
    (tmp_path / publish(monkeypatch, "cifar10", file.getvalue())).write_bytes(file.getvalue())
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(LabError, match="missing"):
        cifar.load("cifar10", [tmp_path])
    assert sorted(os.listdir(tmp_path)) == before
    assert not (tmp_path.parent / "outside").exists()
