"""Servers of every kind: what is published comes, or one error says why not, nothing is left behind, and it ends."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pooch
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.files import downloads

CONTENT = bytes(range(256)) * 400
OK = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[socket.socket], None]


def sized(content: bytes, size: int | None = None) -> bytes:
    return OK + f"Content-Length: {len(content) if size is None else size}\r\n\r\n".encode() + content


def slowly(conn: socket.socket, content: Iterator[bytes], stop: threading.Event) -> None:
    for part in content:
        conn.sendall(part)
        if stop.wait(0.02):
            return


class Server:
    """Answers every request in one manner; redirects lead back to it."""

    def __init__(self, manner: str) -> None:
        self.manner, self.asked, self.stop = manner, 0, threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/it"
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()

    def serve(self) -> None:
        while not self.stop.is_set():
            try:
                conn, _ = self.listening.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.talk, args=(conn,)))
            self.threads[-1].start()

    def talk(self, conn: socket.socket) -> None:
        with conn:
            try:
                if conn.recv(1 << 16):
                    self.asked += 1
                    self.answer(conn)
            except OSError:  # the other side has had enough
                pass

    def answer(self, conn: socket.socket) -> None:
        endless = itertools.repeat(b"x" * 65536)
        byte_by_byte = (bytes([byte]) for byte in itertools.cycle(CONTENT))
        page = b"<html>Please log in</html>"
        answers: dict[str, Callable[[], object]] = {
            "proper": lambda: conn.sendall(sized(CONTENT)),
            "in chunks": lambda: conn.sendall(
                OK + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n\r\n"
            ),
            "no length": lambda: conn.sendall(OK + b"Connection: close\r\n\r\n" + CONTENT),
            "not there": lambda: conn.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
            "out of order": lambda: conn.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
            "another file": lambda: conn.sendall(sized(CONTENT[:-1] + b"!")),
            "a page": lambda: conn.sendall(sized(page)),
            "half": lambda: conn.sendall(sized(CONTENT[: len(CONTENT) // 2], len(CONTENT))),
            "half, no length": lambda: conn.sendall(OK + b"Connection: close\r\n\r\n" + CONTENT[:-7]),
            "says more": lambda: conn.sendall(sized(CONTENT, 1 << 40)),
            "says less": lambda: conn.sendall(sized(CONTENT, 100)),
            "says nonsense": lambda: conn.sendall(OK + b"Content-Length: -3x\r\nConnection: close\r\n\r\n" + CONTENT),
            "bad chunks": lambda: conn.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + CONTENT),
            "packed": lambda: conn.sendall(
                OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(bytes(1 << 24))
            ),
            "round and round": lambda: conn.sendall(
                f"HTTP/1.1 302 There\r\nLocation: {self.url}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
            ),
            "to a file": lambda: conn.sendall(
                b"HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
            ),
            "no HTTP": lambda: conn.sendall(b"\x00\x01SSH-2.0\r\n\r\n" * 100),
            "nothing": lambda: None,
            "endless": lambda: [conn.sendall(OK + b"\r\n"), slowly(conn, endless, self.stop)],
            "endless in chunks": lambda: [
                conn.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n"),
                slowly(conn, (b"10000\r\n" + part + b"\r\n" for part in endless), self.stop),
            ],
            "endless header": lambda: [
                conn.sendall(OK), slowly(conn, (b"X-%d: y\r\n" % i for i in itertools.count()), self.stop)
            ],
            "silent": lambda: self.stop.wait(20),
            "silent after its header": lambda: [conn.sendall(sized(b"", len(CONTENT))), self.stop.wait(20)],
            "silent half way": lambda: [conn.sendall(sized(CONTENT[:9999], len(CONTENT))), self.stop.wait(20)],
            "byte by byte": lambda: [conn.sendall(sized(b"", len(CONTENT))), slowly(conn, byte_by_byte, self.stop)],
            "header byte by byte": lambda: slowly(conn, (bytes([b]) for b in OK + b"X: " + b"y" * 9999), self.stop),
        }  # fmt: skip
        answers[self.manner]()

    def close(self) -> None:
        self.stop.set()
        self.listening.shutdown(socket.SHUT_RDWR)  # accept waits no longer
        self.listening.close()
        for thread in self.threads:
            thread.join()


PROPER = ("proper", "in chunks", "no length", "says nonsense")
WRONG = {
    "another file": "not the published file: .*hash",
    "a page": "not the published file: .*hash",
    "half, no length": "not the published file: .*hash",
    "says more": "not the published file: it says that it has 1,099,511,627,776 bytes, the published file has 102,400",
    "says less": "not the published file: .*hash",
    "packed": "not the published file: .*hash",
    "endless": "not the published file: it sends more than the 102,400 bytes",
    "endless in chunks": "not the published file: it sends more than",
}
UNREACHABLE = {
    "not there": "404", "out of order": "503", "half": "broken|IncompleteRead", "bad chunks": "", "round and round": "redirects",
    "to a file": "file:", "no HTTP": "", "nothing": "", "endless header": "",
}  # fmt: skip
SLOW = {
    "silent": "nothing for|timed out", "silent after its header": "nothing for|timed out", "silent half way": "nothing for|timed out",
    "byte by byte": "too slow", "header byte by byte": "nothing for|too slow|timed out",
}  # fmt: skip


@pytest.fixture
def server(request, monkeypatch):
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    found = Server(request.param)
    yield found
    found.close()


def published(server: Server, content: bytes = CONTENT) -> downloads.Published:
    return downloads.Published("it.bin", server.url, hashlib.sha256(content).hexdigest(), len(content))


@pytest.mark.parametrize("server", PROPER, indirect=True)
def test_what_is_published_comes(server, tmp_path):
    seen: list[tuple[int, int]] = []
    path = downloads.fetch(published(server), tmp_path / "new", progress=lambda *numbers: seen.append(numbers))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert os.listdir(tmp_path / "new") == ["it.bin"]


def refused(server: Server, folder) -> str:
    with pytest.raises(LabError) as error:
        downloads.fetch(published(server), folder)
    assert list(folder.iterdir()) == []
    assert "\n" not in str(error.value)
    return f"{type(error.value).__name__} {error.value}"


@pytest.mark.parametrize("server", WRONG, indirect=True)
def test_something_else_is_refused_and_leaves_nothing(server, tmp_path):
    said = refused(server, tmp_path)
    assert re.search(WRONG[server.manner], said), said


@pytest.mark.parametrize("server", UNREACHABLE, indirect=True)
def test_what_cannot_be_had_says_what_to_do(server, tmp_path):
    said = refused(server, tmp_path)
    assert re.search(UNREACHABLE[server.manner], said), said
    assert said.startswith("Unreachable cannot download http://127.0.0.1")
    assert f"put the file into {tmp_path} yourself, as it.bin" in said


@pytest.mark.parametrize("server", SLOW, indirect=True)
def test_what_does_not_come_in_time_is_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "SILENCE", 0.6)
    monkeypatch.setattr(downloads, "GRACE", 0.6)
    said = refused(server, tmp_path)
    assert re.search(SLOW[server.manner], said), said
    assert said.startswith("Unreachable")
