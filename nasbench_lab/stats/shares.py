"""Shares in words: never 100% unless it is all, never 0% unless it is none, however few digits are shown."""

from __future__ import annotations

_MOST_DIGITS = 12
_ROUNDING = 1e-12  # of a sum of shares


def percent(share: float, digits: int = 0) -> str:
    """0.998 as "99.8%": as many digits as given, and as many more as it takes not to say all or none."""
    return f"{_text(share, digits, 100.0)}%"


def decimal(share: float, digits: int = 2) -> str:
    """0.998 as "0.998" where two digits would make it 1.00."""
    return _text(share, digits, 1.0)


def rounded(share: float, digits: int) -> float:
    """Rounded, but to neither 0 nor 1 from between them."""
    return float(_text(share, digits, 1.0))


def count(expected: float) -> str:
    """An expected number of things, "2,048.5": a decimal where it is not whole, so that half a one is seen."""
    return f"{expected:,.1f}".removesuffix(".0")


def _text(share: float, digits: int, whole: float) -> str:
    if abs(share - round(share)) < _ROUNDING:
        share = float(round(share))
    text = f"{whole * share:.{digits}f}"
    if 0.0 < share < 1.0 and float(text) in (0.0, whole) and digits < _MOST_DIGITS:
        return _text(share, digits + 1, whole)
    return text
