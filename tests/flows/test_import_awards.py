"""Points for imported orders: the same as for orders that are posted, once for each order, whatever happens between."""

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg.errors import DeadlockDetected, UniqueViolation

from regulars.flows import import_orders as flow
from regulars.flows.importing.awards import OrderAwards
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.record_purchase import record_purchase
from regulars.kit.database import connect
from regulars.kit.errors import OperatorError
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.orders.schemas import OrderCreate
from tests.flows.shop import Shop, kill_when_rows_appear

header = "order_id,ordered_at,total,shipping_total,tax_total,email,status\n"
program = """
import asyncio, sys
from pathlib import Path
from regulars.flows import import_orders as flow
from regulars.flows.importing.open_rows import open_rows
from regulars.flows.importing.staged import ImportOptions
from regulars.kit.settings import Settings

flow.orders_per_batch = 100
settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
with open_rows(Path(sys.argv[2]), "csv", {}) as rows:
    asyncio.run(flow.import_orders(sys.argv[1], rows, source="web", settings=settings, clock=settings.clock,
                                   options=ImportOptions(award=True)))
"""


def orders(count: int, customers: int) -> list[str]:
    chance = random.Random(7)  # noqa: S311 - invented orders need no secrets
    return [
        f"{number},2026-0{number % 5 + 1}-{number % 28 + 1:02}T10:00:00Z,{chance.randrange(60_000) / 100},"
        f"{chance.choice(['0', '4.90'])},1.00,c{int(customers * chance.random() ** 2)}@example.com,paid"
        for number in range(count)
    ]


def file_of(lines: list[str]) -> str:
    return header + "\n".join(line for line in lines if float(line.split(",")[2]) >= 6) + "\n"


def ledger(shop: Shop) -> list[tuple[object, ...]]:
    """What every order earned, and what every customer has."""
    return shop.query("""
        SELECT c.email, o.external_id, t.points, t.rule, t.programme_version, t.qualifies, t.expires_at,
            a.balance, a.lifetime_points, a.tier, l.earned, l.remaining
        FROM loyalty_transactions t JOIN orders o ON o.customer_id = t.customer_id AND o.id = t.order_id
        JOIN customers c ON c.id = t.customer_id JOIN loyalty_accounts a ON a.customer_id = t.customer_id
        JOIN point_lots l ON l.customer_id = t.customer_id AND l.seq = t.seq
        ORDER BY o.external_id
    """)


async def violations(shop: Shop) -> int:
    async with connect(shop.url) as connection, connection.transaction():
        return (await AuditService(connection).audit_ledger()).violations


async def post(shop: Shop, line: str) -> None:
    """One order, as a till sends it."""
    number, ordered_at, total, shipping, tax, email, status = line.split(",")
    order = OrderCreate.model_validate(
        {
            "source": "web", "external_id": number, "ordered_at": ordered_at, "total": f"{Decimal(total):.2f}",
            "shipping_total": f"{Decimal(shipping):.2f}", "tax_total": tax, "email": email, "status": status,
        }
    )  # fmt: skip
    async with connect(shop.url) as connection, connection.transaction():
        await record_purchase(connection, order, by=operator, settings=shop.settings, clock=shop.clock)


async def test_imported_orders_earn_what_posted_orders_earn(
    shop: Shop, another_shop: Callable[[], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.flows.importing.awards.batch_accounts", 5)
    monkeypatch.setattr("regulars.flows.importing.awards.turns_at_once", 3)
    lines = orders(120, 12)
    result = await shop.load(file_of(lines), award=True)
    posted = another_shop()
    await posted.load(file_of(lines).replace(",paid", ",pending"), source="names")  # customers, and no points
    good = file_of(lines).splitlines()[1:]
    for line in good:
        await post(posted, line)
    found = ledger(shop)
    assert found == ledger(posted)
    assert (result.created, result.orders_awarded, result.points) == (len(good), len(found), sum(r[2] for r in found))
    assert max(row[7] for row in found) > 1000
    assert await violations(shop) == 0


async def test_an_order_earns_once_however_often_it_is_imported(shop: Shop) -> None:
    text = header + "1,2026-01-02,10.90,0,0,a@example.com,paid\n2,2026-01-02,20,5,0,a@example.com,fulfilled\n"
    assert (await shop.load(text)).orders_awarded == 0
    first = await shop.load(text, award=True)
    assert (first.unchanged, first.orders_awarded, first.points) == (2, 2, 25)
    again = await shop.load(text + "3,2026-01-02,7,0,0,b@example.com,paid\n", award=True)
    assert (again.orders_awarded, again.points) == (1, 7)
    assert shop.query("SELECT count(*), sum(points) FROM loyalty_transactions") == [(3, 32)]


async def test_what_a_posted_order_would_not_earn_an_imported_one_does_not(shop: Shop) -> None:
    await shop.load(header + "0,2026-01-02,10,0,0,gone@example.com,paid\n")
    shop.query("UPDATE customers SET is_active = false")
    text = header + (
        "1,2026-01-02,10,0,0,a@example.com,pending\n2,2026-01-02,10,0,0,a@example.com,cancelled\n"
        "3,2026-01-02,0.99,0,0,a@example.com,paid\n4,2026-01-02,10,0,0,gone@example.com,paid\n"
    )
    result = await shop.load(text, award=True)
    assert (result.created, result.orders_awarded) == (4, 0)
    assert shop.query("SELECT count(*) FROM loyalty_transactions") == [(0,)]


async def test_all_or_nothing_awards_nothing_when_a_line_is_bad(shop: Shop) -> None:
    good = header + "1,2026-01-02,10,0,0,a@example.com,paid\n"
    bad = await shop.load(good + "2,2026-01-02,-1,0,0,a@example.com,paid\n", award=True, atomic=True)
    assert (bad.is_written, bad.points) == (False, 0)
    assert (await shop.load(good, award=True, atomic=True)).points == 10


async def test_an_import_killed_while_it_awards_is_finished_by_running_it_again(shop: Shop, tmp_path: Path) -> None:
    text = file_of(orders(3_000, 300))
    (tmp_path / "orders.csv").write_text(text)
    kill_when_rows_appear(shop, "loyalty_transactions", program, tmp_path / "orders.csv")
    [(awarded,)] = shop.query("SELECT count(*) FROM loyalty_transactions")
    total = text.count("\n") - 1
    assert 0 < awarded < total
    result = await shop.load(text, award=True)
    assert result.created + result.unchanged == total
    assert (result.orders_awarded, shop.query("SELECT count(*) FROM loyalty_transactions")) == (
        total - awarded,
        [(total,)],
    )
    wrong = shop.query("""
        SELECT count(*) FROM orders o JOIN loyalty_transactions t ON t.customer_id = o.customer_id AND t.order_id = o.id
        WHERE t.points <> floor(o.total - o.shipping_total)
    """)
    assert wrong == [(0,)]
    assert await violations(shop) == 0


async def test_awards_that_meet_others_too_often_are_no_reason_to_forget_their_batch(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always_deadlocked(*_: object) -> None:
        raise DeadlockDetected

    text = header + "1,2026-01-02,10,0,0,a@example.com,paid\n"
    with monkeypatch.context() as patched:
        patched.setattr("regulars.flows.importing.awards.OrderAwards.award", always_deadlocked)
        with pytest.raises(OperatorError, match="Run the same import again"):
            await shop.load(text, award=True)
    result = await shop.load(text, award=True)
    assert (result.unchanged, result.orders_awarded) == (1, 1)


async def test_awards_that_were_rolled_back_are_not_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    award, awarded = OrderAwards.award, []

    async def disturbed_once(awards: OrderAwards, batch: Batch) -> None:
        await award(awards, batch)
        awarded.append(batch)
        if len(awarded) == 1:
            raise UniqueViolation

    monkeypatch.setattr(OrderAwards, "award", disturbed_once)
    text = header + "1,2026-01-02,10,0,0,a@example.com,paid\n"
    result = await shop.load(text, award=True, atomic=True)
    assert (result.orders_awarded, result.points, len(awarded)) == (1, 10, 2)


async def test_new_customers_and_orders_are_told_to_the_outbox_only_when_asked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "orders_per_batch", 1)
    text = header + "1,2026-01-02,10,0,0,a@example.com,paid\n2,2026-01-03,10,0,0,b@example.com,paid\n"
    await shop.load(text)
    assert shop.query("SELECT count(*) FROM events") == [(0,)]
    more = "3,2026-01-04,7.50,0,0,c@example.com,fulfilled\n4,2026-01-05,1,0,0,c@example.com,cancelled\n"
    await shop.load(text + more, events=True)
    ids = dict(shop.query("SELECT external_id, id::text FROM orders"))
    customer_id, amount = shop.customer_of("email", "c@example.com"), {"total": "7.5000", "currency": "EUR"}
    paid, cancelled = {"order_id": ids["3"], **amount}, {"order_id": ids["4"]}
    assert shop.query("SELECT kind, customer_id, facts FROM events ORDER BY position") == [
        ("customer.created", customer_id, {"by_registration": False}),
        ("order.recorded", customer_id, {**paid, "status": "fulfilled"}),
        ("order.paid", customer_id, paid),
        ("order.recorded", customer_id, {**cancelled, "total": "1.0000", "currency": "EUR", "status": "cancelled"}),
        ("order.cancelled", customer_id, cancelled),
    ]
