"""The house as planned: imports go strictly down the folders and never in a circle, strategies cannot peek, no room is
crowded, importing is cheap. `structure` finds what is wrong; made-up houses below show that it would be found.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structure

REPOSITORY = Path(__file__).parents[1]
ROOT = REPOSITORY / "nasbench_lab"
ORDER = [
    "errors",
    "extras",
    "spaces",
    "core",
    "files",
    "stats",
    "imports",
    "loaded",
    "loading",
    "trust",
    "listing",
    "sources",
    "surrogates",
    "tables",
    "training",
    "evaluators",
    "strategies",
    "study",
    "leaderboard",
    "plots",
    "report",
    "plot",
    "experiments",
    "testing",
    "interop",
    "api",
    "cli",
]  # a folder imports from those before it; a module at the top is a folder of one file
LENT = {  # family of strategies -> what it takes from another family
    "multi_objective": {"reinforcement.reinforce"},
    "transfer": {"model_based._model_based"},
}
APART = {  # what stands below some modules, and still is none of their business
    "stats": set(ORDER) - {"errors", "spaces", "core"},
    "plots": {"strategies", "evaluators", "tables", "loading"},
    "report": {"strategies", "evaluators", "loading"},
    "leaderboard.parts": {"strategies", "evaluators", "tables", "loading"},
    "leaderboard.ranking": {"strategies", "evaluators", "tables", "loading"},
    "leaderboard.wording": {"strategies", "evaluators", "tables", "loading"},
    "leaderboard.written": {"strategies", "evaluators", "tables", "loading"},
    "report.charts": {"tables"},
    "report.made": {"tables"},
    "report.sections": {"tables"},
    "study.runner": {"tables", "evaluators", "strategies"},
}
LEARNING = {"torch", "sklearn", "botorch", "gpytorch"}
LEARNERS = {"surrogates", "training", "strategies"}  # folders that may import them, and two files of others:
ALSO = {"nasbench_lab.evaluators.training", "nasbench_lab.experiments.inheritance"}
HEAVY = ("torch", "sklearn", "pandas", "pyarrow")
SOURCES = structure.read(ROOT)
EDGES = structure.graph(SOURCES)


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def test_every_folder_has_a_place_in_the_order():
    assert {structure.folder(module) for module in SOURCES} <= {*ORDER, "nasbench_lab", "__main__"}


def test_imports_go_strictly_down():
    assert structure.upward(EDGES, ORDER) == []


def test_no_import_goes_in_a_circle():
    assert structure.circle(EDGES) == []


def test_no_strategy_can_peek():
    """No table and no evaluator, not by way of a helper either."""
    assert structure.peeking(EDGES) == []


def test_families_of_strategies_lend_what_is_listed_and_nothing_else():
    assert structure.borrowed(EDGES) == LENT


@pytest.mark.parametrize("part", APART)
def test_what_is_none_of_their_business(part):
    assert f"nasbench_lab.{part}" in SOURCES
    assert structure.meddling(EDGES, part, APART[part]) == []


def test_no_room_is_crowded():
    assert len(list(ROOT.glob("*.py"))) <= 12
    for root in (ROOT, REPOSITORY / "tests", REPOSITORY / "benchmarks"):
        assert structure.long(structure.read(root), most=400) == []
        assert structure.crowded(root, most=30) == []
    names = [path.name for path in (REPOSITORY / "tests").rglob("*.py")]  # by which pytest imports them
    assert [name for name in names if names.count(name) > 1] == []


def test_tests_stand_where_what_they_test_stands():
    assert structure.misplaced(REPOSITORY / "tests", SOURCES) == []
    assert structure.strangers(REPOSITORY / "tests") == []
    tested = {path.name for path in (REPOSITORY / "tests").iterdir() if path.is_dir()}
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} <= tested


OF_ITS_CELLS = {  # what NAS-Bench-201's cells alone are for: their files, one-shot networks
    "experiments.inheritance",
    "experiments.supernets",
    "interop.nats",
    "interop.nats_bench",
    "interop.trainings",
    "tables.fetching.nb201",
    "tables.formats.collect",
    "tables.formats.hw_nas_bench",
    "tables.formats.nats_export",
    "tables.formats.nats_simple",
    "tables.formats.tidy",
    "tables.predicted",
    "tables.synthetic",
}
AS_IT_WAS = {  # what says no more of its tables than before there were others, so that their files stay what they are
    "evaluators.surrogate",
    "experiments.assessment_report",
    "leaderboard.details",
    "leaderboard.parts",
    "leaderboard.rebuild",
    "report.explorer",
    "tables.describe",
    "tables.formats.exporting",
    "tables.formats.importing",
    "tables.formats.monolith",
    "tables.formats.official",
    "tables.headers",
    "tables.stored",
    "tables.table",
}
ABOUT_SPACES = {
    "spaces",
    "surrogates",
    "strategies",
    "training",
    "testing",
}  # folders that know cells from other spaces


def test_one_space_is_named_only_where_it_is_meant():
    """Everything else takes the space, the unit and the direction of the table it is given."""
    found = set()
    for module, source in SOURCES.items():
        short = module.removeprefix("nasbench_lab.")
        if short.partition(".")[0] in ABOUT_SPACES:
            continue
        named = {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        imported = re.search(r"from nasbench_lab\.spaces\.cell import", source)
        if imported or {"cell.SPACE", "cell.OPS", "cell.CLASSES", "cell.EDGES"} & named:
            found.add(short)
    assert found == OF_ITS_CELLS | AS_IT_WAS


PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_are_there(page):
    """`folder/file.py`, from the repository or from the package; other projects' files begin otherwise."""
    inside = {path.name for root in (REPOSITORY, ROOT) for path in root.iterdir() if path.is_dir()}
    named = re.findall(r"`([a-z]\w*)/([\w/]+\.(?:py|md|toml))`", page.read_text())
    paths = [Path(first, rest) for first, rest in named if first in inside - {"results"} and "my_" not in rest]
    assert [path for path in paths if not (REPOSITORY / path).is_file() and not (ROOT / path).is_file()] == []


# Made-up houses, each with one thing wrong

HOUSE = {
    "nasbench_lab": "",
    "nasbench_lab.core": "",
    "nasbench_lab.tables": "",
    "nasbench_lab.tables.table": "from nasbench_lab.core import Task",
    "nasbench_lab.training.digits": "",
    "nasbench_lab.strategies._budget": "",
    "nasbench_lab.strategies.local.climb": "from nasbench_lab.strategies import _budget",
    "nasbench_lab.strategies.tree.mcts": "from nasbench_lab.strategies.tree import _nodes",
    "nasbench_lab.strategies.tree._nodes": "from nasbench_lab.training import digits",
    "nasbench_lab.api": "from nasbench_lab.tables.table import Table",
    "nasbench_lab.cli.app": "from nasbench_lab import __version__, api",
}


def with_(module: str, source: str) -> dict[str, set[str]]:
    return structure.graph(HOUSE | {module: source})


def test_a_good_house_has_nothing_wrong():
    edges = structure.graph(HOUSE)
    assert edges["nasbench_lab.cli.app"] == {"nasbench_lab.api"}
    assert structure.upward(edges, ORDER) == structure.circle(edges) == structure.peeking(edges) == []
    assert structure.borrowed(edges) == {}


@pytest.mark.parametrize(
    "source",
    [
        "from nasbench_lab.api import compare",
        "from nasbench_lab import api",
        "import nasbench_lab.api",
        "import nasbench_lab.api as front, sys",
        "def f():\n    if f:\n        from nasbench_lab.api import compare",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nasbench_lab.api import compare",
        "from importlib import import_module\nimport_module('nasbench_lab.api')",
        "import importlib\ndef f():\n    return importlib.import_module('nasbench_lab.api').compare",
    ],
)
def test_every_way_to_import_upwards_is_seen(source):
    assert structure.upward(with_("nasbench_lab.core", source), ORDER) == [("nasbench_lab.core", "nasbench_lab.api")]


def test_the_front_door_stands_above_all():
    """A public name of the package is loaded from anywhere in it: nothing inside may ask for one."""
    for source in ("from nasbench_lab import compare", "import nasbench_lab as lab"):
        assert structure.upward(with_("nasbench_lab.cli.app", source), ORDER) == [
            ("nasbench_lab.cli.app", "nasbench_lab")
        ]


def test_a_relative_import_is_refused():
    with pytest.raises(AssertionError, match="relative"):
        with_("nasbench_lab.tables.catalog", "from .table import Table")


def test_a_circle_is_seen_within_a_folder_and_across_a_packages_face():
    edges = with_("nasbench_lab.strategies.tree._nodes", "def f():\n    from nasbench_lab.strategies.tree import mcts")
    assert len(set(structure.circle(edges))) == 2
    edges = structure.graph(
        HOUSE | {"nasbench_lab.tables": "from nasbench_lab.tables.table import Table",
                 "nasbench_lab.tables.table": "from nasbench_lab.tables import Table"}
    )  # fmt: skip
    assert set(structure.circle(edges)) == {"nasbench_lab.tables", "nasbench_lab.tables.table"}


def test_peeking_is_seen_however_long_the_way():
    edges = with_("nasbench_lab.training.digits", "from nasbench_lab.tables.table import Table")
    assert structure.peeking(edges) == [
        (f"nasbench_lab.strategies.tree.{name}", "nasbench_lab.tables.table") for name in ("_nodes", "mcts")
    ]


def test_a_family_that_borrows_is_seen_and_so_are_helpers_of_all_that_do():
    borrowing = "from nasbench_lab.strategies.tree.mcts import Node"
    assert structure.borrowed(with_("nasbench_lab.strategies.local.climb", borrowing)) == {"local": {"tree.mcts"}}
    assert structure.borrowed(with_("nasbench_lab.strategies._budget", borrowing)) == {"": {"tree.mcts"}}


def test_meddling_is_seen_by_file_and_by_folder():
    edges = with_("nasbench_lab.tables.table", "from nasbench_lab.core import Task\nimport nasbench_lab.tables")
    found = [("nasbench_lab.tables.table", "nasbench_lab.core")]
    assert structure.meddling(edges, "tables", {"core", "tables"}) == found
    assert structure.meddling(edges, "tables.table", {"core"}) == found
    assert structure.meddling(edges, "tables.tab", {"core"}) == []


def test_crowds_long_files_and_strays_are_seen(tmp_path):
    tests = tmp_path / "tests"
    for folder in ("tables", "strategies/tree", "attic"):
        (tests / folder).mkdir(parents=True)
    good = (
        "test_core.py",
        "test_whole.py",
        "tables/test_table.py",
        "tables/test_tables.py",
        "strategies/tree/test_nodes.py",
    )
    bad = ("attic/test_old.py", "tables/test_mcts.py", "test_table.py")
    for name in (*good, *bad):
        (tests / name).touch()
    assert structure.misplaced(tests, HOUSE) == list(bad)
    assert structure.strangers(tests) == []
    (tests / "attic" / "test_old.py").write_text(
        "def f():\n    from test_table import FILE\n    from test_tables import table"
    )
    assert structure.strangers(tests) == ["attic/test_old.py: test_tables"]
    for number in range(31):
        (tests / "tables" / f"test_{number}.py").touch()
    assert structure.crowded(tests, most=30) == ["tests/tables: 34"]
    assert structure.long({"a": "x\n" * 400, "b": "x\n" * 401}, most=400) == ["b: 401"]


# What is imported from elsewhere, and how


def test_only_what_learns_imports_torch_and_sklearn():
    found = {
        module
        for module, source in SOURCES.items()
        if structure.folder(module) not in LEARNERS
        and {name.split(".")[0] for name in structure.named(source)} & LEARNING
    }
    assert found <= ALSO


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


@pytest.mark.parametrize("command", ["--help", "list", "list gp_bo", "list --json"])
def test_what_only_tells_imports_no_arrays_and_no_plugin(command):
    code = (
        f"import sys; from nasbench_lab.cli import app; sys.argv = ['nasbench-lab', *{command.split()!r}]\n"
        "try: app.main()\nexcept SystemExit: pass\n"
        "apart = ('numpy', 'rich', 'nasbench_lab.core', 'nasbench_lab.strategies', 'nasbench_lab.surrogates')\n"
        "print([name for name in apart if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def test_no_global_randomness_in_the_package():
    for path in sources():
        lent = path == ROOT / "surrogates" / "_estimators.py"  # set for others' estimators, and given back
        allowed = {"Generator", "SeedSequence", "default_rng", "get_state"} | ({"seed", "set_state"} if lent else set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr in allowed, f"{path}:{node.lineno} np.random.{node.attr}"
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("torch.manual_seed", "torch.cuda.manual_seed", "random.seed", "random.random"):
                assert lent, f"{path}:{node.lineno} {called}: torch's by `training.seeding`, one device's alone"


def test_no_pickle_is_ever_loaded():
    """But for the kits' own bytes and what a study's process hands its workers; what others wrote is read by `files.unpickle`."""
    for module, source in SOURCES.items():
        assert "allow_pickle=True" not in source, module
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
        assert not called & {"pickle.load", "pickle.Unpickler", "joblib.load", "pd.read_pickle"}, module
        assert (
            "pickle.loads" not in called
            or structure.folder(module) == "testing"
            or module in {f"{structure.PACKAGE}.study.{name}" for name in ("jobs", "blind", "heard")}
        ), module


def test_torch_loads_weights_alone():
    for module, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node), f"{module}:{node.lineno}"


def test_modules_say_what_they_are():
    for path in sources():
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_command_and_the_plugin_are_registered():
    points = importlib.metadata.distribution("nasbench-lab").entry_points
    assert {(point.group, point.value) for point in points} >= {
        ("console_scripts", "nasbench_lab.cli.app:main"),
        ("pytest11", "nasbench_lab.testing.plugin"),
    }


def test_every_public_name_has_a_docstring():
    assert not structure.undocumented(structure.read(ROOT))


def test_a_public_name_without_a_docstring_would_be_seen():
    base = 'class A:\n    """A."""\n    def said(self):\n        """Said."""\n    def mute(self): ...\n'
    made = {
        "p.a": base,
        "p.b": 'class B(A):\n    """B."""\n    def said(self): ...\n    def _own(self): ...\ndef f(): ...\n',
    }
    assert structure.undocumented(made) == ["p.a.A.mute", "p.b.f"]
