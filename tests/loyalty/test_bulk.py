from uuid import uuid4

import pytest

from regulars.customers.errors import CustomerErased
from regulars.kit.security import operator
from regulars.loyalty.bulk import AwardLine, AwardOutcome, BulkAwardService, bulk_earn
from regulars.loyalty.models import LoyaltyTransaction
from regulars.loyalty.schemas import LoyaltyPointsEarn
from tests.conftest import RolledBackDatabase
from tests.factories.statements import counted_statements
from tests.loyalty.shop import Shop, till


def told(outcomes: list[AwardOutcome]) -> list[str]:
    return [outcome.refusal.slug() if outcome.refusal else "earned" for outcome in outcomes]


async def test_each_line_gets_the_answer_that_it_would_get_alone(shop: Shop, database: RolledBackDatabase) -> None:
    first, second, order = await shop.member(), await shop.member(), uuid4()
    inactive, erased = await shop.member(is_active=False), await shop.member(erased=True)
    lines = [
        AwardLine(second, 5),
        AwardLine(first, 10, order_id=order),
        AwardLine(uuid4(), 1),
        AwardLine(inactive, 1),
        AwardLine(erased, 1),
        AwardLine(first, 10, order_id=order),
        AwardLine(second, 10, order_id=order),
        AwardLine(first, 7, expiry_days=None, description="a gift"),
    ]
    outcomes = await bulk_earn(database, shop.clock, lines, by=till)
    assert told(outcomes) == [
        "earned", "earned", "not-found", "customer-inactive", "not-found", "already-credited", "not-found", "earned",
    ]  # fmt: skip
    assert [outcome.line for outcome in outcomes] == list(range(8))
    assert outcomes[5].refusal is not None
    assert outcomes[5].refusal.facts == {"transaction_id": outcomes[1].transaction_id}
    assert await shop.spendable(first) == 17
    assert await shop.spendable(second) == 5


async def test_who_may_know_is_told_of_erased_people_as_alone(shop: Shop, database: RolledBackDatabase) -> None:
    had_points, had_none = await shop.member(points=10), await shop.member(erased=True)
    await shop.connection.execute("UPDATE customers SET erased_at = %s WHERE id = %s", [shop.clock.now(), had_points])
    lines = [AwardLine(customer, 1) for customer in (had_points, had_none, uuid4(), await shop.member())]
    assert told(await bulk_earn(database, shop.clock, lines, by=operator)) == [
        "customer-erased", "customer-erased", "not-found", "earned",
    ]  # fmt: skip
    for customer in (had_points, had_none):
        with pytest.raises(CustomerErased):
            await shop.loyalty.earn_loyalty_points(LoyaltyPointsEarn(customer_id=customer, points=1), by=operator)
    assert told(await bulk_earn(database, shop.clock, lines[:3], by=till)) == ["not-found"] * 3


async def test_two_customers_that_claim_one_order_in_one_batch_get_one_award(
    shop: Shop, database: RolledBackDatabase
) -> None:
    order = uuid4()
    lines = [AwardLine(await shop.member(), 5, order_id=order) for _ in range(2)]
    outcomes = await bulk_earn(database, shop.clock, lines, by=till)
    assert sorted(told(outcomes)) == ["earned", "not-found"]


async def test_lines_of_many_callers_take_as_many_statements_as_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [await shop.member(points=10) for _ in range(21)]
    bulk = BulkAwardService(shop.connection, shop.clock)
    for lines in (members[:1], members[1:]):
        awards = [(AwardLine(member, 5, order_id=uuid4()), till) for member in lines]
        with counted_statements(monkeypatch) as statements:
            rows = await bulk.earn_free(awards)
        assert len(statements) == 5, statements  # lock, programme, buyers, awards of the orders, posting
        assert [row and (row.customer_id, row.points, row.seq) for row in rows] == [(member, 5, 2) for member in lines]


async def test_a_handful_takes_one_text_of_the_posting_whatever_is_in_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another text would be another plan, and a handful is not worth one."""
    members = [await shop.member(points=10) for _ in range(8)]
    alike = [(AwardLine(member, 5), till) for member in members[:4]]
    various = [
        (AwardLine(member, number + 1, expiry_days=number or None, trace_id=f"{number}"), till)
        for number, member in enumerate(members)
    ]
    postings = []
    for awards in (alike, various):
        with counted_statements(monkeypatch) as statements:
            await BulkAwardService(shop.connection, shop.clock).earn_free(awards)
        postings += [statement for statement in statements if "INSERT INTO loyalty_transactions" in statement]
    assert len(postings) == 2
    assert postings[0] == postings[1]


async def test_what_cannot_be_awarded_at_once_is_left(shop: Shop) -> None:
    member, new, inactive, erased = (
        await shop.member(points=10), await shop.member(), await shop.member(is_active=False),
        await shop.member(erased=True),
    )  # fmt: skip
    awards = [(AwardLine(customer, 5), till) for customer in (new, inactive, member, erased, uuid4())]
    rows = await BulkAwardService(shop.connection, shop.clock).earn_free(awards)
    assert [row and row.customer_id for row in rows] == [None, None, member, None, None]
    assert await BulkAwardService(shop.connection, shop.clock).earn_free(awards[3:]) == [None, None]


async def test_a_bulk_award_writes_the_same_rows_as_single_ones(shop: Shop, database: RolledBackDatabase) -> None:
    one, many = await shop.member(), await shop.member()
    for days in (10, None):
        await shop.earn(one, 12_000, expiry_days=days, description="x")
    lines = [AwardLine(many, 12_000, expiry_days=days, description="x") for days in (10, None)]
    await bulk_earn(database, shop.clock, lines, by=till)

    def told(row: LoyaltyTransaction) -> dict[str, object]:
        return {name: value for name, value in vars(row).items() if name not in {"id", "customer_id"}}

    rows = [await shop.rows(customer) for customer in (one, many)]
    assert [told(row) for row in rows[0]] == [told(row) for row in rows[1]]
    balances = [vars(await shop.balance(customer)) | {"customer_id": None} for customer in (one, many)]
    assert balances[0] == balances[1]
    assert balances[0]["tier"] == "silver"
    changes = [await shop.tier_changes(customer) for customer in (one, many)]
    assert changes[0] == changes[1] == [("bronze", "silver", False, None)]


async def test_batches_hold_few_customers_and_none_in_halves(
    shop: Shop, database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.loyalty.bulk.batch_accounts", 2)
    members = [await shop.member() for _ in range(5)]
    lines = [AwardLine(member, 1) for _ in range(3) for member in members]
    outcomes = await bulk_earn(database, shop.clock, lines, by=till)
    assert told(outcomes) == ["earned"] * 15
    assert [await shop.spendable(member) for member in members] == [3] * 5
