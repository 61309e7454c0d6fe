"""The machine's instructions, by their byte; names as in Python's `pickletools`. What is hot is in `reading`."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from nasbench_lab.files.unpickle.machine import Machine
from nasbench_lab.files.unpickle.names import as_text


def _global(m: Machine) -> None:
    module, name = m.source.line(), m.source.line()
    m.spend(len(module) + len(name) + 64)
    m.find(module.decode(), name.decode())


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.spend(64)
    m.find(as_text(module), as_text(name))


def _new_object_ex(m: Machine) -> None:
    keywords, arguments, named = m.stack.pop(), m.stack.pop(), m.stack.pop()
    if keywords != {}:
        raise ValueError("it calls with keywords")
    m.call(named, arguments)


def _reduce(m: Machine) -> None:
    arguments, named = m.stack.pop(), m.stack.pop()
    m.call(named, arguments)


def _inst(m: Machine) -> None:
    _global(m)
    named, arguments = m.stack.pop(), m.marked()
    m.call(named, tuple(arguments))


def _object(m: Machine) -> None:
    named, *arguments = m.marked()
    m.call(named, tuple(arguments))


def _quoted(m: Machine) -> None:
    line = m.source.line().strip()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in b"\"'":
        raise ValueError("a string has no quotes")
    m.old_string(codecs.escape_decode(line[1:-1])[0])


def _dictionary(m: Machine) -> None:
    items = m.marked()
    m.push({})
    m.pairs(items)


def _item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.pairs([key, value])


def _top(m: Machine, count: int) -> None:
    if len(m.stack) < count:
        raise ValueError("a tuple has fewer items than it says")
    items = m.stack[-count:]
    del m.stack[-count:]
    m.tuple(items)


def _protocol(m: Machine) -> None:
    if (number := m.number(1)) > 5:
        raise ValueError(f"pickle protocol {number} is not known")


def _extension(size: int) -> Callable[[Machine], None]:
    return lambda m: m.refuse(f"extension {m.number(size)}")


def _signed(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.source.take(4), "little", signed=True))


def _unicode(m: Machine, size: int) -> None:
    m.stack.append(m.source.take(m.number(size)).decode("utf-8", "surrogatepass"))


def _push(value: Any) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(value)


OPERATIONS: Mapping[int, Callable[[Machine], Any]] = {
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.marked(),
    ord("F"): lambda m: m.stack.append(float(m.source.line())),
    ord("I"): lambda m: m.text_number(m.source.line()),
    ord("L"): lambda m: m.text_number(m.source.line()),
    ord("J"): _signed,
    ord("M"): lambda m: m.stack.append(m.number(2)),
    ord("N"): _push(None),
    ord("P"): lambda m: m.persist(m.source.line().decode("ascii")),
    ord("Q"): lambda m: m.persist(m.stack.pop()),
    ord("R"): _reduce,
    ord("S"): _quoted,
    ord("T"): lambda m: m.old_string(m.source.take(m.number(4))),
    ord("U"): lambda m: m.old_string(m.source.take(m.number(1))),
    ord("V"): lambda m: m.stack.append(m.source.line().decode("raw-unicode-escape")),
    ord("X"): lambda m: _unicode(m, 4),
    ord("B"): lambda m: m.stack.append(m.source.take(m.number(4))),
    ord("C"): lambda m: m.stack.append(m.source.take(m.number(1))),
    ord("a"): lambda m: m.extend([m.stack.pop()]),
    ord("b"): lambda m: m.build(m.stack.pop()),
    ord("c"): _global,
    ord("d"): _dictionary,
    ord("e"): lambda m: m.extend(m.marked()),
    ord("g"): lambda m: m.get(int(m.source.line())),
    ord("i"): _inst,
    ord("j"): lambda m: m.get(m.number(4)),
    ord("l"): lambda m: m.push(m.marked()),
    ord("o"): _object,
    ord("p"): lambda m: m.put(int(m.source.line())),
    ord("q"): lambda m: m.put(m.number(1)),
    ord("r"): lambda m: m.put(m.number(4)),
    ord("s"): _item,
    ord("t"): lambda m: m.tuple(m.marked()),
    ord("u"): lambda m: m.pairs(m.marked()),
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord(")"): _push(()),
    0x80: _protocol,
    0x81: _reduce,
    0x82: _extension(1),
    0x83: _extension(2),
    0x84: _extension(4),
    0x85: lambda m: _top(m, 1),
    0x86: lambda m: _top(m, 2),
    0x87: lambda m: _top(m, 3),
    0x88: _push(True),
    0x89: _push(False),
    0x8A: lambda m: m.large(m.source.take(m.number(1))),
    0x8B: lambda m: m.large(m.source.take(m.number(4))),
    0x8D: lambda m: _unicode(m, 8),
    0x8E: lambda m: m.stack.append(m.source.take(m.number(8))),
    0x8F: lambda m: m.push(set()),
    0x90: lambda m: m.add(m.marked()),
    0x91: lambda m: m.push(m.frozen(m.marked())),
    0x92: _new_object_ex,
    0x93: _stack_global,
    0x95: lambda m: m.source.take(8),  # FRAME: a hint for readers that need one
    0x96: lambda m: m.stack.append(bytearray(m.source.take(m.number(8)))),
}
