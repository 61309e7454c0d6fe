"""The documentation says what the code has: every command and option, every key of a study file, every column that is written."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer

import nasbench_lab
from nasbench_lab.cli.app import app
from nasbench_lab.study.study import Study, StudyTask

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """docs/conf.py as a module; the site itself is built by `nox -s docs`."""
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(group, path=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}".strip(), command


def test_every_command_and_option_stands_in_the_reference(conf):
    text = conf._commands()
    for path, command in commands(typer.main.get_command(app)):
        assert re.search(rf"^#+ nasbench-lab {path}$", text, re.M), path
        for option in (name for each in command.params for name in each.opts if name.startswith("--")):
            assert option == "--help" or f"`{option}" in text or f", {option}" in text, (path, option)


def test_every_key_of_a_study_file_is_explained():
    text = (DOCS / "reference" / "study_files.md").read_text()
    for kind in (Study, StudyTask):
        for each in fields(kind):
            assert f"`{each.name}`" in text or each.name == "tasks", each.name


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference" / "api.md").read_text() + (DOCS / "reference" / "plots.md").read_text()
    for name in nasbench_lab.__all__:
        assert f"nasbench_lab.{name}" in text, name


def test_every_page_is_in_a_toctree_and_every_example_begins_with_a_title():
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    pages -= {page for page in pages if page.startswith(("gallery/", "results/")) or "GALLERY" in page}
    listed = set()
    for path in DOCS.rglob("*.md"):
        for block in re.findall(r"```\{toctree\}(.*?)```", path.read_text(), re.S):
            for line in block.split("\n"):
                if line and not line.startswith(":"):
                    listed.add(str((path.parent / line).resolve().relative_to(DOCS)))
    assert pages - listed <= {"index"}
    for example in (DOCS / "examples").glob("*.py"):
        lines = example.read_text().split("\n")
        assert lines[0] == '"""'
        assert set(lines[2]) == {"="}


def test_examples_are_code_that_compiles():
    for example in (DOCS / "examples").glob("*.py"):
        compile(example.read_text(), str(example), "exec")
    assert sys.version_info >= (3, 11)
