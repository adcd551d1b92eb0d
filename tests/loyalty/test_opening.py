from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from regulars.kit.errors import OperatorError
from regulars.kit.security import operator
from regulars.loyalty.opening import OpeningLine, import_opening_balances, read_opening_lines
from tests.conftest import RolledBackDatabase
from tests.loyalty.shop import Shop


async def numbered_member(shop: Shop, number: str, **state: bool) -> UUID:
    customer = await shop.member(**state)
    await shop.connection.execute(
        "INSERT INTO customer_identifiers (kind, value, customer_id, created_at) VALUES ('number', %s, %s, %s)",
        [number, customer, shop.clock.now()],
    )
    return customer


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
    (outcome,) = await import_opening_balances(database, shop.clock, lines, by=operator)
    assert (outcome.status, outcome.points) == ("imported", 45)
    (row,) = await shop.rows(customer)
    assert (row.transaction_type, row.points, row.reason_code) == ("ADJUSTED_ADD", 45, "opening_balance")
    balance = await shop.balance(customer)
    assert [deadline.points for deadline in balance.deadlines] == [15, 30]
    assert balance.lifetime_points == 0


async def test_importing_again_changes_nothing(shop: Shop, database: RolledBackDatabase) -> None:
    customer = await numbered_member(shop, "A")
    for status in ("imported", "unchanged"):
        (outcome,) = await import_opening_balances(database, shop.clock, [OpeningLine("A", 5, None)], by=operator)
        assert outcome.status == status
    assert await shop.spendable(customer) == 5


async def test_each_customer_of_the_file_has_an_outcome(
    shop: Shop, database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.loyalty.opening.batch_customers", 2)
    await numbered_member(shop, "A")
    await numbered_member(shop, "B", erased=True)
    await numbered_member(shop, "C")
    lines = [OpeningLine(number, 5, None) for number in "ABD"] + [OpeningLine("C", 5, date(2020, 1, 1))]
    outcomes = await import_opening_balances(database, shop.clock, lines, by=operator)
    assert {outcome.customer_number: outcome.status for outcome in outcomes} == {
        "A": "imported", "B": "not_found", "C": "expired", "D": "not_found",
    }  # fmt: skip


async def test_an_opening_balance_settles_debt_first(shop: Shop, database: RolledBackDatabase) -> None:
    customer = await numbered_member(shop, "A")
    await shop.earn(customer, 20, order_id=customer)
    await shop.redeem(customer, 20)
    await shop.refund(customer, customer, "100")
    lines = [OpeningLine("A", 15, date(2026, 7, 1)), OpeningLine("A", 15, None)]
    await import_opening_balances(database, shop.clock, lines, by=operator)
    balance = await shop.balance(customer)
    assert [(deadline.points, deadline.expires_at) for deadline in balance.deadlines] == [(10, None)]


def test_a_file_is_read_by_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("points,customer_number,expires_on\n5,CUST-1,2026-07-01\n7,CUST-2,\n")
    assert read_opening_lines(file) == [OpeningLine("CUST-1", 5, date(2026, 7, 1)), OpeningLine("CUST-2", 7, None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("customer,points\nA,5\n", "columns"),
        ("customer_number,points,expires_on\nA,x,\n", "line 2"),
        ("customer_number,points,expires_on\nA,5,\nA,5,soon\n", "line 3"),
        ("customer_number,points,expires_on\nA,0,\n", "line 2"),
        ("customer_number,points,expires_on\nA\n", "line 2"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "points.csv"
    file.write_text(content)
    with pytest.raises(OperatorError, match=message):
        read_opening_lines(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        read_opening_lines(tmp_path / "nothing.csv")
