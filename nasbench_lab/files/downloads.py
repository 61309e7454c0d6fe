"""Published files by pooch: whole or not at all, checked by SHA-256, tried three times; bounded in bytes and in time.

No more bytes come than the published file has. A server that is silent for `SILENCE` seconds, or slower than `SLOWEST`
on average once `GRACE` seconds are over, is left: so no download lasts longer than `GRACE` + size / `SLOWEST` seconds.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pooch
import requests
from requests import RequestException

from nasbench_lab.errors import LabError

Report = Callable[[int, int], None]
SILENCE, GRACE = 30.0, 30.0  # seconds
SLOWEST = 20_000.0  # bytes a second
_RETRIES, _CHUNK, _AHEAD = 2, 1 << 16, 8


class Unreachable(LabError):
    """No network, or no such file at its address."""


class Published(NamedTuple):
    """One file: its name here, where it is published, the SHA-256 of its content, and how many bytes it has at most."""

    name: str
    url: str
    sha256: str
    size: int


def fetch(file: Published, folder: Path, *, progress: Report | None = None) -> Path:
    """Download a file into a folder, unless it is there already.

    Args:
        file: what is wanted.
        folder: made if it is not there.
        progress: called with (bytes so far, bytes in all).

    Raises:
        Unreachable: no network, no such file, or a server that does not send it in time.
        LabError: wrong content, or nowhere to write.
    """
    pooch.get_logger().setLevel("WARNING")  # what it tries again is its affair; what fails is said once, below
    source = pooch.create(
        folder, "", registry={file.name: f"sha256:{file.sha256}"}, urls={file.name: file.url}, retry_if_failed=_RETRIES
    )
    try:
        path = Path(source.fetch(file.name, downloader=_Bounded(file, progress)))
        if path.stat().st_mode & 0o777 != 0o644:
            os.chmod(path, 0o644)
    except (RequestException, _TooSlow) as error:  # before OSError, of which the first is one
        mend = f"Where there is no network, put the file into {folder} yourself, as {file.name}"
        raise Unreachable(f"cannot download {file.url}: {_cause(error)}. {mend}") from error
    except OSError as error:
        raise LabError(f"cannot write {file.name} to {folder}: {error.strerror or error}") from error
    except ValueError as error:
        raise LabError(f"what {file.url} gave is not the published file: {error}") from error
    return path


class _TooSlow(Exception):
    """Not worth another attempt."""


class _Broken(RequestException):
    """It ended early; the next attempt may go better."""


class _Bounded:
    """What pooch takes for a downloader."""

    def __init__(self, file: Published, progress: Report | None) -> None:
        self._file, self._progress = file, progress

    def __call__(self, url: str, output: Any, _: Any) -> None:
        size, done = self._file.size, 0
        with open(output, "wb") as file, _Sender(url, size) as sender:
            for chunk in sender.chunks():
                done += len(chunk)
                if done > size:
                    raise ValueError(f"it sends more than the {size:,} bytes that file has")
                file.write(chunk)
                if self._progress is not None:
                    self._progress(done, size)


class _Sender:
    """A request on a thread of its own, so that whatever it waits for (a name, a header, a byte) has an end.

    Its socket ends its wait some `SILENCE` later; a thread that never comes back cannot keep the program alive.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size = url, size
        self._items: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._left = threading.Event()

    def __enter__(self) -> _Sender:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def chunks(self) -> Iterator[bytes]:
        """The content as it comes.

        Raises:
            _TooSlow: the server is silent, or slow on average.
            RequestException, ValueError: what the request met with.
        """
        begun = heard = time.monotonic()
        done = 0
        while True:
            try:
                item = self._items.get(timeout=min(0.2, SILENCE / 4))
            except queue.Empty:
                item = None
            now = time.monotonic()
            if isinstance(item, Exception):
                raise item
            if item == b"":
                return
            if item:
                done, heard = done + len(item), now
                yield item
            _in_time(done, now - begun, now - heard)

    def _run(self) -> None:
        try:
            with _answer(self._url, self._size) as body:
                while not self._left.is_set():
                    chunk = body.read1(_CHUNK, decode_content=False)
                    self._put(chunk)
                    if not chunk:
                        return
        except Exception as error:  # the other thread's to judge
            self._put(error if isinstance(error, (RequestException, ValueError)) else _Broken(str(error)))

    def _put(self, item: bytes | Exception) -> None:
        while not self._left.is_set():
            try:
                self._items.put(item, timeout=0.2)
                return
            except queue.Full:
                continue


@contextmanager
def _answer(url: str, size: int) -> Iterator[Any]:
    """The body of an answer that may be the file.

    Raises:
        RequestException: there is no such file, or no way to it.
        ValueError: it says that it has another size.
    """
    plain = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=(SILENCE, SILENCE), headers=plain) as answer:
        answer.raise_for_status()
        said = answer.headers.get("Content-Length", "")
        if said.isdecimal() and int(said[:20]) > size:
            raise ValueError(f"it says that it has {int(said[:20]):,} bytes, the published file has {size:,}")
        yield answer.raw


def _in_time(done: int, elapsed: float, silent: float) -> None:
    if silent > SILENCE:
        raise _TooSlow(f"the server has sent nothing for {silent:.0f} seconds")
    if done < SLOWEST * (elapsed - GRACE):
        raise _TooSlow(f"the server has sent {done:,} bytes in {elapsed:.0f} seconds, which is too slow")


def _cause(error: BaseException) -> str:
    """The innermost reason: requests wraps what urllib3 wraps what the system said."""
    while (inner := getattr(error, "reason", None) or (error.args[0] if error.args else None)) is not None:
        if not isinstance(inner, BaseException):
            break
        error = inner
    return str(error) or type(error).__name__
