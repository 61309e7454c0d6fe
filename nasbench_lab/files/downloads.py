"""Published files by pooch: whole or not at all, checked by SHA-256, tried three times."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pooch
from requests import RequestException

from nasbench_lab.core import LabError

Report = Callable[[int, int], None]
_RETRIES = 2


class Unreachable(LabError):
    """No network, or no such file at its address."""


class Published(NamedTuple):
    """One file: its name here, where it is published, and the SHA-256 of its content."""

    name: str
    url: str
    sha256: str


def fetch(file: Published, folder: Path, *, progress: Report | None = None) -> Path:
    """Download a file into a folder, unless it is there already.

    Args:
        file: what is wanted.
        folder: made if it is not there.
        progress: called with (bytes so far, bytes in all).

    Raises:
        Unreachable: no network or no such file.
        LabError: wrong content, or nowhere to write.
    """
    pooch.get_logger().setLevel("WARNING")  # what it tries again is its affair; what fails is said once, below
    source = pooch.create(
        folder, "", registry={file.name: f"sha256:{file.sha256}"}, urls={file.name: file.url}, retry_if_failed=_RETRIES
    )
    bar = False if progress is None else _Bar(progress)
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 18)
    try:
        path = Path(source.fetch(file.name, downloader=downloader))
        if path.stat().st_mode & 0o777 != 0o644:
            os.chmod(path, 0o644)
    except RequestException as error:  # before OSError, of which it is one
        mend = f"Where there is no network, put the file into {folder} yourself, as {file.name}"
        raise Unreachable(f"cannot download {file.url}: {_cause(error)}. {mend}") from error
    except OSError as error:
        raise LabError(f"cannot write {file.name} to {folder}: {error.strerror or error}") from error
    except ValueError as error:
        raise LabError(f"what {file.url} gave is not the published file: {error}") from error
    return path


class _Bar:
    """What pooch takes for a progress bar."""

    def __init__(self, report: Report) -> None:
        self.total, self._done, self._report = 0, 0, report

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self.total)
        self._report(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing to close."""


def _cause(error: BaseException) -> str:
    """The innermost reason: requests wraps what urllib3 wraps what the system said."""
    while (inner := getattr(error, "reason", None) or (error.args[0] if error.args else None)) is not None:
        if not isinstance(inner, BaseException):
            break
        error = inner
    return str(error) or type(error).__name__
