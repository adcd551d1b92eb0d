"""What happens to a customer over HTTP is told to the outbox, once; what changes nothing is not."""

import httpx

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer

base = "/api/v1/retail-customers"
john = {"first_name": "John", "last_name": "Doe", "email": "john@example.com", "password": "SecurePass123"}


async def told(connection: Connection) -> list[tuple[str, dict[str, object]]]:
    cursor = await connection.execute("SELECT kind, facts FROM events WHERE kind LIKE 'customer.%' ORDER BY position")
    return await cursor.fetchall()


async def test_a_life_leaves_one_event_for_each_change(connection: Connection, as_role: AsRole) -> None:
    admin = await as_role("admin")
    created = await admin.post(f"{base}/", json={"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"})
    path = f"{base}/{created.json()['id']}"
    for _ in range(2):
        await admin.put(path, json={"city": "Bonn"})
        await admin.post(f"{path}/deactivate")
    await admin.post(f"{path}/reactivate")
    await admin.post(f"{path}/verify-email", json={"override_reason": "seen the passport"})
    await admin.delete(path)
    assert await told(connection) == [
        ("customer.created", {"by_registration": False}),
        ("customer.updated", {"fields": ["city"]}),
        ("customer.deactivated", {}),
        ("customer.reactivated", {}),
        ("customer.verified", {"channel": "email"}),
        ("customer.deleted", {}),
    ]


async def test_a_registration_is_told_and_a_refused_one_is_not(
    connection: Connection, client: httpx.AsyncClient
) -> None:
    assert [(await client.post(f"{base}/register", json=john)).status_code for _ in range(2)] == [201, 409]
    assert await told(connection) == [("customer.created", {"by_registration": True})]


async def test_changes_of_many_are_told_of_each_who_changed(
    connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    admin, ids = await as_role("admin"), [str((await make_customer(connection, clock)).id) for _ in range(2)]
    await admin.post(f"{base}/bulk/status", json={"customer_ids": ids[:1], "is_active": False})
    await admin.post(f"{base}/bulk/status", json={"customer_ids": ids, "is_active": False})
    await admin.post(f"{base}/bulk/tags", json={"customer_ids": ids, "add": ["vip"]})
    assert sorted(kind for kind, _ in await told(connection)) == 2 * ["customer.deactivated"] + 2 * ["customer.updated"]
