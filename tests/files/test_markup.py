"""Texts of users in Markdown and CSV: a table keeps its rows and columns, nothing becomes an element or a formula."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nasbench_lab.files import markdown, spreadsheet

PIECES = [
    "|", "\\", "\\|", "`", "``", "<b>", "<img src=x onerror=alert(1)>", "<!--", "</td>", "&lt;", "&#60;", "*x*", "_x_", "**", "__x__",
    "[x](javascript:alert(1))", "![x](http://x)", "http://x.y", "www.x.y", "a@b.c", "~~x~~", "$x$", "#", "\n", "\r\n", "\t", "\u2028",
    "\x1b[31m", "\x00", "=1+1", "+1", "-1", "@x", "'", '"', ",", "local_search", "gp:k=1", "é", " ", "---", "===", "> x", "1. x", "- x",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=5).map("".join)
TABLE = {"thead", "tbody", "table", "tr", "th", "td", "inline", "text"}


def tokens(text):
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [*found, *(child for token in found for child in token.children or ())]


def kinds(text):
    return {token.type.removesuffix("_open").removesuffix("_close") for token in tokens(text)}


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=4), st.booleans())
def test_a_table_keeps_its_rows_and_columns_and_has_no_elements(cells, numbers):
    rows = [["x", *row] for row in cells]  # as ours have: a row whose cells are all blank is no row of Markdown's
    lines = markdown.table(["head", *cells[0]], rows, numbers=numbers)
    found = tokens("\n".join(lines))
    assert sum(token.type == "td_open" for token in found) == 4 * len(rows)
    assert sum(token.type == "th_open" for token in found) == 4
    assert kinds("\n".join(lines)) <= TABLE | {"text_special", "entity"}


@given(TEXTS)
def test_a_text_is_shown_as_it_is(text):
    """But for blanks: after a heading's mark, and where a line begins."""
    shown = [token.content for token in tokens(f"# x{markdown.text(text)}x") if token.type == "inline"]
    assert len(shown) == 1
    for page in (
        f"# {markdown.text(text)}",
        f"> {markdown.line(text)}",
        markdown.line(text),
        f"x\n{markdown.line(text)}",
    ):
        assert kinds(page) <= {"heading", "blockquote", "paragraph", "inline", "text", "text_special", "softbreak"}
    assert not any(part in markdown.text(text) for part in ("http:", "https:", "www.", "<", "\n", "\r", "\x1b"))


@given(TEXTS)
def test_code_is_code_whatever_is_in_it(text):
    page = "\n".join(markdown.table(["a", "b"], [[markdown.code(text), "x"]]))
    assert sum(token.type == "td_open" for token in tokens(page)) == 2
    assert kinds(page) <= TABLE | {"code_inline"}


@given(TEXTS, TEXTS)
def test_a_link_leads_beside_the_page(words, target):
    page = "\n".join(markdown.table(["a", "b"], [[markdown.link(words, f"d/{target}"), "x"]]))
    links = [token for token in tokens(page) if token.type == "link_open"]
    assert [token.attrs["href"].startswith("d/") for token in links] == [True]
    assert kinds(page) <= TABLE | {"link", "text_special"}


def test_the_names_of_strategies_keep_their_look():
    for name in (
        "local_search:improvement=best",
        "gp_bo:surrogate=(gp:kernel=wl)",
        "12-epoch validation, 12,000 s",
        "R&D > 2",
    ):
        assert markdown.text(name) == name


FRAMES = st.lists(
    st.tuples(TEXTS.filter(lambda t: "\x00" not in t), st.floats(allow_nan=False)), min_size=1, max_size=5
)


@given(FRAMES)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(rows):
    frame = pd.DataFrame(rows, columns=["=name", "-value"])
    frame["=name"] = [text.replace("\r", "") + "x" for text in frame["=name"]]  # x: pandas reads some words as nothing
    text = spreadsheet.to_csv(frame)
    plain = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    for cell in [*plain.columns, *plain.iloc[:, 0]]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    back = spreadsheet.read(text.encode(), rows=10, numbers=100)
    assert list(back.columns) == ["=name", "-value"]
    assert back["=name"].tolist() == frame["=name"].tolist()
    assert back["-value"].tolist() == frame["-value"].tolist()


@pytest.mark.parametrize("content", [b"a" + b",a" * 1_000_000, b"a,b\n" + b"1,2\n" * 2000, b"a" * (1 << 23)])
def test_more_rows_or_columns_than_there_can_be_are_not_read(content):
    with pytest.raises(ValueError, match="columns and|more than|twice|larger than"):
        spreadsheet.read(content, rows=1000, numbers=10_000)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,b,", ["a", "b", "column 3 (no name)"]),
        (",a,Unnamed: 1", ["column 1 (no name)", "a", "Unnamed: 1"]),
        (", ,c", ["column 1 (no name)", "column 2 (no name)", "c"]),
        ("a,,column 2 (no name)", ["a", "column 2 (really no name)", "column 2 (no name)"]),
        ('"  ",b,c', ["column 1 (no name)", "b", "c"]),
        ("'=a,b,c", ["=a", "b", "c"]),
    ],
)
@pytest.mark.parametrize("before", ["\n", " \n", "\t\t\r\n\n", "\ufeff \n", "\ufeff"])
def test_a_column_without_a_name_is_called_by_its_place(header, names, before):
    content = f"{before}{header}\n007,2,3\n".encode()
    assert spreadsheet.header_of(content) == names
    found = spreadsheet.read(content, rows=10, numbers=100, dtype={names[0]: str})
    assert list(found.columns) == names
    assert found.to_numpy().tolist() == [["007", 2, 3]]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it is empty"), (b" \n\t\n", "it is empty"), (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header 2")],
)
def test_what_is_no_table_is_said_without_words_of_pandas(content, why):
    with pytest.raises(ValueError, match=why):
        spreadsheet.read(content, rows=10, numbers=100)
