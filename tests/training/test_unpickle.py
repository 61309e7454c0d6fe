"""The restricted unpickler: what it reads, and that every way of running something is refused before it runs."""

from __future__ import annotations

import contextlib
import copyreg
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.training import unpickle

EVERYTHING = {
    "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "labels": [1, 2, 1000, -5, 2**70],
    "mean": np.asfortranarray(np.linspace(0, 1, 6).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">i4"),
    "transposed": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2),
    "names": np.array(["ab", "c"]),
    "raw": np.array([b"ab", b"c"]),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), dtype=np.float32),
    "scalars": (np.float32(0.5), np.int64(-3), np.bool_(True)),
    "text": "é",
    "bytes": (b"", b"\x00\xff"),
    "array": bytearray(b"\x00\xff"),
    "sets": [{1, 2}, frozenset([3])],
    "ordered": OrderedDict([("b", 1), ("a", None)]),
    "complex": 1 + 2j,
}


def same(left: object, right: object) -> None:
    if isinstance(right, np.ndarray):
        assert np.asarray(left).dtype.newbyteorder("=") == right.dtype.newbyteorder("=")
        np.testing.assert_array_equal(np.asarray(left), right)
    elif isinstance(right, np.generic):
        assert isinstance(left, np.generic)
        assert left.dtype == right.dtype
        assert left == right
    elif isinstance(right, dict):
        assert isinstance(left, dict)
        assert list(left) == list(right)
        for key, value in right.items():
            same(left[key], value)
    elif isinstance(right, list | tuple):
        assert isinstance(left, type(right))
        for a, b in zip(left, right, strict=True):
            same(a, b)
    else:
        assert type(left) is type(right)
        assert left == right


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_it_reads(protocol: int) -> None:
    same(unpickle.loads(pickle.dumps(EVERYTHING, protocol), "it"), EVERYTHING)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    ),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_containers_round_trip(value: object, protocol: int) -> None:
    same(unpickle.loads(pickle.dumps(value, protocol), "it"), value)


# What Python 2 and the numpy of its days wrote for {"data": array([[1, 2], [3, 200]], uint8), "labels": [1, 2]}.
PYTHON2 = (
    b"\x80\x02}q\x00(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x04\x01\x02\x03\xc8tbU\x06labels](K\x01K\x02eu."
)


def test_python_2() -> None:
    expected = np.array([[1, 2], [3, 200]], dtype=np.uint8)
    text, raw = unpickle.loads(PYTHON2, "it"), unpickle.loads(PYTHON2, "it", encoding="bytes")
    assert (list(text), list(raw)) == (["data", "labels"], [b"data", b"labels"])
    same(text["data"], expected)
    same(raw[b"data"], expected)


def attacks(path: Path) -> dict[str, bytes]:
    """Pickles that make the folder `path` when read with plain pickle, one for each opcode that can bring it about."""
    p = str(path).encode()
    text, short = b"S'" + p + b"'\n", b"\x8c" + bytes([len(p)]) + p
    make = b"\x8c\x05posix\x8c\x05mkdir\x93"
    return {
        "REDUCE": b"cposix\nmkdir\n(" + text + b"tR.",
        "INST": b"(" + text + b"iposix\nmkdir\n.",
        "OBJ": b"(cposix\nmkdir\n" + text + b"o.",
        "NEWOBJ": b"\x80\x02cbuiltins\ntuple\n(cbuiltins\nmap\n(cposix\nmkdir\n(" + text + b"lt\x81t\x81.",
        "NEWOBJ_EX": b"\x80\x04\x8c\x08builtins\x8c\x05tuple\x93\x8c\x08builtins\x8c\x03map\x93"
        + make + short + b"\x85\x86}\x92\x85}\x92.",
        "STACK_GLOBAL": b"\x80\x04" + make + short + b"\x85R.",
        "BUILD": b"\x80\x02cargparse\nNamespace\n)\x81}S'__setstate__'\ncposix\nmkdir\nsb" + text + b"b.",
        "EXT1": b"\x80\x02\x82\xf0" + text + b"\x85R.",
        "EXT2": b"\x80\x02\x83\xf0\xf0" + text + b"\x85R.",
        "EXT4": b"\x80\x02\x84\xf0\xf0\xf0\x00" + text + b"\x85R.",
    }  # fmt: skip


CODES = (0xF0, 0xF0F0, 0xF0F0F0)


@pytest.fixture(params=[*attacks(Path("x")), "EXT1 cached"])
def attack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[bytes]:
    kind = request.param.split()[0]
    content = attacks(tmp_path / "made")[kind]
    if not kind.startswith("EXT"):
        yield content
        return
    code = CODES[("EXT1", "EXT2", "EXT4").index(kind)]
    copyreg.add_extension("posix", "mkdir", code)
    if request.param == "EXT1 cached":  # somebody in this process has read such a pickle before
        pickle.loads(attacks(tmp_path / "before")[kind])
    yield content
    copyreg.remove_extension("posix", "mkdir", code)


def test_the_attacks_are_attacks(attack: bytes, tmp_path: Path) -> None:
    pickle.loads(attack)
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("encoding", ["latin1", "bytes"])
def test_attacks_are_refused_by_name_and_do_nothing(attack: bytes, encoding: str, tmp_path: Path) -> None:
    with pytest.raises(
        LabError, match=r"^evil\.pkl asks for '(posix\.mkdir|builtins\.\w+|argparse\.Namespace)'.*not read"
    ):
        unpickle.loads(attack, "evil.pkl", encoding=encoding)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", [
    "builtins eval", "builtins exec", "builtins getattr", "__builtin__ __import__", "builtins object", "builtins type",
    "numpy load", "numpy.core.multiarray fromfile", "numpy._core.multiarray _reconstruct.__class__", "numpy dtype.mro",
    "numpy.core numeric", "codecs encode", "_codecs decode", "functools partial", "operator attrgetter",
    "collections defaultdict", "collections Counter", "copyreg _reconstructor", "torch._utils _rebuild_tensor_v2",
    "builtins set.__class__", "nasbench_lab.training.unpickle _Type",
])  # fmt: skip
def test_every_other_name_is_refused(name: str) -> None:
    module, attribute = (part.encode() for part in name.split())
    old = b"c" + module + b"\n" + attribute + b"\n."
    new = b"\x80\x04\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(attribute)]) + attribute + b"\x93."
    for content in (old, new):
        with pytest.raises(LabError, match="asks for"):
            unpickle.loads(content, "it")


DTYPE = b"cnumpy\ndtype\n"
NEW = b"cnumpy.core.multiarray\n_reconstruct\n"
U1 = DTYPE + b"(S'u1'\nI00\nI01\ntR"


@pytest.mark.parametrize(("content", "reason"), [
    (b"P0\n.", "persistent"),
    (b"\x80\x02K\x00Q.", "persistent"),
    (b"\x80\x02\x82\x07.", "unregistered"),
    (DTYPE + b"N}S'__call__'\nI1\ns\x86b.", "attribute"),  # nothing can be set on a stand-in,
    (NEW + b"}S'x'\nI1\nsb.", "__dict__"),
    (b"cbuiltins\nset\nN}S'add'\nI1\ns\x86b.", "immutable|attribute"),  # nor on a type
    (b"ccollections\nOrderedDict\nN}S'update'\nI1\ns\x86b.", "immutable|attribute"),
    (DTYPE + b"(S'O'\ntR.", "'O'"),  # objects: their bytes would be pointers
    (DTYPE + b"(S'O8'\ntR.", "'O8'"),
    (DTYPE + b"(S'u1,O'\ntR.", "not read"),
    (DTYPE + b"(S'S99999999999'\ntR.", "not read"),
    (U1 + b"(I3\nS'|'\nN(S'f'\nt}I1\nI1\nI63\ntb.", "plain types"),  # fields, with flags that lie
    (U1 + b"(I3\nS'!'\nNNNI1\nI1\nI63\ntb.", "plain types"),
    (NEW + b"(cbuiltins\nset\n(I0\ntS'b'\ntR.", "plain arrays"),
    (NEW + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I9\nt" + U1 + b"I00\nS'abc'\ntb.", "does not have 3 bytes"),
    (NEW + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I-1\nI-3\nt" + U1 + b"I00\nS'abc'\ntb.", "does not have 3 bytes"),
    (NEW + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I3\ntS'u1'\nI00\nS'abc'\ntb.", "must be a dtype"),
    (NEW + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I3\nt" + U1 + b"I00\n(lI1\naI2\naI3\natb.", "must be bytes"),
    (b"cnumpy\nndarray\n(I9\ntR.", "callable"),
    (b"cnumpy.core.multiarray\nscalar\n(" + U1 + b"S'abc'\ntR.", "does not have 3 bytes"),
    (b"cbuiltins\nbytearray\n(I999999999999\ntR.", "must be bytes"),  # memory for the asking
    (b"cbuiltins\nbytes\n(I999999999999\ntR.", "argument"),
    (b"c_codecs\nencode\n(S'x'\nS'zlib_codec'\ntR.", "latin1"),
    (b"", "Ran out of input"),
    (b"not a pickle", "load key"),
    (pickle.dumps(EVERYTHING)[:-40], "."),
])  # fmt: skip
def test_what_is_damaged_or_hostile_is_an_error(content: bytes, reason: str) -> None:
    with pytest.raises(LabError, match=rf"(?s)^it cannot be read as a pickle of numbers and arrays: .*({reason})"):
        unpickle.loads(content, "it")
    same(unpickle.loads(pickle.dumps(EVERYTHING, 2), "it"), EVERYTHING)  # and nothing has been changed by it


@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_flipped_byte_is_an_answer_or_an_error(at: int, byte: int) -> None:
    assume(byte != ord("r"))  # LONG_BINPUT takes as much memory as it says, and memory is not bounded
    content = bytearray(pickle.dumps(EVERYTHING, 2))
    content[at % len(content)] = byte
    with contextlib.suppress(LabError):
        unpickle.loads(bytes(content), "it")
