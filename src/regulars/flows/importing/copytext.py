"""Rows as text for COPY: identifiers in their normal form, order lines checked, unreadable rows marked."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from regulars.customers.identifiers import is_placeholder, names_nobody, parse_email, parse_phone
from regulars.flows.importing.files import how_it_is_written
from regulars.flows.importing.lines import LinesProblem, read_lines
from regulars.flows.importing.rows import ImportRow, UndecodableRow, money_fields

rows_per_block = 2_000
# Customers come again, and their addresses with them: parsing each once is most of the speed. Memory stays bounded.
_remembered = 1 << 17
_escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_undecodable = range(0xDC80, 0xDD00)


class CopyText:
    """Turns rows into blocks of COPY text: line, problem, raw, products, then the columns.

    Args:
        columns: The fields of each row's values.
        minor_units: Decimals of the currency.
        lines_are_canonical: Whether order lines are checked and written down already.
    """

    def __init__(self, columns: Sequence[str], *, minor_units: int, lines_are_canonical: bool = False) -> None:
        self._columns = columns
        self._minor_units = minor_units
        self._parsers = [
            (columns.index(field), lru_cache(_remembered)(_unless_nobody(parse)), f"{field}-format")
            for field, parse in (("email", parse_email), ("phone", parse_phone))
            if field in columns
        ]
        self._lines = columns.index("lines") if "lines" in columns and not lines_are_canonical else None
        self._plain = not self._parsers and self._lines is None
        self._tabs = len(columns) - 1

    def blocks(self, rows: Iterable[ImportRow]) -> Iterator[tuple[int, bytes]]:
        """Blocks of encoded text, each after its count of rows.

        Raises:
            UndecodableRow: a row is no text in the encoding with which the file was opened; names its line.
        """
        block: list[str] = []
        for row in rows:
            block.append(self._text(row))
            if len(block) == rows_per_block:
                yield len(block), _encoded(block)
                block = []
        if block:
            yield len(block), _encoded(block)

    def _text(self, row: ImportRow) -> str:
        line, values, problem, raw = row
        products = ""
        if problem is None and not self._plain:
            problem, products, values = self._prepared(values)
        text = "\t".join(values)
        if problem is None and not products and _is_plain(text, self._tabs):
            return f"{line}\t\t\t\t{text}\n"
        if "\0" in text or "\0" in raw:
            problem, products, raw, values = "unreadable-row", "", raw.replace("\0", ""), ()
        parts = [problem or "", raw, products, *(values or [""] * len(self._columns))]
        return f"{line}\t" + "\t".join(part.translate(_escapes) for part in parts) + "\n"

    def _prepared(self, values: Sequence[str]) -> tuple[str | None, str, Sequence[str]]:
        """The problems of a row, the products of its lines, and its values in normal form."""
        prepared, problems, products = list(values), [], ""
        for place, parse, code in self._parsers:
            if prepared[place].strip():
                try:
                    prepared[place] = parse(prepared[place])
                except ValueError:
                    problems.append(code)
        if self._lines is not None and prepared[self._lines].strip():
            totals = {field: values[self._columns.index(field)] for field in money_fields if field in self._columns}
            try:
                prepared[self._lines], found = read_lines(values[self._lines], totals, minor_units=self._minor_units)
                products = json.dumps(found, ensure_ascii=False) if found else ""
            except LinesProblem as error:
                problems.append(str(error))
        return " ".join(problems) or None, products, prepared


def _unless_nobody(parse: Callable[[str], str]) -> Callable[[str], str]:
    """A parser of references that answers an empty text for a placeholder."""

    def parse_reference(text: str) -> str:
        value = "" if names_nobody(text) else parse(text)
        is_phone = value.startswith("+") and value[1:].isdecimal()  # an address may begin with a plus as well
        return "" if is_phone and is_placeholder(value) else value

    return parse_reference


def _is_plain(text: str, tabs: int) -> bool:
    return text.count("\t") == tabs and not ("\\" in text or "\n" in text or "\r" in text or "\0" in text)


def _encoded(block: list[str]) -> bytes:
    try:
        return "".join(block).encode()
    except UnicodeEncodeError:
        return b"".join(_encoded_row(text) for text in block)


def _encoded_row(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text.partition("\t")[0]
        if ord(text[error.start]) in _undecodable:
            raise UndecodableRow(int(line), how_it_is_written("utf-8")) from error
        # Half of a surrogate pair, escaped in JSON: no text in any encoding.
        return f"{line}\tunreadable-row{chr(9) * (text.count(chr(9)) - 1)}\n".encode()
