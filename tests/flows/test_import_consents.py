"""Consents from files: whose they are, what is refused, and what holds where nobody knows which came last."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.flows import import_consents as flow
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.import_consents import ConsentImportResult, import_consents
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import OperatorError
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.models_consents import ConsentAction, ConsentChannel, ConsentStatement
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns

settings = Settings(_env_file=None, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")


class Importer:
    """A shop into which files are brought."""

    def __init__(self, database: RolledBackDatabase, connection: Connection, clock: Clock) -> None:
        self.database, self.connection, self.clock = database, connection, clock

    async def take(self, header: str, *lines: str, source: str = "list") -> ConsentImportResult:
        text = [f"{line}\r\n" for line in (header, *lines)]
        return await import_consents(
            self.database, text, source=source, by=operator, settings=settings, clock=self.clock
        )

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
            importer.database, lines_until(4), source="list", by=operator, settings=settings,  # type: ignore[arg-type]
            clock=importer.clock,
        )  # fmt: skip
    assert len(await importer.consents(ann)) == 2
    again = await importer.take(*(line.strip() for line in interrupted()))
    assert counts(again) == (3, 2, 0, 0)


async def says_now(importer: Importer, customer: RetailCustomer, action: str, minutes: int) -> None:
    """A grant or withdrawal over the API, some minutes after noon."""
    clock = replace(importer.clock, stopped_at=importer.clock.now() + timedelta(minutes=minutes))
    said = ConsentStatement(
        customer_id=customer.id, channel=ConsentChannel.EMAIL, action=ConsentAction(action), when="now", source="web"
    )
    await ConsentJournal(importer.connection, clock).record([said], by=None)


@pytest.mark.parametrize("before", ["", granted, withdrawn])
@pytest.mark.parametrize("lines", [[withdrawn], [granted, withdrawn], [withdrawn, granted]])
async def test_the_same_file_without_times_changes_nothing_whatever_was_said_in_between(
    importer: Importer, ann: RetailCustomer, before: str, lines: list[str]
) -> None:
    if before:
        await says_now(importer, ann, before, -5)
    file = ["customer_id,channel,action", *(f"{ann.id},email,{action}" for action in lines)]
    await importer.take(*file)
    await says_now(importer, ann, granted, 5)
    said = await importer.consents(ann)
    for _ in range(2):
        importer.clock = replace(importer.clock, stopped_at=importer.clock.now() + timedelta(minutes=10))
        again = await importer.take(*file)
        assert (again.recorded, await importer.allows(ann), await importer.consents(ann)) == (0, True, said)


async def test_a_withdrawal_that_another_source_or_a_later_word_tells_is_new(
    importer: Importer, ann: RetailCustomer
) -> None:
    file = ["customer_id,channel,action", f"{ann.id},email,withdrawn"]
    await importer.take(*file)
    await says_now(importer, ann, granted, 5)
    later = Importer(importer.database, importer.connection, replace(
        importer.clock, stopped_at=importer.clock.now() + timedelta(minutes=10)))  # fmt: skip
    assert counts(await later.take(*file, source="other")) == (1, 0, 0, 0)
    assert not await later.allows(ann)
    dated = f"{ann.id},email,granted,{(importer.clock.now() + timedelta(minutes=15)).isoformat()}"
    later.clock = replace(importer.clock, stopped_at=importer.clock.now() + timedelta(minutes=20))
    await later.take("customer_id,channel,action,occurred_at", dated.replace("+00:00", "Z"))
    await says_now(importer, ann, granted, 25)
    later.clock = replace(importer.clock, stopped_at=importer.clock.now() + timedelta(minutes=30))
    assert counts(await later.take(*file)) == (1, 0, 0, 0)  # the list itself had said otherwise since
    assert not await later.allows(ann)


async def test_a_repeated_withdrawal_does_not_hide_why_and_when_it_was_made(
    importer: Importer, ann: RetailCustomer
) -> None:
    complaint = ConsentStatement(
        customer_id=ann.id, channel=ConsentChannel.EMAIL, action=ConsentAction.WITHDRAWN, when="now",
        source="spam-complaint",
    )  # fmt: skip
    clock = replace(importer.clock, stopped_at=importer.clock.now() - timedelta(days=9))
    await ConsentJournal(importer.connection, clock).record([complaint], by=None)
    await importer.take("customer_id,channel,action", f"{ann.id},email,withdrawn")
    assert await importer.consents(ann) == ["email withdrawn list", "email withdrawn spam-complaint"]
    dated = f"{ann.id},email,granted,{(importer.clock.now() - timedelta(days=8)).isoformat()}".replace("+00:00", "Z")
    await importer.take("customer_id,channel,action,occurred_at", dated)
    assert await importer.allows(ann)  # the person agreed the day after the complaint


async def erased(importer: Importer, **contacts: str) -> datetime:
    """Somebody with these contacts withdrew, and was erased at noon."""
    gone = await make_customer(importer.connection, importer.clock, **contacts)  # type: ignore[arg-type]
    await importer.take("customer_id,channel,action", f"{gone.id},email,withdrawn", f"{gone.id},sms,withdrawn")
    await Erasures(importer.database, settings, importer.clock).erase(gone.id, Request("request", operator))
    return importer.clock.now()


@pytest.mark.parametrize("named_by", ["customer_id", "customer_number", "email", "phone"])
@pytest.mark.parametrize(
    "contacts", [{"email": "ann@shop.example", "phone": None}, {"email": None, "phone": "+4930123456"}]
)
async def test_no_old_list_allows_what_ended_with_an_erasure(
    importer: Importer, named_by: str, contacts: dict[str, str | None]
) -> None:
    at = await erased(importer, **contacts)  # type: ignore[arg-type]
    known = contacts | ({"phone": "+4930999999"} if contacts["phone"] is None else {"email": "new@shop.example"})
    back = await make_customer(importer.connection, importer.clock, **known)  # type: ignore[arg-type]
    who = getattr(back, "id" if named_by == "customer_id" else named_by)
    header = f"{named_by},channel,action,occurred_at"
    for when in ("", "2020-01-01T00:00:00Z", at.isoformat().replace("+00:00", "Z")):
        assert counts(await importer.take(header, f"{who},email,granted,{when}", f"{who},sms,granted,{when}")) == (
            0, 0, 2, 0
        )  # fmt: skip
    assert not await importer.allows(back)
    importer.clock = replace(importer.clock, stopped_at=at + timedelta(days=2))
    after = (at + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert counts(await importer.take(header, f"{who},email,granted,{after}")) == (1, 0, 0, 0)
    assert await importer.allows(back)


async def test_what_is_said_today_holds_and_a_stranger_is_not_taken_for_the_erased(
    importer: Importer, ann: RetailCustomer
) -> None:
    await erased(importer, email="gone@shop.example")
    back = await make_customer(importer.connection, importer.clock, email="gone@shop.example")  # type: ignore[arg-type]
    await says_now(importer, back, granted, 1)
    assert await importer.allows(back)
    assert counts(await importer.take("customer_id,channel,action", f"{ann.id},email,granted")) == (1, 0, 0, 0)
    assert await importer.allows(ann)


async def test_without_the_secret_nobody_is_silently_not_recognised(
    importer: Importer, ann: RetailCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "settings", Settings(_env_file=None))
    file = ["customer_id,channel,action", f"{ann.id},email,granted"]
    assert counts(await importer.take(*file)) == (1, 0, 0, 0)  # nobody was ever erased
    monkeypatch.undo()
    await erased(importer, email="gone@shop.example")
    monkeypatch.setitem(globals(), "settings", Settings(_env_file=None))
    with pytest.raises(OperatorError, match="REGULARS_JWT_SECRET"):
        await importer.take(*file)


async def test_every_fault_of_a_line_is_named(importer: Importer, ann: RetailCustomer) -> None:
    result = await importer.take("customer_id,channel,action,text_hash", f"{ann.id},fax,,short")
    [error] = result.errors
    assert [part.partition(":")[0] for part in error.message.split("; ")] == ["channel", "action", "text_hash"]
