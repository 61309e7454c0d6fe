"""A cell from what a user types or hands over, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping

from nasbench_lab.errors import offered
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space


def cell_of(space: Space, given: str | int | Mapping[str, object]) -> int:
    """A cell from its index, its text, or labels by decision.

    Raises:
        ValueError: there is none; of a decision that there is not, the nearest ones.
    """
    try:
        return naming.of_labels(space, given) if isinstance(given, Mapping) else naming.parse(space, given)
    except ValueError:
        parts = [*given] if isinstance(given, Mapping) else naming.parts_of(str(given))
        said = [str(part).partition("=")[0].strip() for part in parts if isinstance(given, Mapping) or "=" in part]
        names = [each.name for each in space.decisions]
        if other := [name for name in said if name not in names]:
            raise ValueError(
                f"{space.name} has no decision {other[0]!r}{offered(other[0], names, 'it has:')}"
            ) from None
        raise
