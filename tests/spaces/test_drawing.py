from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.spaces import cell, cells, drawing

SVG = "{http://www.w3.org/2000/svg}"


def drawn(arch, **options):
    return ElementTree.fromstring(drawing.cell_svg(arch, **options))


@given(st.integers(0, 15624))
def test_every_edge_has_a_line_and_every_operation_its_name(arch):
    picture, ops = drawn(arch), cell.ops(arch)
    assert len(picture.findall(f"{SVG}path")) == 6
    words = [text.text for text in picture.findall(f"{SVG}text")]
    assert sorted(words) == sorted(
        ["in", "1", "2", "out", *(drawing.STROKES[op].label for op in ops if op != cell.NONE)]
    )
    assert all(cell.OPS[op] in picture.attrib["aria-label"] for op in ops)


def test_edges_that_lead_nowhere_are_grey():
    arch = cell.parse("nor_conv_3x3,none,none,none,none,nor_conv_3x3")  # 0-1 and 2-3 meet nowhere
    colours = {path.attrib["stroke"] for path in drawn(arch).findall(f"{SVG}path")}
    assert colours == {"#a3abb5"}
    alive = cell.parse("nor_conv_3x3,none,none,none,nor_conv_3x3,none")
    assert drawing.STROKES[cell.CONV3].colour in {p.attrib["stroke"] for p in drawn(alive).findall(f"{SVG}path")}


def test_the_page_s_picture_has_no_colour_of_its_own():
    assert "#" not in drawing.cell_svg(9930, page=True)
    assert "var(" not in drawing.cell_svg(9930)


@pytest.mark.parametrize("edge", range(6))
def test_what_a_script_draws_from_is_what_is_drawn(edge):
    route = drawing.parts()["routes"][edge][0]
    assert drawn(1462).findall(f"{SVG}path")[edge].attrib["d"] == route


def test_a_cell_of_other_operations_is_drawn_by_their_roles():
    """Two of one role stand there under their own names; a label is text, whatever is in it."""
    space = cells.make({"none": "none", "<a>": "3x3", "sep": "3x3", "id": "skip"}, name="other")
    arch = space.index((1, 2, 3, 0, 0, 1))
    text = drawing.cell_svg(arch, space=space)
    root = ElementTree.fromstring(text)
    words = [part.text for part in root.iter(f"{SVG}text")]
    assert sorted(words) == sorted(["in", "1", "2", "out", "<a>", "sep", "skip", "<a>"])
    assert drawing.parts(space)["strokes"][3]["label"] == "skip"
