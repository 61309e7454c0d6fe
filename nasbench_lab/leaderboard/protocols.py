"""How settings differ in what was done, for figures and tables that put several side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from nasbench_lab.leaderboard import wording
from nasbench_lab.leaderboard.parts import Row

# of settings that say nothing
_UNSAID = MappingProxyType(
    {
        "scored": "scored on test",
        "trials": "mean of trainings seen",
        "noise": "no noise added",
        "repeats": "repeated queries count",
        "workers": "1 simulated worker",
        "policy": "no other policy",
    }
)
_POLICIES = MappingProxyType(  # how a row writes a policy -> which it is, and how a reader is told of it
    {
        r"trials=sample": ("trials", "one training seen"),
        r"trials=split": ("trials", "one training seen, scored on the others"),
        r"noise=(\S+)": ("noise", r"noise of \1 added"),
        r"repeats=free": ("repeats", "repeated queries free"),
        r"repeats=free-class": ("repeats", "repeated and isomorphic queries free"),
        r"(\d+ simulated workers)": ("workers", r"\1"),
    }
)
_LEAD = MappingProxyType({"sees": "search sees ", "scored": "scored on "})


def protocol(row: Row) -> dict[str, str]:
    """What was done in a setting, part by part: seeds, budget, what the search sees, what scores, policies."""
    return {
        "seeds": f"{row['runs']} seeds",
        "budget": str(row["budget"]),
        "sees": f"search sees {wording.sees(row)}",
        "scored": f"scored on {row['scored']}" if row.get("scored") else "",
        **_policies(str(row["policy"])),
    }


def _policies(text: str) -> dict[str, str]:
    """Every policy of a row in words, "" where it is the usual one; what has no words of its own is `policy`, as it stands."""
    found, rest = dict.fromkeys((name for name, _ in _POLICIES.values()), ""), []
    for part in text.split(", "):
        known = next((each for each in _POLICIES if re.fullmatch(each, part)), None)
        if known is None:
            rest.append(part)
        else:
            name, words = _POLICIES[known]
            found[name] = re.sub(known, words, part)
    return {**found, "policy": ", ".join(rest)}


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
