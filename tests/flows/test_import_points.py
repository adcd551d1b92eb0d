"""Importing opening balances: whose they are, what is rejected, and that a repeat changes nothing."""

from datetime import date

import pytest

from regulars.flows import import_points as flow
from regulars.flows.importing.readers import read_csv
from regulars.flows.importing.result import ImportResult
from regulars.flows.importing.rows import points
from regulars.flows.importing.staged import ImportOptions
from regulars.kit.database import connect
from regulars.kit.errors import OperatorError
from regulars.loyalty.audit import AuditService
from tests.flows.shop import Shop

header = "order_id,ordered_at,total,customer_id,email\n"
people = header + "1,2026-01-02,1,A,a@example.com\n2,2026-01-02,1,B,\n3,2026-01-02,1,C,\n"


@pytest.fixture
async def members(shop: Shop) -> Shop:
    """A shop with the customers A, B and C."""
    await shop.load(people)
    return shop


async def load(shop: Shop, text: str, *, source: str | None = "web", atomic: bool = False) -> ImportResult:
    shop.rejects = []
    return await flow.import_points(
        shop.url,
        read_csv(iter(text.splitlines(keepends=True)), {}, points),
        source=source,
        settings=shop.settings,
        clock=shop.clock,
        options=ImportOptions(atomic=atomic),
        on_reject=shop.rejects.append,
    )


def balances(shop: Shop) -> dict[str, int]:
    return dict(
        shop.query(
            "SELECT value, balance FROM loyalty_accounts JOIN customer_identifiers USING (customer_id)"
            " WHERE kind = 'ext:web' ORDER BY value"
        )
    )


async def violations(shop: Shop) -> int:
    async with connect(shop.url) as connection, connection.transaction():
        return (await AuditService(connection).audit_ledger()).violations


async def test_points_are_brought_in_once_by_whatever_identifies_the_customer(
    members: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "batch_customers", 1)
    [(number,)] = members.query(
        "SELECT customer_number FROM customers WHERE id = %s", [members.customer_of("ext:web", "C")]
    )
    lines = f"10,,,A@Example.com,\n20,2027-01-31,B,,\n5,,A,,\n7,,,,{number}\n"
    text = "points,expires_on,customer_id,email,customer_number\n" + lines
    result = await load(members, text)
    assert (result.received, result.created, result.points, result.rejected) == (4, 4, 42, 0)
    assert balances(members) == {"A": 15, "B": 20, "C": 7}
    assert members.query(
        "SELECT earned, (expires_at AT TIME ZONE 'Europe/Berlin')::date FROM point_lots WHERE earned = 20"
    ) == [(20, date(2027, 2, 1))]
    again = await load(members, text)
    assert (again.created, again.unchanged, again.points) == (0, 4, 0)
    assert await violations(members) == 0


async def test_a_line_that_cannot_be_taken_is_told_and_holds_back_the_customers_other_lines(members: Shop) -> None:
    text = (
        "customer_id,points,expires_on,email\n"
        "A,10,,\nA,0,,\nB,5,2020-01-01,\nB,6,,\nNobody,1,,\nC,1,2027-13-01,\nC,2,,\nA,3,,c\n,1,,\nB,1,,a@example.com\n"
    )
    result = await load(members, text)
    assert members.codes == {
        2: "points-in-part",
        3: "points-format",
        4: "points-expired",
        5: "points-in-part",
        6: "customer-unknown",
        7: "expires-on-format",
        8: "points-in-part",
        9: "email-format",
        10: "customer-missing",
        11: "customer-conflict",
    }
    assert (result.created, result.points, balances(members)) == (0, 0, {})
    corrected = await load(members, "customer_id,points\nA,10\nB,6\n")
    assert (corrected.created, balances(members)) == (2, {"A": 10, "B": 6})


async def test_each_balance_is_told_to_the_outbox(members: Shop) -> None:
    told = "SELECT kind, customer_id, facts ->> 'points' FROM events"
    assert members.query(told) == []
    await load(members, "customer_id,points,expires_on\nA,10,\nA,5,2027-01-31\n")
    await load(members, "customer_id,points,expires_on\nA,10,\nA,5,2027-01-31\n")
    assert members.query(told) == [("points.adjusted", members.customer_of("ext:web", "A"), "15")]


async def test_all_or_nothing_brings_in_nothing(members: Shop) -> None:
    result = await load(members, "customer_id,points\nA,10\nNobody,6\n", atomic=True)
    assert (result.created, result.rejected, result.is_written, balances(members)) == (0, 1, False, {})
    assert (await load(members, "customer_id,points\nA,10\nB,6\n", atomic=True)).points == 16


async def test_ids_need_the_name_of_their_system(members: Shop) -> None:
    with pytest.raises(OperatorError, match="of which system"):
        await load(members, "customer_id,points\nA,10\n", source=None)
    assert (await load(members, "email,points\na@example.com,10\n", source=None)).points == 10


async def test_a_time_zone_that_the_server_does_not_know_is_told(members: Shop) -> None:
    members.settings = members.settings.model_copy(update={"store_timezone": "Mars/Olympus"})
    with pytest.raises(OperatorError, match="does not know the time zone Mars/Olympus"):
        await load(members, "customer_id,points\nA,10\n")
