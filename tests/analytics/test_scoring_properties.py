"""The statements of a run against the formulas, on random shops."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import class_row

from regulars.analytics.models import Period, PurchaseFacts, ScoringRequest
from regulars.analytics.repository_facts import purchase_facts
from regulars.analytics.repository_stage import ScoringStageRepository
from regulars.analytics.run_parameters import fixed_edges
from regulars.analytics.runs import ScoringService
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.formulas.clv import CLVRules, customer_lifetime_value
from regulars.formulas.rfm import RFMEdges, RFMSegment, rfm_edges
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings

today = date(2026, 6, 15)
rules = CLVRules()
in_one_transaction = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

Row = tuple[int | None, int | None, int | None, str, Decimal, str | None]


def expected_row(facts: PurchaseFacts, edges: RFMEdges) -> Row:
    """What the formulas make of these facts."""
    if facts.orders == 0:
        return None, None, None, RFMSegment.PROSPECT, Decimal(0), "no_orders"
    assert facts.recency_days is not None
    assert facts.age_days is not None
    scores = edges.score(facts.recency_days, facts.recent_orders, facts.recent_net)
    value = customer_lifetime_value(facts.net, facts.orders, facts.age_days, scores.segment, rules)
    cut = value.value.quantize(Decimal("0.0001"), ROUND_DOWN)
    return scores.recency, scores.frequency, scores.monetary, scores.segment, cut, value.reason


async def rows_of(connection: Connection, table: str) -> dict[UUID, Row]:
    cursor = await connection.execute(
        f"SELECT customer_id, recency_score, frequency_score, monetary_score, segment, clv, clv_reason FROM {table}"
    )
    return {row[0]: row[1:] for row in await cursor.fetchall()}


# Any facts at all: ties, negative and huge amounts, one customer, none.

amounts = st.sampled_from([Decimal(0), Decimal("-12.5"), Decimal(10), Decimal("10.0001")]) | st.decimals(
    -(10**6), 10**13, places=4
)


@st.composite
def any_facts(draw: st.DrawFn) -> list[PurchaseFacts]:
    facts = []
    for number in range(draw(st.integers(0, 25))):
        orders = draw(st.sampled_from([0, 1, 1, 2, 3, 300]))
        recency = draw(st.integers(0, 4) | st.integers(0, 3000))
        facts.append(
            PurchaseFacts(
                customer_id=UUID(int=number),
                orders=orders,
                net=draw(amounts) if orders else Decimal(0),
                age_days=recency + draw(st.integers(0, 500)) if orders else None,
                recency_days=recency if orders else None,
                recent_orders=draw(st.integers(0, orders)),
                recent_net=draw(amounts) if orders else Decimal(0),
            )
        )
    return facts


async def stage(connection: Connection, facts: Sequence[PurchaseFacts]) -> None:
    await connection.execute("""
        CREATE TEMPORARY TABLE scoring_facts (customer_id uuid, orders integer, net numeric, age_days integer,
            recency_days integer, recent_orders integer, recent_net numeric, purchase_days integer, last_net numeric)
    """)
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO scoring_facts VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [list(vars(row).values()) for row in facts],
        )


@in_one_transaction
@given(facts=any_facts())
async def test_statements_agree_with_the_formulas_on_any_facts(
    connection: Connection, facts: list[PurchaseFacts]
) -> None:
    ranked = [row for row in facts if row.orders]
    expected = rfm_edges((row.recency_days or 0, row.recent_orders, row.recent_net) for row in ranked)
    async with connection.transaction(force_rollback=True):
        await stage(connection, facts)
        steps = ScoringStageRepository(connection)
        edges = await steps.get_quintile_edges()
        await CustomerScoresRepository(connection).stage_scored_customers()
        await steps.fill_scores(edges, rules)
        found = await rows_of(connection, "scored_customers")
    assert edges == expected
    assert found == {row.customer_id: expected_row(row, expected) for row in facts}


# Shops: orders that are cancelled and refunded, before and after the day that is looked at.


@dataclass(frozen=True)
class Order:
    days_ago: int
    total: Decimal
    refunds: tuple[tuple[Decimal, int], ...]
    cancelled_days_ago: int | None


@st.composite
def orders(draw: st.DrawFn) -> Order:
    days_ago = draw(st.integers(-3, 30))
    total = draw(st.sampled_from([Decimal(0), Decimal(10), Decimal(10), Decimal("24.90")]))
    parts = draw(st.sampled_from([(), (1,), ("0.5",), ("0.5", "0.5"), ("0.3", "0.2")])) if total else ()
    refunds = tuple((total * Decimal(part), draw(st.integers(-3, days_ago))) for part in parts)
    return Order(days_ago, total, refunds, draw(st.none() | st.none() | st.integers(-3, days_ago)))


shops = st.lists(st.lists(orders(), min_size=1, max_size=4) | st.just([]), max_size=9)


async def open_shop(connection: Connection, shop: Sequence[Sequence[Order]]) -> None:
    for number, bought in enumerate(shop):
        customer_id = UUID(int=number)
        await connection.execute(
            "INSERT INTO customers (id, customer_number, created_at, updated_at) VALUES (%s, %s, now(), now())",
            [customer_id, f"CUST-20260101-{number + 1:04}"],
        )
        for position, order in enumerate(bought):
            await insert_order(connection, customer_id, UUID(int=number * 100 + position), order)


async def insert_order(connection: Connection, customer_id: UUID, order_id: UUID, order: Order) -> None:
    day = today - timedelta(days=order.days_ago)
    refunded = sum((amount for amount, _ in order.refunds), Decimal(0))
    cancelled = order.cancelled_days_ago is not None
    values: dict[str, Any] = {
        "customer_id": customer_id,
        "order_id": order_id,
        "name": str(order_id),
        "day": day,
        "total": order.total,
        "refunded": refunded,
        "status": "cancelled" if cancelled else "paid",
        "cancelled_on": today - timedelta(days=order.cancelled_days_ago) if cancelled else None,
    }
    await connection.execute(
        """
        INSERT INTO orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
            refunded_total, cancelled_on, content_hash, created_at, updated_at)
        VALUES (%(customer_id)s, %(order_id)s, 'till', %(name)s, %(status)s, 'EUR', %(day)s, %(day)s, %(total)s,
            %(refunded)s, %(cancelled_on)s, '', now(), now())
        """,
        values,
    )
    for number, (amount, days_ago) in enumerate(order.refunds):
        refund_day = today - timedelta(days=days_ago)
        await connection.execute(
            """
            INSERT INTO refunds (customer_id, order_id, refund_id, amount, refunded_at, refunded_on, created_at)
            VALUES (%(customer_id)s, %(order_id)s, %(name)s, %(amount)s, %(day)s, %(day)s, now())
            """,
            {**values, "name": str(number), "amount": amount, "day": refund_day},
        )


def expected_facts(customer_id: UUID, bought: Sequence[Order], period: Period) -> PurchaseFacts:
    """What counts on the day of the period, order by order."""
    known: list[tuple[date, Decimal]] = []
    for order in bought:
        day = today - timedelta(days=order.days_ago)
        cancelled = order.cancelled_days_ago
        if day > period.as_of or (cancelled is not None and today - timedelta(days=cancelled) <= period.as_of):
            continue
        refunded = sum(
            (amount for amount, days_ago in order.refunds if today - timedelta(days=days_ago) <= period.as_of),
            Decimal(0),
        )
        if order.total == 0 or refunded < order.total:
            known.append((day, order.total - refunded))
    recent = [net for day, net in known if period.history_after is None or day > period.history_after]
    return PurchaseFacts(
        customer_id=customer_id,
        orders=len(known),
        net=sum((net for _, net in known), Decimal(0)),
        age_days=(period.as_of - min(day for day, _ in known)).days if known else None,
        recency_days=(period.as_of - max(day for day, _ in known)).days if known else None,
        recent_orders=len(recent),
        recent_net=sum(recent, Decimal(0)),
    )


@in_one_transaction
@given(shop=shops, days_ago=st.integers(0, 20), history_days=st.none() | st.integers(1, 25))
async def test_a_run_agrees_with_the_formulas_on_any_shop_and_day(
    connection: Connection, clock: Clock, shop: list[list[Order]], days_ago: int, history_days: int | None
) -> None:
    settings = Settings(_env_file=None)
    period = Period(today - timedelta(days=days_ago), history_days)
    facts = [expected_facts(UUID(int=number), bought, period) for number, bought in enumerate(shop)]
    ranked = [row for row in facts if row.orders]
    edges = (
        rfm_edges((row.recency_days or 0, row.recent_orders, row.recent_net) for row in ranked)
        if len(ranked) >= 5
        else fixed_edges(settings)
    )
    async with connection.transaction(force_rollback=True):
        await open_shop(connection, shop)
        async with connection.cursor(row_factory=class_row(PurchaseFacts)) as cursor:
            await cursor.execute(purchase_facts(period))
            assert sorted(await cursor.fetchall(), key=lambda row: row.customer_id) == facts
        request = ScoringRequest("all", period.as_of, "test", history_days=history_days)
        run = await ScoringService(connection, settings, clock).score_customers(request)
        found = await rows_of(connection, "customer_scores")
    assert run.stored_edges is not None
    assert run.stored_edges.edges == edges
    assert found == {row.customer_id: expected_row(row, edges) for row in facts}
    assert run.counts["ranked"] == len(ranked)
    assert run.counts["prospects"] == len(facts) - len(ranked)
