"""What an installation of the core alone can do, and what is said of the rest; packages are hidden where they are there."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import skipped_where_absent

from nasbench_lab import extras, loading
from nasbench_lab.core import LabError

ROOT = Path(__file__).parents[1]
ONE_SHOT = (
    "darts drnas enas gdas network_morphism one_shot_evolution one_shot_random rsps setn smash spos"  # train supernets
)
NEEDS = {  # plug-in -> the package its defaults need, and the extra that is named
    **{f"strategies/{name}": ("torch", "training") for name in ONE_SHOT.split()},
    **{f"strategies/optuna_{name}": ("optuna", "optuna") for name in ("tpe", "nsga2")},
    "strategies/optuna_gp": ("optuna and torch", "optuna,training"),
    "strategies/meta_bayes_linear": ("torch", "training"),
    "strategies/smac_forest": ("sklearn", "models"),
    "surrogates/forest": ("sklearn", "models"),
    "surrogates/gbdt": ("sklearn", "models"),
    "surrogates/gcn": ("torch", "training"),
    "surrogates/regressor": ("sklearn", "models"),
    "evaluators/training": ("torch", "training"),
}
HIDDEN = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(extras.EXTRAS)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
EVERY_PLUGIN = """
import json
import numpy as np
from nasbench_lab import api, loading
from nasbench_lab.core import LabError
from nasbench_lab.extras import MissingPackage
def use(kind, name):
    if kind == "evaluators":
        loading.load(kind, name)
    elif kind == "surrogates":
        loading.build(kind, name).fit(np.arange(30), np.arange(30.0), np.random.default_rng(0)).predict(np.arange(5))
    else:
        api.search(name, "toy", max_queries=14)
said = {}
for kind in ("strategies", "surrogates", "evaluators"):
    for name in loading.leaves(kind):
        try:
            use(kind, name)
        except MissingPackage as error:
            said[f"{kind}/{name}"] = str(error)
        except LabError as error:  # it needs a program or a table's proxies, no package
            assert "install" not in str(error), error
print(json.dumps(said))
"""
COMMANDS = {  # what needs more -> the extra that is named
    "compare darts": "training",
    "compare random_search --evaluator training": "training",
    "compare random_search --evaluator surrogate:model=forest": "models",
    "compare gp_bo:surrogate=gbdt": "models",
    "compare gp_bo:surrogate=(gp:engine=gpytorch)": "models",
    "compare pnas:surrogate=gcn": "training",
    "compare dppnet:predictor=forest": "models",
    "compare ehvi --objectives params_m --objectives flops_m": "models",
    "compare optuna_gp": "optuna,training",
    "compare --backend dask": "dask",
    "compare --backend ray:ray://host:1": "ray",
    "compare --backend slurm:partition=cpu": "slurm",
    "check gcn --kind surrogate": "training",
    "supernet spos": "training",
    "surrogates gp forest": "models",
    "tables train mine --data digits": "training",
    "validate 0,1": "training",
}
EVERY_COMMAND = """
import contextlib, io, json
from nasbench_lab.cli import app
said = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["nasbench-lab", *command.split()]
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            app.main()
        except SystemExit as end:
            said[command] = (end.code, error.getvalue())
print(json.dumps(said))
"""
COMPARE = """
import sys
import nasbench_lab
from nasbench_lab.cli import app
for arguments in (["--help"], ["compare", "--seeds", "1", "--max-queries", "14"]):
    sys.argv = ["nasbench-lab", *arguments]
    try:
        app.main()
    except SystemExit as end:
        assert not end.code
"""


def last_line(code: str, folder: Path, *arguments: str) -> str:
    """What a process of its own prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_every_plugin_works_with_the_core_alone_or_says_in_one_line_what_it_needs(tmp_path):
    said = json.loads(last_line(HIDDEN + EVERY_PLUGIN, tmp_path))
    assert set(said) == set(NEEDS)
    for plugin, (package, extra) in NEEDS.items():
        assert "\n" not in said[plugin]
        assert f"needs {package}, which" in said[plugin]
        assert said[plugin].endswith(f"not installed; in a clone: pip install -c constraints.txt '.[{extra}]'")


def test_commands_that_need_more_say_so_in_one_line_before_anything_runs(tmp_path):
    said = json.loads(last_line(HIDDEN + EVERY_COMMAND, tmp_path, json.dumps(list(COMMANDS))))
    for command, extra in COMMANDS.items():
        code, error = said[command]
        last = error.splitlines()[-1]  # notes on the study may stand before it
        assert code == 2, command
        assert last.startswith("nasbench-lab: "), command
        assert last.endswith(f"not installed; in a clone: pip install -c constraints.txt '.[{extra}]'"), last
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_first_comparison_imports_neither_torch_nor_scikit_learn(tmp_path):
    heavy = f"\nprint([name for name in {sorted(extras.EXTRAS)} if name in sys.modules])"
    assert last_line(COMPARE + heavy, tmp_path) == "[]"


@pytest.mark.parametrize("plugin", NEEDS)
def test_what_a_plugin_needs_is_what_it_declares(plugin):
    """So that it is refused in time, and its version stands in the header of its runs."""
    kind, name = plugin.split("/")
    with skipped_where_absent():
        if kind == "evaluators":
            declared = loading.load(kind, name).open("digits").requires
        else:
            declared = extras.required(loading.build(kind, name))
    assert set(NEEDS[plugin][0].split(" and ")) <= set(declared)
    assert set(declared) <= set(extras.EXTRAS)


@pytest.mark.parametrize(
    ("packages", "label"),
    [
        (["sklearn"], "[models]"),
        (["torch", "sklearn"], "[training]"),
        (["sklearn", "torch", "gpytorch"], "[models]"),
        (["torch", "optuna", "xgboost"], "[optuna,training] xgboost"),
        (["xgboost"], "xgboost"),
    ],
)
def test_no_more_extras_are_named_than_bring_what_is_needed(packages, label):
    assert extras.label(packages) == label


def test_every_extra_is_one_of_pyproject_and_brings_its_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    brought = {extra: {item.partition(">=")[0] for item in items} for extra, items in optional.items()}
    names = {"sklearn": "scikit-learn", "nas_201_api": "nas-bench-201"}
    for package, extra in extras.EXTRAS.items():
        assert names.get(package, package) in brought[extra]
        assert names.get(package, package) not in {item.partition(">=")[0] for item in project["dependencies"]}
    assert brought["training"] == {"torch", "scikit-learn"}  # so that one extra is named where either would do
    assert brought["training"] <= brought["models"]
    assert optional["all"] == [f"nasbench-lab[{','.join(extra for extra in optional if extra != 'all')}]"]


def test_a_package_of_nobodys_is_named_as_it_is(tmp_path):
    with pytest.raises(extras.MissingPackage, match=r"^it needs no_such, which is not installed: pip install no_such$"):
        extras.need("it", "numpy", "no_such")
    (tmp_path / "mine.py").write_text("import no_such\n")
    with pytest.raises(LabError, match="cannot import .*No module named 'no_such'"):
        loading.load("strategies", str(tmp_path / "mine.py"))


def test_a_file_of_somebody_elses_that_needs_an_extra_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "absent", lambda package: package == "ray")
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    (tmp_path / "mine.py").write_text("import ray\n")
    with pytest.raises(extras.MissingPackage, match=r"mine.py' needs ray.*'\.\[ray\]'$") as told:
        loading.load("strategies", str(tmp_path / "mine.py"))
    again = pickle.loads(pickle.dumps(told.value))  # as from a worker process
    assert (str(again), again.name) == (str(told.value), "ray")


def test_another_failing_import_is_not_taken_for_a_missing_extra():
    with pytest.raises(ModuleNotFoundError), extras.told("it"):
        raise ModuleNotFoundError("No module named 'numpy.nothing'", name="numpy.nothing")


SKIPS = """
import pytest
{first}
def test_a():
    pytest.importorskip("math")
@pytest.mark.needs("math", {package!r})
def test_b():
    pass
def test_c():
    pytest.skip("no data here")
"""


def test_where_everything_is_installed_a_skip_for_want_of_a_package_is_a_failure(tmp_path):
    files = {"has": ("", "json"), "needs": ("", "no_such"), "whole": ("pytest.importorskip('no_such')", "json")}
    for name, (first, package) in files.items():
        (tmp_path / f"test_{name}.py").write_text(SKIPS.format(first=first, package=package))
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", "."]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}

    def failed(*options: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        said = re.findall(r"FAILED test_(\w+)\.py.*could not import 'no_such'", done.stdout)
        assert done.stdout.count("FAILED ") == len(said)
        return done.returncode, sorted(said)

    every = [f"test_{name}.py" for name in files]
    assert failed(*every) == (0, [])
    assert failed("--everything", "-n", "1", *every) == (1, ["needs", "whole"])
