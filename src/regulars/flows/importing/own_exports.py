"""Our own export of customers, read back: value for value, here or in another installation.

Its header is how it is known: `id`, `customer_number` and `masked` stand together in no other system's file. What
others write is never altered, so that only here a leading `'` is taken away that guards against formulas.
"""

from collections.abc import Callable, Mapping, Sequence

from regulars.flows.importing.rows import ImportRow, Subject, customers
from regulars.kit.csv_files import unguarded

own_source = "regulars"
"""The system whose ids the column `id` has, unless the caller names another."""

_known_by = frozenset({"id", "customer_number", "masked"})
_columns = {"customer_id": "id", "referrer": "referrer_customer_id"}


def is_own_export(header: Sequence[str], subject: Subject) -> bool:
    """Whether a file with this header is an export of customers of ours."""
    return subject is customers and _known_by <= {name.casefold() for name in header}


def mapping_of_export(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The columns of the fields that are named otherwise in an export, unless the caller says which they are."""
    there = {name.casefold() for name in header}
    return {field: column for field, column in _columns.items() if column in there} | dict(mapping)


def reader_of_export(
    header: Sequence[str], pick: Callable[[Sequence[str]], Sequence[str]]
) -> Callable[[int, list[str]], ImportRow]:
    """What makes rows of the lines of an export."""
    masked = [name.casefold() for name in header].index("masked")

    def read(line: int, values: list[str]) -> ImportRow:
        if values[masked] == "true":
            return ImportRow(line, (), "masked-row", ",".join(values))
        return ImportRow(line, [unguarded(value) for value in pick(values)])

    return read
