"""CLV Calculation over HTTP."""

import csv
from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.analytics.test_runs import shop_of
from tests.api.conftest import AsRole
from tests.factories.shops import make_many_customers

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


@pytest.mark.parametrize(
    "body",
    [
        {"method": "oracle"},
        {"window_days": 0},
        {"window_days": "30"},
        {"limit": 5},
        {"method": "seed", "margin": 0.5},
        {"discount": 0.1},
        {"method": "model", "margin": 0},
        {"method": "model", "margin": 1.1},
        {"method": "model", "discount": -0.1},
        {"method": "blend", "discount": "0.1"},
    ],
)
async def test_what_makes_no_sense_is_refused(as_role: AsRole, body: dict[str, object]) -> None:
    analyst = await as_role("analyst")
    assert (await analyst.post(f"{url}/analytics/clv/calculate", json=body)).status_code == 422


async def test_an_unknown_customer_is_not_found(as_role: AsRole) -> None:
    assert (await (await as_role("staff")).get(f"{url}/{uuid4()}/analytics/clv")).status_code == 404


async def test_values_by_a_model_are_calculated_explained_and_searched_for(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    customers = await make_many_customers(connection, clock)
    analyst = await as_role("analyst")
    body = {"method": "model", "window_days": 180, "margin": 0.5, "discount": 0.1}
    told = (await analyst.post(f"{url}/analytics/clv/calculate", json=body)).json()
    assert (told["method"], told["window_days"], told["fallback"], told["customers"]) == ("model", 180, None, 600)
    one = (await analyst.get(f"{url}/{customers[0]}/analytics/clv")).json()
    assert one["clv"] == one["clv_in_window"]
    assert 0 < one["p_buy"] < 1
    assert (one["model"]["margin"], one["model"]["discount"], one["is_stale"]) == (0.5, 0.1, False)
    staff = await as_role("staff")
    likely = (await staff.get(f"{url}/?p_buy_min={one['p_buy']}&limit=100")).json()
    unlikely = (await staff.get(f"{url}/?p_buy_max={one['p_buy']}&limit=100")).json()
    assert likely["total"] + unlikely["total"] == 601


async def test_thin_data_are_valued_by_the_formula_and_the_answer_says_why(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    await shop_of(connection, clock)
    analyst = await as_role("analyst")
    told = (await analyst.post(f"{url}/analytics/clv/calculate", json={"method": "blend"})).json()
    assert (told["method"], told["fallback"]) == ("seed", "few_customers")


async def test_a_back_test_compares_every_method_with_what_came(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    await make_many_customers(connection, clock, 900)
    answer = await (await as_role("analyst")).get(f"{url}/analytics/clv/backtest?holdout_days=120")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["calibrated_until"], told["window_days"]) == ("2026-02-15", 120)
    assert [row["method"] for row in told["methods"]] == ["model", "blend", "seed", "last", "mean"]
    assert len(told["deciles"]) == 30
    assert {row["decile"] for row in told["deciles"]} == set(range(1, 11))
    assert set(told["parameters"]) == {"r", "alpha", "a", "b", "p", "q", "gamma"}
    assert sum(row["customers"] for row in told["calibration"]) == told["customers"]


async def test_the_tenths_of_a_back_test_come_as_a_table_too(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    await make_many_customers(connection, clock, 900)
    query = f"{url}/analytics/clv/backtest?holdout_days=120"
    table = await (await as_role("analyst")).get(query, headers={"Accept": "text/csv"})
    assert (table.status_code, table.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    header, *rows = list(csv.reader(table.content.decode("utf-8-sig").splitlines()))
    assert header == ["method", "decile", "customers", "predicted", "actual"]
    told = (await (await as_role("analyst")).get(query)).json()
    assert rows == [[str(row[column]) for column in header] for row in told["deciles"]]


async def test_a_shop_without_history_cannot_be_tested(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    await shop_of(connection, clock)
    answer = await (await as_role("admin")).get(f"{url}/analytics/clv/backtest?holdout_days=10")
    told = answer.json()
    assert (answer.status_code, told["type"]) == (409, "/problems/insufficient-data")
    assert (told["needed"], told["have"], told["reason"]) == (500, 6, "few_customers")
    nobody = await (await as_role("admin")).get(f"{url}/analytics/clv/backtest?holdout_days=3650")
    assert (nobody.status_code, nobody.json()["have"]) == (409, 0)


@pytest.mark.parametrize("query", ["holdout_days=0", "holdout_days=3651", "holdout_days=x", "days=3"])
async def test_windows_of_a_back_test_have_limits(as_role: AsRole, query: str) -> None:
    assert (await (await as_role("analyst")).get(f"{url}/analytics/clv/backtest?{query}")).status_code == 422
