"""Points and tiers over HTTP."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns

base = "/api/v1/retail-customers"


async def move(caller: httpx.AsyncClient, verb: str, customer_id: UUID, points: int, **more: Any) -> dict[str, Any]:
    answer = await caller.post(
        f"{base}/loyalty/{verb}", json={"customer_id": str(customer_id), "points": points} | more
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_the_awarding_example_of_the_seed_as_printed(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    order_id = str(uuid4())
    row = await move(admin, "earn", customer_id, 200, description="Purchase reward", order_id=order_id, expiry_days=365)
    assert row["id"]
    assert row["created_by"]
    assert row | {"id": None, "created_by": None} == {
        "id": None,
        "customer_id": str(customer_id),
        "seq": 1,
        "transaction_type": "EARNED",
        "points": 200,
        "balance_before": 0,
        "balance_after": 200,
        "description": "Purchase reward",
        "metadata": None,
        "reason_code": None,
        "order_id": order_id,
        "refund_id": None,
        "reverses_transaction_id": None,
        "expires_at": "2027-06-15T22:00:00Z",
        "created_by": None,
        "created_at": "2026-06-15T10:00:00Z",
    }
    balance = (await admin.get(f"{base}/{customer_id}/loyalty/balance")).json()
    assert (balance["balance"], balance["lifetime_points"], balance["tier"]) == (200, 200, "bronze")
    assert balance["next_deadline"] == {"expires_at": "2027-06-15T22:00:00Z", "points": 200}


async def test_an_award_for_another_customers_order_is_not_found(
    admin: httpx.AsyncClient, customer_id: UUID, connection: Connection, clock: Clock
) -> None:
    buyer = await make_customer(connection, clock)
    sent = {"source": "till", "external_id": "A1", "ordered_at": "2026-06-15T07:30:00Z", "total": "0.50"}
    order = (await admin.post("/api/v1/orders", json=sent | {"customer_id": str(buyer.id)})).json()
    earn = {"points": 5, "order_id": order["id"]}
    foreign = await admin.post(f"{base}/loyalty/earn", json=earn | {"customer_id": str(customer_id)})
    assert (foreign.status_code, slug(foreign)) == (404, "not-found")
    bulk = await admin.post(f"{base}/loyalty/earn/bulk", json={"awards": [earn | {"customer_id": str(customer_id)}]})
    assert bulk.json()["items"][0]["problem"]["type"] == "/problems/not-found"
    assert (await move(admin, "earn", buyer.id, 5, order_id=order["id"]))["order_id"] == order["id"]


async def test_an_order_earns_when_it_is_taken_in_and_not_again(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    sent = {
        "source": "till",
        "external_id": "A1",
        "ordered_at": "2026-06-15T07:30:00Z",
        "customer_id": str(customer_id),
    }
    amounts = {"total": "24.90", "tax_total": "3.98", "shipping_total": "4.95"}
    order = (await admin.post("/api/v1/orders", json=sent | amounts)).json()
    assert (await admin.post("/api/v1/orders", json=sent | amounts)).status_code == 200
    [row] = (await admin.get(f"{base}/{customer_id}/loyalty/transactions")).json()["items"]
    assert (row["points"], row["order_id"]) == (19, order["id"])
    earn = {"customer_id": str(customer_id), "points": 5, "order_id": order["id"]}
    again = await admin.post(f"{base}/loyalty/earn", json=earn)
    assert (again.status_code, slug(again), again.json()["transaction_id"]) == (409, "already-credited", row["id"])


@pytest.mark.parametrize("status", ["pending", "cancelled"])
async def test_an_order_that_is_not_paid_earns_nothing(
    admin: httpx.AsyncClient, customer_id: UUID, status: str
) -> None:
    sent = {"source": "till", "external_id": "A1", "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90"}
    answer = await admin.post("/api/v1/orders", json=sent | {"customer_id": str(customer_id), "status": status})
    assert answer.status_code == 201
    assert (await admin.get(f"{base}/{customer_id}/loyalty/balance")).json()["balance"] == 0


async def test_the_order_of_a_deactivated_customer_is_stored_and_earns_nothing(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await set_columns(connection, customer, is_active=False)
    sent = {"source": "till", "external_id": "A1", "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90"}
    answer = await admin.post("/api/v1/orders", json=sent | {"customer_id": str(customer.id)})
    assert answer.status_code == 201
    assert (await admin.get(f"{base}/{customer.id}/loyalty/balance")).json()["balance"] == 0


async def test_customers_redeem_their_own_points_unless_the_shop_says_no(
    as_role: AsRole, admin: httpx.AsyncClient, customer_id: UUID,
    settings: Settings, database: RolledBackDatabase, clock: Clock,
) -> None:  # fmt: skip
    await move(admin, "earn", customer_id, 100)
    own = await as_role("customer", customer_id=customer_id)
    assert (await move(own, "redeem", customer_id, 40))["balance_after"] == 60
    closed = create_app(settings.model_copy(update={"customer_self_redeem": False}), database=database, clock=clock)
    token = own.headers["Authorization"].removeprefix("Bearer ")
    async with client_of(closed, token) as caller:
        refused = await caller.post(f"{base}/loyalty/redeem", json={"customer_id": str(customer_id), "points": 1})
        assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")
        assert (await caller.get(f"{base}/{customer_id}/loyalty/balance")).json()["balance"] == 60


async def test_a_ledger_is_read_part_by_part_without_gaps(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    for points in range(1, 8):
        await move(admin, "earn", customer_id, points)
    url, query = f"{base}/{customer_id}/loyalty/transactions", {"limit": 3, "transaction_type": "EARNED"}
    seen, cursor = [], {}
    while True:
        part = (await admin.get(url, params=query | cursor)).json()
        seen += [row["seq"] for row in part["items"]]
        if part["next_cursor"] is None:
            break
        cursor = {"cursor": part["next_cursor"]}
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert (await admin.get(url, params={"from": "2026-06-16"})).json() == {"items": [], "next_cursor": None}
    assert len((await admin.get(url, params={"from": "2026-06-15", "to": "2026-06-15"})).json()["items"]) == 7
    backwards = await admin.get(url, params={"from": "2026-06-15", "to": "2026-06-14"})
    assert (backwards.status_code, backwards.json()["errors"][0]["pointer"]) == (422, "/to")


async def test_free_text_is_for_staff_the_writer_and_the_customer(
    as_role: AsRole, admin: httpx.AsyncClient, customer_id: UUID
) -> None:
    till = await as_role("service")
    await move(admin, "earn", customer_id, 5, description="by the owner", metadata={"a": 1})
    await move(till, "earn", customer_id, 5, description="by the till")
    expected = {
        "staff": ["by the till", "by the owner"],
        "analyst": [None, None],
        "customer": ["by the till", "by the owner"],
    }
    callers = {role: await as_role(role) for role in ("staff", "analyst")}  # type: ignore[arg-type]
    callers["customer"] = await as_role("customer", customer_id=customer_id)
    for role, texts in expected.items():
        rows = (await callers[role].get(f"{base}/{customer_id}/loyalty/transactions")).json()["items"]
        assert [row["description"] for row in rows] == texts, role
        told = (await callers[role].get(f"{base}/{customer_id}/loyalty/explain")).json()["transactions"]
        assert [row["transaction"]["description"] for row in told] == texts[::-1], role
        assert (rows[1]["metadata"] is None) == (role == "analyst")
    own = (await till.get(f"{base}/{customer_id}/loyalty/transactions")).json()["items"]
    assert [row["description"] for row in own] == ["by the till", None]
    assert [row["created_by"] is None for row in own] == [False, True]


async def test_a_redemption_is_given_back_once(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    await move(admin, "earn", customer_id, 100)
    redemption = await move(admin, "redeem", customer_id, 60)
    url = f"{base}/loyalty/redemptions/{redemption['id']}/restore"
    restored = await admin.post(url, json={"points": 20})
    assert (restored.status_code, restored.json()["balance_after"]) == (201, 60)
    assert (await admin.post(url, json={})).json()["points"] == 40
    again = await admin.post(url, json={})
    assert (again.status_code, slug(again), again.json()["restorable"]) == (409, "not-restorable", 0)
    assert (await admin.post(f"{base}/loyalty/redemptions/{uuid4()}/restore", json={})).status_code == 404


async def test_a_tier_is_set_by_hand_and_reviewed(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    sent = {"customer_id": str(customer_id), "tier": "gold", "reason": "a guest", "until": "2026-06-30"}
    balance = (await admin.put(f"{base}/loyalty/tier", json=sent)).json()
    assert (balance["tier"], balance["tier_is_manual"], balance["tier_until"]) == ("gold", True, "2026-06-30T22:00:00Z")
    reviewed = await admin.post(f"{base}/{customer_id}/loyalty/auto-tier")
    assert (reviewed.status_code, reviewed.json()["tier"]) == (200, "gold")
    past = await admin.put(f"{base}/loyalty/tier", json=sent | {"until": "2026-06-14"})
    assert (past.status_code, past.json()["errors"][0]["pointer"]) == (422, "/until")


async def test_a_customers_record_shows_points_and_tier(
    as_role: AsRole, admin: httpx.AsyncClient, customer_id: UUID
) -> None:
    url = f"{base}/{customer_id}"
    before = (await admin.get(url)).json()
    assert (before["loyalty_points"], before["loyalty_tier"], before["tier_start_date"]) == (0, "bronze", None)
    await move(admin, "earn", customer_id, 12_000)
    await move(admin, "redeem", customer_id, 2_000)
    own = await as_role("customer", customer_id=customer_id)
    shown = (await own.get(url)).json()
    assert (shown["loyalty_points"], shown["loyalty_points_lifetime"]) == (10_000, 12_000)
    assert (shown["loyalty_tier"], shown["loyalty_tier_label"]) == ("silver", "Silver")
    assert (shown["tier_start_date"], shown["tier_expiry_date"]) == ("2026-06-15", None)
    sent = {"customer_id": str(customer_id), "tier": "gold", "reason": "a guest", "until": "2026-06-30"}
    await admin.put(f"{base}/loyalty/tier", json=sent)
    assert (await admin.get(url)).json()["tier_expiry_date"] == "2026-06-30"
    query = {"loyalty_tier": "gold", "loyalty_points_min": 10_000, "sort": "-loyalty_points"}
    assert [item["id"] for item in (await admin.get(f"{base}/", params=query)).json()["items"]] == [str(customer_id)]


async def test_tiers_of_many_are_set_with_an_outcome_for_each(admin: httpx.AsyncClient, customer_id: UUID) -> None:
    nobody = uuid4()
    sent = {"customer_ids": [str(customer_id), str(nobody), str(customer_id)], "tier": "silver", "reason": "x"}
    told = (await admin.post(f"{base}/bulk/tier", json=sent)).json()
    assert (told["requested"], told["changed"], told["unchanged"], told["failed"]) == (2, 1, 0, 1)
    assert [item["outcome"] for item in told["items"]] == ["changed", "failed"]
    atomic = await admin.post(f"{base}/bulk/tier", json=sent | {"atomic": True, "tier": "gold"})
    assert (atomic.status_code, slug(atomic)) == (409, "bulk-rejected")
    assert (await admin.get(f"{base}/{customer_id}/loyalty/balance")).json()["tier"] == "silver"


async def test_many_awards_are_told_line_by_line_and_kept_under_a_key(
    admin: httpx.AsyncClient, customer_id: UUID
) -> None:
    order_id = str(uuid4())
    lines = [
        {"customer_id": str(customer_id), "points": 5, "order_id": order_id},
        {"customer_id": str(uuid4()), "points": 5},
        {"customer_id": str(customer_id), "points": 7, "order_id": order_id},
        {"customer_id": str(customer_id), "points": 9},
    ]
    headers = {"Idempotency-Key": "many"}
    first = await admin.post(f"{base}/loyalty/earn/bulk", json={"awards": lines}, headers=headers)
    told = first.json()
    assert (first.status_code, told["requested"], told["earned"], told["refused"], told["points"]) == (200, 4, 2, 2, 14)
    slugs = [(item["problem"] or {}).get("type") for item in told["items"]]
    assert slugs == [None, "/problems/not-found", "/problems/already-credited", None]
    again = await admin.post(f"{base}/loyalty/earn/bulk", json={"awards": lines}, headers=headers)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (await admin.get(f"{base}/{customer_id}/loyalty/balance")).json()["balance"] == 14


async def test_a_bulk_award_over_the_tills_cap_awards_nothing_and_refused_lines_do_not_count(
    as_role: AsRole, connection: Connection, customer_id: UUID
) -> None:
    till = await as_role("service")
    await connection.execute("UPDATE api_clients SET max_points_per_day = 100, max_points_per_transaction = 60")
    known, unknown = ({"customer_id": str(id_), "points": 60} for id_ in (customer_id, uuid4()))
    url = f"{base}/loyalty/earn/bulk"
    too_many = await till.post(url, json={"awards": [known, known]})
    assert (too_many.status_code, slug(too_many), too_many.json()["period"]) == (403, "limit-exceeded", "day")
    too_large = await till.post(url, json={"awards": [known | {"points": 61}]})
    assert (slug(too_large), too_large.json()["period"]) == ("limit-exceeded", "transaction")
    assert (await till.post(url, json={"awards": [unknown]})).json()["refused"] == 1
    assert (await till.post(url, json={"awards": [known, known | {"points": 40}]})).json()["points"] == 100
    assert slug(await till.post(f"{base}/loyalty/earn", json=known | {"points": 1})) == "limit-exceeded"


async def test_points_that_do_not_add_up_are_not_redeemed(
    admin: httpx.AsyncClient, customer_id: UUID, connection: Connection
) -> None:
    await move(admin, "earn", customer_id, 20)
    await connection.execute("INSERT INTO loyalty_reviews VALUES (%s, '{lots}', now())", [customer_id])
    wanted = {"customer_id": str(customer_id), "points": 5}
    answer = await admin.post(f"{base}/loyalty/redeem", json=wanted)
    assert (answer.status_code, slug(answer)) == (409, "account-under-review")
    await move(admin, "earn", customer_id, 20)
    await connection.execute("DELETE FROM loyalty_reviews")
    await move(admin, "redeem", customer_id, 40)
