"""Where the user's data lies, and writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import platformdirs

from nasbench_lab.errors import LabError
from nasbench_lab.files import paths


def user_folder() -> Path | None:
    """The user's data folder (platformdirs), which may not exist yet; None where no home folder is known."""
    try:
        found = Path(platformdirs.user_data_dir("nasbench_lab", appauthor=False))
    except RuntimeError:
        return None
    return found if found.is_absolute() else None  # older ones leave `~` as it is


def data_folders() -> list[Path]:
    """Where data is looked for: `$NASBENCH_LAB_DATA` if it is set, then the user's data folder."""
    return [folder for folder in (paths.of_variable("NASBENCH_LAB_DATA"), user_folder()) if folder]


def not_there(paths: Iterable[Path], *, force: bool) -> None:
    """Refuse to write where something is already, unless somebody said so.

    Args:
        paths: that would be written.
        force: somebody did.

    Raises:
        LabError: one is there; names it.
    """
    taken = [] if force else [path for path in paths if os.path.lexists(path)]
    if taken:
        more = f" (and {len(taken) - 1} more)" if taken[1:] else ""
        raise LabError(f"{taken[0]}{more} is there already; nothing was written. Name another place, or say --force")


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary file beside `path`, flush to disk, rename.

    Raises:
        LabError: the folder cannot be written or the disk is full; `path` is then as it was.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """The same for several files: all are written beside their places before the first is renamed.

    Raises:
        LabError: a folder cannot be written or the disk is full; everything is then as it was.
    """
    temporary: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            _write_beside(path, data, temporary)
        for path, written in temporary.items():
            os.replace(written, path)
    except BaseException as error:
        for written in temporary.values():
            written.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise LabError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def _write_beside(path: Path, data: bytes, temporary: dict[Path, Path]) -> None:
    try:
        if path.exists() and not path.is_file():
            raise LabError(
                f"cannot write {path}: it is there, and is no file"
            )  # a folder, or /dev/null, which is not replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
        file = beside.open("xb")  # with the permissions that the umask leaves
    except (OSError, ValueError) as error:
        raise LabError(f"cannot write to {path.parent}: {getattr(error, 'strerror', None) or error}") from error
    temporary[path] = beside
    with file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
