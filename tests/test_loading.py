from __future__ import annotations

import pickle

import pytest
from conftest import skipped_where_absent
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab import loading
from nasbench_lab.core import LabError, Strategy

FILE = '''"""Mine: always cell 7.

More words.
"""
from dataclasses import dataclass
from typing import Literal

from nasbench_lab import Query, Strategy


@dataclass
class Mine(Strategy):
    cell: int = 7
    rate: float = 0.5
    name: str = "x"
    mode: Literal["a", "b"] = "a"
    limit: int | None = None
    flag: bool = False

    def propose(self):
        return Query(self.cell, self.task.full)

    def observe(self, result):
        pass
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_leaf_file_is_a_name_and_helpers_are_not():
    names = loading.names("strategies")
    assert {"local_search", "random_search", "regularized_evolution", "reinforce"} <= set(names)
    assert names == sorted(names)
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize("name", loading.names("strategies"))
def test_every_strategy_loads_by_its_file_name(name):
    with skipped_where_absent():
        cls, built = loading.load("strategies", name), loading.build("strategies", name)
    assert issubclass(cls, Strategy)
    assert isinstance(built, cls)
    assert loading.summary(cls)


def test_a_file_a_class_in_a_file_and_a_class_in_a_module_load(file):
    assert loading.load("strategies", str(file)).__name__ == "Mine"
    assert loading.load("strategies", f"{file}:Mine") is loading.load("strategies", str(file))
    name = "nasbench_lab.strategies.local.local_search:LocalSearch"
    assert loading.load("strategies", name) is loading.load("strategies", "local_search")
    assert loading.summary(loading.load("strategies", str(file))) == "Mine: always cell 7."


def test_a_class_from_a_file_can_be_pickled(file):
    mine = loading.build("strategies", f"{file}:cell=3")
    assert pickle.loads(pickle.dumps(mine)) == mine


def test_parameters_are_read_as_their_fields_types(file):
    spec = f"{file}:Mine:cell=3,rate=1,name=12,mode=b,limit=4,flag=true"
    mine = loading.build("strategies", spec)
    assert (mine.cell, mine.rate, mine.name, mine.mode, mine.limit, mine.flag) == (3, 1.0, "12", "b", 4, True)
    assert type(mine.rate) is float
    assert loading.build("strategies", f"{file}:limit=none").limit is None
    assert loading.build("strategies", f"{file}:rate=inf").rate == float("inf")


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("cell=1.5", "mine.py:cell must be int, got '1.5'"),
        ("cell=true", "must be int"),
        ("rate=fast", "must be float"),
        ("flag=1", "must be bool"),
        ("mode=c", "must be one of a, b, got 'c'"),
        ("limit=x", "must be int or none"),
        ("name=pkg:Cls:C=10", "in parentheses, as in name=(pkg:Cls:C=10); got"),
        ("cells=1", "has no parameter 'cells'; did you mean cell? It has: cell, rate"),
        ("cell=1,cell=2", "given twice"),
        ("cell=1,rate", "name:key=value"),
        ("=1", "name:key=value"),
        ("cell={[]}", "must be int"),
        ("cell=" + "[" * 500, "must be int"),
        ("cell=(1", "parentheses do not match"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(file, parameter, message):
    with pytest.raises(LabError) as error:
        loading.build("strategies", f"{file}:{parameter}")
    assert message in str(error.value)


def test_what_a_class_lacks_is_said_without_pythons_words(file):
    """A parameter without a default that is not given, and a method that was not written."""
    path = file.with_name("whole.py")
    path.write_text(file.read_text().replace("    cell: int", "    depth: int\n    cell: int", 1))
    with pytest.raises(
        LabError, match=r"whole.py: parameter 'depth' has no default; give it one, or say .*whole.py:depth=VALUE"
    ):
        loading.build("strategies", str(path))
    assert loading.build("strategies", f"{path}:depth=2").depth == 2
    lacking = file.with_name("lacking.py")
    lacking.write_text(file.read_text().replace("def observe", "def observed"))
    with pytest.raises(LabError, match=r"lacking.py: Mine lacks observe; `nasbench-lab new` writes one that works"):
        loading.build("strategies", str(lacking))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("locl_search", "did you mean local_search or "),
        ("zzz", "no strategy named 'zzz'; `nasbench-lab list` lists all "),
        ("", "no strategy named ''"),
        ("local.search", "no strategy named 'local.search'"),
        ("../evil", "no strategy named '../evil'"),
        ("__init__", "no strategy named '__init__'"),
        ("no_such_module:X", "cannot import 'no_such_module'"),
        (":X", "cannot import ''"),
        ("..nasbench_lab:X", "cannot import"),
        ("nasbench_lab.core:Nothing", "has no class 'Nothing'; it has: "),
        ("nasbench_lab.core:stream", "has no class 'stream'"),
        ("no/such/file.py", "no such file"),
        ("local_search:", "parameters are written"),
        ("reinforce:learning_rate=-1", "learning_rate > 0"),
        ("regularized_evolution:population=0", "1 <= sample <= population"),
        ("nasbench_lab.core:LabError", "must be a dataclass"),
        ("nasbench_lab.core:Task", "Task"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(name, message):
    with pytest.raises(LabError) as error:
        loading.build("strategies", name)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = = 1", "SyntaxError"),
        ("import no_such_thing", "ModuleNotFoundError"),
        ("x = 1", "exactly one public class, found: none"),
        ("class A: ...\nclass B: ...", "found: A, B"),
    ],
)
def test_a_file_that_holds_no_strategy_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.py"
    path.write_text(content)
    with pytest.raises(LabError, match=message):
        loading.build("strategies", str(path))


@given(st.text(max_size=30) | st.text(alphabet="localserch_:=,.py", max_size=20))
def test_any_text_is_a_strategy_or_a_lab_error(text):
    try:
        assert loading.build("strategies", text) is not None
    except LabError as error:
        assert str(error)


def test_a_spec_within_a_spec_stands_in_parentheses():
    name, raw = loading.split_spec("bananas:surrogate=(mlp:members=3,width=10),initial=5")
    assert name == "bananas"
    assert raw == {"surrogate": "mlp:members=3,width=10", "initial": "5"}
    assert loading.split_spec("pkg.module:Class:a=(b:c=(d:e=1,f=2))")[1] == {"a": "b:c=(d:e=1,f=2)"}


def test_a_package_offers_the_classes_that_its_modules_define_for_it():
    pytest.importorskip("sklearn")
    with pytest.raises(LabError, match=r"has no class 'ExtraTreesRegresor'; did you mean ExtraTreesRegressor"):
        loading.load("surrogates", "sklearn.ensemble:ExtraTreesRegresor")


def test_a_file_is_called_by_its_path(file):
    path = file.with_name("several.py")
    path.write_text("class A: ...\nclass B: ...\n")
    with pytest.raises(LabError, match=f"^{path} must define exactly one public class, found: A, B"):
        loading.load("strategies", str(path))
    with pytest.raises(LabError, match=f"^{path} has no class 'Nope'; it has: A, B"):
        loading.load("surrogates", f"{path}:Nope")


def test_a_predictor_where_a_strategy_was_wanted_is_told_what_it_is(file):
    path = file.with_name("predictor.py")
    path.write_text("class P:\n    def fit(self, x, y): ...\n    def predict(self, x): ...\n")
    with pytest.raises(LabError, match="it has fit and predict: `check --kind surrogate` checks it"):
        loading.build("strategies", str(path))
