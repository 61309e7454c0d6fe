"""The charts of a page as files of their own: SVG, PNG or PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_lab.core import LabError
from nasbench_lab.files import names
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.plots import style
from nasbench_lab.report.charts import Chart
from nasbench_lab.report.pages import Content


def write(content: Content, folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write every chart of the page as a file of its own.

    Args:
        content: of the page.
        folder: for the files; one folder per setting if there are several.
        formats: svg, png, pdf.

    Raises:
        LabError: another format, or the folder cannot be written.
    """
    unknown = [name for name in formats if name not in ("svg", "png", "pdf")]
    if unknown:
        raise LabError(f"charts are written as svg, png or pdf, got {unknown[0]!r}")
    board, written = content.board, []
    scored = list(dict.fromkeys(setting.rows[0]["score"] for setting in board.settings))
    slugs = iter(names.slugs([" ".join(setting.key) for setting in board.settings] + scored))
    folders = {setting.key: folder / next(slugs) for setting in board.settings}
    for setting, drawn in board.charts:
        where = folders[setting.key] if len(board.settings) > 1 else folder
        written += [_write(chart, where, kind) for chart in drawn for kind in formats]
    for name, slug in zip(scored, slugs, strict=True):
        written += [_write(chart, folder / slug, kind) for chart in board.landscape(name) for kind in formats]
    return written


def _write(chart: Chart, folder: Path, kind: str) -> Path:
    data = {
        "svg": lambda: style.svg(chart.spec).encode(),
        "png": lambda: style.png(chart.spec),
        "pdf": lambda: style.pdf(chart.spec),
    }[kind]()
    path = folder / f"{chart.name}.{kind}"
    write_atomically(path, data)
    return path
