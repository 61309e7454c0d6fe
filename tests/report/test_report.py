"""The page of a results folder: whole without a script, and in a real browser sorted, filtered, switched and read aloud."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import few

from nasbench_lab import api
from nasbench_lab.spaces import cell, drawing
from nasbench_lab.study.study import Study, StudyTask

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STRATEGIES = ("random_search", "local_search", "regularized_evolution", "reinforce")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small study on two budgets."""
    from nasbench_lab.report import publish

    out = tmp_path_factory.mktemp("study")
    tasks = (StudyTask("toy", max_queries=30), StudyTask("toy", max_seconds=2000.0))
    api.run(Study(STRATEGIES, tasks, seeds=20, title="Small & <odd> study"), out)
    return publish.write_report(out)[0]


def test_it_is_whole_without_script_and_network(page: Path) -> None:
    text = page.read_text()
    assert len(text) < 3_000_000
    assert not re.search(
        r"""(?:src|href)=["'](?!#|data:)|@import|url\((?!["']?(?:data:|#))|fetch\(|XMLHttpRequest""", text
    )
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    for name in STRATEGIES:
        assert body.count(name) > 2
    assert "Small &amp; &lt;odd&gt; study" in body
    assert body.count("<table") >= 2
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", body)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))  # no level is skipped on the way down
    ids = re.findall(r'\sid="([^"]+)"', body)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'aria-(?:describedby|labelledby)="([^" ]+)"', body)) <= set(ids)


def test_it_has_every_table_that_the_markdown_has(page: Path) -> None:
    text = page.read_text()
    markdown = page.with_name("leaderboard.md").read_text()
    blocks = re.findall(r"^## (.*)$", markdown, flags=re.MULTILINE)
    assert {"How the rankings agree", "Over all settings"} <= set(blocks)
    for title in ("How the rankings agree", "Over all settings"):
        assert f"<h3>{title}</h3>" in text
        table = markdown.split(f"## {title}\n\n")[1].split("\n\n")[0].splitlines()[2:]
        for cell_text in (part.strip() for line in table for part in line.strip("|").split("|")):
            assert cell_text in text


def test_the_command_says_what_it_wrote_and_what_it_cannot_read(lab, page: Path, tmp_path: Path) -> None:
    code, out, _ = lab("report", page.parent, "--out", tmp_path / "p.html")
    assert code == 0
    assert "p.html" in out
    code, _, err = lab("report", tmp_path / "nowhere")
    assert code == 2
    assert "Traceback" not in err


def test_a_cell_is_drawn_with_its_operations() -> None:
    svg = drawing.cell_svg(1462)
    assert svg.startswith("<svg")
    assert "aria-label" in svg
    assert svg.count("conv 3x3") + svg.count("3×3") + svg.count("3x3") >= 6


needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


DESKTOP, PHONE = pytest.param((1280, "light"), id="desktop"), pytest.param((390, "dark"), id="phone")
DARK = pytest.param((1280, "dark"), id="dark desktop")


@pytest.fixture(params=[DESKTOP, PHONE])
def view(request: pytest.FixtureRequest, browser: Any, page: Path) -> Iterator[Any]:
    """The page, opened; anything it logs or asks for fails the test."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab, wrong = context.new_page(), []
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda sent: wrong.append(sent.url) if not sent.url.startswith(("file:", "data:")) else None)
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert not wrong


class TestInTheBrowser:
    pytestmark = needs_browser

    def test_nothing_sticks_out_sideways(self, view: Any) -> None:
        assert view.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")

    def test_no_table_has_a_scrollbar_for_what_only_shows_on_demand(self, view: Any) -> None:
        """A column's meaning hangs below its head, and of a short table out of it."""
        button = view.locator("#leaderboard table.rank thead button").first
        for _ in range(2):
            tall = view.evaluate(
                """() => [...document.querySelectorAll(".scroll:not(.explorer *)")]
                  .filter(e => e.offsetParent && e.scrollHeight > e.clientHeight).map(e => e.getAttribute("aria-label"))"""
            )
            assert tall == []
            button.hover()

    def test_a_column_s_meaning_is_in_sight(self, view: Any) -> None:
        button = view.locator("#leaderboard table.rank thead button").last
        button.scroll_into_view_if_needed()
        button.hover()
        tip, head = (view.locator(f"#{button.get_attribute('aria-describedby')}").bounding_box(), button.bounding_box())
        assert head["y"] + head["height"] <= tip["y"] <= head["y"] + 60
        assert tip["x"] >= 0
        assert tip["x"] + tip["width"] <= view.viewport_size["width"]

    def test_lines_are_named_at_their_ends_or_below_where_the_page_is_narrow(self, view: Any) -> None:
        narrow = view.viewport_size["width"] < 720
        figure = view.locator("#curves figure").first
        figure.scroll_into_view_if_needed()
        below = figure.locator(".names span[data-s]")
        assert below.count() == len(STRATEGIES)
        assert all(name.is_visible() == narrow for name in below.all())
        frame = figure.locator(".scroll").bounding_box()
        ends = figure.locator("svg text[data-s]")
        assert ends.count() == len(STRATEGIES)
        for end in ends.all():
            box = end.bounding_box()
            assert (box["x"] >= frame["x"] + frame["width"] - 1) == narrow
            assert narrow or box["x"] + box["width"] <= frame["x"] + frame["width"] + 1

    def test_on_paper_nothing_is_cut_and_every_strategy_is_open(self, view: Any) -> None:
        view.emulate_media(media="print")
        hidden = "e => getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth"
        cut = view.evaluate(f"() => [...document.querySelectorAll('main *')].filter({hidden}).map(e => e.className)")
        assert set(cut) == {"scroll cut"}  # plots whose names stand below
        assert all(names.is_visible() for names in view.locator("#curves .names").all())
        assert not view.locator(".bar").is_visible()
        view.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert all(part.get_attribute("open") is not None for part in view.locator("details.strategy").all())
        view.emulate_media(media="screen")

    @pytest.mark.parametrize("view", few([DESKTOP, DARK, PHONE], DESKTOP), indirect=True)
    def test_axe_finds_nothing(self, view: Any) -> None:
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        view.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        found = axe.run(view, options={"resultTypes": ["violations", "passes"]}).response
        assert len(found["passes"]) > 20
        assert [(each["id"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found["violations"]] == []

    def test_a_column_sorts_both_ways(self, view: Any) -> None:
        def column() -> list[float]:
            cells = view.locator("#leaderboard table.rank").first.locator("tbody tr td:nth-child(3)").all_inner_texts()
            return [float(text) for text in cells]

        button = view.locator("#leaderboard table.rank thead button", has_text="test %").first
        button.click()
        first = column()
        button.click()
        assert sorted(first) in (first, first[::-1])
        assert column() == first[::-1]

    def test_filters_hide_rows_and_settings(self, view: Any) -> None:
        rows = view.locator("#leaderboard table.rank tbody tr")
        assert rows.count() == 2 * len(STRATEGIES)
        view.locator("#filter-text").fill("local")
        assert sum(row.is_visible() for row in rows.all()) == 2
        view.locator("#filter-text").fill("")
        view.locator("#filter-budget").select_option(index=1)
        assert sum(row.is_visible() for row in rows.all()) == len(STRATEGIES)

    def test_series_are_switched_on_and_off(self, view: Any) -> None:
        boxes = view.locator("#curves input[type=checkbox]")
        assert boxes.count() >= len(STRATEGIES)
        drawn = """() => [...document.querySelectorAll("#curves .chart [data-s]")]
            .filter(e => { const s = getComputedStyle(e); return s.display !== "none" && s.visibility !== "hidden"; }).length"""
        every = view.evaluate(drawn)
        assert every >= len(STRATEGIES)
        view.locator("[data-show=none]").click()
        assert not any(box.is_checked() for box in boxes.all())
        assert view.evaluate(drawn) == 0
        boxes.first.check()
        assert 0 < view.evaluate(drawn) < every
        view.locator("[data-show=all]").click()
        assert view.evaluate(drawn) == every

    def test_light_and_dark(self, view: Any) -> None:
        background = "getComputedStyle(document.body).backgroundColor"
        before = view.evaluate(background)
        view.locator("#theme").click()
        assert view.evaluate(background) != before

    def test_everything_that_is_used_has_a_name(self, view: Any) -> None:
        nameless = view.evaluate(
            """() => [...document.querySelectorAll("button, select, input, a[href], nav, svg[role=img], [role=region]")]
              .filter(e => !(e.innerText || "").trim() && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")
                && !(e.labels && e.labels.length) && !e.querySelector("title")).map(e => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []

    def test_text_has_contrast(self, view: Any) -> None:
        """4.5 to 1 for body text, notes, links and heads, as WCAG 2 AA asks."""
        poor = view.evaluate(
            """() => {
              const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
                .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
              const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (!/, 0\\)|transparent/.test(c)) return c; } return "rgb(255, 255, 255)"; };
              return [...document.querySelectorAll("p, a, td, th, h1, h2, h3, label, button")].filter(e => e.innerText.trim()
                && e.offsetParent).filter(e => { const a = light(getComputedStyle(e).color), b = light(back(e));
                return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5; }).map(e => e.outerHTML.slice(0, 100)).slice(0, 3);
            }"""
        )
        assert poor == []

    def test_a_link_to_a_strategy_opens_it(self, view: Any) -> None:
        link = view.locator("#leaderboard table.rank tbody th a").first
        link.click()
        assert view.locator(link.get_attribute("href")).get_attribute("open") is not None

    def test_a_column_explains_itself_to_keyboard_and_mouse(self, view: Any) -> None:
        button = view.locator("#leaderboard table.rank thead button", has_text="test %").first
        tip = view.locator(f"#{button.get_attribute('aria-describedby')}")
        assert not tip.is_visible()
        button.focus()
        view.keyboard.press("Shift+Tab")
        view.keyboard.press("Tab")
        assert tip.is_visible()

    def test_the_explorer_draws_what_this_package_says(self, view: Any, toy: Any) -> None:
        field, facts = view.locator("#cell"), view.locator("#cell-facts")
        for arch in (1462, 123, 6111):
            field.fill(cell.to_string(arch))
            words = facts.inner_text()
            assert cell.to_string(arch) in words
            rank = 1 + int((toy.truth > toy.truth[arch] + 1e-9).sum())
            value, said = re.search(r"toy test\s+([\d.]+) \(rank ([\d,]+) of 15,625\)", words).groups()
            assert float(value) == pytest.approx(toy.truth[arch], abs=0.0051)
            assert said == f"{rank:,}"
            members = cell.class_members()[int(cell.SPACE.classes[arch])]
            assert ("no other cell" if len(members) == 1 else f"{len(members)} cells") in words
            shown = view.locator("#cell-near tbody th").all_inner_texts()
            assert sorted(map(int, shown)) == sorted(cell.SPACE.neighbours[arch].tolist())
            picture = view.locator("#cell-svg svg")
            assert picture.locator("path").count() == 6
            routes = [part.get_attribute("d") for part in picture.locator("path").all()]
            assert routes == [route[0] for route in drawing.parts()["routes"]]
        field.fill("99999")
        assert field.get_attribute("aria-invalid") == "true"
        view.locator("#cell-ops select").first.select_option("none")
        assert cell.ops(int(field.input_value()))[0] == cell.NONE
        assert cell.ops(int(field.input_value()))[1:] == cell.ops(6111)[1:]

    def test_hovering_a_name_puts_the_others_back(self, view: Any) -> None:
        view.locator("#series label").first.scroll_into_view_if_needed()
        view.locator("#series label").first.hover()
        assert view.locator("svg.chart.focus").count() > 0
        view.mouse.move(1, 1)
        assert view.locator("svg.chart.focus").count() == 0

    def test_the_keyboard_reaches_the_leaderboard_first(self, view: Any) -> None:
        view.keyboard.press("Tab")
        assert "leaderboard" in view.evaluate("document.activeElement.innerText").lower()


def test_page_and_leaderboard_say_where_strategies_are_not_given_what_they_are_for(tmp_path: Path) -> None:
    import html
    import json

    from nasbench_lab.report import publish

    study = Study(("random_search", "transfer_gp"), (StudyTask("toy", max_queries=5),), seeds=2)
    board = api.run(study, tmp_path)
    (note,) = board.notes
    assert note.startswith("transfer_gp: no other dataset's scores to read on toy")
    assert f"> {note}" in (tmp_path / "leaderboard.md").read_text()
    assert json.loads((tmp_path / "leaderboard.json").read_text())["notes"] == [note]
    assert note in html.unescape(publish.write_report(tmp_path)[0].read_text())
