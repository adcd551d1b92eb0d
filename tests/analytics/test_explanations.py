"""What is told about one customer, and about all."""

from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import uuid4

import pytest

from regulars.analytics.clv import CLVService
from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas import CLVCalculationRequest, CLVInputs, RFMAnalysisRequest
from regulars.customers.errors import CustomerErased
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from tests.analytics.test_runs import asking, shop_of
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order

analyst = Principal(
    id=uuid4(), kind="user", role="analyst", scopes=frozenset({"analytics:read", "analytics:run"}), session_id=None
)


async def test_scores_come_with_facts_edges_and_run(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    shop = await shop_of(connection, clock)
    run = await rfm.score_customers(asking(clock, history_days=35))
    found = await rfm.get_customer_rfm(shop[3].id, operator)
    assert (found.recency_days, found.frequency, found.monetary) == (30, 4, "40.00")
    assert (found.run_id, found.as_of, found.history_days) == (run.id, clock.today(), 35)
    assert (found.calculated_at, found.is_stale) == (clock.now(), False)
    assert found.edges is not None
    assert found.edges.monetary == ["0.00", "0.00", "40.00", "50.00"]
    assert (found.recency_score, found.frequency_score, found.monetary_score) == (3, 3, 3)
    assert (found.segment, found.segment_label) == ("need_attention", "Need Attention")


async def test_scores_are_stale_once_purchases_would_change_them(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock))
    await make_order(connection, clock, shop[5].id, "10")
    assert not (await rfm.get_customer_rfm(shop[5].id, operator)).is_stale
    await make_order(connection, clock, shop[0].id, "10")
    assert (await rfm.get_customer_rfm(shop[0].id, operator)).is_stale


async def test_a_full_run_answers_for_scores_it_did_not_write(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await rfm.score_customers(asking(clock, kind="rfm"))
    second = await rfm.score_customers(asking(clock, kind="rfm"))
    assert (await rfm.get_customer_rfm(shop[0].id, operator)).run_id == second.id


async def test_before_the_first_run_there_are_facts_and_no_scores(
    connection: Connection, rfm: RFMService, clv: CLVService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "10", days_ago=3)
    scores = await rfm.get_customer_rfm(customer.id, operator)
    assert (scores.segment, scores.recency_score, scores.run_id, scores.is_stale) == (None, None, None, False)
    assert (scores.recency_days, scores.frequency) == (3, 1)
    value = await clv.get_customer_clv(customer.id, operator)
    assert (value.clv, value.method, value.run_id, value.is_stale) == (None, None, None, False)
    assert (value.historic_value, value.inputs.orders, value.inputs.lifespan_days) == ("10.00", 1, None)
    analysis = await clv.get_clv_analysis(operator)
    assert (analysis.run_id, analysis.customers, analysis.total) == (None, 0, "0.00")


async def test_who_never_bought_is_a_prospect_worth_nothing_yet(
    connection: Connection, rfm: RFMService, clv: CLVService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await rfm.score_customers(asking(clock, window_days=30))
    assert (await rfm.get_customer_rfm(customer.id, operator)).segment == "prospect"
    value = await clv.get_customer_clv(customer.id, operator)
    assert (value.clv, value.clv_in_window, value.reason, value.is_stale) == ("0.00", "0.00", "no_orders", False)
    await make_order(connection, clock, customer.id, "10")
    assert (await rfm.get_customer_rfm(customer.id, operator)).is_stale
    assert (await clv.get_customer_clv(customer.id, operator)).is_stale


async def test_the_shown_factors_give_the_shown_value(connection: Connection, clv: CLVService, clock: Clock) -> None:
    shop = await shop_of(connection, clock)
    run = await clv.score_customers(asking(clock, window_days=90))
    found = await clv.get_customer_clv(shop[5].id, operator)
    assert found.inputs == CLVInputs(
        orders=6,
        net="60.00",
        days_since_first_order=15,
        age_days=90,
        average_order_value="10.00",
        orders_per_day=6 / 90,
        segment="champion",
        lifespan_days=730,
        multiplier=2,
    )
    assert found.clv == str((Decimal(60) * 730 / 90).quantize(Decimal("0.01"), ROUND_HALF_UP)) == "486.67"
    assert (found.clv_in_window, found.window_days, found.historic_value) == ("56.45", 90, "60.00")
    assert (found.run_id, found.method, found.reason, found.is_stale) == (run.id, "seed", None, False)


async def test_refunds_can_leave_nothing_of_value(connection: Connection, clv: CLVService, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "0")
    await clv.score_customers(asking(clock))
    found = await clv.get_customer_clv(customer.id, operator)
    assert (found.clv, found.reason, found.inputs.orders) == ("0.00", "non_positive_net", 1)
    await make_order(connection, clock, customer.id, "50", refunds=[Refund("20")])
    assert (await clv.get_customer_clv(customer.id, operator)).historic_value == "30.00"


async def test_a_past_run_is_explained_by_its_own_rules(
    connection: Connection, clv: CLVService, clock: Clock, settings: Settings
) -> None:
    shop = await shop_of(connection, clock)
    await clv.score_customers(asking(clock))
    changed = settings.model_copy(update={"clv_lifespan_days": 10})
    found = await CLVService(connection, changed, clock).get_customer_clv(shop[5].id, operator)
    assert (found.inputs.lifespan_days, found.is_stale) == (730, False)


async def test_a_value_just_below_half_a_cent_is_not_rounded_up_twice(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    # 1.02 spent 208 days ago, over the 182.5 days of "hibernating": 0.894952, which rounds to 0.8950.
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "1.02", days_ago=208)
    await clv.score_customers(asking(clock))
    found = await clv.get_customer_clv(customer.id, operator)
    assert (found.inputs.segment, found.clv) == ("hibernating", "0.89")


async def test_only_visible_customers_are_explained(connection: Connection, rfm: RFMService, clock: Clock) -> None:
    with pytest.raises(NotFound):
        await rfm.get_customer_rfm(uuid4(), operator)
    customer = await make_customer(connection, clock)
    await set_columns(connection, customer, deleted_at=clock.now())
    assert (await rfm.get_customer_rfm(customer.id, operator)).recency_days is None
    with pytest.raises(NotFound):
        await rfm.get_customer_rfm(customer.id, analyst)
    await set_columns(connection, customer, erased_at=clock.now())
    with pytest.raises(CustomerErased):
        await rfm.get_customer_rfm(customer.id, operator)
    with pytest.raises(NotFound):
        await rfm.get_customer_rfm(customer.id, analyst)


async def test_segments_add_up_to_everyone_and_to_all_revenue(
    connection: Connection, rfm: RFMService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await make_customer(connection, clock)
    gone = await make_customer(connection, clock)
    answer = await rfm.calculate_rfm_scores(RFMAnalysisRequest(), by=operator)
    await set_columns(connection, gone, deleted_at=clock.now())
    segments = await rfm.get_rfm_segment_distribution()
    assert len(segments) == 12
    assert sum(row.customers for row in segments) == len(shop) + 1
    assert sum(row.share for row in segments) == pytest.approx(1)
    assert sum(Decimal(row.net_spent) for row in segments) == 210
    assert sum(row.revenue_share for row in segments) == pytest.approx(1)
    assert sum(row.customers for row in answer.distribution) == answer.scored == len(shop) + 2
    champion = segments[0]
    assert (champion.label, champion.average_net_spent, champion.average_orders) == ("Champion", "60.00", 6)


async def test_ranges_concentration_and_top_customers_add_up(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock, customers=12)
    await make_order(connection, clock, shop[4].id, "500")
    await make_customer(connection, clock)
    found = await clv.calculate_clv(CLVCalculationRequest(), by=operator, limit=3)
    assert (found.customers, found.prospects, found.scored) == (12, 1, 13)
    assert sum(part.customers for part in found.distribution) == 12
    assert sum(Decimal(part.total) for part in found.distribution) == pytest.approx(
        Decimal(found.total), abs=Decimal("0.05")
    )
    assert found.distribution[0].lower == "0.00"
    assert found.distribution[-1].upper is None
    assert [part.upper for part in found.distribution[:-1]] == [part.lower for part in found.distribution[1:]]
    shares = [best.share for best in found.concentration]
    assert shares == sorted(shares)
    assert [best.customers for best in found.concentration] == [1, 1, 2, 3, 6]
    values = [Decimal(customer.value) for customer in found.top_customers]
    assert [tenth.customers for tenth in found.deciles] == [2, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert sum(Decimal(str(tenth.share)) for tenth in found.deciles) == Decimal("1.000")
    assert found.deciles[-1].cumulative_share == 1
    best_half = [best for best in found.concentration if best.top_percent == 50]
    assert [best.customers for best in best_half] == [sum(tenth.customers for tenth in found.deciles[:5])]
    assert best_half[0].share == pytest.approx(found.deciles[4].cumulative_share, abs=0.005)
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert found.top_customers[0].customer_id == shop[4].id
    assert Decimal(found.concentration[0].total) == values[0]


async def test_a_window_holds_for_every_figure(connection: Connection, clv: CLVService, clock: Clock) -> None:
    shop = await shop_of(connection, clock)
    await clv.calculate_clv(CLVCalculationRequest(window_days=90), by=operator)
    found = await clv.get_clv_analysis(operator)
    each = [await clv.get_customer_clv(customer.id, operator) for customer in shop]
    in_window = [Decimal(value.clv_in_window or 0) for value in each]
    assert found.window_days == 90
    assert Decimal(found.total) == pytest.approx(sum(in_window), abs=Decimal("0.05"))
    assert Decimal(found.top_customers[0].value) == max(in_window)
    assert Decimal(found.top_customers[0].clv) > max(in_window)


async def test_names_of_top_customers_are_masked_for_whom_they_are_none_of_their_business(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    await shop_of(connection, clock)
    await clv.score_customers(asking(clock))
    [clear] = (await clv.get_clv_analysis(operator, limit=1)).top_customers
    [masked] = (await clv.get_clv_analysis(analyst, limit=1)).top_customers
    assert (clear.first_name, clear.masked) == ("John", False)
    assert (masked.first_name, masked.last_name, masked.email) == ("J.", "D.", "j***@***")
    assert masked.masked


async def test_a_run_by_a_caller_is_as_of_the_stores_today(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    before_midnight_in_utc = replace(clock, stopped_at=clock.start_of(clock.today()) + timedelta(minutes=5))
    await shop_of(connection, before_midnight_in_utc)
    service = RFMService(connection, settings, before_midnight_in_utc)
    answer = await service.calculate_rfm_scores(RFMAnalysisRequest(), by=analyst)
    assert answer.as_of == clock.today()
    run = await service.score_customers(asking(clock))
    assert run.started_by == "test"
