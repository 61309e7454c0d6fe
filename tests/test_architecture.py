"""The house as planned in docs: imports go strictly down the layers, strategies cannot peek, importing is cheap."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "nasbench_lab"
LAYERS = [
    {"space"},
    {"core"},
    {"cell", "loading", "files", "unpickle", "downloads", "markdown", "sources"},
    {"surrogates"},
    {"tables", "training"},
    {"evaluators", "strategies", "compat"},
    {"runner", "stats", "checks", "significance", "fronts", "agreement", "calibration", "study"},
    {"store", "standings", "references", "means", "backends", "surrogate_kit", "drawing", "plots_style"},
    {
        "engine",
        "outcomes",
        "testing",
        "rereading",
        "front_scores",
        "leaderboard_parts",
        "plots_curves",
        "plots_landscape",
    },
    {
        "leaderboard_text",
        "plots",
        "plots_compare",
        "plots_critical",
        "plots_surrogates",
        "assessment",
        "supernets",
        "describe",
        "candidates",
    },
    {"leaderboard", "checklist", "details", "plots_supernets", "inheritance"},
    {"results_index", "report_charts"},
    {"report_sections"},
    {"report_made"},
    {"report"},
    {"report_index"},
    {
        "publish",
        "api",
        "adapters",
        "measuring",
        "validation",
        "validation_report",
        "screen",
        "assessment_report",
        "supernet_report",
        "front_report",
    },
    {"reproduce", "audit", "regression"},
    {
        "cli_tables",
        "cli_front",
        "cli_audit",
        "cli_baseline",
        "cli_report",
        "cli_serve",
        "cli_surrogates",
        "cli_supernet",
    },
    {"cli", "pytest_plugin"},
]  # the design's layers, with 0, 1 and 3 split so that "strictly down" holds inside them too
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
WITHIN = {
    "unpickle",
    "tables",
    "surrogates",
    "training",
    "evaluators",
    "strategies",
}  # leaf files of one folder may share helpers
HEAVY = ("torch", "sklearn", "pandas", "pyarrow")


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module imported anywhere in a file, `from a import b` as a.b; type-checking imports included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The parts of our package that a file imports."""
    names = {name.split(".")[1] for name in imported(path) if name.startswith("nasbench_lab.")}
    return names & set(LEVEL)


def test_every_part_has_a_layer():
    assert {part_of(path) for path in sources()} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize(
    "path", [p for p in sources() if part_of(p) != "__init__"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_go_strictly_down(path):
    own = part_of(path)
    up = {name for name in ours(path) if LEVEL[name] >= LEVEL[own] and not (name == own and own in WITHIN)}
    assert not up, f"{own} (layer {LEVEL[own]}) imports {up}"


FORBIDDEN = [
    ("strategies", {"tables", "evaluators", "runner", "store"}),
    ("stats", set(LEVEL)),
    ("significance", set(LEVEL)),
    ("agreement", set(LEVEL)),
    ("calibration", set(LEVEL)),
    ("leaderboard", {"strategies", "evaluators", "tables", "loading"}),
    ("leaderboard_parts", {"strategies", "evaluators", "tables", "loading"}),
    ("leaderboard_text", {"strategies", "evaluators", "tables", "loading"}),
    ("plots", {"strategies", "evaluators", "tables", "loading"}),
    ("report", {"strategies", "evaluators", "loading"}),
    ("report_charts", {"strategies", "evaluators", "tables", "loading"}),
    ("report_sections", {"strategies", "evaluators", "tables", "loading"}),
    ("report_made", {"strategies", "evaluators", "tables", "loading"}),
    ("details", {"strategies", "evaluators", "tables", "loading"}),
    ("surrogates", {"tables", "training"}),
    ("runner", {"tables", "evaluators", "strategies"}),
]


@pytest.mark.parametrize(("part", "forbidden"), FORBIDDEN, ids=[part for part, _ in FORBIDDEN])
def test_forbidden_imports(part, forbidden):
    for path in sources():
        if part_of(path) == part:
            assert not ours(path) & (forbidden - {part}), path


def test_a_forbidden_import_would_be_seen(tmp_path):
    path = tmp_path / "peeks.py"
    path.write_text(
        "def f():\n    from nasbench_lab.tables import catalog\n    import nasbench_lab.evaluators.tabular\n"
    )
    assert ours(path) == {"tables", "evaluators"}


@pytest.mark.parametrize("part", ["runner", "study", "engine", "cli", "api", "testing", "evaluators", "pytest_plugin"])
def test_only_leaf_files_import_torch_and_sklearn(part):
    for path in sources():
        if part_of(path) == part and path.stem not in ("training", "surrogate"):
            assert not {name.split(".")[0] for name in imported(path)} & {"torch", "sklearn", "botorch", "gpytorch"}, (
                path
            )


@pytest.mark.parametrize(
    "code",
    [
        "import nasbench_lab",
        "import nasbench_lab.cli.app, sys; sys.argv = ['nasbench-lab', '--help']; nasbench_lab.cli.app.main()",
        "import nasbench_lab.study.runner, nasbench_lab.evaluators.tabular, nasbench_lab.strategies.local.local_search",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(code):
    check = f"import atexit, sys\natexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr))\n"
    result = subprocess.run([sys.executable, "-c", check + code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def test_no_global_randomness_in_the_package():
    """`np.random` is named for Generator, SeedSequence, default_rng and the kit's reading of its state alone."""
    allowed = {"Generator", "SeedSequence", "default_rng", "get_state"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr in allowed, f"{path}:{node.lineno} np.random.{node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "torch.manual_seed",
                "random.seed",
                "random.random",
            ):
                assert "fork_rng" in path.read_text(), f"{path}:{node.lineno} {ast.unparse(node)}"


def test_no_pickle_is_ever_loaded():
    for path in sources():
        text = path.read_text()
        assert "allow_pickle=True" not in text, path
        loads = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pickle.loads"
        ]
        assert not loads or path.name in ("testing.py", "surrogate_kit.py"), path  # the kits' own bytes


def test_modules_say_what_they_are():
    for path in sources():
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_command_and_the_plugin_are_registered():
    points = importlib.metadata.distribution("nasbench-lab").entry_points
    assert {(point.group, point.value) for point in points} >= {
        ("console_scripts", "nasbench_lab.cli.app:main"),
        ("pytest11", "nasbench_lab.testing.plugin"),
    }
