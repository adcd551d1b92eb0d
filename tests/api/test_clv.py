"""CLV Calculation over HTTP."""

from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.analytics.test_runs import shop_of
from tests.api.conftest import AsRole

url = "/api/v1/retail-customers"


async def test_values_are_calculated_and_summed_up(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    await shop_of(connection, clock)
    analyst = await as_role("analyst")
    answer = await analyst.post(f"{url}/analytics/clv/calculate", json={"method": "seed", "window_days": 365})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["customers"], told["scored"], told["method"], told["window_days"]) == (6, 6, "seed", 365)
    read = await analyst.get(f"{url}/analytics/clv/analysis?limit=100")
    assert read.status_code == 200
    assert (read.json()["run_id"], read.json()["total"]) == (told["run_id"], told["total"])
    assert len(read.json()["top_customers"]) == 6


async def test_one_value_is_explained(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    shop = await shop_of(connection, clock)
    await (await as_role("admin")).post(f"{url}/analytics/clv/calculate", json={})
    told = (await (await as_role("staff")).get(f"{url}/{shop[5].id}/analytics/clv")).json()
    assert (told["clv"], told["clv_in_window"], told["historic_value"]) == ("486.67", None, "60.00")
    assert (told["inputs"]["age_days"], told["inputs"]["multiplier"], told["is_stale"]) == (90, 2.0, False)


async def test_names_are_clear_for_staff_and_masked_for_analysts(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    await shop_of(connection, clock, customers=1)
    analyst, staff = await as_role("analyst"), await as_role("staff")
    await analyst.post(f"{url}/analytics/clv/calculate", json={})
    [masked] = (await analyst.get(f"{url}/analytics/clv/analysis")).json()["top_customers"]
    [clear] = (await staff.get(f"{url}/analytics/clv/analysis")).json()["top_customers"]
    assert (masked["first_name"], masked["email"], masked["masked"]) == ("J.", "j***@***", True)
    assert (clear["first_name"], clear["masked"]) == ("John", False)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=ten", "limit=1&limit=2", "top=3"])
async def test_limits_are_kept(as_role: AsRole, query: str) -> None:
    assert (await (await as_role("staff")).get(f"{url}/analytics/clv/analysis?{query}")).status_code == 422


@pytest.mark.parametrize("body", [{"method": "oracle"}, {"window_days": 0}, {"window_days": "30"}, {"limit": 5}])
async def test_what_makes_no_sense_is_refused(as_role: AsRole, body: dict[str, object]) -> None:
    analyst = await as_role("analyst")
    assert (await analyst.post(f"{url}/analytics/clv/calculate", json=body)).status_code == 422


async def test_an_unknown_customer_is_not_found(as_role: AsRole) -> None:
    assert (await (await as_role("staff")).get(f"{url}/{uuid4()}/analytics/clv")).status_code == 404
