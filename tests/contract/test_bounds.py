"""No value that the document allows, or that lies just beyond, is a fault of ours: over real HTTP, west of Greenwich.

Every parameter and every member of every body is set to each of its bounds, the rest of the request being good.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.bounds import bounds_of, places_of, with_value
from tests.contract.conftest import Shop, running_shop
from tests.factories.api import document

contract = document()
schemas = contract["components"]["schemas"]
operations = {
    f"{method.upper()} {path}": operation
    for path, methods in contract["paths"].items()
    for method, operation in methods.items()
    if not path.endswith(("/auth/logout", "/auth/me/password"))
}


@pytest.fixture(scope="module")
def western_shop() -> Iterator[Shop]:
    with running_shop(store_timezone="America/Los_Angeles") as shop:
        yield shop


def examples_of(operation: dict[str, Any]) -> dict[str, Any]:
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    given = media.get("example") or next((each["value"] for each in media.get("examples", {}).values()), {})
    return dict(given)


def known(name: str, value: Any, shop: Shop, *, is_gone: bool) -> Any:
    """Ids of the example are those of things that are there, unless the request would do away with them."""
    if name in {"external_id", "refund_id"}:
        return uuid4().hex
    if name == "customer_ids":
        return [shop.ids["customer_id"]]
    if name == "preference_key":  # one that takes any value
        return "anything"
    if name == "preferences":
        return [{**each, "preference_key": "anything"} for each in value]
    return value if is_gone or name not in shop.ids else shop.ids[name]


def requests_of(name: str, operation: dict[str, Any], shop: Shop) -> Iterator[tuple[str, dict[str, Any]]]:
    """The requests of an operation, each with one value at a bound."""
    path = name.partition(" ")[2]
    is_gone = name.startswith("DELETE") or path.endswith(("/erase", "/deactivate", "/cancel"))
    body = {key: known(key, value, shop, is_gone=is_gone) for key, value in examples_of(operation).items()}
    sent = {"json": body} if body else {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            value = known(parameter["name"], str(uuid4()), shop, is_gone=is_gone)
            path = path.replace(f"{{{parameter['name']}}}", value)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for value in bounds_of(parameter["schema"], schemas):
                values = [text_of(each) for each in value] if isinstance(value, list) else [text_of(value)]
                yield path, {**sent, "params": {parameter["name"]: values}}
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for place, schema in places_of(media.get("schema", {}), schemas, body):
        for value in bounds_of(schema, schemas):
            changed = with_value(body, place, value)
            for own in {"external_id", "refund_id"} & body.keys() - set(place):
                changed[own] = uuid4().hex
            yield path, {"json": changed}


def text_of(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def is_refused_well(answer: httpx.Response) -> bool:
    """Whether an answer is no refusal, or one that is a problem and repeats nothing that lies beyond the bounds."""
    if answer.status_code < 400:
        return True
    said = answer.text.replace(answer.json()["trace_id"], "")
    is_problem = answer.headers["content-type"] == "application/problem+json"
    return is_problem and not any(sent in said for sent in ("9999-12", "0001-01", "99999999", "1e308", "xxxx"))


@pytest.mark.parametrize("name", operations)
def test_no_bound_is_a_fault_of_ours(name: str, western_shop: Shop) -> None:
    token, faults = western_shop.token(), []
    with httpx.Client(base_url=western_shop.url, timeout=60, headers={"Authorization": f"Bearer {token}"}) as client:
        for path, request in requests_of(name, operations[name], western_shop):
            if "json" in request:
                request["content"] = json.dumps(request.pop("json"))
                request["headers"] = {"Content-Type": "application/json"}
            try:
                answer = client.request(name.partition(" ")[0], path, **request)
            except httpx.InvalidURL:
                continue
            if answer.status_code >= 500 or not is_refused_well(answer):
                faults.append((path, str(request)[:300], answer.text[:300]))
    assert faults == []


largest, order_url = "999999999999.99", "/api/v1/orders"
people = "/api/v1/retail-customers"


def order(**members: Any) -> dict[str, Any]:
    new = {"source": "till", "external_id": uuid4().hex, "ordered_at": "2026-01-05T10:00:00Z", "total": largest}
    return {**new, **members}


@pytest.fixture
def owner(western_shop: Shop) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {western_shop.token()}"}
    with httpx.Client(base_url=western_shop.url, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture
def buyer(owner: httpx.Client) -> str:
    """A customer of the test's own."""
    person = {"first_name": "Max", "last_name": "Imum", "email": f"{uuid4().hex}@example.com"}
    return str(owner.post(f"{people}/", json=person).raise_for_status().json()["id"])


@pytest.mark.parametrize(
    "line",
    [
        {"quantity": "99999999.999", "unit_price": "999999999999.9999"},
        {"quantity": "-99999999.999", "unit_price": "999999999999.9999"},
        {"quantity": "0.001", "total": largest},
        {"quantity": "0.001", "total": "999999999.99", "discount": largest},
        {"quantity": 1, "unit_price": "0", "discount": largest},
        {"quantity": -99999999, "unit_price": "9999.9999", "discount": largest},
    ],
)
def test_a_line_that_comes_to_more_than_an_amount_is_refused(owner: httpx.Client, line: dict[str, Any]) -> None:
    for lines in ([{"sku": "A", **line}], [{"sku": "A", **line}] * 500):
        answer = owner.post(order_url, json=order(lines=lines))
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")


def test_sums_of_the_largest_amounts_are_kept(owner: httpx.Client, buyer: str) -> None:
    lines = [{"sku": "A", "quantity": 1, "unit_price": largest}]
    rows = [order(customer_id=None, lines=lines) for _ in range(150)]
    number = owner.get(f"{people}/{buyer}").json()["customer_number"]
    sent = "\n".join(
        json.dumps(
            {"order_id": row["external_id"], "customer_number": number}
            | {name: row[name] for name in ("ordered_at", "total", "lines")}
        )
        for row in rows
    )
    headers = {"Content-Type": "application/x-ndjson"}
    imported = owner.post(f"{order_url}/import?source=till", content=sent, headers=headers)
    assert imported.json()["created"] == 150
    assert owner.post(order_url, json=order(customer_id=buyer)).status_code == 201
    assert owner.get(f"{people}/{buyer}").json()["total_spent"] == "150999999999998.49"
    for calculation in ("rfm", "clv"):
        answer = owner.post(f"{people}/analytics/{calculation}/calculate", json={"recalculate": True})
        assert answer.status_code == 200
    for path in (name.removeprefix("GET ") for name in operations if name.startswith("GET ")):
        about = path.replace("{customer_id}", buyer).replace("{customer_number}", number)
        assert owner.get(about).status_code < 500, path


def test_points_of_the_largest_orders_at_the_largest_rate(owner: httpx.Client, buyer: str) -> None:
    programme = owner.get(f"{people}/loyalty/programme").json()
    change = {"based_on": programme["version"], "points_per_unit": "99999.9999", "point_value": "999999.999999"}
    changed = owner.put(f"{people}/loyalty/programme", json=change).raise_for_status().json()
    try:
        too_much = owner.post(order_url, json=order(customer_id=buyer))
        assert (too_much.status_code, too_much.json()["errors"][0]["pointer"]) == (422, "/total")
        assert owner.post(order_url, json=order(customer_id=buyer, total="10000000.00")).status_code == 201
        assert owner.get(f"{people}/{buyer}/loyalty/balance").json()["balance"] == 999_999_999_000
        for path in ("loyalty/balance", "loyalty/transactions", "loyalty/explain", "analytics/summary"):
            assert owner.get(f"{people}/{buyer}/{path}").status_code == 200
        assert owner.get(f"{people}/analytics/loyalty/metrics").status_code == 200
    finally:
        back = {"based_on": changed["version"], "points_per_unit": programme["points_per_unit"], "point_value": "0.01"}
        owner.put(f"{people}/loyalty/programme", json=back).raise_for_status()
