"""Forecasts turned into values by SQL against the same for one customer, on any facts and parameters."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.analytics.modelled_values import modelled_value
from regulars.analytics.models import PurchaseFacts
from regulars.analytics.repository_forecasts import ForecastRepository
from regulars.analytics.repository_stage import ScoringStageRepository
from regulars.analytics.run_parameters import forecasts_of
from regulars.analytics.value_models import Terms, ValueModel
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.formulas.buytilldie import Fitted
from regulars.formulas.gammagamma import FittedValues
from regulars.formulas.rfm import RFMEdges
from regulars.kit.database import Connection
from tests.analytics.test_scoring_properties import any_facts, in_one_transaction, rules, stage

today = date(2026, 6, 15)
positive = st.floats(0.05, 20)
models = st.builds(
    ValueModel,
    st.builds(Fitted, positive, st.floats(0.5, 100), positive, positive),
    st.builds(FittedValues, positive, st.floats(1.1, 20), st.floats(0.5, 500)),
    st.builds(
        Terms, st.sampled_from([1, 90, 365, 3650]), st.floats(0.01, 1), st.sampled_from([0.0, 0.1]), st.just(0.5)
    ),
)


@st.composite
def bought_facts(draw: st.DrawFn) -> list[PurchaseFacts]:
    """Facts with days and the last period's net: on one day there was one purchase day, on several at least two."""
    return [
        replace(
            row,
            age_days=row.recency_days if row.orders == 1 else row.age_days,
            purchase_days=draw(purchase_days(row)),
            last_net=draw(st.sampled_from([Decimal(-5), Decimal(0), Decimal("70.5")])),
        )
        for row in draw(any_facts())
    ]


def purchase_days(row: PurchaseFacts) -> st.SearchStrategy[int]:
    apart = (row.age_days or 0) - (row.recency_days or 0) if row.orders > 1 else 0
    return st.just(min(row.orders, 1)) if apart == 0 else st.integers(2, min(row.orders, apart + 1))


async def values_of(
    connection: Connection, facts: Sequence[PurchaseFacts], model: ValueModel
) -> dict[UUID, tuple[object, ...]]:
    await stage(connection, facts)
    forecasts = ForecastRepository(connection)
    histories = await forecasts.get_histories()
    assert histories.customers.sum() == sum(row.orders > 0 for row in facts)
    await forecasts.stage_forecasts(histories, model.forecast(histories))
    await CustomerScoresRepository(connection).stage_scored_customers()
    edges = RFMEdges((365, 180, 90, 30), (1, 2, 3, 5), tuple(map(Decimal, (50, 100, 250, 500))))
    await ScoringStageRepository(connection).fill_scores(edges, rules, forecasts=forecasts_of(model, today))
    cursor = await connection.execute(
        "SELECT customer_id, clv, clv_reason, expected_orders, next_order_on, clv_low, clv_high FROM scored_customers"
    )
    return {row[0]: row[1:] for row in await cursor.fetchall()}


@in_one_transaction
@given(facts=bought_facts(), model=models)
async def test_values_of_sql_are_those_of_one_customer(
    connection: Connection, facts: list[PurchaseFacts], model: ValueModel
) -> None:
    async with connection.transaction(force_rollback=True):
        found = await values_of(connection, facts, model)
    assert len(found) == len(facts)
    for row in facts:
        value, reason, orders, next_on, low, high = found[row.customer_id]
        expected = modelled_value(model, row)
        if expected is None:
            assert (value, reason, orders, next_on, low, high) == (0, "no_orders", None, None, None, None)
            continue
        assert float(value) == pytest.approx(float(expected.value), rel=1e-9, abs=2e-4)  # type: ignore[arg-type]
        assert reason == (None if row.net > 0 else "non_positive_net")
        assert orders == pytest.approx(expected.expected_orders, rel=1e-9)
        assert 0 <= low <= high  # type: ignore[operator]
        assert next_on is None or next_on >= today


@in_one_transaction
@given(facts=bought_facts())
async def test_order_values_are_means_of_purchase_days_to_a_percent(
    connection: Connection, facts: list[PurchaseFacts]
) -> None:
    async with connection.transaction(force_rollback=True):
        await stage(connection, facts)
        found = await ForecastRepository(connection).get_order_values()
    worth = [(row.purchase_days or 0, float(row.net) / (row.purchase_days or 1)) for row in facts if row.net > 0]
    assert found.customers.sum() == len(worth)
    for days, mean in worth:
        near = np.abs(found.log_mean[found.days == days] - np.log(mean))
        assert near.min() < 1 / 128
