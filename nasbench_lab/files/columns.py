"""Parquet files as plain columns: kinds, rows and sizes are compared with what there can be before anything is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nasbench_lab.files import bounded, spreadsheet

_TEXT = 200  # letters in a cell; an official string has 107


def table(path: Path, *, rows: int, numbers: int, texts: bool) -> Any:
    """A file of numbers, and perhaps of short texts, as a pyarrow table.

    Args:
        path: the file.
        rows: so many at most; a few bytes can stand for very many.
        numbers: rows times columns, at most.
        texts: whether columns of texts may be there; they come as dictionaries, ordered where the file says so. Dates and
            times come as texts, decimals as numbers, and what is of another kind is left out, see `unread`.

    Raises:
        ValueError, OSError, pyarrow.ArrowException: no such file, damaged, larger, or a column is given twice.
    """
    with bounded.regular(path) as file:
        schema = _checked(pq.ParquetFile(file), rows, numbers, texts)
        words = [field for field in schema if _is_text(field.type)]
        plain = [field.name for field in words if not pa.types.is_dictionary(field.type)]
        file.seek(0)
        found = pq.read_table(
            file,
            columns=[field.name for field in schema if _read_as(field.type)],
            partitioning=None,
            read_dictionary=plain,
            page_checksum_verification=True,
            use_threads=False,
        )
    for i, field in enumerate(found.schema):
        if (kind := _read_as(field.type)) != field.type:
            found = found.set_column(i, field.name, found.column(i).cast(kind))
    for field in words:
        chunks = found.column(field.name).chunks
        if any(_longest(chunk) > _TEXT for chunk in chunks):
            raise ValueError(f"column {field.name[:40]!r} has texts of more than {_TEXT} letters")
        ordered = pa.types.is_dictionary(field.type) and field.type.ordered
        if ordered and any(not chunk.dictionary.equals(chunks[0].dictionary) for chunk in chunks):
            raise ValueError(f"column {field.name[:40]!r} is ordered, but its parts do not agree on the order")
    return found


def metadata(path: Path) -> dict[bytes, bytes]:
    """What is written about a file in itself; errors as for `table`."""
    with bounded.regular(path) as file:
        found: dict[bytes, bytes] = pq.read_schema(file).metadata or {}
    return found


def unread(path: Path) -> dict[str, str]:
    """Columns of a kind that is not read, and which: lists, bytes; errors as for `table`."""
    with bounded.regular(path) as file:
        schema = pq.read_schema(file)
    return {field.name: str(field.type)[:40] for field in schema if not _read_as(field.type)}


def names(path: Path) -> list[str]:
    """Of a file's columns; errors as for `table`."""
    with bounded.regular(path) as file:
        found = [str(name) for name in pq.read_schema(file).names]
    spreadsheet.check_names(found)
    return found


def _checked(file: Any, rows: int, numbers: int, texts: bool) -> Any:
    found, schema = file.metadata, file.schema_arrow
    if found.num_rows > rows or len(schema) > spreadsheet.COLUMNS or found.num_rows * len(schema) > numbers:
        raise ValueError(
            f"it has {found.num_rows:,} rows and {len(schema):,} columns, there are {rows:,} rows and {numbers:,} numbers at most"
        )
    spreadsheet.check_names(schema.names)
    in_groups = [found.row_group(i) for i in range(found.num_row_groups)]
    if sum(group.num_rows for group in in_groups) != found.num_rows:
        raise ValueError("its parts have other rows than it says")
    if sum(group.total_byte_size for group in in_groups) > 16 * numbers:
        raise ValueError("it unpacks to more bytes than there are numbers")
    for field in schema:
        if not (_is_number(field.type) or (texts and any(map(_read_as, schema.types)))):
            raise ValueError(f"column {field.name[:40]!r} holds {str(field.type)[:40]}, which is not read")
    return schema


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _read_as(kind: Any) -> Any:
    """The kind that a column is given as; None of what is not read."""
    if _is_number(kind) or _is_text(kind):
        return kind
    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.string() if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind) else None


def _is_text(kind: Any) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_null(plain))


def _longest(chunk: Any) -> int:
    import pyarrow.compute as pc

    values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
    if pa.types.is_null(values.type) or not len(values):
        return 0
    return int(pc.max(pc.binary_length(values)).as_py() or 0)
