"""The formats of files, each read as a stream: CSV, JSON lines, and the CDNOW table of the literature."""

import csv
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

from regulars.flows.importing.own_exports import is_own_export, mapping_of_export, own_source, reader_of_export
from regulars.flows.importing.rows import ImportRow, ImportRows, Subject, UnusableFile, orders, require_fields

_delimiters = ",;\t"
_cdnow_columns = ["customer_id", "date", "number_of_cds", "dollar_value"]


def parse_mapping(pairs: Sequence[str], subject: Subject = orders) -> dict[str, str]:
    """The columns that hold the fields, from texts such as `order_id=Order No`.

    Raises:
        UnusableFile: not of this form, or not a field of what the file is about.
    """
    mapping = {}
    for pair in pairs:
        field, separator, column = (part.strip() for part in pair.partition("="))
        if not separator or not column:
            raise UnusableFile(
                f"--map {pair} does not name a field and a column.", "Write it as --map order_id=COLUMN."
            )
        if field not in subject.fields:
            raise UnusableFile(
                f"--map {pair}: {subject.name} have no field {field}.", f"Use one of {', '.join(subject.fields)}."
            )
        mapping[field] = column
    return mapping


def read_csv(lines: Iterator[str], mapping: Mapping[str, str], subject: Subject = orders) -> ImportRows:
    """Rows from a CSV file with a header; comma, semicolon or tab is told by the header.

    Args:
        lines: The text of the file.
        mapping: The column of each field that is not named like its column.
        subject: What the file is about.

    Raises:
        UnusableFile: a column is missing, ambiguous, or mapped but not there.
    """
    first = next(lines, "")
    source = _Lines(chain([first], lines))
    reader = csv.reader(source, delimiter=max(_delimiters, key=first.count), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise UnusableFile("The header of the file cannot be read.", "Check the quotes in its first line.") from error
    is_ours = is_own_export(header, subject)
    places = places_of(header, mapping_of_export(header, mapping) if is_ours else mapping, subject)
    require_fields(tuple(places), header, subject)
    pick = _picker(list(places.values()))
    read = reader_of_export(header, pick) if is_ours else lambda line, values: ImportRow(line, pick(values))
    rows = _csv_rows(reader, source, len(header), read)
    return ImportRows(tuple(places), rows, own_source=own_source if is_ours else None)


def places_of(header: Sequence[str], mapping: Mapping[str, str], subject: Subject) -> dict[str, int]:
    """Where each field stands in a row; case of the columns' names does not matter.

    Raises:
        UnusableFile: a column is ambiguous, or mapped but not there.
    """
    names = [name.casefold() for name in header]
    places = {}
    for field in subject.fields:
        column = mapping.get(field, field).casefold()
        if names.count(column) > 1:
            raise UnusableFile(
                f"The column {mapping.get(field, field)} stands in the header twice.", "Rename one of them."
            )
        if column in names:
            places[field] = names.index(column)
        elif field in mapping:
            raise UnusableFile(
                f"--map {field}={mapping[field]}: the file has no such column.", f"Its columns are {', '.join(header)}."
            )
    return places


class _Lines:
    """The lines of a file, with those of the present record at hand.

    A quote that is not closed swallows the lines after it. They are read again, so that one bad line costs one line.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._again.popleft() if self._again else next(self._lines)
        self.record.append(text)
        return text

    def read_again_after(self, lines: int) -> None:
        """Give the lines of the record once more, but for so many at its beginning."""
        self._again.extendleft(reversed(self.record[lines:]))


def _csv_rows(
    reader: Iterator[list[str]], lines: _Lines, width: int, read: Callable[[int, list[str]], ImportRow]
) -> Iterator[ImportRow]:
    line = len(lines.record) + 1
    while True:
        lines.record.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield ImportRow(line, (), "unreadable-row", lines.record[0])
            lines.read_again_after(1)
            line += 1
            continue
        if len(values) == width:
            yield read(line, values)
        elif values:
            yield ImportRow(line, (), "column-count", "".join(lines.record))
        line += len(lines.record)


def _picker(places: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """What takes these places of a row; also of one column, for which `itemgetter` alone would give no sequence."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: (values[places[0]],)


def read_ndjson(lines: Iterator[str], mapping: Mapping[str, str], subject: Subject = orders) -> ImportRows:
    """Rows from JSON lines: one object a line, keys as fields. Numbers keep the digits they are written with.

    Every row has every field, because only its own line says which ones it uses. A line that is no object, or holds a
    value of another type, is a row with a problem; the lines after it are read.

    Args:
        lines: The text of the file.
        mapping: The key of each field that is not named like its key.
        subject: What the file is about.
    """
    keys = [(field, mapping.get(field, field), subject.nested.get(field)) for field in subject.fields]
    return ImportRows(subject.fields, _ndjson_rows(lines, keys))


def _ndjson_rows(lines: Iterator[str], keys: Sequence[tuple[str, str, type | None]]) -> Iterator[ImportRow]:
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            found = json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            yield ImportRow(line, (), "unreadable-json", text)
            continue
        try:
            yield ImportRow(line, [_json_text(field, found.get(key), nested) for field, key, nested in keys])
        except TypeError:
            yield ImportRow(line, (), "value-type", text)


def _refuse_constant(name: str) -> str:
    raise ValueError(name)


def _json_text(field: str, value: object, nested: type | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if nested and isinstance(value, nested):
        return json.dumps(value)
    raise TypeError(field)


def read_cdnow(lines: Iterator[str]) -> ImportRows:
    """Orders from the CDNOW table: customer_id, date, number_of_cds and dollar_value between blanks.

    The table has no order ids. They are made from the customer, the day and the how-manieth order of that day it is,
    so that reading the same file twice gives the same ids.

    Raises:
        UnusableFile: the header is another.
    """
    header = next(lines, "").split()
    if header != _cdnow_columns:
        raise UnusableFile(
            f"This is not the CDNOW table; its columns are {', '.join(header) or 'none'}.",
            f"The first line must be: {' '.join(_cdnow_columns)}.",
        )
    return ImportRows(("order_id", "ordered_at", "total", "customer_id"), _cdnow_rows(lines))


def _cdnow_rows(lines: Iterator[str]) -> Iterator[ImportRow]:
    seen: Counter[tuple[str, str]] = Counter()
    for line, text in enumerate(lines, start=2):
        values = text.split()
        if len(values) != len(_cdnow_columns):
            if values:
                yield ImportRow(line, (), "column-count", text)
            continue
        customer, day, _, dollars = values
        seen[customer, day] += 1
        order_id = f"{customer}-{day}-{seen[customer, day]}"
        yield ImportRow(line, (order_id, f"{day[:4]}-{day[4:6]}-{day[6:]}", dollars, customer))
