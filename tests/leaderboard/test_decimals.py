from __future__ import annotations

import pytest

from nasbench_lab.leaderboard import decimals


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (["0.5875", "0.58913", ""], ["0.58750", "0.58913", ""]),
        (["0.5875 – 0.589", "0.58871 – 0.6"], ["0.58750 – 0.58900", "0.58871 – 0.60000"]),
        (["74", "98.89", "7.699"], ["74.00", "98.89", "7.699"]),  # four digits each, whatever their size
        (["1,234", "-0.5", "≥ 60"], ["1,234", "-0.5", "≥ 60.0"]),
        (["60", "7"], ["60", "7"]),
        (["0.5", "none", "0.25"], ["0.5", "none", "0.25"]),
        (["1–2", "3.5"], ["1–2", "3.5"]),
    ],
)
def test_numbers_of_a_column_have_as_many_decimals(column, wanted):
    """None has more digits than the longest: where numbers are rounded to digits, zeros beyond would be made up."""
    assert [row[0] for row in decimals.even([[text] for text in column])] == wanted
    assert decimals.even([]) == []
