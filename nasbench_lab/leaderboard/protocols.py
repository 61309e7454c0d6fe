"""How settings differ in what was done, for figures and tables that put several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from nasbench_lab.leaderboard import wording
from nasbench_lab.leaderboard.parts import Row

# of settings that say nothing
_UNSAID = MappingProxyType({"scored": "scored on test", "policy": "policies by default"})
_LEAD = MappingProxyType({"sees": "search sees ", "scored": "scored on "})


def protocol(row: Row) -> dict[str, str]:
    """What was done in a setting, part by part: seeds, budget, what the search sees, what scores, policies."""
    return {
        "seeds": f"{row['runs']} seeds",
        "budget": str(row["budget"]),
        "sees": f"search sees {wording.sees(row)}",
        "scored": f"scored on {row['scored']}" if row.get("scored") else "",
        "policy": str(row["policy"]),
    }


def apart(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Of settings, a row each: the parts of the protocol that all share, and of each those that differ."""
    parts = [protocol(row) for row in rows]
    shared = [part for name, part in parts[0].items() if part and all(each[name] == part for each in parts)]
    unlike = [name for name in parts[0] if len({each[name] for each in parts}) > 1]
    return shared, [[each[name] or _UNSAID[name] for name in unlike] for each in parts]


def together(names: Sequence[str], rows: Sequence[Row]) -> str:
    """The protocol of several settings: of every part what most share, and in parentheses which of them have another."""
    parts, said = [protocol(row) for row in rows], []
    for name in parts[0]:
        having: dict[str, list[str]] = {}
        for own, each in zip(names, parts, strict=True):
            having.setdefault(each[name], []).append(own)
        usual, *others = sorted(having, key=lambda value: -len(having[value]))
        short = (
            f"{', '.join(having[value])}: {(value or _UNSAID[name]).removeprefix(_LEAD.get(name, ''))}"
            for value in others
        )
        more = f" ({'; '.join(short)})" if others else ""
        said.append(f"{usual or _UNSAID[name]}{more}" if usual or others else "")
    return ", ".join(filter(None, said))
