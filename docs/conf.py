"""The documentation site: `nox -s docs` builds it into docs/_build/html, with warnings as errors.

What can be computed is not written by hand: the commands' reference comes from the command line itself, the results from the
committed boards, the API from docstrings, and every example of the gallery is run.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import nasbench_lab

project = "nasbench_lab"
author = "The nasbench_lab founders"
version = release = nasbench_lab.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "examples/*", "**/GALLERY_HEADER.md"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "pydata_sphinx_theme"
html_title = "nasbench_lab"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r"^\$ "
copybutton_prompt_is_regexp = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["config.cache", "misc.highlighting_failure"]  # JSON that is cut with "..."


def scraped(block: tuple[str, str, int], variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """The charts that a block of an example left in its variables, as pictures below it."""
    from sphinx_gallery.scrapers import figure_rst

    from nasbench_lab.plots import style

    seen: set[int] = variables["example_globals"].setdefault("__charts__", set())
    paths = []
    for value in list(variables["example_globals"].values()):
        if type(value).__module__.startswith("altair") and hasattr(value, "to_dict") and id(value) not in seen:
            seen.add(id(value))
            path = next(variables["image_path_iterator"])
            Path(path).write_bytes(style.png(value, scale=2.0))
            paths.append(path)
    return str(figure_rst(paths, settings["src_dir"]))


def _fresh_examples() -> str:
    """A copy of the examples, in which they run and leave what they write."""
    copy = HERE / "_build" / "examples"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(HERE / "examples", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return str(copy)


sphinx_gallery_conf = {
    "examples_dirs": _fresh_examples(),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/[a-z_]+\.py",
    "image_scrapers": (scraped,),
    "reset_modules": (),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "plot_gallery": "True",
    "min_reported_time": 0,
    "show_api_usage": False,
}


def _commands() -> str:
    """Every command with its arguments and options, as the command line itself has them."""
    import typer

    from nasbench_lab.cli.app import app

    lines = ["# Commands", "", "Printed from the command line itself; `nasbench-lab COMMAND --help` says the same.", ""]
    lines += _of(typer.main.get_command(app), "nasbench-lab", 2)
    return "\n".join(lines) + "\n"


def _of(command: Any, path: str, level: int) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None or path != "nasbench-lab":
        yield f"{'#' * level} {path}"
        yield ""
        said, _, examples = (command.help or "").partition("\b\nExamples:\n")
        yield re.sub(r"([*_\\<])", r"\\\1", said.strip())
        if examples:
            yield f"\n```sh\n{textwrap.dedent(examples).strip()}\n```"
        yield ""
    if inner is not None:
        for name in sorted(inner):
            yield from _of(inner[name], f"{path} {name}", level if path == "nasbench-lab" else level + 1)
        return
    rows = []
    for each in command.params:
        if each.name == "help":
            continue
        required = " (required)" if each.required else ""
        if each.param_type_name == "argument":
            name, said = str(each.metavar or each.name).upper(), getattr(each, "help", "") or ""
        else:
            name, said = ", ".join((*each.opts, *each.secondary_opts)), each.help or ""
        default = each.default
        shown = "" if default in (None, False, (), []) or callable(default) else f" Default: `{_plain(default)}`."
        rows.append(f"| `{name}` | {_cell(said)}{required}{shown} |")
    if rows:
        yield from ("| argument or option | what it says |", "| --- | --- |", *rows, "")


def _plain(value: Any) -> str:
    return "none" if value == float("inf") else str(getattr(value, "value", value))


def _cell(text: str) -> str:
    return re.sub(r"([|*_\\<\[\]])", r"\\\1", " ".join(text.split()))


def _boards() -> dict[str, str]:
    """The committed boards as pages: links that lead out of a board are left as text."""
    pages, names = {}, []
    for path in sorted((ROOT / "results").glob("*/leaderboard.md")):
        name = path.parent.name
        text = path.read_text(encoding="utf-8")
        pages[f"results/{name}.md"] = re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
        names.append(name)
    index = [
        "# Results",
        "",
        "The committed boards, as the code wrote them. `nasbench-lab reproduce results/NAME` checks one on your machine.",
        "",
        "```{toctree}",
        ":maxdepth: 1",
        "",
        *names,
        "```",
    ]
    return pages | {"results/index.md": "\n".join(index) + "\n"}


def _write(_app: Any = None) -> None:
    pages = {"reference/commands.md": _commands(), "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    for name, text in (pages | _boards()).items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


_OUT = re.compile(r"\]\((\.\./[^)#]*)(#[^)]*)?\)")


def _inside(_app: Any, document: str, source: list[str]) -> None:
    """Links to files of the repository, which a reader of the sources follows: to a board's page here, or to none."""

    def target(found: re.Match[str]) -> str:
        board = re.match(r"\.\./results/([\w-]+)(/leaderboard\.md)?/?$", found[1])
        there = board and (ROOT / "results" / board[1] / "leaderboard.md").is_file()
        return f"](/results/{board[1]}.md)" if board and there else "]"

    if not document.startswith(("results/", "gallery/")):
        source[0] = _OUT.sub(target, source[0])


def setup(app: Any) -> None:
    """Pages that are made of code and results are written before any is read."""
    app.connect("builder-inited", _write, priority=100)
    app.connect("source-read", _inside)
