"""The one way from a file to its rows, whatever its format."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from regulars.flows.importing.completejourney import read_completejourney
from regulars.flows.importing.files import FileFormat, how_it_is_written, open_text, standard_input
from regulars.flows.importing.parquet import read_parquet
from regulars.flows.importing.readers import read_cdnow, read_csv, read_ndjson
from regulars.flows.importing.rows import ImportRows, Subject, UndecodableRow, UnusableFile, orders


@contextmanager
def open_rows(
    path: Path, kind: FileFormat, mapping: Mapping[str, str], subject: Subject = orders, *, encoding: str = "utf-8"
) -> Iterator[ImportRows]:
    """The rows of a file, which can be read while the block runs.

    Args:
        path: The file; `-` is standard input, for the formats that are text.
        kind: How it is written; CDNOW and The Complete Journey hold orders only.
        mapping: The column of each field that is named otherwise.
        subject: What the file is about.
        encoding: How the text is encoded, if it is text.

    Raises:
        UnusableFile: the file cannot be read as what it should be; says why, and how to mend it.
    """
    if kind in ("parquet", "completejourney"):
        if path == standard_input:
            raise UnusableFile(f"{kind} cannot be read from standard input.", "Give the name of a file.")
        yield read_parquet(path, mapping, subject) if kind == "parquet" else read_completejourney(path)
        return
    with open_text(path, encoding) as lines, _remedy_for(encoding):
        if kind == "cdnow":
            yield read_cdnow(lines)
        elif kind == "ndjson":
            yield read_ndjson(lines, mapping, subject)
        else:
            yield read_csv(lines, mapping, subject)


@contextmanager
def _remedy_for(encoding: str) -> Iterator[None]:
    """Whoever reads the rows does not know how the file was opened, and so not what else to try."""
    try:
        yield
    except UndecodableRow as error:
        raise UndecodableRow(error.line, how_it_is_written(encoding)) from error
