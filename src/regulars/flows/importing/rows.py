"""What an import takes in, whatever the file looks like: named columns of text and one row for each thing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from regulars.kit.errors import OperatorError

required_fields = ("order_id", "ordered_at", "total")
contact_fields = frozenset(["email", "phone"])
customer_fields = ("customer_id", "email", "phone", "customer_number")
reference_fields = frozenset([*customer_fields, "referrer"])
"""What refers to a customer: a placeholder in it refers to nobody."""
id_fields = ("customer_id", "referrer")
"""References that may be ids of the source, which spreadsheets and data frames turn into `17850.0`."""
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
money_fields = ("total", "discount_total", "tax_total", "shipping_total", "cash_rounding")
order_fields = ("currency", "status", *money_fields[1:], "channel", "lines")
address_fields = ("address_line1", "address_line2")
product_fields = ("name", "brand", "category", "department")
source_form = "[A-Za-z0-9][A-Za-z0-9._-]{0,49}"
"""The name of a system, as a regular expression."""


@dataclass(frozen=True)
class Subject:
    """What a file is about.

    Attributes:
        name: As people call many of them: `orders`.
        fields: Every field that a row may have.
        required: What every file must have.
        one_of: Of these, a file must have one at least.
        nested: Fields that hold a list or an object, with which of the two; in CSV as JSON text.
    """

    name: str
    fields: tuple[str, ...]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    nested: Mapping[str, type] = field(default_factory=dict)


orders = Subject(
    "orders",
    (*required_fields, *customer_fields, *profile_fields, *order_fields),
    required_fields,
    customer_fields,
    {"lines": list},
)
customers = Subject(
    "customers",
    (*customer_fields, *profile_fields, *address_fields, "created_at", "tags", "referrer", "external_ids"),
    one_of=customer_fields,
    nested={"tags": list, "external_ids": dict},
)
products = Subject("products", ("sku", *product_fields), ("sku",))
points = Subject("points", (*customer_fields, "points", "expires_on"), ("points",), customer_fields)


class UnusableFile(OperatorError):  # noqa: N818 - named as the operator would say it
    """A file that does not hold what it should, or cannot be read."""


class UndecodableRow(UnusableFile):
    """A line holds bytes that are no text in the encoding with which the file was opened."""

    def __init__(self, line: int, remedy: str) -> None:
        super().__init__(f"Line {line} holds bytes that are no text in this encoding.", remedy)
        self.line = line


class ImportRow(NamedTuple):
    """One row as it was read.

    Attributes:
        line: Where it begins in the file; the header of a CSV file is line 1. Of a Parquet file, the number of the row.
        values: The texts of the row, in the order of `ImportRows.columns`; an empty text is no value. Nested fields,
            such as `lines`, hold JSON.
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
    """Rows to import: the fields they have, and a stream that is read once.

    Attributes:
        columns: Names of fields, in the order of each row's values.
        rows: Read as they are needed, so that a file of any size takes the same memory.
        products: Catalogue entries that come with them.
        own_source: The system whose customer ids they have, of an export of ours; None of other files.
        lines_are_canonical: Whether the column `lines` has the text of `canonical_lines()` already, and it adds up.
    """

    columns: tuple[str, ...]
    rows: Iterable[ImportRow]
    products: Iterable[ImportProduct] = ()
    lines_are_canonical: bool = False
    own_source: str | None = None


def require_fields(columns: Sequence[str], found: Sequence[str], subject: Subject = orders) -> None:
    """Refuse a file that lacks what every row needs.

    Args:
        columns: The fields that the file has.
        found: The columns as the file names them, for the message.
        subject: What the file is about.

    Raises:
        UnusableFile: names what is missing and what was found.
    """
    missing = [name for name in subject.required if name not in columns]
    if not missing and subject.one_of and not set(subject.one_of).intersection(columns):
        missing = [" or ".join(subject.one_of)]
    if missing:
        raise UnusableFile(
            f"The file has no column {', '.join(missing)}; its columns are {', '.join(found) or 'none'}.",
            f"Say which column it is: --map {missing[0].split(' ')[0]}=COLUMN.",
        )
