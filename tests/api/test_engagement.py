"""What senders report about mails, over HTTP."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.customers.identifiers import Email
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.api.probes import codes, slug
from tests.factories.customers import make_customer, set_columns

base, batch_url = "/api/v1/retail-customers", "/api/v1/engagement/events"


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, email=Email("ann@example.com"))


@pytest.fixture
async def sender(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("service")


def report(kind: str, message: str = "m1", at: str = "09:00:00", **more: object) -> dict[str, Any]:
    """A report with an id of its own unless one is given."""
    when = {"occurred_at": f"2026-06-15T{at}Z"}
    bounce = {"bounce": "hard"} if kind == "bounced" else {}
    return {"event_id": uuid4().hex, "message_id": message, "kind": kind, **when, **bounce, **more}


async def send(sender: httpx.AsyncClient, customer: RetailCustomer, *reports: dict[str, Any]) -> dict[str, Any]:
    """All reports, one by one; what the last of them answers."""
    answers = [await sender.post(f"{base}/{customer.id}/engagement", json=each) for each in reports]
    assert [answer.status_code for answer in answers] == [200] * len(reports), answers[-1].text
    return dict(answers[-1].json())


async def test_rates_follow_the_reports_and_the_customer_shows_them(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer
) -> None:
    mails = [report("delivered", f"m{number}") for number in range(3)]
    shown = await send(sender, ann, *mails, report("opened", "m1"), report("clicked", "m1", "09:30:00"))
    assert shown == {
        "customer_id": str(ann.id),
        "outcome": "recorded",
        "email_open_rate": 0.3333,
        "email_click_rate": 0.3333,
        "last_email_open_date": "2026-06-15",
        "last_email_click_date": "2026-06-15",
        "last_activity_at": "2026-06-15T09:30:00Z",
        "email_bounced_at": None,
        "email_marketing_consent": False,
    }
    profile = (await staff.get(f"{base}/{ann.id}")).json()
    for field in shown.keys() - {"customer_id", "outcome"}:
        assert profile[field] == shown[field]
    assert profile["version"] == ann.version


async def test_before_the_first_mail_there_are_no_rates(staff: httpx.AsyncClient, ann: RetailCustomer) -> None:
    profile = (await staff.get(f"{base}/{ann.id}")).json()
    assert [profile[name] for name in ("email_open_rate", "email_click_rate", "last_activity_at")] == [None] * 3


async def test_days_are_store_days(sender: httpx.AsyncClient, ann: RetailCustomer) -> None:
    late = report("opened") | {"occurred_at": "2026-06-14T22:30:00Z"}
    assert (await send(sender, ann, late))["last_email_open_date"] == "2026-06-15"


async def test_a_report_counts_once(sender: httpx.AsyncClient, ann: RetailCustomer) -> None:
    opened = report("opened")
    first = await send(sender, ann, report("delivered", "m2"), opened)
    again = await send(sender, ann, opened, opened | {"message_id": "m3", "kind": "clicked"})
    assert (first["outcome"], again["outcome"]) == ("recorded", "unchanged")
    assert {**again, "outcome": None} == {**first, "outcome": None}


async def test_a_mail_opened_twice_is_one_mail_opened(sender: httpx.AsyncClient, ann: RetailCustomer) -> None:
    shown = await send(sender, ann, *(report("opened", at=f"09:0{n}:00") for n in range(5)), report("delivered", "m2"))
    assert shown["email_open_rate"] == 0.5


async def test_the_same_id_of_another_customer_is_another_report(
    sender: httpx.AsyncClient, ann: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    opened = report("opened")
    await send(sender, ann, opened)
    assert (await send(sender, await make_customer(connection, clock), opened))["outcome"] == "recorded"


async def bounced_at(staff: httpx.AsyncClient, customer: RetailCustomer) -> str | None:
    shown: str | None = (await staff.get(f"{base}/{customer.id}")).json()["email_bounced_at"]
    return shown


async def told_of_bounces(connection: Connection) -> list[tuple[Any, ...]]:
    return await (await connection.execute("SELECT customer_id FROM events WHERE kind = 'contact.bounced'")).fetchall()


async def test_a_hard_bounce_stops_mail_until_something_gets_through(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer, connection: Connection
) -> None:
    await send(sender, ann, report("bounced", "m1", "08:00:00", bounce="soft"))
    assert await bounced_at(staff, ann) is None
    await send(sender, ann, report("bounced", "m2", "08:30:00"))
    assert await bounced_at(staff, ann) == "2026-06-15T08:30:00Z"
    await send(sender, ann, report("delivered", "m3", "08:00:00"))
    assert await bounced_at(staff, ann) == "2026-06-15T08:30:00Z"
    await send(sender, ann, report("delivered", "m4", "09:00:00"))
    assert await bounced_at(staff, ann) is None
    await send(sender, ann, report("bounced", "m5", "08:45:00"))
    assert await bounced_at(staff, ann) is None
    assert await told_of_bounces(connection) == [(ann.id,)]


async def test_a_bounce_goes_with_the_address(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer
) -> None:
    await send(sender, ann, report("bounced"))
    assert await bounced_at(staff, ann) is not None
    await staff.put(f"{base}/{ann.id}", json={"email": "new@example.com"})
    assert await bounced_at(staff, ann) is None
    await send(sender, ann, report("bounced", "m2", "09:30:00", email="ann@example.com"))
    assert await bounced_at(staff, ann) is None
    await send(sender, ann, report("bounced", "m3", "08:00:00", email="New@example.com"))
    assert await bounced_at(staff, ann) == "2026-06-15T08:00:00Z"


@pytest.mark.parametrize(("kind", "source"), [("unsubscribed", "mail-unsubscribe"), ("complained", "spam-complaint")])
async def test_who_wants_no_more_mail_has_withdrawn_the_consent(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer, kind: str, source: str
) -> None:
    consents = f"{base}/{ann.id}/consents"
    await staff.post(consents, json={"channel": "email", "action": "granted"})
    shown = await send(sender, ann, report(kind, at="09:00:00"))
    assert shown["email_marketing_consent"] is True, "granted after that"
    said_no = report(kind, "m2", "10:00:00")
    shown = await send(sender, ann, said_no, said_no)
    assert shown["email_marketing_consent"] is False
    history = (await staff.get(consents)).json()["history"]["items"]
    assert [(each["action"], each["source"]) for each in history] == [
        ("withdrawn", source), ("granted", "staff"), ("withdrawn", source)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"kind": "read"}, {"body/kind": "enum"}),
        ({"occurred_at": "2026-06-15T10:05:01Z"}, {"body/occurred_at": "range"}),
        ({"occurred_at": "2026-06-15"}, {"body/occurred_at": "format"}),
        ({"event_id": ""}, {"body/event_id": "length"}),
        ({"message_id": "x" * 201}, {"body/message_id": "length"}),
        ({"kind": "bounced"}, {"body/bounce": "missing"}),
        ({"bounce": "hard"}, {"body/bounce": "missing"}),
        ({"email": "nobody"}, {"body/email": "format"}),
    ],
)
async def test_what_is_no_report_is_refused(
    sender: httpx.AsyncClient, ann: RetailCustomer, wrong: dict[str, object], fault: dict[str, str]
) -> None:
    refused = await sender.post(f"{base}/{ann.id}/engagement", json=report("opened") | wrong)
    assert (refused.status_code, slug(refused), codes(refused)) == (422, "validation", fault)


async def test_a_clock_that_is_a_little_ahead_is_not_the_future(sender: httpx.AsyncClient, ann: RetailCustomer) -> None:
    assert (await send(sender, ann, report("opened", at="10:04:59")))["last_activity_at"] == "2026-06-15T10:00:00Z"


async def test_who_is_gone_gets_no_reports(
    sender: httpx.AsyncClient, as_role: AsRole, ann: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    admin = await as_role("admin")

    async def statuses(customer_id: UUID) -> list[int]:
        path = f"{base}/{customer_id}/engagement"
        return [(await caller.post(path, json=report("opened"))).status_code for caller in (sender, admin)]

    assert await statuses(uuid4()) == [404, 404]
    await set_columns(connection, ann, deleted_at=clock.now())
    assert await statuses(ann.id) == [404, 404]
    await set_columns(connection, ann, erased_at=clock.now())
    assert await statuses(ann.id) == [404, 410]


async def test_of_many_each_is_told_apart(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    bob, gone = [await make_customer(connection, clock) for _ in range(2)]
    await set_columns(connection, gone, deleted_at=clock.now())
    opened = report("opened", email="ann@example.com")
    events = [
        opened,
        report("delivered", "m2", customer_id=str(ann.id)),
        report("unsubscribed", customer_id=str(bob.id), email="old@example.com"),
        opened,
        report("opened", email="stranger@example.com"),
        report("opened", customer_id=str(gone.id)),
        report("opened", customer_id=str(bob.id)) | {"occurred_at": "2027-01-01T00:00:00Z"},
    ]
    answer = await sender.post(batch_url, json={"events": events})
    assert answer.status_code == 200
    result = answer.json()
    items = result.pop("items")
    assert result == {"received": 7, "recorded": 3, "unchanged": 1, "failed": 3}
    assert [each["event_id"] for each in items] == [each["event_id"] for each in events]
    assert [each["outcome"] for each in items] == ["recorded"] * 3 + ["unchanged"] + ["failed"] * 3
    assert [each["problem"]["type"] for each in items[4:]] == [
        "/problems/not-found", "/problems/not-found", "/problems/validation"
    ]  # fmt: skip
    assert (await staff.get(f"{base}/{ann.id}")).json()["email_open_rate"] == 0.5
    [withdrawn] = (await staff.get(f"{base}/{bob.id}/consents")).json()["history"]["items"]
    assert withdrawn["source"] == "mail-unsubscribe"


async def test_a_thousand_events_are_taken_at_once_and_no_more(
    sender: httpx.AsyncClient, staff: httpx.AsyncClient, ann: RetailCustomer
) -> None:
    many = [report("opened" if n % 2 else "delivered", f"m{n}", customer_id=str(ann.id)) for n in range(1_000)]
    assert (await sender.post(batch_url, json={"events": many})).json()["recorded"] == 1_000
    assert (await staff.get(f"{base}/{ann.id}")).json()["email_open_rate"] == 0.5
    for wrong in ([], [*many, many[0]], [report("opened")]):
        assert (await sender.post(batch_url, json={"events": wrong})).status_code == 422
