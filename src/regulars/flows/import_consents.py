"""Consents come from another system, as a file: each line a grant or a withdrawal.

Lines are read in batches; each is one transaction. A batch that fails leaves the ones before it, and importing the file
again changes nothing that is there. What decides where times are missing or equal stands in
`regulars.privacy.consents_rules`.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Annotated
from uuid import UUID

from pydantic import Field, ValidationError

from regulars.customers.access import refusal_of_state
from regulars.customers.identifiers import names_nobody
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas import CustomerNumberText, EmailText, PhoneText
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import OperatorError
from regulars.kit.schemas import Id, Instant, Source
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.consents_rules import Outcome
from regulars.privacy.erased_people import ErasedPeople
from regulars.privacy.models_consents import ConsentStatement, When
from regulars.privacy.schemas_consents import ConsentChange

batch_lines = 1_000
most_errors = 1_000
_claims: Mapping[str, str] = {"customer_number": "number", "email": "email", "phone": "phone"}
_identifiers = ("customer_id", *_claims)
_unreadable = re.compile(r"[\x00\ud800-\udfff]")


class ConsentLine(ConsentChange):
    """A line of a file: whose consent, which, when, and where it was given."""

    customer_id: Id | None = None
    customer_number: CustomerNumberText | None = None
    email: EmailText | None = None
    phone: PhoneText | None = None
    occurred_at: Annotated[Instant | None, Field(description="Left empty where nobody knows any more.")] = None
    source: Source | None = None

    def identifier(self) -> tuple[str, str | UUID]:
        """By what the line names the customer: the column, and its value.

        Raises:
            ValueError: by nothing, or by more than one.
        """
        given = [(name, getattr(self, name)) for name in _identifiers if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(_identifiers)}")
        return given[0]


columns = tuple(ConsentLine.model_fields)


@dataclass(frozen=True)
class LineError:
    """Why a line was not taken; never what it said."""

    line: int
    message: str


@dataclass
class ConsentImportResult:
    """What became of the lines.

    Attributes:
        unchanged: Lines that say what is known.
        overruled: Grants of which nothing tells that they came after the withdrawal or the erasure that is known.
        errors: The first 1,000 lines that were not taken.
    """

    received: int = 0
    recorded: int = 0
    unchanged: int = 0
    overruled: int = 0
    failed: int = 0
    errors: list[LineError] = field(default_factory=list)

    def fail(self, line: int, message: str) -> None:
        """Count a line that was not taken."""
        self.failed += 1
        if len(self.errors) < most_errors:
            self.errors.append(LineError(line, message))


@dataclass(frozen=True)
class _Read:
    number: int
    line: ConsentLine
    identifier: tuple[str, str | UUID]


async def import_consents(
    database: Transactions, lines: Iterable[str], *, source: str, by: Principal, settings: Settings, clock: Clock
) -> ConsentImportResult:
    """Take in a CSV file of consents.

    Args:
        database: Where to.
        lines: The text of the file, with a header line.
        source: Where the consents were given, for lines that do not say.
        by: Who imports.
        settings: Of the installation; they hold the secret by which erased people are recognised.
        clock: The clock of the shop.

    Raises:
        OperatorError: the header has columns that mean nothing here, or lacks `channel` or `action`.
    """
    result = ConsentImportResult()
    rows = _rows(lines)
    while batch := list(islice(rows, batch_lines)):
        result.received += len(batch)
        read = [each for number, row in batch if (each := _read(number, row, result, clock.now()))]
        if read:
            async with database.transaction() as connection:
                outcomes = await _record(connection, read, result, source, by=by, settings=settings, clock=clock)
            result.recorded += outcomes.count(Outcome.RECORDED)
            result.unchanged += outcomes.count(Outcome.UNCHANGED)
            result.overruled += outcomes.count(Outcome.OVERRULED)
    return result


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The lines of the file with their numbers: the fields that are not empty, by column, or why there are none."""
    reader = csv.reader(lines)
    header = [name.strip().lower() for name in next(reader, [])]
    if not {"channel", "action"} <= set(header) <= set(columns) or len(set(header)) < len(header):
        raise OperatorError(
            "The header of the file is not one of consents.",
            f"Use columns of {', '.join(columns)}, each once; channel, action and one that names the customer"
            " are needed.",
        )
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, "is no line of a CSV file"
            continue
        if len(row) > len(header):
            yield number, "has more fields than the header"
        elif row:
            yield number, {name: text.strip() for name, text in zip(header, row, strict=False) if _says(name, text)}


def _says(name: str, text: str) -> bool:
    """Whether a field says anything: in a column of customers, a placeholder does not."""
    return not names_nobody(text) if name in _identifiers else bool(text.strip())


def _read(number: int, row: dict[str, str] | str, result: ConsentImportResult, now: datetime) -> _Read | None:
    """What a line says; None if it cannot be taken, which is counted."""
    try:
        line = _parsed(row, now)
        return _Read(number, line, line.identifier())
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        told = (f"{'.'.join(map(str, fault['loc']))}: {_reason(fault['type'], fault['msg'])}" for fault in faults)
        result.fail(number, "; ".join(told))
    except ValueError as error:
        result.fail(number, str(error))
    return None


def _parsed(row: dict[str, str] | str, now: datetime) -> ConsentLine:
    """The fields of a line, checked.

    Raises:
        ValueError: they cannot be taken; says why.
    """
    if isinstance(row, str):
        raise ValueError(row)  # noqa: TRY004 - the line is wrong, not the type
    if any(_unreadable.search(text) for text in row.values()):
        raise ValueError("contains characters that are not text in this encoding")
    line = ConsentLine.model_validate(row)
    if line.occurred_at is not None and line.occurred_at > now:
        raise ValueError("occurred_at: must not be in the future")
    return line


def _reason(kind: str, message: str) -> str:
    return "is required" if kind == "missing" else message


async def _record(
    connection: Connection,
    batch: Sequence[_Read],
    result: ConsentImportResult,
    source: str,
    *,
    by: Principal,
    settings: Settings,
    clock: Clock,
) -> list[Outcome]:
    """Write a batch, for customers who are there."""
    owners = await _owners(RetailCustomerRepository(connection), batch, by)
    statements: list[ConsentStatement] = []
    for each in batch:
        customer_id = owners.get(each.identifier)
        if customer_id is None:
            result.fail(each.number, f"{each.identifier[0]}: there is no such customer")
            continue
        when: When = each.line.occurred_at or "unknown"
        statements.append(each.line.statement(customer_id, when, source=each.line.source or source))
    erased = ErasedPeople(connection, settings)
    return await ConsentJournal(connection, clock).record(statements, by=by, erased=erased) if statements else []


async def _owners(
    customers: RetailCustomerRepository, batch: Sequence[_Read], by: Principal
) -> dict[tuple[str, str | UUID], UUID]:
    """Whom the lines name, by what they name them; only those who are there, locked."""
    named = {each.identifier for each in batch}
    owners: dict[tuple[str, str | UUID], UUID] = {
        (name, value): value for name, value in named if isinstance(value, UUID)
    }
    for name, kind in _claims.items():
        claims = await customers.find_claims(kind, sorted(str(value) for column, value in named if column == name))
        owners |= {(name, value): id_ for value, id_ in claims.items()}
    states = await customers.lock_states(sorted(set(owners.values())))
    present = {state.id for state in states if refusal_of_state(state, by) is None}
    return {identifier: id_ for identifier, id_ in owners.items() if id_ in present}
