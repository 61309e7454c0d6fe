from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasbench_lab
from nasbench_lab.stats import shares

PACKAGE = Path(nasbench_lab.__file__).parent


@pytest.mark.parametrize(
    ("some", "of", "text"),
    [
        (499, 500, "99.8%"),
        (500, 500, "100%"),
        (0, 500, "0%"),
        (1, 500, "0.2%"),
        (19_999, 20_000, "99.995%"),
        (1, 3, "33%"),
    ],
)
def test_a_share_is_all_or_none_only_if_it_is(some, of, text):
    assert shares.percent(some / of) == text


@given(st.integers(1, 10**9), st.integers(0, 4))
def test_no_number_of_digits_makes_a_part_the_whole_or_nothing(of, digits):
    for share in (1 / (of + 1), of / (of + 1)):
        assert 0 < float(shares.percent(share, digits)[:-1]) < 100
        assert 0 < float(shares.decimal(share, digits)) < 1
        assert 0 < shares.rounded(share, digits) < 1


def test_rounding_of_a_sum_makes_no_part_of_the_whole():
    assert shares.percent(1 - 3e-16, 1) == "100.0%"
    assert shares.percent(3e-16) == "0%"


def test_no_share_is_written_any_other_way():
    """In the package a share in words comes from `shares`: no percent format, no number times 100 before a sign."""
    other = re.compile(r"""\{[^{}]*:[^{}]*%\}|\{100(?:\.0)? \* [^{}]*\}%""")
    found = {
        f"{path.relative_to(PACKAGE)}: {match[0]}"
        for path in PACKAGE.rglob("*.py")
        for match in other.finditer(path.read_text())
        if "%Y" not in match[0]
    }
    assert not found
