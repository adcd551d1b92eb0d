"""The ledger explained, audited and summed up over HTTP, and the rules of the programme."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.api.test_loyalty import base, move
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer


async def test_points_about_to_expire_are_told_to_the_customer_and_to_campaigns(
    as_role: AsRole, admin: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    members = [(await make_customer(connection, clock)).id for _ in range(3)]
    for member in members:
        await move(admin, "earn", member, 10, expiry_days=5)
        await move(admin, "earn", member, 20, expiry_days=50)
    own = await as_role("customer", customer_id=members[0])
    told = (await own.get(f"{base}/{members[0]}/loyalty/expiring", params={"days": 5})).json()
    assert (told["points"], told["deadlines"]) == (10, [{"expires_at": "2026-06-20T22:00:00Z", "points": 10}])
    assert (await own.get(f"{base}/{members[0]}/loyalty/expiring", params={"days": 4})).json()["points"] == 0
    feed = f"{base}/loyalty/points-expiring"
    first = (await admin.get(feed, params={"days": 60, "limit": 2})).json()
    rest = (await admin.get(feed, params={"days": 60, "limit": 2, "cursor": first["next_cursor"]})).json()
    found = [item["customer_id"] for item in first["items"] + rest["items"]]
    assert (found, rest["next_cursor"]) == (sorted(map(str, members)), None)
    assert {item["points"] for item in first["items"]} == {30}
    other_list = await admin.get(feed, params={"days": 61, "cursor": first["next_cursor"]})
    assert (other_list.status_code, slug(other_list)) == (422, "invalid-cursor")


async def test_expired_points_are_written_off_once(
    admin: httpx.AsyncClient, customer_id: UUID, connection: Connection,
    settings: Settings, database: RolledBackDatabase, clock: Clock,
) -> None:  # fmt: skip
    await move(admin, "earn", customer_id, 10, expiry_days=1)
    later = replace(clock, stopped_at=clock.now() + timedelta(days=2))
    app = create_app(settings, database=database, clock=later)
    token, _ = await sign_in(connection, settings, later, role="admin")
    async with client_of(app, token) as owner:
        url = f"{base}/loyalty/expire-points"
        assert (await owner.post(url)).json() == {"customers": 1, "lots": 1, "points": 10}
        assert (await owner.post(url, json={})).json() == {"customers": 0, "lots": 0, "points": 0}


async def test_a_balance_is_explained_in_words(as_role: AsRole, admin: httpx.AsyncClient, customer_id: UUID) -> None:
    await move(admin, "earn", customer_id, 100)
    await move(admin, "redeem", customer_id, 30)
    own = await as_role("customer", customer_id=customer_id)
    told = (await own.get(f"{base}/{customer_id}/loyalty/explain")).json()
    assert told["summary"][0] == "70 points can be spent."
    assert (told["lots"][0]["earned"], told["lots"][0]["remaining"]) == (100, 70)
    assert told["transactions"][1]["sentence"] == "2026-06-15: 30 points redeemed: 30 from lot 1. Balance 70."
    assert told["transactions"][1]["parts"] == [{"lot": 1, "points": -30}]
    newest = (await own.get(f"{base}/{customer_id}/loyalty/explain", params={"limit": 1})).json()
    assert [row["transaction"]["seq"] for row in newest["transactions"]] == [2]
    other = await as_role("customer")
    assert (await other.get(f"{base}/{customer_id}/loyalty/explain")).status_code == 404


async def test_the_audit_counts_every_rule(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    await move(admin, "earn", customer_id, 100)
    for scope in ("touched", "all"):
        told = (await admin.get(f"{base}/loyalty/audit", params={"scope": scope})).json()
        assert (told["scope"], told["violations"], told["transactions"]) == (scope, 0, 1)
        assert {"chain", "lots", "hash_chain"} <= told["counts"].keys()


async def test_the_metrics_tie_to_the_point(as_role: AsRole, admin: httpx.AsyncClient, customer_id: UUID) -> None:
    await move(admin, "earn", customer_id, 10_000)
    await move(admin, "redeem", customer_id, 2_500)
    told = (await (await as_role("analyst")).get(f"{base}/analytics/loyalty/metrics")).json()
    assert (told["issued"], told["redeemed"], told["expired"]) == (10_000, 2_500, 0)
    assert told["opening"] + sum(told["moved"].values()) == told["closing"] == 7_500
    assert told["outstanding"] - told["owed"] == told["ledger"] == 7_500
    assert told["liability"] == "75.00"
    silver = {"tier": "silver", "label": "Silver", "customers": 1, "points": 7_500, "liability": "75.00"}
    assert told["tiers"][1] == silver
    assert told["expiring"] == [{"month": "2027-06", "points": 7_500, "liability": "75.00"}]


async def test_the_programme_changes_by_versions(as_role: AsRole, admin: httpx.AsyncClient) -> None:
    url = f"{base}/loyalty/programme"
    first = (await admin.get(url)).json()
    assert (first["version"], first["point_value"], first["expiry_days"]) == (1, "0.010000", 365)
    changed = await admin.put(url, json={"based_on": 1, "points_per_unit": "1.5", "expiry_days": None})
    assert (changed.status_code, changed.json()["version"], changed.json()["expiry_days"]) == (200, 2, None)
    late = await admin.put(url, json={"based_on": 1, "points_per_unit": "2"})
    assert (late.status_code, slug(late), late.json()["version"]) == (409, "programme-changed", 2)
    falling = await admin.put(url, json={"based_on": 2, "gold_from": 5})
    assert (falling.status_code, slug(falling)) == (422, "tiers-do-not-rise")
    number = await admin.put(url, json={"based_on": 2, "points_per_unit": 1.5})
    assert (number.status_code, number.json()["errors"][0]["pointer"]) == (422, "/points_per_unit")
    till = await as_role("service")
    assert [version["version"] for version in (await till.get(f"{url}/history")).json()] == [2, 1]
