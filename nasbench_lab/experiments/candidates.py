"""Which configurations to train for real: the best of a finished study, of a table, or by name; and random ones beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError, stream
from nasbench_lab.files import paths, sealed
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.study import shelf
from nasbench_lab.tables import catalog
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table
from nasbench_lab.training import networks

FloatArray = NDArray[np.float64]
_PICK = 40  # the stream of random cells


@dataclass(frozen=True)
class Candidate:
    """A class of configurations, by its lowest-index member.

    Args:
        group: "best" or "given", by the target; "random" otherwise.
        recommended: how many runs of the study ended with it.
    """

    arch: int
    group: str
    recommended: int = 0


def of_target(target: str, *, table: str | None, top: int, epochs: int) -> tuple[Table, list[Candidate]]:
    """The table that predicts, and the candidates, best first.

    Args:
        target: a results folder, the name of a table, or cells separated by commas.
        table: named by the user; else the study's, the named or the embedded one.
        top: how many, unless they are named.
        epochs: of the trainings to come; decides which schedule of a table ranks its cells.

    Raises:
        LabError: none of these, a study without runs, or a table of a space that no networks are built of.
    """
    if paths.is_folder(target):
        return _of_study(paths.home(target), table, top)
    named = catalog.load(table or catalog.default())
    if cells := _cells(target, named.space):
        return built(named), [Candidate(arch, "given") for arch in cells]
    try:
        reference = catalog.load(target)
    except LabError:
        raise LabError(f"{target!r} is neither a results folder nor a table nor cells separated by commas") from None
    built(reference)
    val = np.nan_to_num(predicting(reference, epochs).val[:, -1], nan=-1.0)
    members = np.unique(reference.space.representatives)
    ranked = members[np.argsort(-val[members], kind="stable")]
    return reference, [Candidate(int(arch), "best") for arch in ranked[:top]]


def space_of(target: str, table: str | None) -> str:
    """The name of the space whose networks the candidates of a target are.

    Raises:
        LabError: as `of_target`.
    """
    reference, _ = of_target(target, table=table, top=1, epochs=1)
    return networks.of_space(reference.space, f"table {reference.name!r}").space.name


def built(table: Table) -> Table:
    """The same table, if its configurations are networks that can be trained, and its scores what these then have.

    Raises:
        LabError: they are of another space, or its scores are no accuracies.
    """
    networks.of_space(table.space, f"table {table.name!r}")
    if not table.measure.plain:
        raise LabError(
            f"table {table.name!r} holds {table.unit}, {table.better} is better; networks trained here have accuracies in percent"
        )
    return table


def predicting(table: Table, epochs: int) -> Schedule:
    """The schedule that predicts a training: the one of as many epochs, else the one searched on."""
    return table.schedules.get(epochs, table.schedules[table.default_search])


def _cells(text: str, space: Space) -> list[int]:
    """Cells as a user writes them; empty if it is none. A label for every decision (six numbers 0..4, say) is one cell."""
    try:
        found = [naming.parse(space, text)]
    except ValueError:
        try:
            found = [naming.parse(space, part) for part in text.split(",")]
        except ValueError:
            return []
    return list(dict.fromkeys(int(space.representatives[arch]) for arch in found))


def _of_study(folder: Path, name: str | None, top: int) -> tuple[Table, list[Candidate]]:
    """The classes of the final incumbents of all runs, best first by the table's score that the search saw.

    Equal scores are ordered by how many runs ended there, then by index.
    """
    manifest = _manifest(folder)
    blocks = list(shelf.each(runs_of(folder)))
    tables = {str(block.header["evaluator"]["table"]): block.header["evaluator"] for block in blocks}
    if len(tables) > 1 and name is None:
        raise LabError(f"the study searched {', '.join(tables)}; say which one with --table")
    name = name or next(iter(tables))
    reference = built(catalog.load(_table_file(manifest, name)))
    policy = tables.get(reference.name, next(iter(tables.values())))
    ends = np.concatenate(
        [b.last("incumbent") for b in blocks if str(b.header["evaluator"]["table"]) == policy["table"]]
    )
    members = reference.space.representatives
    counts = Counter(int(members[int(arch)]) for arch in ends if arch >= 0)
    seen = _seen(reference, policy["search"])
    ranked = sorted(counts, key=lambda arch: (-seen[arch], -counts[arch], arch))
    return reference, [Candidate(arch, "best", counts[arch]) for arch in ranked[:top]]


def runs_of(folder: Path) -> list[Path]:
    """The files of a study's runs.

    Raises:
        LabError: there are none.
    """
    ids = {str(run["id"]) for run in _manifest(folder).get("runs", [])}  # a folder may also hold runs of older code
    files = [path for path in sorted((folder / "runs").glob("*.parquet")) if not ids or path.stem.split("-")[-2] in ids]
    if not files:
        raise LabError(f"no runs in {folder / 'runs'}; run the study first (runs are not committed with results)")
    return files


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / "manifest.json").is_file():  # a study that was interrupted has none yet
        return {}
    return sealed.read_json(folder / "manifest.json")


def _table_file(manifest: dict[str, Any], name: str) -> str:
    """The table as the study named it (perhaps by path), for the name in its runs' headers."""
    return next((path for path in manifest.get("tables", {}) if Path(path).stem == name), name)


def _seen(table: Table, search: int | str) -> FloatArray:
    """(A,) what the search could see, without noise; -1 where the table has nothing."""
    known = not str(search).isdecimal() or int(search) not in table.schedules
    schedule = table.schedules[table.default_search if known else int(search)]
    return np.nan_to_num(table.truth if search == "oracle" else schedule.val[:, -1], nan=-1.0)


def random_others(found: Sequence[Candidate], table: Table, count: int, seed: int) -> list[Candidate]:
    """Random classes that are measured in the table and not candidates already."""
    taken = {candidate.arch for candidate in found}
    members = np.unique(table.space.representatives)
    free = [int(arch) for arch in members if table.measured[arch] and int(arch) not in taken]
    order = stream(seed, _PICK).permutation(len(free))[:count]
    return [Candidate(free[i], "random") for i in order]
