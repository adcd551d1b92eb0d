"""Movement, acquisition and retention over HTTP, as JSON and as CSV."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import httpx
import pytest

from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.analytics.test_runs import shop_of
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer
from tests.factories.orders import make_order

url = "/api/v1/retail-customers/analytics"
as_csv = {"Accept": "text/csv"}


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(StringIO(answer.text)))


async def score(as_role: AsRole) -> None:
    analyst = await as_role("analyst")
    assert (await analyst.post(f"{url}/rfm/calculate", json={"recalculate": True})).status_code == 200


async def test_movement_needs_two_runs(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    analyst = await as_role("analyst")
    refused = await analyst.get(f"{url}/rfm/movement")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/insufficient-data")
    assert (refused.json()["needed"], refused.json()["have"]) == (2, 0)
    await shop_of(connection, clock)
    await score(as_role)
    assert (await analyst.get(f"{url}/rfm/movement")).json()["have"] == 1
    await score(as_role)
    at_once = await analyst.get(f"{url}/rfm/movement")  # on a clock that stands still
    assert (at_once.status_code, at_once.json()["errors"][0]["pointer"]) == (422, "/from_run")


async def test_movement_is_between_the_last_two_runs(
    connection: Connection, settings: Settings, clock: Clock, as_role: AsRole
) -> None:
    shop = await shop_of(connection, clock)
    for days_ago in (2, 1, 0):
        then = replace(clock, stopped_at=clock.now() - timedelta(days=days_ago))
        await RFMService(connection, settings, then).score_customers(ScoringRequest("rfm", then.today(), "test"))
        if days_ago == 1:
            await make_order(connection, clock, shop[0].id, "500")
    analyst = await as_role("analyst")
    told = (await analyst.get(f"{url}/rfm/movement")).json()
    assert (told["from_at"], told["to_at"]) == ("2026-06-14T10:00:00Z", "2026-06-15T10:00:00Z")
    assert (told["stayed"] + told["moved"], told["added"]) == (6, 0)
    assert told["moved"] > 0
    rows = table(await analyst.get(f"{url}/rfm/movement", headers=as_csv))
    assert [(row["segment"], int(row["customers"])) for row in rows] == [
        (row["segment"], row["customers"]) for row in told["movements"]
    ]


async def test_a_list_of_those_who_moved_names_runs_that_are_there(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    shop = await shop_of(connection, clock)
    await score(as_role)
    admin, customers = await as_role("admin"), "/api/v1/retail-customers"
    [run] = {(await admin.get(f"{customers}/{shop[0].id}/analytics/rfm")).json()["run_id"]}
    moved = {"segment_from": "none", "from_run": run, "to_run": run}
    assert (await admin.get(f"{customers}/", params=moved)).json()["items"] == []
    stayed = {**moved, "segment_from": "lost", "rfm_segment": ["lost"]}
    for answer in (
        await admin.get(f"{customers}/", params=stayed),
        await admin.post(f"{customers}/search", json=stayed),
    ):
        assert str(shop[0].id) in {customer["id"] for customer in answer.json()["items"]}
    unknown = {**moved, "to_run": str(shop[0].id)}
    for answer, place in (
        (await admin.get(f"{customers}/", params=unknown), "query"),
        (await admin.post(f"{customers}/search", json=unknown), "body"),
        (await admin.post(f"{customers}/export", json=unknown), "body"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
        [error] = answer.json()["errors"]
        assert (error["in"], error["pointer"], error["code"]) == (place, "/to_run", "range")
    alone = await admin.get(f"{customers}/", params={"segment_from": "lost", "from_run": run})
    assert (alone.status_code, alone.json()["type"]) == (422, "/problems/validation")


async def test_acquisition_by_campaign(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    customer = await make_customer(connection, clock, acquisition_source="=web", acquisition_campaign="summer")
    await make_order(connection, clock, customer.id, "20")
    staff = await as_role("staff")
    answer = await staff.get(f"{url}/acquisition?by=campaign&from=2026-06-01&to=2026-06-30")
    assert answer.json() == [
        {
            "month": "2026-06",
            "source": "=web",
            "campaign": "summer",
            "is_rest": False,
            "customers": 1,
            "customers_with_orders": 1,
            "first_order_rate": 1.0,
            "orders": 1,
            "net_spent": "20.00",
            "average_net_spent": "20.00",
            "clv": "0.00",
            "average_clv": "0.00",
        }
    ]
    [row] = table(await staff.get(f"{url}/acquisition", headers=as_csv))
    assert (row["month"], row["source"], row["customers"], row["net_spent"]) == ("2026-06", "'=web", "1", "20.00")


async def test_retention_as_table(connection: Connection, clock: Clock, as_role: AsRole) -> None:
    customer = await make_customer(connection, clock)
    for days in (70, 40):
        await make_order(connection, clock, customer.id, "20", days_ago=days)
    staff = await as_role("staff")
    told = (await staff.get(f"{url}/retention")).json()
    assert [cell["retention"] for cell in told["cohorts"][0]["cells"]] == [1.0, 1.0, None]
    assert [(period["month"], period["new"], period["returning"]) for period in told["periods"]] == [
        ("2026-04", 1, 0),
        ("2026-05", 0, 1),
    ]
    rows = table(await staff.get(f"{url}/retention", headers=as_csv))
    assert [(row["cohort"], row["month"], row["net"]) for row in rows] == [
        ("2026-04", "0", "20.00"),
        ("2026-04", "1", "20.00"),
        ("2026-04", "2", ""),
    ]


async def test_an_empty_shop_has_empty_reports(as_role: AsRole) -> None:
    staff = await as_role("staff")
    assert (await staff.get(f"{url}/acquisition")).json() == []
    assert (await staff.get(f"{url}/retention")).json()["average"] == []
    empty = await staff.get(f"{url}/retention", headers=as_csv)
    assert table(empty) == []
    assert "cohort" in empty.text.split("\r\n")[0].split(","), "the header is there without rows too"


async def test_json_is_the_default_and_another_type_is_refused(as_role: AsRole) -> None:
    staff = await as_role("staff")
    for accept, status, kind in [
        ("*/*", 200, "application/json"),
        ("text/csv;q=0.5, application/json", 200, "application/json"),
        ("application/json;q=0.1, text/csv", 200, "text/csv; charset=utf-8"),
        ("image/png", 406, "application/problem+json"),
    ]:
        answer = await staff.get(f"{url}/acquisition", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (status, kind), accept


@pytest.mark.parametrize(
    "query",
    [
        "acquisition?from=2026-06-02&to=2026-05-01",
        "acquisition?by=city",
        "acquisition?from=2026-6-1",
        "acquisition?from=2020-01-01",
        "acquisition?limit=1",
        "retention?inactive_months=0",
        "retention?inactive_months=37",
        "retention?to=2026-02-30",
        "rfm/movement?from_run=1",
        "rfm/movement?from_run=0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77",
    ],
)
async def test_what_makes_no_sense_is_refused(as_role: AsRole, query: str) -> None:
    answer = await (await as_role("analyst")).get(f"{url}/{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_unknown_runs_are_not_found(as_role: AsRole) -> None:
    ids: Sequence[str] = ("0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a78")
    answer = await (await as_role("analyst")).get(f"{url}/rfm/movement?from_run={ids[0]}&to_run={ids[1]}")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["rfm/movement", "acquisition", "retention"])
@pytest.mark.parametrize("role", ["customer", "service"])
async def test_tills_and_customers_read_no_reports(as_role: AsRole, path: str, role: str) -> None:
    answer = await (await as_role(role)).get(f"{url}/{path}")  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/insufficient-scope")


async def test_segments_best_customers_and_the_programme_come_as_tables_too(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    shop = await shop_of(connection, clock)
    admin = await as_role("admin")
    await admin.post(f"{url}/clv/calculate", json={"recalculate": True})
    for customer, points in zip(shop[:2], (300, 100), strict=True):
        body = {"customer_id": str(customer.id), "points": points, "description": "Welcome"}
        assert (await admin.post("/api/v1/retail-customers/loyalty/earn", json=body)).status_code == 201
    segments = table(await admin.get(f"{url}/rfm/distribution", headers=as_csv))
    assert sum(int(row["customers"]) for row in segments) == 6
    best = table(await admin.get(f"{url}/clv/analysis?limit=2", headers=as_csv))
    assert [row["customer_id"] for row in best] == [str(shop[5].id), str(shop[4].id)]
    tenths = table(await admin.get(f"{url}/clv/analysis?table=deciles", headers=as_csv))
    assert [row["decile"] for row in tenths] == [str(number) for number in range(1, 11)]
    assert sum(int(row["customers"]) for row in tenths) == 6
    programme = table(await admin.get(f"{url}/loyalty/metrics", headers=as_csv))
    assert {"part": "total", "name": "issued", "customers": "", "points": "400", "liability": ""} in programme
    told = (await admin.get(f"{url}/loyalty/metrics")).json()
    assert (told["members"], told["active_members"], told["active_rate"], told["redemption_rate"]) == (2, 2, 1.0, 0.0)
