"""Prices with four decimals, and totals that were rounded to be paid in coins: one rule for requests and files."""

import json
from typing import Any

import httpx
import pytest

from regulars.flows.importing.readers import read_ndjson
from regulars.flows.importing.result import ImportResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer
from tests.flows.shop import Shop

url = "/api/v1/orders"
Json = dict[str, Any]

fuel = {"total": "64.27", "lines": [{"sku": "FUEL", "quantity": 40, "unit_price": "1.6067"}]}
coins = {"total": "12.05", "cash_rounding": "0.02", "lines": [{"sku": "A", "quantity": 1, "unit_price": "12.03"}]}
weighed = {"total": "9.99", "lines": [{"sku": "A", "quantity": "0.333", "unit_price": "1.00"}] * 30}
thirds = {"total": "20.10", "lines": [{"sku": "A", "quantity": 3, "unit_price": "0.335"}] * 20}
taxed = {"total": "96.12", "tax_total": "16.02", "lines": [{"sku": "A", "quantity": 1, "unit_price": "6.68"}] * 12}
returned = {
    "total": "1.00",
    "lines": [{"sku": "A", "quantity": 1, "total": "6.00"}, {"sku": "B", "quantity": -1, "total": "-5.00"}],
}
good = [fuel, coins, weighed, thirds, taxed, returned]
wrong = [
    fuel | {"total": "64.29"},
    coins | {"total": "12.07"},
    coins | {"cash_rounding": "0.00"},
    coins | {"cash_rounding": "-0.02"},
    weighed | {"total": "10.06"},
    thirds | {"total": "20.09"},
    taxed | {"total": "96.11"},
]


async def post(till: httpx.AsyncClient, order: Json, **more: object) -> httpx.Response:
    known = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z"}
    return await till.post(url, json=known | order | more)


@pytest.fixture
def shop(own_database_url: str, clock: Clock) -> Shop:
    return Shop(own_database_url, clock)


@pytest.fixture
async def till(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("service")


async def post_all(till: httpx.AsyncClient, orders: list[Json]) -> list[Json]:
    """The answers, with the place of the first fault where there is one."""
    answers = [await post(till, order, external_id=str(number)) for number, order in enumerate(orders, start=1)]
    return [answer.json() | {"status_code": answer.status_code} for answer in answers]


async def load_all(shop: Shop, orders: list[Json]) -> ImportResult:
    named = {"ordered_at": "2026-06-15T07:30:00Z", "customer_id": "A"}
    rows = [json.dumps({"order_id": str(number), **named, **order}) for number, order in enumerate(orders, start=1)]
    return await shop.load(read_ndjson(iter(rows), {}))


async def test_a_request_and_a_file_may_say_the_same(till: httpx.AsyncClient, shop: Shop) -> None:
    answers = await post_all(till, good)
    assert [answer["status_code"] for answer in answers] == [201] * len(good)
    assert ((await load_all(shop, good)).created, shop.codes) == (len(good), {})
    assert shop.query(
        """
        SELECT o.external_id, o.total::numeric(18, 2)::text, o.cash_rounding::numeric(18, 2)::text,
            array_agg(trim_scale(l.unit_price)::text ORDER BY line_number),
            array_agg(l.total::numeric(18, 2)::text ORDER BY line_number)
        FROM orders o JOIN order_lines l ON l.order_id = o.id GROUP BY 1, 2, 3 ORDER BY 1
        """
    ) == [
        (
            shown["external_id"],
            shown["total"],
            shown["cash_rounding"],
            [line["unit_price"] for line in shown["lines"]],
            [line["total"] for line in shown["lines"]],
        )
        for shown in answers
    ]
    assert (await load_all(shop, good)).unchanged == len(good)


async def test_what_is_off_by_more_is_refused_by_both(till: httpx.AsyncClient, shop: Shop) -> None:
    answers = await post_all(till, wrong)
    assert [(answer["status_code"], answer["errors"][0]["pointer"]) for answer in answers] == [(422, "/lines")] * 7
    await load_all(shop, wrong)
    assert shop.codes == dict.fromkeys(range(1, len(wrong) + 1), "lines-sum")


async def test_what_cash_rounding_cannot_be(till: httpx.AsyncClient, shop: Shop) -> None:
    texts = ["1000", "-1000.00", "0.001", "1e1", "+0.02", "9" * 30, "NaN", "--1"]
    orders: list[Json] = [{"total": "24.90", "cash_rounding": text} for text in texts]
    answers = await post_all(till, [*orders, {"total": "24.90", "cash_rounding": 0.02}])
    assert {(answer["status_code"], answer["errors"][0]["pointer"]) for answer in answers} == {(422, "/cash_rounding")}
    await load_all(shop, orders)
    assert shop.codes == dict.fromkeys(range(1, len(orders) + 1), "cash-rounding-format")


@pytest.mark.parametrize(
    ("total", "rounding", "points"), [("12.00", "0.02", 11), ("12.00", "-0.02", 12), ("12.02", "0.02", 12)]
)
async def test_cash_rounding_earns_nothing(
    till: httpx.AsyncClient, connection: Connection, clock: Clock, total: str, rounding: str, points: int
) -> None:
    customer = await make_customer(connection, clock)
    answer = await post(till, {"total": total, "cash_rounding": rounding, "customer_id": str(customer.id)})
    assert answer.status_code == 201
    cursor = await connection.execute("SELECT points FROM loyalty_transactions WHERE customer_id = %s", [customer.id])
    assert await cursor.fetchall() == [(points,)]


async def test_an_imported_order_earns_as_a_sent_one_does(shop: Shop) -> None:
    header = "order_id,ordered_at,total,cash_rounding,email\n"
    await shop.load(header + "1,2026-01-02,12.00,0.02,a@example.com\n", award=True)
    assert shop.query("SELECT points FROM loyalty_transactions") == [(11,)]


async def test_a_refund_pays_back_what_was_paid(till: httpx.AsyncClient) -> None:
    order = (await post(till, coins)).json()
    refund = {"refund_id": "R", "amount": "12.05"}
    answer = await till.post(f"{url}/{order['id']}/refunds", json=refund)
    assert (answer.status_code, answer.json()["order_status"]) == (201, "refunded")


async def test_another_rounding_is_another_order(till: httpx.AsyncClient) -> None:
    first = await post(till, {"total": "12.00", "cash_rounding": "-0.02"})
    same = await post(till, {"total": "12.0", "cash_rounding": "-0.02"})
    other = await post(till, {"total": "12.00", "cash_rounding": "0.02"})
    assert (first.status_code, same.status_code, other.status_code) == (201, 200, 409)


async def test_orders_of_before_are_recognised(till: httpx.AsyncClient, connection: Connection) -> None:
    order = (await post(till, {"total": "24.90"})).json()
    cursor = await connection.execute(
        """
        SELECT content_hash = sha256(convert_to(
            ROW(extract(epoch FROM ordered_at), status, currency, total, discount_total, tax_total, shipping_total,
                channel, metadata, NULL::text)::text, 'UTF8'))
        FROM orders WHERE id = %s
        """,
        [order["id"]],
    )
    assert await cursor.fetchone() == (True,)
