"""The runs of a results folder: which are there, and more of them; few files, each of consecutive seeds of one id.

A block that is finished is a file at once, so that nothing is lost; files that follow each other become one when they are
many, and once all runs of an id are there. `index.json` beside them says which files were read and found whole as they are
now (size, time), so that looking what is left to do costs the ends of the files, not their records. It is no proof: whatever
shows results reads and checks them, and the index is made again where it is not there.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nasbench_lab import sources
from nasbench_lab.core import LabError
from nasbench_lab.files import names, sealed
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study import store
from nasbench_lab.study.plan import Group, run_id, without_seeds
from nasbench_lab.study.runs import Endings, Runs, lacking, merged

INDEX = "index.json"
_MANY = 16  # files of an id that follow each other, from which on they become one
_ROWS = 1 << 20  # of one file; a file with half of it is left as it is
_OLD = 3600  # seconds after which what a killed writer left behind is removed
_PROOF, _OLDEST = ".shared-", 30 * 24 * 3600  # of `Shelf.shared`: its name, and the seconds that no study takes


class _File(NamedTuple):
    """A file of an id that is whole: its seeds, and what of an author's took part."""

    path: Path
    seeds: range
    files: Mapping[str, str]


class Shelf:
    """The files of a results folder; `out` need not exist."""

    def __init__(self, out: Path) -> None:
        self.folder = (out / "runs").absolute()
        self._index = _read_index(self.folder)
        self._paths = by_id(self.folder)
        self._new = self._index.copy()

    def of(self, group: Group) -> Kept:
        """The runs of one strategy on one task; files that are damaged or of another id are as if they were not there."""
        found = []
        for path in self._paths.get(group.id, ()):
            with contextlib.suppress(LabError):
                found.append(self._whole(path, group))
        return Kept(self, group, [each for each in found if each.seeds])

    def _whole(self, path: Path, group: Group) -> _File:
        state = _state(path)
        if self._index.get(path.name) == state:
            header, ended, files = store.read_foot(path)
        else:
            runs = store.read(path)
            header, ended, files = runs.header, Endings.of(runs.ended), runs.files
        (seeds,) = ended.ranges or [range(0)]
        if run_id(header) != group.id or len(ended.ranges) > 1:
            raise LabError(f"{path} holds other runs than its name says")
        self._new[path.name] = state
        return _File(path, seeds, files)

    def wrote(self, path: Path) -> None:
        """A file of runs that are known to be whole is there."""
        self._new[path.name] = _state(path)

    @contextmanager
    def shared(self) -> Iterator[str]:
        """A file in the folder, by which another process sees that its folder of that name is this one; its path."""
        proof = self.folder / f"{_PROOF}{uuid.uuid4().hex}"
        write_atomically(proof, b"a study is run here\n")
        try:
            yield str(proof)
        finally:
            proof.unlink(missing_ok=True)

    def save_index(self) -> None:
        """Write the index, if there is anything to say."""
        there = {name: state for name, state in self._new.items() if (self.folder / name).is_file()}
        if there != self._index:
            write_atomically(self.folder / INDEX, json.dumps(sealed.seal({"whole": there})).encode())
            self._index = there.copy()


class Kept:
    """The runs of one id that can be used again, and where more are put."""

    def __init__(self, shelf: Shelf, group: Group, files: list[_File]) -> None:
        self._shelf, self._group = shelf, group
        usable = [each for each in files if not sources.changed(each.files)]
        self._stale = [each for each in files if each not in usable]
        self._files = {each.path: each for each in usable}

    @property
    def seeds(self) -> list[range]:
        """That are there."""
        return merged(each.seeds for each in self._files.values())

    def lacking(self, wanted: range) -> list[range]:
        """Seeds that are not."""
        return lacking(wanted, self.seeds)

    def add(self, content: bytes | None, runs: Runs) -> None:
        """Keep runs of consecutive seeds that were made now: their file's content, None where it is there, and what it holds.

        Raises:
            LabError: it cannot be written.
        """
        (seeds,) = Endings.of(runs.ended).ranges
        path = store.path_of(self.prefix, seeds.start)
        if content is not None:
            write_atomically(path, content)
        self._shelf.wrote(path)
        self._files[path] = _File(path, seeds, runs.files)
        for chain in self._chains():
            if len(chain) >= _MANY:
                self._merge(chain)

    def tidy(self, wanted: range) -> None:
        """Make files few; where all that is wanted is there, what cannot be used any more goes."""
        self._drop_covered()
        for chain in self._chains():
            self._merge(chain)
        if not self.lacking(wanted):
            kept = set(self._files)
            for path in {each.path for each in self._stale} - kept:
                path.unlink(missing_ok=True)

    @property
    def prefix(self) -> str:
        """Absolute path of the files of this id, see `store.path_of`."""
        group = self._group
        name = f"{names.slug(Path(group.spec).stem)}-{names.slug(Path(group.task.text.table).stem)}-{group.id}"
        return str(self._shelf.folder / name)

    def _drop_covered(self) -> None:
        """Remove files whose runs are all in another: a merge was killed before it had removed what it had merged."""
        reach = -1
        for each in sorted(self._files.values(), key=lambda each: (each.seeds.start, -each.seeds.stop)):
            if each.seeds.stop <= reach:
                each.path.unlink(missing_ok=True)
                del self._files[each.path]
            reach = max(reach, each.seeds.stop)

    def _chains(self) -> Iterator[list[_File]]:
        """Files that follow each other and may be one."""
        chain: list[_File] = []
        for each in sorted(self._files.values(), key=lambda each: each.seeds.start):
            if chain and not (each.seeds.start == chain[-1].seeds.stop and each.files == chain[-1].files):
                yield chain
                chain = []
            chain.append(each)
        if chain:
            yield chain

    def _merge(self, chain: list[_File]) -> None:
        """Make files that follow each other fewer. Nothing is removed before it is in a file that is written."""
        part: list[Runs] = []
        paths: list[Path] = []
        rows = 0
        for each in [*chain, None]:
            runs = None if each is None else self._small(each.path)
            if part and (runs is None or rows + int(runs.offsets[-1]) > _ROWS):
                self._one(part, paths)
                part, paths, rows = [], [], 0
            if each is not None and runs is not None:
                part, paths, rows = [*part, runs], [*paths, each.path], rows + int(runs.offsets[-1])

    def _small(self, path: Path) -> Runs | None:
        """The runs of a file that is not of whole size; None of another, or where it is gone or damaged."""
        with contextlib.suppress(LabError):
            return None if 2 * store.rows(path) > _ROWS else store.read(path)
        return None

    def _one(self, parts: list[Runs], paths: list[Path]) -> None:
        if len(parts) < 2:
            return
        runs = store.together(parts)
        (seeds,) = Endings.of(runs.ended).ranges
        header = without_seeds(runs.header) | {"seeds": [seeds.start, seeds.stop]}
        write_atomically(paths[0], store.encoded(header, runs.columns, runs.ended, runs.files))
        self._shelf.wrote(paths[0])
        self._files[paths[0]] = _File(paths[0], seeds, runs.files)
        for path in paths[1:]:
            path.unlink(missing_ok=True)
            self._files.pop(path, None)
        self._shelf.save_index()


def by_id(folder: Path) -> dict[str, list[Path]]:
    """The files of runs in a folder by the id in their name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")):
        found.setdefault("".join(path.stem.split("-")[-2:-1]), []).append(path)
    return found


def read(paths: Iterable[Path], identity: str, wanted: range, *, current: bool = False) -> Runs:
    """The runs of an id, of consecutive seeds; every file is read whole and checked.

    Args:
        paths: of files of this id.
        identity: that their headers must have.
        wanted: the seeds.
        current: whether runs of code that was edited since are as if they were not there.

    Raises:
        Missing: runs are not there, or in files that are damaged, of another id than their name says, or of other code.
    """
    blocks: list[Runs] = []
    left, wrong = [wanted], list[str]()
    for path in paths:
        try:
            found = _checked(path, identity, current=current)
        except LabError as error:
            wrong.append(str(error))
            continue
        there = Endings.of(found.ended).ranges
        own = [seed for some in left for each in _common(some, there) for seed in each]
        blocks += [found.only(own)] if own else []
        left = [each for some in left for each in lacking(some, there)]
    if left:
        raise Missing(identity, left, len(wanted), wrong)
    return store.join(blocks)


def each(paths: Iterable[Path]) -> Iterator[Runs]:
    """The runs in files, whatever they are of, each once: two files may have the same ones where a merge was killed.

    Raises:
        LabError: a file is damaged.
    """
    seen: dict[str, list[range]] = {}
    for path in paths:
        found = store.stored(path)
        before = seen.setdefault(run_id(found.header), [])
        there = Endings.of(found.ended).ranges
        own = [seed for some in there for new in lacking(some, before) for seed in new]
        if own:
            yield found.only(own)
        before += there


class Missing(LabError):
    """Runs that are not there: `count` of them; `wrong`: what is wrong with files, the first in parentheses as `why`."""

    def __init__(self, identity: str, left: list[range], of: int, wrong: list[str]) -> None:
        self.count = sum(map(len, left))
        some = ", ".join(str(seed) for each in left for seed in each[:3])
        some = some if self.count <= 3 else ", ".join(some.split(", ")[:3]) + " ..."
        self.wrong = wrong
        self.why = f" ({wrong[0]})" if wrong else ""
        super().__init__(f"{self.count} of {of} runs of {identity} are not there: seeds {some}{self.why}")


def _checked(path: Path, identity: str, *, current: bool) -> Runs:
    found = store.stored(path)
    if run_id(found.header) != identity:
        raise LabError(f"{path} holds other runs than its name says")
    if current and (edited := sources.changed(found.files, data=False)):
        raise LabError(f"{path} holds runs of other code: {edited[0]} was edited since")
    return found


def _common(some: range, there: list[range]) -> Iterator[range]:
    for each in there:
        if own := range(max(some.start, each.start), min(some.stop, each.stop)):
            yield own


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind, an hour ago or more; what a study that may still be run needs, later."""
    for pattern, old in ((".*.tmp", _OLD), (f"{_PROOF}*", _OLDEST)):
        for path in folder.glob(pattern) if folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > old:
                    path.unlink(missing_ok=True)


def forget(out: Path) -> None:
    """Trust no file that was not read anew: what was found whole once is not."""
    with contextlib.suppress(OSError):
        (out / "runs" / INDEX).unlink(missing_ok=True)


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _read_index(folder: Path) -> dict[str, list[int]]:
    try:
        found = sealed.read_json(folder / INDEX, before=())["whole"]
        return {str(name): list(map(int, state)) for name, state in found.items()}
    except (LabError, LookupError, TypeError, ValueError, AttributeError):
        return {}
