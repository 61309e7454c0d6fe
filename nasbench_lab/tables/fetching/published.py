"""Published files, each pinned by repository, commit, size and SHA-256: from GitHub, a mirror of it, or a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.files import bounded, downloads
from nasbench_lab.files.paths import home

Report = Callable[[int, int], None]
BASE = "https://raw.githubusercontent.com/"


class File(NamedTuple):
    """One published file."""

    repository: str
    commit: str
    path: str
    size: int
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Where it lies below `BASE`, or below a mirror."""
        return f"{self.repository}/{self.commit}/{self.path}"


def chosen(files: Mapping[str, File], names: Sequence[str]) -> dict[str, File]:
    """The files with these names, each once.

    Raises:
        LabError: there is none with one of them.
    """
    if unknown := [name for name in names if name not in files]:
        raise LabError(f"no public file is known for {unknown[0]}{offered(unknown[0], files, 'known are')}")
    return {name: files[name] for name in names}


def obtain(wanted: Mapping[str, File], cache: Path, origin: str, progress: Report | None) -> dict[str, Path]:
    """Where the files are, by their keys; what is missing is downloaded, everything checked.

    Args:
        wanted: files by the caller's keys.
        cache: where downloads are kept; finished ones are not repeated.
        origin: a folder with the files (by their names, anywhere sensible below it), or the address of a mirror of
            raw.githubusercontent.com; GitHub itself if empty.
        progress: called with (bytes so far, bytes in all).

    Raises:
        LabError: a file that cannot be had or is not the published one, or nowhere to write.
    """
    if origin and "://" not in origin:
        return {key: _local(home(origin), file) for key, file in wanted.items()}
    base = (origin or BASE).rstrip("/") + "/"
    paths, done, total = {}, 0, sum(file.size for file in wanted.values())
    for key, file in wanted.items():
        report = None if progress is None else (lambda here, _, before=done: progress(before + here, total))
        name = f"{file.sha256[:8]}-{file.name}"
        paths[key] = downloads.fetch(
            downloads.Published(name, base + file.address, file.sha256, file.size), cache, progress=report
        )
        done += file.size
        if progress is not None:
            progress(done, total)
    return paths


def _local(folder: Path, file: File) -> Path:
    """The file in a folder: as a mirror has it, by repository, or by its name."""
    repository = file.repository.rpartition("/")[2]
    places = [folder / file.address, folder / repository / file.name, folder / file.name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise LabError(f"no {file.name} in {folder} (nor {places[1]}); it is published at {BASE}{file.address}")
    try:
        with bounded.regular(path) as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    if found != file.sha256:
        raise LabError(f"{path} is not the published file: its SHA-256 is {found[:12]}..., not {file.sha256[:12]}...")
    return path
