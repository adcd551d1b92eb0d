from collections.abc import Sequence
from datetime import date
from uuid import UUID

from regulars.kit.security import operator
from regulars.loyalty.opening import OpeningLine, OpeningOutcome, OpeningService
from tests.conftest import RolledBackDatabase
from tests.loyalty.shop import Shop


async def numbered_member(shop: Shop, number: str, **state: bool) -> UUID:
    customer = await shop.member(**state)
    await shop.connection.execute(
        "INSERT INTO customer_identifiers (kind, value, customer_id, created_at) VALUES ('number', %s, %s, %s)",
        [number, customer, shop.clock.now()],
    )
    return customer


async def bring_in(database: RolledBackDatabase, shop: Shop, lines: Sequence[OpeningLine]) -> list[OpeningOutcome]:
    numbers = {line.customer_number for line in lines}
    balances = {number: [line for line in lines if line.customer_number == number] for number in sorted(numbers)}
    async with database.transaction() as connection:
        return await OpeningService(connection, shop.clock).import_balances(balances, by=operator)


async def test_opening_balances_become_one_adjustment_with_a_lot_for_each_deadline(
    shop: Shop, database: RolledBackDatabase
) -> None:
    customer = await numbered_member(shop, "A")
    lines = [
        OpeningLine("A", 30, None),
        OpeningLine("A", 10, date(2026, 7, 1)),
        OpeningLine("A", 5, date(2026, 7, 1)),
        OpeningLine("A", 99, date(2026, 6, 14)),  # its last day was yesterday
    ]
    (outcome,) = await bring_in(database, shop, lines)
    assert (outcome.status, outcome.points) == ("imported", 45)
    (row,) = await shop.rows(customer)
    assert (row.transaction_type, row.points, row.reason_code) == ("ADJUSTED_ADD", 45, "opening_balance")
    balance = await shop.balance(customer)
    assert [deadline.points for deadline in balance.deadlines] == [15, 30]
    assert balance.lifetime_points == 0


async def test_importing_again_changes_nothing(shop: Shop, database: RolledBackDatabase) -> None:
    customer = await numbered_member(shop, "A")
    for status in ("imported", "unchanged"):
        (outcome,) = await bring_in(database, shop, [OpeningLine("A", 5, None)])
        assert outcome.status == status
    assert await shop.spendable(customer) == 5


async def test_each_customer_of_the_file_has_an_outcome(shop: Shop, database: RolledBackDatabase) -> None:
    await numbered_member(shop, "A")
    await numbered_member(shop, "B", erased=True)
    await numbered_member(shop, "C")
    lines = [OpeningLine(number, 5, None) for number in "ABD"] + [OpeningLine("C", 5, date(2020, 1, 1))]
    outcomes = await bring_in(database, shop, lines)
    assert {outcome.customer_number: outcome.status for outcome in outcomes} == {
        "A": "imported", "B": "not_found", "C": "expired", "D": "not_found",
    }  # fmt: skip


async def test_an_opening_balance_settles_debt_first(shop: Shop, database: RolledBackDatabase) -> None:
    customer = await numbered_member(shop, "A")
    await shop.earn(customer, 20, order_id=customer)
    await shop.redeem(customer, 20)
    await shop.refund(customer, customer, "100")
    lines = [OpeningLine("A", 15, date(2026, 7, 1)), OpeningLine("A", 15, None)]
    await bring_in(database, shop, lines)
    balance = await shop.balance(customer)
    assert [(deadline.points, deadline.expires_at) for deadline in balance.deadlines] == [(10, None)]
