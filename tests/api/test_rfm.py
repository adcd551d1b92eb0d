"""RFM Analysis over HTTP."""

from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.analytics.test_runs import shop_of
from tests.api.conftest import AsRole
from tests.factories.customers import set_columns

url = "/api/v1/retail-customers"


async def test_the_example_of_the_seed_scores_everyone(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    await shop_of(connection, clock)
    analyst = await as_role("analyst")
    answer = await analyst.post(f"{url}/analytics/rfm/calculate", json={"customer_ids": None, "recalculate": False})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["as_of"], told["coverage"], told["scored"], told["changed"]) == ("2026-06-15", "full", 6, 6)
    assert told["edges"] == {
        "basis": "quintiles",
        "recency_days": [50, 40, 30, 20],
        "frequency": [2, 3, 4, 5],
        "monetary": ["20.00", "30.00", "40.00", "50.00"],
    }
    assert sum(segment["customers"] for segment in told["distribution"]) == 6
    again = await analyst.post(f"{url}/analytics/rfm/calculate", json={})
    assert (again.json()["coverage"], again.json()["edges_run_id"]) == ("stale", told["run_id"])


async def test_one_customer_is_explained(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    shop = await shop_of(connection, clock)
    await (await as_role("analyst")).post(f"{url}/analytics/rfm/calculate", json={"recalculate": True})
    answer = await (await as_role("staff")).get(f"{url}/{shop[5].id}/analytics/rfm")
    told = answer.json()
    assert (told["segment"], told["segment_label"], told["monetary"]) == ("champion", "Champion", "60.00")
    assert (told["recency_score"], told["frequency_score"], told["monetary_score"]) == (5, 5, 5)
    assert told["calculated_at"] == "2026-06-15T10:00:00Z"


async def test_the_distribution_lists_every_segment(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    await shop_of(connection, clock)
    staff = await as_role("staff")
    answer = await staff.get(f"{url}/analytics/rfm/distribution")
    assert [row["customers"] for row in answer.json()] == [0] * 12
    assert answer.json()[8]["label"] == "Can't Lose Them"


async def test_unknown_customers_and_runs_are_not_found(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    admin = await as_role("admin")
    assert (await admin.get(f"{url}/{uuid4()}/analytics/rfm")).status_code == 404
    body = {"recalculate": True, "edges_run_id": str(uuid4())}
    assert (await admin.post(f"{url}/analytics/rfm/calculate", json=body)).status_code == 404
    [customer] = await shop_of(connection, clock, customers=1)
    await set_columns(connection, customer, erased_at=clock.now())
    assert (await admin.get(f"{url}/{customer.id}/analytics/rfm")).status_code == 410
    assert (await (await as_role("analyst")).get(f"{url}/{customer.id}/analytics/rfm")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"history_days": 0},
        {"history_days": 36_501},
        {"recalculate": 1},
        {"customer_ids": []},
        {"customer_ids": ["x"]},
        {"edges_run_id": str(uuid4()), "history_days": 30},
        {"as_of": "2026-01-01"},
    ],
)
async def test_what_makes_no_sense_is_refused(as_role: AsRole, body: dict[str, object]) -> None:
    analyst = await as_role("analyst")
    assert (await analyst.post(f"{url}/analytics/rfm/calculate", json=body)).status_code == 422


@pytest.mark.parametrize("role", ["customer", "service", "staff"])
async def test_only_who_may_run_calculations_does(as_role: AsRole, role: str) -> None:
    caller = await as_role(role)
    assert (await caller.post(f"{url}/analytics/rfm/calculate", json={})).status_code == 403
