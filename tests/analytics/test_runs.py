"""What a run writes, and what it leaves alone."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import LockNotAvailable

from regulars.analytics.models import ScoringRequest, ScoringRun
from regulars.analytics.rfm import RFMService
from regulars.analytics.runs import ScoringService
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.formulas.rfm import RFMEdges
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.errors import NotFound, OperatorError
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import make_order


async def shop_of(connection: Connection, clock: Clock, customers: int = 6) -> list[RetailCustomer]:
    """Customers of which each one came more recently, more often and spent more than the one before."""
    shop = []
    for number in range(customers):
        customer = await make_customer(connection, clock)
        for visit in range(number + 1):
            await make_order(connection, clock, customer.id, "10", days_ago=(customers - number) * 10 + visit)
        shop.append(customer)
    return shop


def asking(clock: Clock, **changes: Any) -> ScoringRequest:
    return replace(ScoringRequest("all", clock.today(), "test"), **changes)


async def stored(connection: Connection, *columns: str) -> dict[UUID, Any]:
    cursor = await connection.execute(f"SELECT customer_id, {', '.join(columns)} FROM customer_scores")
    return {row[0]: row[1] if len(columns) == 1 else row[1:] for row in await cursor.fetchall()}


async def history(connection: Connection, run: ScoringRun) -> dict[UUID, tuple[str | None, str]]:
    cursor = await connection.execute(
        "SELECT customer_id, segment_before, segment FROM segment_history WHERE run_id = %s", [run.id]
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


def later(service: ScoringService, settings: Settings, connection: Connection, clock: Clock, days: int) -> Any:
    assert clock.stopped_at is not None
    moved = replace(clock, stopped_at=clock.stopped_at + timedelta(days=days))
    return type(service)(connection, settings, moved), moved


async def test_a_run_keeps_what_explains_it(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    await shop_of(connection, clock)
    await make_customer(connection, clock)
    run = await rfm.score_customers(asking(clock, window_days=90))
    assert (run.coverage, run.as_of, run.method, run.window_days) == ("full", date(2026, 6, 15), "seed", 90)
    assert run.counts == {"ranked": 6, "prospects": 1, "scored": 7, "changed": 7, "moved": 7}
    assert run.stored_edges is not None
    assert run.stored_edges.basis == "quintiles"
    assert run.stored_edges.edges == RFMEdges((50, 40, 30, 20), (2, 3, 4, 5), tuple(map(Decimal, (20, 30, 40, 50))))
    assert run.parameters["multipliers"]["champion"] == "2.0"
    assert set(run.seconds) == {"facts", "edges", "scores", "write", "total"}
    assert run.finished_at == clock.now()


async def test_the_best_is_champion_the_worst_is_lost_and_who_never_bought_a_prospect(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    prospect = await make_customer(connection, clock)
    await rfm.score_customers(asking(clock))
    segments = await stored(connection, "segment", "recency_score", "clv", "clv_reason")
    assert segments[shop[-1].id][:2] == ("champion", 5)
    assert segments[shop[0].id][:2] == ("lost", 1)
    assert segments[prospect.id] == ("prospect", None, 0, "no_orders")


async def test_a_second_run_writes_nothing_where_nothing_changed(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock))
    second = await rfm.score_customers(asking(clock))
    assert (second.counts["scored"], second.counts["changed"], second.counts["moved"]) == (6, 0, 0)
    assert set((await stored(connection, "rfm_run_id")).values()) == {first.id}


async def test_only_who_moved_is_in_the_history_and_with_both_segments(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock))
    before = await stored(connection, "segment")
    assert await history(connection, first) == {customer.id: (None, before[customer.id]) for customer in shop}
    for _ in range(8):
        await make_order(connection, clock, shop[0].id, "10")
    second = await rfm.score_customers(asking(clock))
    after = await stored(connection, "segment")
    moved = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert moved[shop[0].id] == ("lost", "champion")
    assert await history(connection, second) == moved


async def test_named_customers_are_written_and_everyone_sets_the_edges(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    run = await rfm.score_customers(asking(clock, customer_ids=[shop[2].id, uuid4()]))
    assert (run.coverage, run.counts["ranked"], run.counts["scored"]) == ("selected", 6, 1)
    assert run.stored_edges is not None
    assert run.stored_edges.edges.frequency == (2, 3, 4, 5)
    assert set(await stored(connection, "segment")) == {shop[2].id}


@pytest.mark.parametrize("column", ["deleted_at", "erased_at"])
async def test_who_is_gone_is_not_written_and_sets_no_edges(
    connection: Connection, rfm: RFMService, clock: Clock, column: str
) -> None:
    shop = await shop_of(connection, clock)
    await set_columns(connection, shop[5], **{column: clock.now()})
    run = await rfm.score_customers(asking(clock))
    assert run.counts["ranked"] == 5
    assert run.stored_edges is not None
    assert (run.stored_edges.basis, run.stored_edges.edges.frequency) == ("quintiles", (1, 2, 3, 4))
    assert shop[5].id not in await stored(connection, "segment")


async def test_below_five_customers_with_orders_thresholds_are_fixed(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock, customers=4)
    run = await rfm.score_customers(asking(clock))
    assert run.stored_edges is not None
    assert run.stored_edges.basis == "fixed"
    assert run.stored_edges.edges.frequency == (1, 2, 3, 5)
    assert await stored(connection, "frequency_score") == {
        customer.id: number + 1 for number, customer in enumerate(shop)
    }


async def test_a_shop_may_want_fixed_thresholds(connection: Connection, clock: Clock) -> None:
    await shop_of(connection, clock)
    settings = Settings(_env_file=None, rfm_edges="fixed", rfm_fixed_thresholds=[9, 1, 2, 3])
    run = await ScoringService(connection, settings, clock).score_customers(asking(clock))
    assert run.stored_edges is not None
    assert (run.stored_edges.basis, run.stored_edges.edges.frequency) == ("fixed", (1, 2, 3, 9))


async def test_an_empty_shop_can_be_scored(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    run = await rfm.score_customers(asking(clock))
    assert run.counts == {"ranked": 0, "prospects": 0, "scored": 0, "changed": 0, "moved": 0}


async def test_edges_of_an_earlier_run_can_be_used_again(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock, history_days=35))
    await shop_of(connection, clock, customers=9)
    second = await rfm.score_customers(asking(clock, edges_run_id=first.id))
    assert (second.edges, second.edges_run_id, second.history_days) == (first.edges, first.id, 35)
    third = await rfm.score_customers(asking(clock, edges_run_id=second.id))
    assert third.edges_run_id == first.id
    with pytest.raises(NotFound):
        await rfm.score_customers(asking(clock, edges_run_id=uuid4()))


async def test_history_narrows_scores_but_neither_recency_nor_value(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock))
    values = await stored(connection, "recency_score", "monetary_score")
    await rfm.score_customers(asking(clock, history_days=12))
    narrowed = await stored(connection, "recency_score", "monetary_score")
    assert {row[0] for row in narrowed.values()} == {row[0] for row in values.values()}
    assert [narrowed[customer.id][1] for customer in shop] == [1, 1, 1, 1, 1, 5]


# Stale scores


async def test_without_an_earlier_run_everyone_is_scored(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    await shop_of(connection, clock)
    run = await rfm.score_customers(asking(clock, recalculate=False))
    assert (run.coverage, run.edges_run_id, run.counts["scored"]) == ("full", None, 6)


async def test_only_stale_scores_are_made_anew_with_the_latest_edges(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    shop = await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock))
    tomorrow, next_day = later(rfm, settings, connection, clock, 1)
    newcomer = await make_customer(connection, next_day)
    await make_order(connection, next_day, shop[0].id, "10")
    run = await tomorrow.score_customers(asking(next_day, recalculate=False))
    assert (run.coverage, run.edges, run.edges_run_id) == ("stale", first.edges, first.id)
    assert run.counts["scored"] == 2
    runs = await stored(connection, "rfm_run_id")
    assert {key for key, run_id in runs.items() if run_id == run.id} == {shop[0].id, newcomer.id}
    assert (await stored(connection, "recency_score"))[shop[0].id] == 5


async def test_a_stale_score_that_comes_out_the_same_is_fresh_again(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock, kind="rfm"))
    tomorrow, next_day = later(rfm, settings, connection, clock, 1)
    await make_order(connection, next_day, shop[5].id, "10")
    first = await tomorrow.score_customers(asking(next_day, kind="rfm", recalculate=False))
    assert (first.counts["scored"], first.counts["changed"]) == (1, 0)
    second = await tomorrow.score_customers(asking(next_day, kind="rfm", recalculate=False))
    assert second.counts["scored"] == 0


async def test_a_full_run_confirms_also_the_scores_it_does_not_write(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock, kind="rfm"))
    tomorrow, next_day = later(rfm, settings, connection, clock, 1)
    await make_order(connection, clock, shop[5].id, "10")
    await tomorrow.score_customers(asking(next_day, kind="rfm", as_of=clock.today()))
    customer = await RetailCustomerRepository(connection).get(shop[5].id)
    assert customer.rfm_last_calculated == next_day.now()
    again = await tomorrow.score_customers(asking(next_day, kind="rfm", recalculate=False))
    assert again.counts["scored"] == 0


async def test_after_too_long_everyone_is_stale(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock))
    for days, coverage, scored in ((7, "stale", 0), (8, "full", 6)):
        service, then = later(rfm, settings, connection, clock, days)
        run = await service.score_customers(asking(then, recalculate=False))
        assert (run.coverage, run.counts["scored"], run.edges_run_id) == (coverage, scored, first.id)


async def test_stale_scores_of_named_customers_only(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock))
    tomorrow, next_day = later(rfm, settings, connection, clock, 1)
    for customer in shop[:3]:
        await make_order(connection, next_day, customer.id, "10")
    named = [shop[0].id, shop[5].id]
    run = await tomorrow.score_customers(asking(next_day, recalculate=False, customer_ids=named))
    assert (run.coverage, run.counts["scored"]) == ("selected", 1)


async def test_another_history_needs_new_edges(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    await shop_of(connection, clock)
    await rfm.score_customers(asking(clock))
    run = await rfm.score_customers(asking(clock, recalculate=False, history_days=20))
    assert (run.coverage, run.history_days, run.edges_run_id) == ("full", 20, None)


# Lifetime values alone


async def test_the_first_run_of_values_makes_scores_too(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    await shop_of(connection, clock)
    run = await rfm.score_customers(asking(clock, kind="clv"))
    assert run.kind == "all"
    assert None not in (await stored(connection, "segment")).values()


async def test_a_run_of_values_keeps_segments_and_scores_who_has_none(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    first = await rfm.score_customers(asking(clock, kind="rfm"))
    assert set((await stored(connection, "clv")).values()) == {None}
    newcomer = await make_customer(connection, clock)
    await make_order(connection, clock, newcomer.id, "45")
    for _ in range(8):
        await make_order(connection, clock, shop[0].id, "10")
    run = await rfm.score_customers(asking(clock, kind="clv"))
    rows = await stored(connection, "segment", "clv", "rfm_run_id", "clv_run_id")
    # 90 spent in the floor of 90 days, over the lifespan of "lost", 365 x 0.3 days: the segment of the first run.
    assert rows[shop[0].id] == ("lost", Decimal("109.5"), first.id, run.id)
    # Recency 5, frequency 1, monetary 4.
    assert rows[newcomer.id] == ("new_customer", Decimal("219"), run.id, run.id)
    assert (run.kind, run.edges_run_id, run.counts["moved"]) == ("clv", first.id, 1)


async def test_values_are_stale_after_newer_scores_and_with_another_window(
    connection: Connection, rfm: RFMService, clock: Clock, settings: Settings
) -> None:
    await shop_of(connection, clock)
    await rfm.score_customers(asking(clock))
    stale = asking(clock, kind="clv", recalculate=False)
    assert (await rfm.score_customers(stale)).counts["scored"] == 0
    assert (await rfm.score_customers(replace(stale, window_days=30))).coverage == "full"
    tomorrow, next_day = later(rfm, settings, connection, clock, 1)
    await tomorrow.score_customers(asking(next_day, kind="rfm", history_days=12))
    moved = sum(at == next_day.now() for at in (await stored(connection, "rfm_scored_at")).values())
    run = await tomorrow.score_customers(asking(next_day, kind="clv", recalculate=False, window_days=30))
    assert (run.coverage, run.counts["scored"]) == ("stale", moved)
    assert moved > 0


async def test_multipliers_are_settings_and_must_make_sense(connection: Connection, clock: Clock) -> None:
    await shop_of(connection, clock)
    own = Settings(_env_file=None, clv_multipliers={"lost": 0.6}, clv_floor_days=60, clv_lifespan_days=100)
    await ScoringService(connection, own, clock).score_customers(asking(clock))
    assert Decimal(10) in (await stored(connection, "clv")).values()
    for wrong in ({"vip": 2.0}, {"lost": 0.0}, {"prospect": 1.0}):
        service = ScoringService(connection, Settings(_env_file=None, clv_multipliers=wrong), clock)
        with pytest.raises(OperatorError, match="REGULARS_CLV_MULTIPLIERS"):
            await service.score_customers(asking(clock))


async def test_runs_wait_for_each_other(own_database_url: str, settings: Settings, clock: Clock) -> None:
    async with connect(own_database_url) as one, connect(own_database_url) as other:
        nobody = asking(clock, customer_ids=[uuid4()])
        async with one.transaction():
            await ScoringService(one, settings, clock).score_customers(nobody)
            await other.execute("SET lock_timeout = '100ms'")
            with pytest.raises(LockNotAvailable):
                async with other.transaction():
                    await ScoringService(other, settings, clock).score_customers(nobody)
        async with other.transaction():
            await ScoringService(other, settings, clock).score_customers(nobody)
