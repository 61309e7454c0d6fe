"""One decision of a space: its name, the labels of its options, and whether they have an order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.frozen import ReadOnly, frozen

Label = str | int | float
MOST = 4096  # options of one decision
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECADES = 8.0  # largest over smallest option from which numbers are spaced by their logarithms


@dataclass(frozen=True)
class Decision:
    """What is chosen once in every cell of a space.

    Attributes:
        name: of the decision; not blank.
        options: labels, at least one, no two alike; of an ordered decision ascending where they are numbers.
        ordered: options have an order, so that near ones are alike: numbers, or words such as small, medium, large.

    Raises:
        ValueError: no option, too many, one twice, one that is blank or not finite, or ordered numbers that do not ascend.
    """

    name: str
    options: tuple[Label, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(map(_label, self.options)))
        where = f"decision {self.name!r}"
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"a decision needs a name, got {self.name!r}")
        if not 1 <= len(self.options) <= MOST:
            raise ValueError(f"{where} needs at least one option and {MOST:,} at most, got {len(self.options):,}")
        texts = list(map(text_of, self.options))
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise ValueError(f"{where} has the option {twice!r} twice")
        if self.ordered and self.numeric and list(self.options) != sorted(self.options):
            raise ValueError(f"{where}: options that are ordered numbers must ascend, got {self.options}")

    @property
    def numeric(self) -> bool:
        """Whether every option is a number."""
        return not any(isinstance(option, str) for option in self.options)

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """(K,) places of the options between 0 and 1; of unordered ones, their number's.

        Ordered numbers keep their scale: linear, or logarithmic where all are positive and the largest is 8 times the
        smallest or more (learning rates, widths); ordered words are evenly spaced.
        """
        count = len(self.options)
        if count == 1:
            return frozen(np.zeros(1))
        if not (self.ordered and self.numeric):
            return frozen(np.linspace(0.0, 1.0, count))
        values = np.array(self.options, dtype=np.float64)
        if values[0] > 0 and values[-1] >= _DECADES * values[0]:
            values = np.log(values)
        return frozen((values - values[0]) / (values[-1] - values[0]))

    def number(self, label: object) -> int:
        """The number of the option with this label; numbers and their texts are as good as each other.

        Raises:
            ValueError: there is none; names those there are.
        """
        texts = self._numbers
        found = texts.get(text_of(label) if isinstance(label, (int, float, np.generic)) else str(label).strip())
        if found is None and (value := number_in(str(label))) is not None:
            found = texts.get(text_of(value))
        if found is None:
            raise ValueError(f"decision {self.name!r} has no option {label!r}; it has {listed(self.options)}")
        return found

    @cached_property
    def _numbers(self) -> ReadOnly[str, int]:
        return ReadOnly({text_of(option): i for i, option in enumerate(self.options)})


def text_of(label: object) -> str:
    """A label as people read and write it; a number that is whole as such."""
    value = label.item() if isinstance(label, np.generic) else label
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def listed(options: Sequence[object], most: int = 12) -> str:
    """The first labels, for messages."""
    shown = ", ".join(text_of(option) for option in options[:most])
    return shown + (f", ... ({len(options):,} in all)" if len(options) > most else "")


def _label(value: object) -> Label:
    """A label as a Python number or a text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"an option must be finite, got {value}")
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and value.strip():
        return value.strip()  # blanks around a label are dirt of the file that it came from
    raise ValueError(f"an option is a number or a text that is not blank, got {value!r}")


def number_in(text: str) -> float | None:
    """The finite number that a text is, as people write one; None where it is none, as "3_1" and "007", which are names."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
