"""Figures for papers: as wide as asked for, in text of the size asked for, whatever they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab import plot
from nasbench_lab.cli.app import app
from nasbench_lab.core import LabError
from nasbench_lab.plots import style
from nasbench_lab.report import figures
from nasbench_lab.testing import first_search


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("figures") / "a"
    names = ("random_search", "local_search", "regularized_evolution:population=10,sample=4")
    nasbench_lab.compare(*names, table="toy", seeds=20, max_queries=30, out=out)
    return out


def points(chart) -> float:
    return float(re.match(r'<svg[^>]*width="([\d.]+)"', style.svg(chart))[1])


@pytest.mark.parametrize("kind", ["regret", "rank-ranges", "who-beats-whom"])
def test_it_is_as_wide_as_asked_for(folder, kind):
    assert points(figures.figure([folder], kind, width=3.0, size=7)) == pytest.approx(216, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regret", "ranks", "targets", "rank-ranges", "who-beats-whom", "profile", "deciding"])
@pytest.mark.parametrize(("width", "wanted"), [("column", 234), ("text", 486), (5.5, 396)])
def test_it_is_as_wide_as_asked_for_whatever_it_shows(folder, kind, width, wanted):
    boards = [folder] if width == "column" else [folder, folder]
    assert points(figures.figure(boards, kind, width=width, size=7)) == pytest.approx(wanted, abs=1)


def test_panels_that_do_not_fit_side_by_side_stand_below(folder):
    """Without a word they did not fit; three of them in 3.25 inches."""
    chart = plot.regret(folder, folder, folder, width="column", size=7)
    assert points(chart) == pytest.approx(234, abs=1)
    assert style.svg(chart).count(">toy (synthetic)<") == 3
    assert points(plot.regret(folder, folder, width="text", size=7, columns=1)) == pytest.approx(486, abs=1)
    with pytest.raises(LabError, match="no board searches 'digits'; there are toy"):
        plot.regret(folder, tables=["digits"])


def test_panels_of_unlike_protocols_say_so(folder, tmp_path):
    """In the figure, where panels have titles, and on the terminal; of like ones nothing is said."""
    out = tmp_path / "b"
    nasbench_lab.compare(
        "local_search:improvement=best", table="toy", seeds=20, max_queries=12, trials="sample", out=out
    )
    text = style.svg(plot.regret(folder, out, width="text", size=7))
    for part in (
        "30 queries",
        "12 queries",
        "one training seen",
        "mean of trainings seen",
        "local_search improvement=best",
    ):
        assert f">{part}<" in text
    assert "30 queries" not in style.svg(plot.regret(folder, folder, width="text", size=7))
    made = CliRunner().invoke(app, ["plot", "regret", str(folder), str(out), "--out", str(tmp_path / "f.pdf")])
    assert made.exit_code == 0
    assert (
        "note: the panels are of unlike protocols: toy (30 queries, mean of trainings seen); toy (12 queries, one training seen)"
        in made.stderr
    )
    assert (
        "note: 'regularized_evolution …' in the figure is regularized_evolution:population=10,sample=4" in made.stderr
    )


def shown(chart) -> list[dict[str, str]]:
    """Of every panel, the colour of each name at its lines' ends."""
    found = []
    for panel in re.split(r'aria-label="Title text', style.svg(chart))[1:]:
        texts = re.findall(r'<text[^>]*fill="([^"]*)"[^>]*>([^<]+)</text>', panel)
        found.append({text: colour for colour, text in texts})
    return found


def test_a_strategy_has_one_colour_in_all_panels_and_no_other_has_it(folder, tmp_path_factory):
    """In rows as side by side; somebody's strategy takes no colour that another panel has given away."""
    beside = tmp_path_factory.mktemp("figures") / "b"
    names = ("tpe", "gp_bo", "regularized_evolution:population=10,sample=4", "random_search", "hill_climb.py")
    own = beside.parent / "hill_climb.py"
    own.write_text(Path(first_search.__file__).read_text())
    nasbench_lab.compare(*names[:4], str(own), table="toy", seeds=3, max_queries=12, out=beside)
    for columns in (1, 2):
        panels = shown(plot.regret(folder, beside, folder, width=9, size=7, columns=columns))
        assert len(panels) == 3
        every: dict[str, set[str]] = {}
        for panel in panels:
            for name in ("tpe", "gp_bo", "regularized_evolution …", "random_search", "hill_climb.py", "local_search"):
                if name in panel:
                    every.setdefault(name, set()).add(panel[name])
        assert len(every) == 6
        assert {len(colours) for colours in every.values()} == {1}
        assert len(set.union(*every.values())) == 6


def test_a_long_subtitle_is_broken_and_takes_no_column_away(folder, monkeypatch):
    long = "search sees mean test accuracy (oracle) after all of very many different schedules"
    monkeypatch.setattr(figures, "_unlike", lambda chosen: [[long] for _ in chosen])
    chart = plot.regret(folder, folder, width="text", size=7, columns=2)
    assert points(chart) == pytest.approx(486, abs=1)
    assert f">{long}<" not in style.svg(chart)


def test_text_has_its_size_and_font_in_every_panel(folder):
    text = style.svg(plot.regret(folder, folder, width=8, size=9, font="monospace"))
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)px"', text)}
    assert sizes == {9.0, 10.0, 11.0}  # marks and labels, titles of axes, titles of panels
    assert set(re.findall(r'font-family="([^"]*)"', text)) == {"monospace"}
    assert text.count(">toy (synthetic)<") == 2  # made up, and said so on the picture, too
    assert ">toy" not in style.svg(plot.regret(folder, width="text", titles=False))


def test_files_are_what_their_names_say(folder, tmp_path):
    chart = plot.rank_ranges(folder, width="column")
    assert plot.save(chart, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+)", (tmp_path / "a.pdf").read_bytes())
    assert float(box[1]) == pytest.approx(234, abs=1)
    assert plot.save(chart, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert re.match(r'<svg[^>]*width="23[345](\.\d+)?pt"', plot.save(chart, tmp_path / "a.svg").read_text())


def test_a_page_keeps_its_layout_after_a_figure(folder):
    before = style.layout()
    figures.figure([folder], "rank-ranges", width=3, size=6)
    with pytest.raises(LabError):
        figures.figure([folder], "regret", width=0.6)
    assert style.layout() == before == style.Layout()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "pie"}, "no chart is called .pie.; there are regret"),
        ({"kind": "front"}, "no chart 'front'; it has: regret"),
        ({"width": "wide"}, "column or text or a number of inches"),
        ({"width": 0.6}, "do not fit into 0.60 inches"),
        ({"size": 100}, "2 to 40 points"),
        ({"height": -1.0}, "height in 0 to 50 inches"),
        ({"height": 1e5}, "height in 0 to 50 inches"),
        ({"font": "No Such Font"}, "no font named 'No Such Font' is installed"),
        ({"font": "a & b"}, "a font is a family's name"),
        ({"font": 'a" b="c'}, "a font is a family's name"),
    ],
)
def test_what_cannot_be_is_refused(folder, options, said):
    with pytest.raises(LabError, match=said):
        figures.figure([folder], **options)


def test_the_command(folder, tmp_path):
    run, out = CliRunner().invoke, tmp_path / "figure.svg"
    assert run(app, ["plot", "rank-ranges", str(folder), "--out", str(out), "--width", "column"]).exit_code == 0
    assert out.read_text().startswith("<svg")
    with pytest.raises(LabError, match="written as pdf, svg, png; got the name 'x.gif'"):
        run(app, ["plot", "regret", str(folder), "--out", str(tmp_path / "x.gif")], catch_exceptions=False)


def test_every_kind_has_a_function():
    made = {name.replace("_", "-") for name in plot.__all__} - {"save"}
    assert made == {kind.removesuffix("-seconds") for kind in figures.KINDS}
