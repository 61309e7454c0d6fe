"""Measuring a table: many configurations x seeds, in shards that survive anything.

The jobs that no shard holds yet are cut into blocks in the order given. A finished block is one small `.npz` file (numbers
and one json string; no pickle), written to a temporary name and moved into place, so a file is whole or absent: kill the
process any way, at any time, start it again, with another list too, and it goes on with the trainings that are missing. At
most the blocks in flight are lost. Worker processes use one thread each and end when their parent does.
Notation: J jobs, P epochs.

    arch, seed (J,) int32   val, train (J, P) float32, %   test (J,) float32, %   seconds (J,) float32
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.files.arrays import Archive
from nasbench_lab.spaces.space import Space
from nasbench_lab.training import grouped, networks
from nasbench_lab.training.digits import Clutter, Digits
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.trainer import Outcome, train

FIELDS = ("arch", "seed", "val", "train", "test", "seconds")
_UNPACKED = 1 << 26  # bytes of a shard; 64 trainings of 200 epochs have 0.1 million
_BLOCK, _AT_ONCE = 64, 1024  # jobs of a shard, trained one by one and at once
Job = tuple[int, int]  # arch, seed
Table = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Task:
    """What is trained on, as values that travel to a worker and into the shard's header.

    Args:
        name: `digits`.
        clutter, part_size, held_out_size: see `digits.Digits`.
        recipe: of every training.
        space: whose networks are trained.

    Raises:
        ValueError: another name.
        LabError: a space that no networks are built of.
    """

    recipe: Recipe
    clutter: Clutter = field(default_factory=Clutter)
    part_size: int = 4096
    held_out_size: int = 4000
    name: str = "digits"
    space: str = CELLS.space.name

    def __post_init__(self) -> None:
        if self.name != "digits":
            raise ValueError(f"only digits can be measured into a table so far, got {self.name!r}")
        networks.named(self.space)

    @property
    def networks(self) -> Networks:
        """How configurations become networks."""
        return networks.named(self.space)

    @property
    def plain(self) -> dict[str, Any]:
        """As a shard's header and name hold it; cells are not named, as there were shards before there were others."""
        values = json.loads(json.dumps(asdict(self)))
        if self.networks is CELLS:
            del values["space"]
        return dict(values)

    def data(self, device: str) -> Digits:
        """The data on a device."""
        sizes = {"part_size": self.part_size, "held_out_size": self.held_out_size}
        return Digits(self.clutter, device=device, **sizes)


def blocks(jobs: Sequence[Job], task: Task, size: int) -> Iterator[tuple[str, tuple[Job, ...]]]:
    """The jobs cut into blocks; a block's name holds a digest of its jobs and of the task, so lists may change."""
    for first in range(0, len(jobs), size):
        block = tuple(jobs[first : first + size])
        digest = hashlib.sha256(json.dumps([task.plain, block], sort_keys=True).encode()).hexdigest()[:10]
        yield f"{task.name}-{first:05d}-{digest}.npz", block


def measure(
    task: Task,
    jobs: Iterable[Job],
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    block: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> int:
    """Train what is missing; returns how many trainings this call added.

    Args:
        task: data and recipe. jobs: (arch, seed) pairs, in the order they should become available.
        folder: of the shards. workers: processes, one thread each; 0 trains in this process.
        block: jobs per shard (of about 4 KB), the most a kill can cost each worker; 64, or 1,024 where they are trained
            at once, on a GPU.
        progress: called with (done, total, seconds left) after every block.

    Raises:
        ValueError: no such configuration, or a block size below 1.
    """
    wanted = [(int(arch), int(seed)) for arch, seed in jobs]
    block = (_AT_ONCE if grouped.at_once(device) else _BLOCK) if block is None else block
    if block < 1 or workers < 0:
        raise ValueError(f"need block >= 1 and workers >= 0, got {block} and {workers}")
    for arch, _ in wanted:
        task.networks.space.known_cell(arch)
    folder.mkdir(parents=True, exist_ok=True)
    there = finished(folder, task)
    missing = list(blocks([job for job in wanted if job not in there], task, block))
    total = len(wanted)
    done = before = total - sum(len(part) for _, part in missing)
    started = time.monotonic()
    for count in _run(task, missing, folder, workers, device):
        done += count
        if progress is not None:
            progress(done, total, (total - done) * (time.monotonic() - started) / (done - before))
    return done - before


def finished(folder: Path, task: Task) -> set[Job]:
    """The trainings of a task that a folder's shards hold, whatever list of jobs they were cut from.

    Raises:
        LabError: a shard is damaged.
    """
    shards = [_read(path) for path in sorted(folder.glob("*.npz"))]
    tables = [table for header, table in shards if header["task"] == task.plain]
    return {(int(arch), int(seed)) for table in tables for arch, seed in zip(table["arch"], table["seed"], strict=True)}


def _run(
    task: Task, missing: list[tuple[str, tuple[Job, ...]]], folder: Path, workers: int, device: str
) -> Iterator[int]:
    """Sizes of blocks, as they are finished."""
    if workers == 0:
        for name, part in missing:
            yield _measure_block(task, part, folder / name, device)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(os.getpid(),)) as pool:
        pending = {pool.submit(_measure_block, task, part, folder / name, device) for name, part in missing}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        except (KeyboardInterrupt, GeneratorExit):  # nobody waits for what is left of their blocks
            for child in multiprocessing.active_children():
                child.kill()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare(parent: int) -> None:
    """One thread per worker, and none left behind by a killed parent."""
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _measure_block(task: Task, part: tuple[Job, ...], path: Path, device: str) -> int:
    data = task.data(device)
    if grouped.at_once(device):
        jobs = [grouped.Job(arch, seed, task.recipe) for arch, seed in part]
        found = dict(grouped.train_all(jobs, data, networks=task.networks))
        outcomes = [found[number] for number in range(len(jobs))]
    else:
        outcomes = [train(arch, data, task.recipe, seed=seed, networks=task.networks) for arch, seed in part]
    _write(path, outcomes, task)
    return len(outcomes)


def _write(path: Path, outcomes: list[Outcome], task: Task) -> None:
    columns: Table = {name: np.array([getattr(o, name) for o in outcomes], dtype=np.float32) for name in FIELDS}
    for name in ("arch", "seed"):
        columns[name] = np.array([getattr(o, name) for o in outcomes], dtype=np.int32)
    header = {
        "task": task.plain,
        "engine": sorted({o.engine for o in outcomes}),
        "device": sorted({o.device for o in outcomes}),
        "reasons": {f"{o.arch}/{o.seed}": o.reason for o in outcomes if o.reason},
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, header=np.array(json.dumps(header, sort_keys=True)), **columns)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _processor() -> str:
    """Whose seconds these are, as the system names it; trainings of one table may come from several machines."""
    try:
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        said = {key.strip(): value.strip() for key, _, value in lines}
        return " ".join(said[key] for key in ("model name", "cpu family", "model"))
    except (OSError, KeyError):  # another system
        return platform.processor() or platform.machine()


def merge(folder: Path) -> tuple[Table, list[dict[str, Any]]]:
    """All shards of a folder, sorted by (seed, arch), each training once; and their headers.

    Raises:
        ValueError: no shards, or shards of different tasks in one folder.
        LabError: one is damaged.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise ValueError(f"no shards (*.npz) in {folder}")
    tables, headers = [], []
    for path in paths:
        header, table = _read(path)
        headers.append(header)
        tables.append(table)
    if any(header["task"] != headers[0]["task"] for header in headers):
        raise ValueError(f"{folder} holds shards of different tasks; keep one task per folder")
    whole = {name: np.concatenate([table[name] for table in tables]) for name in FIELDS}
    said = [
        np.full(len(table["arch"]), header.get("processor", "")) for header, table in zip(headers, tables, strict=True)
    ]
    whole["seconds"] = _of_one_processor(whole["arch"], whole["seconds"], np.concatenate(said))
    pairs = np.stack([whole["seed"], whole["arch"]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return {name: values[first] for name, values in whole.items()}, headers


def _of_one_processor(arch: NDArray[Any], seconds: NDArray[Any], processor: NDArray[Any]) -> NDArray[Any]:
    """(J,) seconds as the processor of most trainings took them: those of another by the median ratio over what both trained."""
    names, counts = np.unique(processor, return_counts=True)
    usual, scaled = names[np.argmax(counts)], seconds.copy()

    def means(name: str) -> NDArray[np.float64]:  # by arch, nan where it trained none
        own = processor == name
        with np.errstate(invalid="ignore"):
            return np.bincount(arch[own], seconds[own], minlength=arch.max() + 1) / np.bincount(
                arch[own], minlength=arch.max() + 1
            )

    for other in (str(name) for name in names if name != usual):
        ratios = means(usual) / means(other)
        ratios = ratios[np.isfinite(ratios)]
        scaled[processor == other] *= np.median(ratios) if len(ratios) else 1.0
    return scaled


def _read(path: Path) -> tuple[dict[str, Any], Table]:
    """The header and the columns of one shard; every member carries a checksum, compared by the archive.

    Raises:
        LabError: not a shard, or damaged.
    """
    try:
        with bounded.regular(path) as file:
            archive = Archive(file, limit=_UNPACKED)
            header, table = bounded.parsed(archive.text("header")), {name: archive.read(name) for name in FIELDS}
            jobs = {len(values) for values in table.values()}
            if len(jobs) != 1 or not {"task", "reasons"} <= header.keys():
                raise ValueError("header and columns do not fit together")
            return header, table
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for a damaged file
        raise LabError(
            f"{path} is not a shard, or is damaged: {error}. Delete it, and its trainings are done again"
        ) from error


def first_trial(seed: int, *, shuffle: int = 0, space: Space = CELLS.space) -> list[Job]:
    """One training of every class (its lowest-index cell), in a fixed random order: any prefix is a random sample."""
    _, firsts = np.unique(space.classes, return_index=True)
    return [(int(arch), seed) for arch in np.random.default_rng(shuffle).permutation(firsts)]


def more_trials(table: Table, seed: int, further: Sequence[int], *, best: int = 500, random: int = 500) -> list[Job]:
    """Further seeds for the best cells by final val in the trial `seed`, and for a random sample of the others.

    Best and random cells alternate, and all of one seed come before the next, so that a prefix is balanced.
    """
    chosen = table["seed"] == seed
    archs, val = table["arch"][chosen], np.nan_to_num(table["val"][chosen][:, -1], nan=-1.0)
    ranked = archs[np.argsort(-val, kind="stable")]
    sample = np.random.default_rng(1).permutation(ranked[best:])[:random]
    mixed = [int(a) for pair in zip(ranked[:best], sample, strict=False) for a in pair]
    longer = ranked[:best] if len(sample) < best else sample
    mixed += [int(a) for a in longer[min(best, len(sample)) :]]
    return [(arch, other) for other in further for arch in mixed]
