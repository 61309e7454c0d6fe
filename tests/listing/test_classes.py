"""Classes as they are written: the rules of dataclasses, without importing; and what is not Python."""

from __future__ import annotations

import dataclasses
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab import loading
from nasbench_lab.core import LabError
from nasbench_lab.listing import classes, plugins, source

MANY = '''"""Many: of everything a little.

More words.
"""
import dataclasses as dc
import math
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal

from nasbench_lab import Query
from nasbench_lab.strategies.local import local_search as other
from nasbench_lab.strategies.model_based._model_based import ModelBased
from nasbench_lab.study.plan import _POLICIES as THEIRS

Mode = Literal["a", "b"]
HERE = 3


class _Mixed:
    loose: int = 4  # of no dataclass: no parameter


@dataclass
class _Base(other.LocalSearch):
    """The base.

    Attributes:
        first, second: both of them,
            in two lines.
        restarts: said anew.

    More prose.
    """

    first: int = 1
    second: float = math.inf
    paper = "Base 2020"


@dc.dataclass
class Many(_Mixed, _Base):
    """The class.

    Attributes:
        mode: how.
    """

    mode: Mode = "b"
    first: int = -HERE * 2  # the comment
    share: float = 1 / 3
    names: tuple[str, ...] = ("x", 'y')
    kept: dict = field(default_factory=dict)
    made: str = dc.field(init=False)
    text: str = "# no comment"  # a comment, with # in it
    limit: "int | None" = None
    odd: float = math.sqrt(2)
    their: tuple = THEIRS
    shared: ClassVar[int] = 1
    _: KW_ONLY
    last: float = field(default=float("-inf"))

    family = "mine"

    def propose(self):
        return Query(0, 1)

    def observe(self, result):
        pass
'''


@pytest.fixture
def many(tmp_path):
    path = tmp_path / "many.py"
    path.write_text(MANY)
    return path


def test_the_rules_of_dataclasses(many):
    (found,) = plugins.find(str(many))
    cls = loading.load("strategies", f"{many}:Many")
    fields = [field for field in dataclasses.fields(cls) if field.init]
    assert [item.name for item in found.parameters] == [field.name for field in fields]
    by_name = {item.name: item for item in found.parameters}
    assert by_name.pop("odd").default == "math.sqrt(2)"  # computed: as it is written
    instance = cls()
    assert {name: item.default for name, item in by_name.items()} == {name: getattr(instance, name) for name in by_name}
    assert (found.family, found.paper, found.summary) == (cls.family, cls.paper, loading.summary(cls))
    assert by_name["mode"].allowed == ("a", "b")
    assert by_name["limit"].type == "int | None"


def test_what_is_said_of_a_field(many):
    (found,) = plugins.find(str(many))
    meaning = {item.name: item.meaning for item in found.parameters}
    assert meaning["mode"] == "how."
    assert meaning["first"] == "the comment"  # the nearest class
    assert meaning["second"] == "both of them, in two lines."
    assert meaning["restarts"] == "said anew."
    assert meaning["improvement"].startswith('"first" moves')
    assert meaning["text"] == "a comment, with # in it"
    assert meaning["share"] == ""
    assert found.about == "More words.\n\nThe class."
    assert found.example == "many:improvement=best,restarts=True" or found.example.startswith(f"{many}:")
    assert found.plain()["parameters"][3]["default"] == "inf"


def test_values_end_where_they_go_in_circles(tmp_path):
    path = tmp_path / "circle.py"
    path.write_text("A = B\nB = A\nclass C(D): ...\nclass D(C): x = A\n")
    read = source.read(path)
    with pytest.raises(source.Unknown):
        source.value(read, read.names["A"])
    assert [cls.node.name for cls in classes.find(read, "C").lineage] == ["C", "D"]
    assert classes.find(read, "D").attribute("x") is None


def test_numbers_are_computed_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.py"
    path.write_text(
        "import math\na = -(1 + 2) * 3 / 4\nb = 1 / 0\nc = 'x' * 10**9\nd = -math.inf\ne = float('nan')\nf = print(1)\n"
    )
    read = source.read(path)
    assert source.value(read, read.names["a"]) == -2.25
    assert source.value(read, read.names["d"]) == -math.inf
    assert math.isnan(source.value(read, read.names["e"]))
    for name in "bcf":
        with pytest.raises(source.Unknown):
            source.value(read, read.names[name])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = = 1", "is not Python: SyntaxError"),
        (b"\0", "is not Python"),
        (b"\xff\xfe", "is not Python"),
        (b"(" * 5000, "is not Python"),
        (b"x = 1", "exactly one public class, found: none"),
        (b"class A: ...\nclass B: ...", "found: A, B"),
    ],
)
def test_a_file_that_holds_no_strategy_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    with pytest.raises(LabError, match=message):
        plugins.find(str(path))
    with pytest.raises(LabError, match="cannot be read"):
        plugins.find(str(tmp_path / "no_such.py"))
    with pytest.raises(LabError, match="no source file"):
        plugins.find("no_such_module:Class")


@given(st.binary(max_size=60) | st.text(alphabet='clas A():=#"\n', max_size=60).map(str.encode))
def test_any_file_is_read_or_refused(tmp_path, content):
    path = tmp_path / "any.py"
    path.write_bytes(content)
    source._read.cache_clear()
    try:
        (found,) = plugins.find(str(path))
    except LabError as error:
        assert str(error)
    else:
        assert found.name == str(path)


def test_reading_a_file_runs_nothing_of_it(tmp_path, capsys):
    path = tmp_path / "loud.py"
    path.write_text('"""Loud."""\nprint("ran")\nclass Loud:\n    """Says \\d."""\n    print("ran")\n')
    (found,) = plugins.find(str(path))
    assert found.summary == "Loud."
    assert capsys.readouterr().out == ""
    assert str(path) not in sys.modules
