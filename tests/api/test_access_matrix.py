"""Every route against every role, as the access matrix has it."""

import csv
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from regulars.api.access import PublicOr, Requires
from regulars.api.routing import Route
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole
from tests.api.probes import without_trace
from tests.factories.customers import make_customer
from tests.factories.orders import make_order

roles = ("customer", "service", "staff", "analyst", "admin")
Row = dict[str, str]


def read_matrix() -> dict[str, Row]:
    with (Path(__file__).parent.parent / "spec" / "access_matrix.csv").open(newline="") as file:
        return {f"{row['method']} {row['path']}": row for row in csv.DictReader(file)}


matrix = read_matrix()

samples = {
    "customer_number": "CUST-20260101-0001",
    "email": "nobody@example.com",
    "sku": "sku-1",
}


def routes_of(app: FastAPI) -> dict[str, Route]:
    found: dict[str, Route] = {}
    for context in iter_route_contexts(app.routes):
        assert isinstance(context.original_route, Route)
        if context.include_in_schema:
            found |= {f"{method} {context.path_format}": context.original_route for method in context.methods or ()}
    return found


@pytest.fixture
def routes(app: FastAPI) -> dict[str, Route]:
    return routes_of(app)


async def test_the_application_has_the_routes_of_the_matrix_and_no_others(routes: dict[str, Route]) -> None:
    assert routes.keys() == matrix.keys()


@pytest.mark.parametrize("name", sorted(matrix))
async def test_a_route_asks_for_the_scope_of_its_row(routes: dict[str, Route], name: str) -> None:
    row, policy = matrix[name], routes[name].policy
    scopes = tuple(row["scope"].split("|"))
    if not isinstance(policy, Requires):
        assert scopes == ("public", *([policy.scope] if isinstance(policy, PublicOr) else []))
        return
    assert policy.scopes == scopes
    assert policy.own == (row["customer"] == "own" and not scopes[0].startswith("self"))


async def test_an_alias_asks_for_the_same_as_its_route(app: FastAPI, routes: dict[str, Route]) -> None:
    hidden = [context for context in iter_route_contexts(app.routes) if not context.include_in_schema]
    for alias in hidden:
        for method in alias.methods or ():
            original = routes[f"{method} {alias.path_format}/"]
            assert (alias.endpoint, alias.original_route.policy) == (original.endpoint, original.policy)  # type: ignore[attr-defined]


# Who may only look up names one customer exactly (footnote 2 of the matrix).
queries = {("GET /api/v1/retail-customers/", "service"): "?email=nobody@example.com"}


async def call(client: httpx.AsyncClient, name: str, customer_id: UUID, query: str = "") -> httpx.Response:
    """A request that gets past nothing but the check of the caller."""
    method, path = name.split(" ")
    values = {"customer_id": str(customer_id), **samples}
    for placeholder in [part.strip("{}") for part in path.split("/") if part.startswith("{")]:
        path = path.replace("{" + placeholder + "}", values.get(placeholder, str(customer_id)))
    return await client.request(method, path + query, headers={"Accept": "*/*"})


@pytest.mark.parametrize("name", sorted(matrix))
async def test_the_cells_of_a_row_hold(
    client: httpx.AsyncClient, as_role: AsRole, connection: Connection, clock: Clock, name: str
) -> None:
    row, known, unknown = matrix[name], (await make_customer(connection, clock)).id, uuid4()
    anonymous = await call(client, name, known)
    if row["anonymous"] == "deny":
        assert (anonymous.status_code, anonymous.json()["type"]) == (401, "/problems/unauthenticated")
        assert anonymous.headers["WWW-Authenticate"] == "Bearer"
        assert without_trace(await call(client, name, unknown)) == without_trace(anonymous)
    for role in roles:
        caller = await as_role(role)
        answer = await call(caller, name, known, queries.get((name, role), ""))
        if row[role] == "deny":
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/insufficient-scope"), role
            assert without_trace(await call(caller, name, unknown)) == without_trace(answer)
        elif row[role] == "public":
            assert answer.status_code == anonymous.status_code, role
        else:
            assert answer.status_code not in {401, 403}, role


async def call_on_order(client: httpx.AsyncClient, name: str, order: str) -> int:
    method, path = name.split(" ")
    body = None if method == "GET" else {"refund_id": "R", "amount": "1.00"} if "refund" in path else {}
    return (await client.request(method, path.replace("{order_id}", order), json=body)).status_code


@pytest.mark.parametrize("name", [name for name, row in sorted(matrix.items()) if row["service"] == "source"])
async def test_an_api_client_acts_on_orders_of_its_source_only(
    as_role: AsRole, connection: Connection, clock: Clock, name: str
) -> None:
    """Neither by the id of an order nor by its name in the other source, which is easy to guess."""
    customer, scopes = await make_customer(connection, clock), frozenset({"orders:read", "orders:refund"})
    order = await make_order(connection, clock, customer.id, "20", source="web")
    row = await (await connection.execute("SELECT external_id FROM orders WHERE id = %s", [order])).fetchone()
    assert row
    of_another = await as_role("service", source="till", scopes=scopes)
    for key in (str(order), f"web:{row[0]}", "web:unknown"):
        assert await call_on_order(of_another, name, key) == 404, key
    own = await as_role("service", source="web", scopes=scopes)
    of_any = await as_role("service", source="till", scopes=scopes | {"orders:any-source"})
    for client, key in ((own, f"web:{row[0]}"), (of_any, str(order))):
        assert await call_on_order(client, name, key) in {200, 201}, key


async def test_nothing_is_held_for_an_order_of_another_source(
    app: FastAPI, as_role: AsRole, settings: Settings, connection: Connection
) -> None:
    app.state.settings = settings.model_copy(update={"early_refunds": "hold"})
    till = await as_role("service", source="till", scopes=frozenset({"orders:refund"}))
    for name in ("POST /api/v1/orders/{order_id}/refunds", "POST /api/v1/orders/{order_id}/cancel"):
        assert await call_on_order(till, name, "web:W-1") == 404
        assert await call_on_order(till, name, "till:W-1") == 202
    held = await connection.execute("SELECT DISTINCT source FROM early_reversals")
    assert await held.fetchall() == [("till",)]
