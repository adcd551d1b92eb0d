"""Parquet files, read piece by piece with pyarrow: an optional extra, so that nobody else has to install it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regulars.flows.importing.parquet_columns import ColumnText
from regulars.flows.importing.readers import places_of
from regulars.flows.importing.rows import ImportRow, ImportRows, Subject, UnusableFile, orders, require_fields
from regulars.kit.lazy import load

_rows_at_once = 10_000
# By default all columns of a row group are read at once, and a file may be one row group.
_bytes_at_once = 1 << 18


def read_parquet(path: Path, mapping: Mapping[str, str], subject: Subject = orders) -> ImportRows:
    """Rows from a Parquet file; their line is the number of the row, from 1.

    Numbers, days, instants and UUIDs become the texts that a CSV file would have. A binary fraction is written with as
    many digits as it needs, so that 0.1 + 0.2 has too many decimals for an amount: keep money in decimal columns.

    Args:
        path: The file; not standard input, because the format is read from its end.
        mapping: The column of each field that is not named like its column.
        subject: What the file is about.

    Raises:
        NotInstalled: pyarrow is missing.
        UnusableFile: there is no such file, it is no Parquet file, lacks a column, or has one of another kind than its
            field.
    """
    file = _opened(path)
    schema = file.schema_arrow
    places = places_of(schema.names, mapping, subject)
    require_fields(tuple(places), schema.names, subject)
    columns = [
        ColumnText(field, schema.names[place], schema.types[place], is_nested=field in subject.nested)
        for field, place in places.items()
    ]
    return ImportRows(tuple(places), _rows(file, columns, path.name))


def _opened(path: Path) -> Any:  # noqa: ANN401 - pyarrow is optional and untyped
    parquet = load("pyarrow.parquet", extra="parquet")
    try:
        return parquet.ParquetFile(path, buffer_size=_bytes_at_once, pre_buffer=False)
    except FileNotFoundError as error:
        raise UnusableFile(f"There is no file {path}.", "Check the name and the folder.") from error
    except (OSError, ValueError) as error:
        raise UnusableFile(f"{path} is no Parquet file, or cannot be read.", "Check what it is.") from error


def _rows(file: Any, columns: list[ColumnText], name: str) -> Iterator[ImportRow]:  # noqa: ANN401
    line = 0
    wanted = list(dict.fromkeys(column.name for column in columns))
    try:
        for batch in file.iter_batches(batch_size=_rows_at_once, columns=wanted):
            texts = [column.texts(batch.column(column.name)) for column in columns]
            for values in zip(*texts, strict=True):
                line += 1
                yield ImportRow(line, values)
    except (OSError, ValueError, NotImplementedError) as error:
        raise UnusableFile(f"{name} cannot be read beyond row {line}.", "Write the file again.") from error
