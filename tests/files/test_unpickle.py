"""The restricted unpickler: what it reads, and that every way of running something is refused before it runs."""

from __future__ import annotations

import contextlib
import copyreg
import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.files import unpickle
from nasbench_lab.files.unpickle import instructions

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
        LabError,
        match=r"^evil\.pkl asks for '(posix\.mkdir|builtins\.\w+|argparse\.Namespace|extension \d+)'.*not read",
    ):
        unpickle.loads(attack, "evil.pkl", encoding=encoding)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", [
    "builtins eval", "builtins exec", "builtins getattr", "__builtin__ __import__", "builtins object", "builtins type",
    "numpy load", "numpy.core.multiarray fromfile", "numpy._core.multiarray _reconstruct.__class__", "numpy dtype.mro",
    "numpy.core numeric", "codecs encode", "_codecs decode", "functools partial", "operator attrgetter",
    "collections defaultdict", "collections Counter", "copyreg _reconstructor", "torch._utils _rebuild_tensor_v2",
    "builtins set.__class__", "nasbench_lab.files.unpickle.names Type",
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
    (DTYPE + b"N}S'__call__'\nI1\ns\x86b.", "attribute"),  # nothing can be set on a stand-in,
    (NEW + b"}S'x'\nI1\nsb.", "attribute"),
    (b"cbuiltins\nset\nN}S'add'\nI1\ns\x86b.", "attribute"),  # nor on a type
    (b"ccollections\nOrderedDict\nN}S'update'\nI1\ns\x86b.", "attribute"),
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
    (b"", "ends before"),
    (b"not a pickle", "no instruction"),
    (pickle.dumps(EVERYTHING)[:-40], "."),
])  # fmt: skip
def test_what_is_damaged_or_hostile_is_an_error(content: bytes, reason: str) -> None:
    with pytest.raises(LabError, match=rf"(?s)^it cannot be read as a pickle of numbers and arrays: .*({reason})"):
        unpickle.loads(content, "it")
    same(unpickle.loads(pickle.dumps(EVERYTHING, 2), "it"), EVERYTHING)  # and nothing has been changed by it


@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_flipped_byte_is_an_answer_or_an_error(at: int, byte: int) -> None:
    content = bytearray(pickle.dumps(EVERYTHING, 2))
    content[at % len(content)] = byte
    with contextlib.suppress(LabError):
        unpickle.loads(bytes(content), "it")


def doubled(levels: int) -> bytes:
    """A tuple of 2**levels leaves in a few bytes, then hashed as a key."""
    return b"\x80\x04}N" + b"".join(b"\x94h" + bytes([i]) + b"\x86" for i in range(levels)) + b"Ns."


RAW = b"\x80\x04(\x96" + (1 << 20).to_bytes(8, "little") + bytes(1 << 20) + b"\x940"
COPY = b"cnumpy._core.numeric\n_frombuffer\n\x94(h\x00cnumpy\ndtype\n(S'u1'\nI00\nI01\ntR\x94(J\x00\x00\x10\x00tS'C'\nt\x94R0"
AGAIN = b"h\x01h\x03R"


@pytest.mark.parametrize(("content", "reason"), [
    (doubled(60), "nested"),
    (b"\x80\x04}N" + b"\x85" * 2_000_000 + b"Ns.", "nested"),  # hashing it overflows the C stack
    (b"\x80\x04(N" + b"\x85" * 60 + b"\x91.", "nested"),
    (b"Nr\xff\xff\xff\xff.", "out of order"),
    (b"Np99999999999\n.", "out of order"),
    (b"\x80\x04" + b"".join(b"Nr" + (i * 30_000).to_bytes(4, "little") for i in range(1, 9)) + b".", "out of order"),
    (b"Nj\xff\xff\xff\xff.", "memo entry"),
    (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "ends where"),
    (b"\x8d\x00\x00\x00\x00\x00\x01\x00\x00abc.", "ends where"),
    (b"\x96\x00\x00\x00\x00\x00\x00\x00\x40abc.", "ends where"),
    (b"X\xff\xff\xff\xffabc.", "ends where"),
    (b"\x8b\xff\xff\xff\x7fabc.", "ends where"),
    (b"\x8b\x00\x00\x10\x00" + bytes(1 << 20) + b".", "not read"),
    (b"I" + b"9" * 5000 + b"\n.", "digits"),
    (b"}" + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 4)) + b"u.", "pop|key"),
    (b"}(" + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 4)) + b"u.", "so large"),
    (b"}(G" + np.array([2.0**70], ">f8").tobytes() + b"Nu.", "so large"),
    (RAW + COPY + AGAIN * 1000 + b".", "more memory"),
    (b"c" + b"a" * 3_000_000, "line does not end"),
    (b"2.", "no instruction"),
    (b"\x80\x09.", "protocol 9"),
    (b"cnumpy\ndtype\n(]\x94h\x00a" + b"tR.", "string"),
])  # fmt: skip
def test_neither_memory_nor_time_for_the_asking(content: bytes, reason: str) -> None:
    with pytest.raises(LabError, match=rf"(?s)^it cannot be read as a pickle of numbers and arrays: .*({reason})"):
        unpickle.loads(content, "it")


def test_more_than_there_may_be_is_not_read() -> None:
    class Endless:
        read_so_far = 0

        def read(self, size: int, /) -> bytes:
            self.read_so_far += size
            return b"N" * size

    stream = Endless()
    with pytest.raises(LabError, match="more than 3,000,000 bytes"):
        unpickle.load(unpickle.Source(stream, "it", limit=3_000_000))
    assert stream.read_so_far < 5_000_000


def test_one_after_the_other_from_one_source() -> None:
    parts = [1, "two", [3.0] * 300_000, np.arange(4)]
    content = b"".join(pickle.dumps(part, 2) for part in parts) + b"rest"
    source = unpickle.Source(io.BytesIO(content), "it")
    for part in parts:
        same(unpickle.load(source), part)
    assert source.take(4) == b"rest"
    with pytest.raises(EOFError):
        source.take(1)


def test_long_runs_are_read_as_singles_are() -> None:
    """Curves take a path of their own; so do they where a chunk ends."""
    curves = [
        {f"x-valid@{i}": i / 7 for i in range(200)}, {i: i / 7 for i in range(255)},
        {f"{'k' * (i % 70)}é{i}": float(i) for i in range(100)}, [float(i) for i in range(50)],
    ] * 400  # fmt: skip
    for protocol in (2, 4, 5):
        same(unpickle.loads(pickle.dumps(curves, protocol), "it"), curves)
    lying = pickle.dumps({f"x-valid@{i}": i / 7 for i in range(200)}, 4).replace(
        b"\x8c\tx-valid@7", b"\x8c\x08x-valid@7"
    )
    with pytest.raises(LabError):
        unpickle.loads(lying, "it")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_six_thousand_damaged_pickles_are_answers_or_errors(seed: int) -> None:
    """24,000 in all: bytes flipped, cut out, doubled, replaced by instructions."""
    rng = np.random.default_rng(seed)
    curves = {f"x-valid@{i}": i / 7 for i in range(60)} | {i: i / 7 for i in range(60)}
    wholes = [pickle.dumps(value, p) for value in (EVERYTHING, [EVERYTHING, curves]) for p in range(6)]
    codes = bytes(instructions.OPERATIONS) + b"(.hGK\x94\x8c"
    for _ in range(6000):
        content = bytearray(wholes[rng.integers(len(wholes))])
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(content)))
            kind = rng.integers(4)
            if kind == 0:
                content[at] = rng.integers(256)
            elif kind == 1:
                content[at] = codes[rng.integers(len(codes))]
            elif kind == 2:
                del content[at : at + int(rng.integers(1, 9))]
            else:
                content[at:at] = content[at : at + int(rng.integers(1, 40))]
            if not content:
                break
        with contextlib.suppress(LabError):
            unpickle.loads(bytes(content), "it")
