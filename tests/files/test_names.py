"""Names from data are names: one rule for what may be a file's, one way to make one of any text."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.files import names

HOSTILE = [
    "../../x", "..", ".", "", "/etc/x", "a/b", "a\\b", "C:x", ".hidden", "-rf", "a\nb", "a\0b", "x" * 101, "é" * 100, "x ", " x",
    "a|b", "a\u202eb", "con:", "~root", "$HOME", "`id`", "a;b", "a'b", 'a"b', "*", "a?b", None, 3, ["x"],
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_what_could_be_a_path_is_no_name(name):
    with pytest.raises(LabError, match="a table cannot be called .*letters, digits"):
        names.checked(name, "a table")


@pytest.mark.parametrize("name", ["cifar10-valid", "ImageNet16-120", "C10+", "my table", "v1.2", "größe", "_x", "7"])
def test_ordinary_names_are_allowed(name):
    assert names.checked(name, "a table") == name


@given(st.text(max_size=300))
def test_a_name_or_a_slug_stays_in_its_folder(text):
    folder = Path("/somewhere/results")
    parts = [f"{names.slug(text)}-x.parquet", *names.slugs([text, text, text.upper()])]
    with contextlib.suppress(LabError):
        parts.append(f"{names.checked(text, 'a table')}.npz")
    for part in parts:
        assert (folder / part).resolve().parent == folder
        assert "\n" not in part


@given(st.lists(st.text(max_size=120), max_size=8))
def test_folders_of_several_settings_are_different_ones(texts):
    found = names.slugs(texts)
    assert len({name.lower() for name in found}) == len(texts)
    assert all(0 < len(name) <= 84 for name in found)
