"""Columns of numbers to and from PostgreSQL's binary COPY format, without a Python object for any of them.

Every value is there and as wide as its type, so that a row is always equally long and a file is one array:
https://www.postgresql.org/docs/current/sql-copy.html (binary format).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]

_signature = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_end = b"\xff\xff"
_rows_at_once = 50_000


def read_columns(data: bytes | bytearray, types: Mapping[str, str]) -> Columns:
    """The columns of what `COPY ... TO STDOUT (FORMAT BINARY)` has sent.

    Args:
        data: All of it.
        types: Name and NumPy type of each column, such as `i4` and `f8`.

    Raises:
        ValueError: it has other columns, or a null among them.
    """
    row = _row_type(types)
    body = memoryview(data)[len(_signature) : -len(_end)]
    rows = np.frombuffer(body, dtype=row)
    for number, name in enumerate(types):
        if (rows[f"size{number}"] != row[name].itemsize).any():
            raise ValueError(f"column {name} is of another type, or has nulls")
    return {name: rows[name].astype(row[name].newbyteorder("=")) for name in types}


def write_columns(columns: Columns, types: Mapping[str, str]) -> Iterator[bytes]:
    """What `COPY ... FROM STDIN (FORMAT BINARY)` takes, in pieces.

    Args:
        columns: Equally long columns.
        types: Name and NumPy type of each, in the order of the table's columns.
    """
    row, count = _row_type(types), len(next(iter(columns.values())))
    yield _signature
    for first in range(0, count, _rows_at_once):
        yield _packed(
            {name: column[first : first + _rows_at_once] for name, column in columns.items()}, row, list(types)
        )
    yield _end


def _packed(columns: Columns, row: np.dtype[Any], names: Sequence[str]) -> bytes:
    rows = np.empty(len(columns[names[0]]), dtype=row)
    rows["fields"] = len(names)
    for number, name in enumerate(names):
        rows[f"size{number}"] = row[name].itemsize
        rows[name] = columns[name]
    return rows.tobytes()


def _row_type(types: Mapping[str, str]) -> np.dtype[Any]:
    parts = [(f"size{number}", ">i4", name, f">{kind}") for number, (name, kind) in enumerate(types.items())]
    return np.dtype([("fields", ">i2"), *((name, kind) for part in parts for name, kind in (part[:2], part[2:]))])
