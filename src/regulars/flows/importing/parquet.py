"""Parquet files, read piece by piece with pyarrow: an optional extra, so that nobody else has to install it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regulars.flows.importing.readers import places_of
from regulars.flows.importing.rows import ImportRow, ImportRows, Subject, UnusableFile, orders, require_fields
from regulars.kit.lazy import load

_rows_at_once = 10_000


def read_parquet(path: Path, mapping: Mapping[str, str], subject: Subject = orders) -> ImportRows:
    """Rows from a Parquet file; their line is the number of the row, from 1.

    Numbers, days and instants become the texts that a CSV file would have. A binary fraction is written with as many
    digits as it needs, so that 0.1 + 0.2 has too many decimals for an amount: keep money in decimal columns.

    Args:
        path: The file; not standard input, because the format is read from its end.
        mapping: The column of each field that is not named like its column.
        subject: What the file is about.

    Raises:
        NotInstalled: pyarrow is missing.
        UnusableFile: there is no such file, it is no Parquet file, or lacks a column.
    """
    file = _opened(path)
    names: list[str] = file.schema_arrow.names
    places = places_of(names, mapping, subject)
    require_fields(tuple(places), names, subject)
    fields = {field: names[place] for field, place in places.items()}
    return ImportRows(tuple(fields), _rows(file, fields, subject.nested.keys(), path.name))


def _opened(path: Path) -> Any:  # noqa: ANN401 - pyarrow is optional and untyped
    parquet = load("pyarrow.parquet", extra="parquet")
    try:
        return parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise UnusableFile(f"There is no file {path}.", "Check the name and the folder.") from error
    except (OSError, ValueError) as error:
        raise UnusableFile(f"{path} is no Parquet file, or cannot be read.", "Check what it is.") from error


def _rows(file: Any, fields: Mapping[str, str], nested: Collection[str], name: str) -> Iterator[ImportRow]:  # noqa: ANN401
    line = 0
    try:
        for batch in file.iter_batches(batch_size=_rows_at_once, columns=list(fields.values())):
            columns = [_texts(batch.column(column), is_nested=field in nested) for field, column in fields.items()]
            for values in zip(*columns, strict=True):
                line += 1
                yield ImportRow(line, values)
    except (OSError, ValueError, NotImplementedError) as error:
        raise UnusableFile(
            f"{name} cannot be read beyond row {line}, or holds what is no text, number or time.",
            "Write the file again, with plain columns.",
        ) from error


def _texts(column: Any, *, is_nested: bool) -> Sequence[str]:  # noqa: ANN401
    arrow = load("pyarrow", extra="parquet")
    if is_nested and arrow.types.is_nested(column.type):
        return ["" if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
    texts: list[str] = column.cast(arrow.string()).fill_null("").to_pylist()
    return texts
