from __future__ import annotations

import itertools
import random
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.plots import curves, style
from nasbench_lab.report import pages

SPECS = ["random_search", "local_search", "local_search:improvement=best", "a", "b", "c", "d", "e", "f", "g", "h"]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def shades(theme):
    """The variables of the page's style in one theme."""
    text = (pages._ASSETS / "page.css").read_text()
    block = re.search(rf"{re.escape(theme)} \{{(.*?)\}}", text, re.DOTALL)[1]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", block))


@pytest.mark.parametrize(("theme", "side"), [(":root", "light"), (':root[data-theme="dark"]', "dark")])
def test_every_hue_can_be_read_as_text_and_the_page_has_the_same(theme, side):
    known = shades(theme)
    for i, hue in enumerate(style.HUES):
        assert known[f"h{i}"] == getattr(hue, side)
        assert contrast(known[f"h{i}"], known["paper"]) >= 4.5
    for name in ("ink", "muted", "link"):
        assert min(contrast(known[name], known[back]) for back in ("paper", "raised")) >= 4.5


def test_dark_by_system_is_dark_by_choice():
    assert shades(':root[data-theme="dark"]') == shades(':root:not([data-theme="light"])')


def test_looks_do_not_depend_on_order_and_no_two_are_alike():
    found = style.looks(SPECS)
    mixed = SPECS.copy()
    random.Random(0).shuffle(mixed)
    assert style.looks(mixed) == found
    assert len({(look.hue, look.dash) for look in found.values()}) == len(SPECS)


def test_well_known_strategies_keep_their_hue_whatever_the_study():
    for specs in (SPECS, ["local_search", "zzz"], ["random_search:replacement=true", "local_search"]):
        assert style.looks(specs)["local_search"].hue == style.looks(["local_search"])["local_search"].hue
    assert style.looks(["random_search:replacement=true"])["random_search:replacement=true"].hue == 0


def test_the_first_share_no_hue():
    many = [f"s{i}" for i in range(40)]
    found = style.looks(many, many[20:28])
    assert len({found[name].hue for name in many[20:28]}) == 8
    assert len({(look.hue, look.dash) for look in found.values()}) == 40


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("local_search:improvement=best", "local_search"),
        ("path/to/mine.py:Search:a=1", "mine.py"),
        ("mine.py", "mine.py"),
        ("pkg.module:Class", "Class"),
    ],
)
def test_short_names(spec, name):
    assert style.base(spec) == name


def test_labels_say_only_what_tells_apart():
    specs = [
        "re:population=50,sample=10",
        "re:population=10,sample=10",
        "ls:improvement=best",
        "gp:surrogate=forest,acquisition=log_ei",
    ]
    assert {spec: look.label for spec, look in style.looks(specs).items()} == {
        specs[0]: "re population=50",
        specs[1]: "re population=10",
        specs[2]: "ls improvement=best",  # it is not the plain one
        specs[3]: "gp …",
    }


def test_random_search_stays_in_colour():
    order = [f"s{i}" for i in range(12)] + ["random_search"]
    assert style.emphasised(order) == [*order[:7], "random_search"]
    assert style.emphasised(order[:5]) == order[:5]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.2))
def test_labels_stand_apart_in_order_and_inside(values, gap):
    places = style.spread(values, gap, 0.0, 1.0)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    room = min(gap, 1 / max(len(values) - 1, 1))
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    for a, b in itertools.pairwise(order):
        assert places[b] - places[a] >= room - 1e-9


def test_labels_with_room_stay_where_they_are():
    assert style.spread([0.9, 0.1, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.9, 0.1, 0.5])


@pytest.fixture(scope="module")
def chart():
    rows = [(name, at, 1 / at, 0.9 / at, 1.1 / at) for name in ("a<b", "random_search") for at in (1, 10, 100)]
    frame = pd.DataFrame(rows, columns=["strategy", "at", "mean", "low", "high"])
    return curves.regret(frame, style.looks(["a<b", "random_search"]), ["a<b", "random_search"], axis="queries")


def test_the_page_s_chart_follows_the_theme_and_names_its_marks(chart):
    text = style.for_page(style.svg(chart), {"a<b": 3, "random_search": 7}, 'regret & "more"')
    assert 'aria-label="regret &amp; &quot;more&quot;"' in text
    assert text.count('data-s="3"') == text.count('data-s="7"') >= 3  # band, line, name
    assert "a&lt;b" in text
    assert "var(--h0)" in text
    assert not re.search(r"#[0-9a-f]{6}", text)
    assert len(text) < len(style.svg(chart))


def test_files_for_print(chart):
    assert style.svg(chart).startswith("<svg")
    assert style.png(chart)[:8] == b"\x89PNG\r\n\x1a\n"
    assert style.pdf(chart)[:5] == b"%PDF-"
