"""Consents from files: whose they are, what is refused, and what holds where nobody knows which came last."""

from collections.abc import Sequence
from uuid import uuid4

import pytest

from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.flows import import_consents as flow
from regulars.flows.import_consents import ConsentImportResult, import_consents
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import OperatorError
from regulars.kit.security import operator
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns


class Importer:
    """A shop into which files are brought."""

    def __init__(self, database: RolledBackDatabase, connection: Connection, clock: Clock) -> None:
        self.database, self.connection, self.clock = database, connection, clock

    async def take(self, header: str, *lines: str) -> ConsentImportResult:
        text = [f"{line}\r\n" for line in (header, *lines)]
        return await import_consents(self.database, text, source="list", by=operator, clock=self.clock)

    async def consents(self, customer: RetailCustomer) -> list[str]:
        cursor = await self.connection.execute(
            "SELECT concat_ws(' ', channel, action, source, policy_version) FROM consent_events"
            " WHERE customer_id = %s ORDER BY occurred_at, seq",
            [customer.id],
        )
        return [row[0] for row in await cursor.fetchall()]

    async def allows(self, customer: RetailCustomer) -> bool:
        cursor = await self.connection.execute(
            "SELECT email_marketing_consent FROM customers WHERE id = %s", [customer.id]
        )
        [(flag,)] = await cursor.fetchall()
        return bool(flag)


@pytest.fixture
def importer(database: RolledBackDatabase, connection: Connection, clock: Clock) -> Importer:
    return Importer(database, connection, clock)


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, phone=Phone("+4930123456"))


def counts(result: ConsentImportResult) -> tuple[int, int, int, int]:
    return result.recorded, result.unchanged, result.overruled, result.failed


async def test_a_customer_is_named_by_id_number_address_or_phone(importer: Importer, ann: RetailCustomer) -> None:
    result = await importer.take(
        "customer_id,customer_number,Email, phone ,channel,action,policy_version,source",
        f"{ann.id},,,,email,granted,v1,",
        f",{ann.customer_number},,,sms,granted,,till-4",
        f",,{ann.email.upper() if ann.email else ''},,push,granted,,",
        ",,,+49 30 123456,push,withdrawn,,",
        "",
    )
    assert (result.received, counts(result)) == (4, (4, 0, 0, 0))
    assert await importer.consents(ann) == [
        "email granted list v1", "sms granted till-4", "push granted list", "push withdrawn list"
    ]  # fmt: skip


async def test_a_line_that_cannot_be_taken_is_told_and_does_not_touch_the_others(
    importer: Importer, ann: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    gone = await make_customer(connection, clock)
    await set_columns(connection, gone, deleted_at=clock.now())
    result = await importer.take(
        "customer_id,email,channel,action,occurred_at,text_hash",
        f"{ann.id},,fax,granted,,",
        f"{ann.id},,email,,,",
        f"{ann.id},{ann.email},email,granted,,",
        ",,email,granted,,",
        f"{uuid4()},,email,granted,,",
        ",nobody@example.com,email,granted,,",
        f"{gone.id},,email,granted,,",
        f"{ann.id},,email,granted,2026-06-15,",
        f"{ann.id},,email,granted,2026-06-15T10:00:01Z,",
        f"{ann.id},,email,granted,,short",
        f"{ann.id},,email,granted,,,more",
        f"{ann.id},,email,gr\udcffanted,,",
        f"{ann.id},,sms,granted,,",
    )
    assert counts(result) == (1, 0, 0, 12)
    told = {error.line: error.message for error in result.errors}
    assert [told[line].partition(":")[0] for line in sorted(told)] == [
        "channel", "action", "must have exactly one of customer_id, customer_number, email, phone",
        "must have exactly one of customer_id, customer_number, email, phone",
        "customer_id", "email", "customer_id", "occurred_at", "occurred_at", "text_hash",
        "has more fields than the header", "contains characters that are not text in this encoding",
    ]  # fmt: skip
    assert sorted(told) == list(range(2, 14))
    assert not any("example.com" in message or "short" in message for message in told.values())
    assert await importer.consents(ann) == ["sms granted list"]


@pytest.mark.parametrize(
    "header", ["", "email,channel", "email,channel,action,name", "email,email,channel,action", "a@example.com,x,y"]
)
async def test_a_file_of_something_else_is_refused(importer: Importer, header: str) -> None:
    with pytest.raises(OperatorError, match="not one of consents"):
        await importer.take(header)


granted, withdrawn = "granted", "withdrawn"


@pytest.mark.parametrize(
    ("said", "allowed", "expected"),
    [
        ([(granted, "")], True, (1, 0, 0, 0)),
        ([(granted, ""), (withdrawn, "")], False, (2, 0, 0, 0)),
        ([(withdrawn, ""), (granted, "")], False, (1, 0, 1, 0)),
        ([(withdrawn, ""), (granted, "2026-06-15T09:00:00Z")], False, (2, 0, 0, 0)),
        ([(withdrawn, "2026-01-01T00:00:00Z"), (granted, "")], False, (1, 0, 1, 0)),
        ([(withdrawn, "2026-01-01T00:00:00Z"), (granted, "2026-01-01T00:00:00Z")], False, (1, 0, 1, 0)),
        ([(granted, "2026-01-01T00:00:00Z"), (withdrawn, "2026-01-01T00:00:00Z")], False, (2, 0, 0, 0)),
        ([(granted, "2026-02-01T00:00:00Z"), (withdrawn, "2026-01-01T00:00:00Z")], True, (2, 0, 0, 0)),
    ],
)
async def test_the_last_one_holds_and_the_stricter_one_where_nobody_knows(
    importer: Importer, ann: RetailCustomer, said: Sequence[tuple[str, str]], allowed: bool,
    expected: tuple[int, int, int, int],
) -> None:  # fmt: skip
    lines = [f"{ann.id},email,{action},{when}" for action, when in said]
    result = await importer.take("customer_id,channel,action,occurred_at", *lines)
    assert (await importer.allows(ann), counts(result)) == (allowed, expected)


async def test_importing_again_changes_nothing(importer: Importer, ann: RetailCustomer) -> None:
    header = "customer_id,channel,action,occurred_at"
    lines = [
        f"{ann.id},email,granted,2026-01-01T00:00:00Z", f"{ann.id},email,withdrawn,2026-01-02T00:00:00Z",
        f"{ann.id},sms,granted,", f"{ann.id},push,granted,", f"{ann.id},push,withdrawn,",
    ]  # fmt: skip
    assert counts(await importer.take(header, *lines)) == (5, 0, 0, 0)
    before = await importer.consents(ann)
    assert counts(await importer.take(header, *lines)) == (0, 4, 1, 0)
    assert await importer.consents(ann) == before


async def test_what_holds_after_the_import_is_told_to_the_outbox(importer: Importer, ann: RetailCustomer) -> None:
    header = "customer_id,channel,action,occurred_at"
    lines = [f"{ann.id},email,withdrawn,2026-01-02T00:00:00Z", f"{ann.id},email,granted,2026-01-01T00:00:00Z"]
    assert counts(await importer.take(header, *lines)) == (2, 0, 0, 0)
    await importer.take(header, *lines)
    cursor = await importer.connection.execute(
        "SELECT kind, customer_id, facts ->> 'action' FROM events WHERE kind LIKE 'consent.%'"
    )
    assert await cursor.fetchall() == [("consent.changed", ann.id, "withdrawn")]


async def test_a_batch_is_written_whole_and_those_before_stay(
    importer: Importer, ann: RetailCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "batch_lines", 2)

    def interrupted() -> list[str]:
        lines = ["customer_id,channel,action,occurred_at\n"]
        return lines + [f"{ann.id},email,granted,2026-01-0{day}T00:00:00Z\n" for day in range(1, 6)]

    class InterruptionError(Exception):
        """The power goes."""

    def lines_until(last: int) -> object:
        yield from interrupted()[:last]
        raise InterruptionError

    with pytest.raises(InterruptionError):
        await import_consents(
            importer.database, lines_until(4), source="list", by=operator, clock=importer.clock  # type: ignore[arg-type]
        )  # fmt: skip
    assert len(await importer.consents(ann)) == 2
    again = await import_consents(importer.database, interrupted(), source="list", by=operator, clock=importer.clock)
    assert counts(again) == (3, 2, 0, 0)
