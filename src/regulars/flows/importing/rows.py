"""What an import takes in, whatever the file looks like: named columns of text and one row for each order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regulars.kit.errors import OperatorError

required_fields = ("order_id", "ordered_at", "total")
contact_fields = frozenset(["email", "phone"])
customer_fields = ("customer_id", "email", "phone", "customer_number")
profile_fields = (
    "first_name",
    "last_name",
    "gender",
    "city",
    "state",
    "country",
    "postal_code",
    "date_of_birth",
    "acquisition_source",
    "acquisition_campaign",
)
money_fields = ("total", "discount_total", "tax_total", "shipping_total")
order_fields = ("currency", "status", "discount_total", "tax_total", "shipping_total", "channel", "lines")
fields = required_fields + customer_fields + profile_fields + order_fields


class UnusableFile(OperatorError):  # noqa: N818 - named as the operator would say it
    """A file that is not one of orders, or cannot be read; nothing of it was written."""


class ImportRow(NamedTuple):
    """One order as it was read.

    Attributes:
        line: Where it begins in the file; the header is line 1.
        values: The texts of the row, in the order of `ImportRows.columns`; an empty text is no value. The column
            `lines` holds order lines as a JSON array of objects.
        problem: Why the row cannot be read, as a code of `problems`; None when it can.
        raw: The unreadable text, for the list of rejects.
    """

    line: int
    values: Sequence[str]
    problem: str | None = None
    raw: str = ""


class ImportProduct(NamedTuple):
    """A product of the catalogue that comes with the orders. An empty text leaves what is known as it is."""

    sku: str
    name: str = ""
    brand: str = ""
    category: str = ""
    department: str = ""


@dataclass(frozen=True)
class ImportRows:
    """Orders to import: the fields they have, and a stream that is read once.

    Attributes:
        columns: Names of fields, in the order of each row's values.
        rows: The orders, read as they are needed, so that a file of any size takes the same memory.
        products: Catalogue entries that come with them.
        lines_are_canonical: Whether the column `lines` has the text of `canonical_lines()` already, and it adds up.
    """

    columns: tuple[str, ...]
    rows: Iterable[ImportRow]
    products: Iterable[ImportProduct] = ()
    lines_are_canonical: bool = False


def require_fields(columns: Sequence[str], found: Sequence[str]) -> None:
    """Refuse a file that lacks what every order needs.

    Args:
        columns: The fields that the file has.
        found: The columns as the file names them, for the message.

    Raises:
        UnusableFile: names what is missing and what was found.
    """
    missing = [name for name in required_fields if name not in columns]
    if not missing and not set(customer_fields).intersection(columns):
        missing = [" or ".join(customer_fields)]
    if missing:
        raise UnusableFile(
            f"The file has no column {', '.join(missing)}; its columns are {', '.join(found) or 'none'}.",
            f"Say which column it is: --map {missing[0].split(' ')[0]}=COLUMN.",
        )
