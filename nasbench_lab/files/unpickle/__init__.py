"""Reading pickles that hold numbers, strings, containers and numpy arrays, and nothing else.

A pickle is a program: it may name any function of any module and have it called. Here it runs on a machine of ours
that has no such instruction. A name is looked up in one short list before anything is done with it, every other name
ends the reading with an error that says it; and what the names of the list lead to are builders of ours, which take a
kind (integer, float, complex, boolean, string of a fixed width), a byte order, a shape and exactly the bytes these
need. Python's own unpickler is not used, nor numpy's `__setstate__`, which a hostile state makes corrupt memory.

Memory and time are bounded by the size of the input: a length is believed only as far as there are bytes, memo
entries come in order, copies are counted, tuples are not nested (and so hashed) without end, and whoever decompresses
says how many bytes may come. Notation: a *stream* is any object with `read(n)`.
"""

from nasbench_lab.files.unpickle.names import Names, Shell, shell
from nasbench_lab.files.unpickle.reading import load, loads
from nasbench_lab.files.unpickle.source import Source

__all__ = ["Names", "Shell", "Source", "load", "loads", "shell"]
