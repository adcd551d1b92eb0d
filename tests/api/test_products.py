"""PUT /products/{sku}, GET /products/{sku} and GET /products."""

from typing import Any

import httpx
import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.orders import products, repository_products
from tests.api.conftest import AsRole
from tests.api.probes import codes, slug
from tests.factories.customers import make_customer
from tests.factories.statements import counted_statements

url = "/api/v1/products"


@pytest.fixture
async def shop(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("service")


async def test_a_product_is_added_read_and_changed_in_parts(shop: httpx.AsyncClient, as_role: AsRole) -> None:
    added = await shop.put(f"{url}/SOAP-1", json={"name": " Olive soap", "brand": "Marius"})
    assert added.status_code == 200
    assert added.json() == {
        "sku": "SOAP-1",
        "name": "Olive soap",
        "brand": "Marius",
        "category": None,
        "department": None,
        "created_at": "2026-06-15T10:00:00Z",
        "updated_at": "2026-06-15T10:00:00Z",
    }
    changed = await shop.put(f"{url}/SOAP-1", json={"category": "Soap", "brand": None})
    assert changed.json() == added.json() | {"category": "Soap", "brand": None}
    analyst = await as_role("analyst")
    assert (await analyst.get(f"{url}/SOAP-1")).json() == changed.json()


async def test_what_is_said_again_is_not_written_again(shop: httpx.AsyncClient, connection: Connection) -> None:
    async def version() -> Any:
        cursor = await connection.execute("SELECT ctid::text, xmin::text FROM products")
        return await cursor.fetchone()

    await shop.put(f"{url}/A", json={"name": "One", "brand": None})
    before = await version()
    for same in ({"name": "One"}, {}, {"department": None, "brand": None}):
        assert (await shop.put(f"{url}/A", json=same)).status_code == 200
    assert await version() == before
    await shop.put(f"{url}/A", json={"name": None})
    assert await version() != before


async def test_a_sku_may_hold_what_an_address_must_escape(shop: httpx.AsyncClient) -> None:
    assert (await shop.put(f"{url}/100%25%20wool%3F", json={})).json()["sku"] == "100% wool?"
    assert (await shop.get(f"{url}/100%25%20wool%3F")).status_code == 200


async def test_what_is_no_product_is_refused(shop: httpx.AsyncClient) -> None:
    assert slug(await shop.get(f"{url}/none")) == "not-found"
    assert codes(await shop.put(f"{url}/A", json={"name": "x" * 201})) == {"body/name": "length"}
    assert codes(await shop.put(f"{url}/A", json={"nam": "x", "brand": "\u202e"})) == {
        "body/nam": "unknown",
        "body/brand": "characters",
    }
    assert codes(await shop.put(f"{url}/{'x' * 201}", json={})) == {"path/sku": "length"}
    assert codes(await shop.get(f"{url}?limit=0&colour=red")) == {
        "query/limit": "range",
        "query/colour": "unknown",
    }


async def test_products_are_found_by_part_of_name_and_by_group(shop: httpx.AsyncClient) -> None:
    for sku, name, brand in [("B", "100% wool", "X"), ("A", "Wool_sock", "Y"), ("C", "Cotton", "X")]:
        await shop.put(f"{url}/{sku}", json={"name": name, "brand": brand, "department": "Cloth"})

    async def found(query: str) -> list[str]:
        page = (await shop.get(url + query)).json()
        assert page["total"] == len(page["items"])
        return [product["sku"] for product in page["items"]]

    assert await found("") == ["A", "B", "C"]
    assert await found("?q=WOOL") == ["A", "B"]
    assert await found("?q=%25") == ["B"]
    assert await found("?q=l_s") == ["A"]
    assert await found("?brand=X&department=Cloth") == ["B", "C"]
    assert await found("?brand=x") == []
    page = (await shop.get(f"{url}?limit=1&offset=1")).json()
    assert ([product["sku"] for product in page["items"]], page["total"]) == (["B"], 3)


async def test_a_long_list_takes_as_few_statements_as_a_short_one(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def taken() -> int:
        with counted_statements(monkeypatch) as statements:
            assert (await shop.get(url)).status_code == 200
        return len(statements)

    short = await taken()
    for number in range(10):
        await shop.put(f"{url}/{number}", json={})
    assert await taken() == short
    for module in (repository_products, products):
        monkeypatch.setattr(module, "counted_exactly", 3)
    page = (await shop.get(f"{url}?limit=1")).json()
    assert (page["total"] >= 4, page["total_is_estimate"]) == (True, True)


async def test_an_order_may_name_a_product_that_the_catalogue_lacks(
    shop: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    order = {
        "external_id": "W-1", "customer_id": str(customer.id), "ordered_at": "2026-06-15T07:30:00Z", "total": "5.00",
        "lines": [{"sku": "NEW", "quantity": 1, "unit_price": "5.00"}],
    }  # fmt: skip
    assert (await shop.post("/api/v1/orders", json=order)).status_code == 201
    assert slug(await shop.get(f"{url}/NEW")) == "not-found"
