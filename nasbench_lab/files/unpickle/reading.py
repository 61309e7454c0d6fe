"""The reading of a pickle: one instruction after the other, on the machine."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np

from nasbench_lab.core import LabError
from nasbench_lab.files.unpickle.instructions import OPERATIONS
from nasbench_lab.files.unpickle.machine import Machine, Seen
from nasbench_lab.files.unpickle.names import ALLOWED, Array, Builder, Names
from nasbench_lab.files.unpickle.source import Source

_MARGIN = 512
_MARKS = 10_000  # open containers; Python's own pickler gives up long before
_TEXT = 150  # bytes that Python needs for a new short string
_INTEGER_RUN = re.compile(rb"(?:K.G.{8})++", re.DOTALL)
_INTEGER_PAIR = np.dtype([("_", "u1"), ("key", "u1"), ("__", "u1"), ("value", ">f8")])
_TEXT_RUN = re.compile(rb"(?:\x8c.[\w@-]++\x94G.{8})++", re.DOTALL)
_TEXT_PAIR = re.compile(rb"\x8c(.)([\w@-]++)\x94G(.{8})", re.DOTALL)


def loads(content: bytes, what: str, *, encoding: str = "latin1", names: Names | None = None) -> Any:
    """The object in a pickle of any protocol, of Python 2 or 3; arguments and errors as for `load`."""
    return load(Source(io.BytesIO(content), what), encoding=encoding, names=names)


def load(
    source: Source,
    *,
    encoding: str = "latin1",
    names: Names | None = None,
    persistent: Builder | None = None,
    seen: Seen | None = None,
) -> Any:
    """The next object of a source.

    Args:
        source: stands behind the pickle's last byte afterwards.
        encoding: how Python 2's byte strings are read: "latin1" makes `str` of them, "bytes" leaves them.
        names: further names that may occur, and what is called for them.
        persistent: what makes an object of a persistent id (torch's storages).
        seen: called with every (key, dictionary) that is put into a dictionary; what it returns is put there instead.

    Returns:
        Numbers, strings, bytes, containers, numpy scalars and arrays.

    Raises:
        LabError: a name that is not allowed (nothing of it has then run), or not a whole pickle.
    """
    try:
        return _run(Machine(source, encoding, {**ALLOWED, **(names or {})}, persistent, seen))
    except LabError:
        raise
    except (Exception, MemoryError) as error:  # damaged or hostile: any of a dozen types
        reason = str(error) or type(error).__name__
        raise LabError(f"{source.what} cannot be read as a pickle of numbers and arrays: {reason}") from error


def _run(machine: Machine) -> Any:
    """Read up to STOP. What occurs by the million is written out here, the rest is looked up in `OPERATIONS`."""
    source, memo, texts, float_of = machine.source, machine.memo, machine.texts, struct.Struct(">d").unpack_from
    stack, data, pos = machine.stack, source.data, source.pos
    while True:
        if pos + _MARGIN > len(data) and not source.ended:
            source.pos = pos
            source.more()
            data, pos = source.data, 0
        if pos >= len(data):
            raise EOFError("it ends before it is complete")
        code = data[pos]
        pos += 1
        if code == 0x94:  # MEMOIZE
            if type(stack[-1]) is Array:
                stack[-1].slots.append(len(memo))
            memo.append(stack[-1])
        elif code == 0x8C:  # SHORT_BINUNICODE
            if (run := _TEXT_RUN.match(data, pos - 1)) and run.end() - pos > 200:
                source.pos = pos - 1
                stack += _text_pairs(machine, run.end())
                pos = source.pos
                continue
            end = pos + 1 + data[pos]
            raw = data[pos + 1 : end]
            if len(data) < end:
                raise EOFError("it ends inside a string")
            text = texts.get(raw)
            if text is None:
                machine.spend(_TEXT)
                text = texts[raw] = raw.decode("utf-8", "surrogatepass")
            stack.append(text)
            pos = end
        elif code == 0x47:  # BINFLOAT
            stack.append(float_of(data, pos)[0])
            pos += 8
        elif code == 0x4B:  # BININT1
            if (run := _INTEGER_RUN.match(data, pos - 1)) and run.end() - pos > 100:
                pairs = np.frombuffer(data, _INTEGER_PAIR, (run.end() - pos + 1) // 11, pos - 1)
                mixed: list[Any] = [None] * (2 * len(pairs))
                mixed[::2], mixed[1::2] = pairs["key"].tolist(), pairs["value"].tolist()
                stack += mixed
                pos = run.end()
                continue
            stack.append(data[pos])
            pos += 1
        elif code == 0x58 and data[pos + 1 : pos + 4] == b"\0\0\0" and pos + 260 < len(data):  # a short BINUNICODE
            end = pos + 4 + data[pos]
            raw = data[pos + 4 : end]
            text = texts.get(raw)
            if text is None:
                machine.spend(_TEXT)
                text = texts[raw] = raw.decode("utf-8", "surrogatepass")
            stack.append(text)
            pos = end
        elif (
            code == 0x72 and int.from_bytes(data[pos : pos + 4], "little") == len(memo) and type(stack[-1]) is not Array
        ):
            memo.append(stack[-1])  # LONG_BINPUT in order
            pos += 4
        elif code == 0x68:  # BINGET
            stack.append(machine.recall(data[pos]))
            pos += 1
        elif code == 0x28:  # MARK
            machine.marks.append(stack)
            stack = []
            if len(machine.marks) > _MARKS:
                raise ValueError("its containers are nested beyond all reason")
        elif code == 0x2E:  # STOP
            source.pos = pos
            return stack.pop()
        elif code in OPERATIONS:
            machine.stack, source.pos = stack, pos
            OPERATIONS[code](machine)
            stack, data, pos = machine.stack, source.data, source.pos
        else:
            raise ValueError(f"{bytes([code])!r} is no instruction of such a pickle")


def _text_pairs(machine: Machine, end: int) -> list[Any]:
    """A run of (string, remembered, number): the keys and values of one curve."""
    data, pos, texts = machine.source.data, machine.source.pos, machine.texts
    pairs = _TEXT_PAIR.findall(data[pos:end])
    if any(len(raw) != length[0] for length, raw, _ in pairs):
        raise ValueError("a string has another length than it says")
    machine.spend(_TEXT * sum(raw not in texts for _, raw, _ in pairs))
    keys = [texts.get(raw) or texts.setdefault(raw, raw.decode("ascii")) for _, raw, _ in pairs]
    values = np.frombuffer(b"".join([value for _, _, value in pairs]), ">f8").tolist()
    mixed: list[Any] = [None] * (2 * len(pairs))
    mixed[::2], mixed[1::2] = keys, values
    machine.source.pos = end
    machine.memo += keys
    return mixed
