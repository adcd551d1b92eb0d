"""Customer Management over HTTP."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

from regulars.analytics.schemas import CLVCalculationRequest
from regulars.api.faults import faults_of
from regulars.customers import repository_search
from regulars.customers.identifiers import Email, Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.schemas_bulk import BulkTagUpdate
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.schemas_verification import RetailCustomerVerification
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.settings import Settings
from regulars.kit.validation import messages
from regulars.orders.schemas_refunds import RefundCreate
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug, without_trace
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer, set_columns
from tests.factories.statements import counted_statements

customers_url = "/api/v1/retail-customers/"


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(
        connection, clock, first_name="Ann", email=Email("ann@example.com"), phone=Phone("+4930123456"), city="Berlin"
    )


def body(**fields: Any) -> dict[str, Any]:
    return {"first_name": "John", "last_name": "Doe", "email": "john@example.com"} | fields


async def test_a_customer_is_added_and_read_at_its_location(as_role: AsRole) -> None:
    staff = await as_role("staff")
    sent = body(email=" John@Example.com ", phone="+91 98765 43210", date_of_birth="1990-05-01", tags=["vip"])
    made = await staff.post(customers_url, json=sent)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["customer_number"], shown["email"], shown["phone"], shown["date_of_birth"], shown["masked"]) == (
        "CUST-20260615-0001",
        "john@example.com",
        "+919876543210",
        "1990-05-01",
        False,
    )
    assert (shown["total_spent"], shown["average_order_value"], shown["rfm_segment"]) == ("0.00", None, "prospect")
    assert made.headers["location"] == customers_url + shown["id"]
    read = await staff.get(made.headers["location"])
    assert (read.status_code, read.json()) == (200, shown)
    assert read.headers["etag"] == made.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    "path", ["{0.id}", "number/{0.customer_number}", "email/ANN@example.com", "email/ann%40example.com"]
)
async def test_a_customer_is_read_by_what_identifies_it(
    as_role: AsRole, connection: Connection, ann: RetailCustomer, path: str
) -> None:
    await set_columns(connection, ann, version=7)
    answer = await (await as_role("staff")).get(customers_url + path.format(ann))
    assert (answer.status_code, answer.headers["etag"], answer.json()["id"]) == (200, '"7"', str(ann.id))


async def test_an_id_may_be_in_upper_case(as_role: AsRole, ann: RetailCustomer) -> None:
    answer = await (await as_role("staff")).get(customers_url + str(ann.id).upper())
    assert answer.json()["id"] == str(ann.id)


async def test_a_list_and_a_search_find_the_same(as_role: AsRole, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    listed = await staff.get(customers_url, params=[("city", "berlin"), ("city", "bern"), ("limit", 5)])
    searched = await staff.post(customers_url + "search", json={"city": ["berlin", "bern"], "limit": 5})
    assert listed.status_code == searched.status_code == 200
    assert listed.json() == searched.json()
    page = listed.json()
    assert [item["id"] for item in page.pop("items")] == [str(ann.id)]
    assert page == {"total": 1, "total_is_estimate": False, "limit": 5, "offset": 0}


async def test_the_collection_is_spelled_with_or_without_a_slash(as_role: AsRole, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    assert (await staff.get(customers_url.rstrip("/"))).json() == (await staff.get(customers_url)).json()
    assert (await staff.post(customers_url.rstrip("/"), json=body())).status_code == 201
    slashed = await staff.get(f"{customers_url}{ann.id}/")
    assert (slashed.status_code, slug(slashed)) == (404, "not-found")


async def test_the_alias_is_not_documented(app: FastAPI) -> None:
    async with client_of(app) as client:
        paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    assert customers_url in paths
    assert customers_url.rstrip("/") not in paths


async def test_a_customer_without_any_contact_is_refused_by_the_names_of_both(as_role: AsRole) -> None:
    staff = await as_role("staff")
    message = "email or phone is required"
    faults = [
        {"in": "body", "pointer": f"/{name}", "code": "missing", "message": message} for name in ("email", "phone")
    ]
    answer = await staff.post(customers_url, json=body(email=None))
    assert (answer.status_code, answer.json()["errors"]) == (422, faults)
    made = (await staff.post(customers_url, json=body())).json()
    cleared = await staff.put(f"{customers_url}{made['id']}", json={"email": None})
    assert (cleared.status_code, cleared.json()["errors"]) == (422, faults[:1])


def test_the_faults_of_every_rule_of_a_whole_body_name_its_fields() -> None:
    bodies: list[tuple[type[BaseModel], dict[str, Any], list[str]]] = [
        (RetailCustomerSearchFilters, {"segment_from": "none", "from_run": str(uuid4())}, ["/to_run"]),
        (RetailCustomerSearchFilters, {"birthday_to": "2026-01-01"}, ["/birthday_from"]),
        (RetailCustomerVerification, {}, ["/token", "/code", "/override_reason"]),
        (BulkTagUpdate, {"customer_ids": [str(uuid4())]}, ["/add", "/remove"]),
        (BulkTagUpdate, {"customer_ids": [str(uuid4())], "add": ["a"], "remove": ["a"]}, ["/add", "/remove"]),
        (RefundCreate, {"refund_id": "R-1"}, ["/amount", "/lines", "/shipping_amount"]),
        (CLVCalculationRequest, {"method": "seed", "margin": 0.5}, ["/margin"]),
    ]
    for schema, sent, pointers in bodies:
        with pytest.raises(ValidationError) as refused:
            schema.model_validate(sent)
        faults = faults_of([{**error, "loc": ("body", *error["loc"])} for error in refused.value.errors()])
        assert [fault.pointer for fault in faults] == pointers, schema
        assert not {fault.message for fault in faults} & set(messages.values()), schema


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"first_name": None}, "/first_name", "type"),
        ({"first_name": "x" * 101}, "/first_name", "length"),
        ({"first_name": "\u200b\u200b"}, "/first_name", "characters"),
        ({"first_name": "Jo\u202ehn"}, "/first_name", "characters"),
        ({"email": "john.example.com"}, "/email", "format"),
        ({"email": "a" * 250 + "@example.com"}, "/email", "format"),
        ({"email": "john@exa\u2000mple.com"}, "/email", "format"),
        ({"phone": "9876543210"}, "/phone", "format"),
        ({"phone": "+91CALLNOW"}, "/phone", "format"),
        ({"phone": "+919876543210 ext 5"}, "/phone", "format"),
        ({"date_of_birth": "2001-02-30"}, "/date_of_birth", "format"),
        ({"date_of_birth": "2026-06-16"}, "/date_of_birth", "range"),
        ({"date_of_birth": "1899-12-31"}, "/date_of_birth", "range"),
        ({"tags": ["x"] * 51}, "/tags", "length"),
        ({"tags": [{"__proto__": {}}]}, "/tags/0", "type"),
        ({"notes": "x" * 4001}, "/notes", "length"),
        ({"email_marketing_consent": "true"}, "/email_marketing_consent", "type"),
        ({"referrer_customer_id": str(uuid4())}, "/referrer_customer_id", "range"),
    ],
)
async def test_a_value_that_cannot_be_is_refused(
    as_role: AsRole, connection: Connection, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await (await as_role("staff")).post(customers_url, json=body(**fields))
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert [(fault["in"], fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("body", pointer, code)
    ]
    cursor = await connection.execute("SELECT count(*) FROM customers")
    assert await cursor.fetchone() == (0,)


@pytest.mark.parametrize("field", ["customer_number", "is_verified", "loyalty_points", "user_id", "clv", "role"])
async def test_what_callers_cannot_set_is_unknown(as_role: AsRole, field: str) -> None:
    answer = await (await as_role("admin")).post(customers_url, json=body(**{field: None}))
    assert (answer.status_code, slug(answer)) == (422, "unknown-field")


async def test_a_customer_under_age_is_refused(as_role: AsRole) -> None:
    answer = await (await as_role("staff")).post(customers_url, json=body(date_of_birth="2008-06-16"))
    assert (answer.status_code, slug(answer), answer.json()["minimum_age"]) == (422, "age-restriction", 18)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"email": " ANN@example.COM"}, "email-taken"), ({"phone": "+49 30 123456"}, "phone-taken")],
)
async def test_what_another_customer_has_is_taken(
    as_role: AsRole, ann: RetailCustomer, fields: dict[str, Any], expected: str
) -> None:
    answer = await (await as_role("staff")).post(customers_url, json=body(**fields))
    assert (answer.status_code, slug(answer)) == (409, expected)


@pytest.mark.parametrize(
    ("query", "expected", "pointer"),
    [
        ("limit=0", "validation", "/limit"),
        ("limit=101", "validation", "/limit"),
        ("limit=100000000000000000000", "validation", "/limit"),
        ("limit=%2B10", "validation", "/limit"),
        ("offset=-1", "validation", "/offset"),
        ("offset=100001", "validation", "/offset"),
        ("offset=9223372036854775808", "validation", "/offset"),
        ("limit=10&limit=20", "validation", "/limit"),
        ("colour=red", "unknown-field", "/colour"),
        ("sort=password_hash", "validation", "/sort"),
        ("sort=id%3Bdrop%20table", "validation", "/sort"),
        ("q=a", "validation", "/q"),
        ("q=ab%00", "invalid-characters", "/q"),
        ("is_active=yes", "validation", "/is_active"),
        ("total_spent_min=2&total_spent_max=1", "validation", "/total_spent_max"),
        ("created_from=2026-13-01", "validation", "/created_from"),
        ("user_id={00000000-0000-0000-0000-000000000000}", "validation", "/user_id"),
    ],
)
async def test_a_question_without_sense_is_refused(as_role: AsRole, query: str, expected: str, pointer: str) -> None:
    answer = await (await as_role("staff")).get(f"{customers_url}?{query}")
    assert (answer.status_code, slug(answer)) == (422, expected)
    assert [(fault["in"], fault["pointer"]) for fault in answer.json()["errors"]] == [("query", pointer)]


async def test_ends_in_the_wrong_order_are_out_of_range(as_role: AsRole) -> None:
    answer = await (await as_role("staff")).post(customers_url + "search", json={"clv_min": "2", "clv_max": "1"})
    [fault] = answer.json()["errors"]
    assert fault == {"in": "body", "pointer": "/clv_max", "code": "range", "message": "must not be below clv_min"}


@pytest.mark.parametrize("q", ["%%%%", "' OR 1=1 --", "__", "\\"])
async def test_what_looks_like_a_pattern_is_taken_literally(as_role: AsRole, ann: RetailCustomer, q: str) -> None:
    answer = await (await as_role("staff")).post(customers_url + "search", json={"q": f"{q}{q}"})
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "path",
    ["abc", "{{{0.id}}}", "urn:uuid:{0.id}", "{0.id.hex}", "number/{0.id}", "email/nobody", "number/CUST-1-1"],
)
async def test_a_path_of_another_form_is_refused(as_role: AsRole, ann: RetailCustomer, path: str) -> None:
    answer = await (await as_role("staff")).get(customers_url + path.format(ann))
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert answer.json()["errors"][0]["in"] == "path"


async def test_a_customer_sees_itself_and_nobody_else(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    bob = await make_customer(connection, clock)
    me = await as_role("customer", customer_id=ann.id)
    for path in (str(ann.id), f"number/{ann.customer_number}"):
        answer = await me.get(customers_url + path)
        assert (answer.status_code, answer.json()["email"], answer.json()["masked"]) == (200, ann.email, False)
    foreign = [await me.get(customers_url + path) for path in (str(bob.id), f"number/{bob.customer_number}")]
    missing = [await me.get(customers_url + path) for path in (str(uuid4()), "number/CUST-20260615-9999")]
    for answer in foreign + missing:
        assert (answer.status_code, without_trace(answer)) == (404, without_trace(missing[0]))
    for answer in (await me.get(customers_url), await me.get(customers_url + "email/ann@example.com")):
        assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


async def test_a_till_finds_one_customer_at_a_time_and_sees_a_mask(as_role: AsRole, ann: RetailCustomer) -> None:
    till = await as_role("service")
    found = await till.get(customers_url, params={"phone": "+4930123456"})
    [item] = found.json()["items"]
    assert (item["id"], item["first_name"], item["email"], item["phone"], item["masked"]) == (
        str(ann.id),
        "A.",
        "a***@***",
        "***56",
        True,
    )
    read = (await till.get(customers_url + str(ann.id))).json()
    assert (read["masked"], read["last_name"]) == (True, "D.")
    made = await till.post(customers_url, json=body())
    assert (made.status_code, made.json()["email"]) == (201, "j***@***")
    for query in ({}, {"q": "ann"}, {"phone": "+4930123456", "city": "Berlin"}):
        answer = await till.get(customers_url, params=query)
        assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


async def test_an_analyst_cannot_ask_for_what_the_mask_hides(as_role: AsRole, ann: RetailCustomer) -> None:
    analyst = await as_role("analyst")
    assert (await analyst.get(customers_url)).json()["items"][0]["email"] == "a***@***"
    for query in ({"q": "ann"}, {"email": "ann@example.com"}, {"sort": "last_name"}):
        answer = await analyst.get(customers_url, params=query)
        assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


async def test_erased_is_gone_for_those_who_knew_the_person(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    await set_columns(connection, ann, deleted_at=clock.now(), erased_at=clock.now())
    answer = await (await as_role("staff")).get(customers_url + str(ann.id))
    assert (answer.status_code, slug(answer), answer.json()["erased_at"]) == (
        410,
        "customer-erased",
        "2026-06-15T10:00:00Z",
    )
    assert (await (await as_role("service")).get(customers_url + str(ann.id))).status_code == 404


async def test_an_entry_of_the_audit_log_leads_to_its_request(
    as_role: AsRole, connection: Connection, ann: RetailCustomer
) -> None:
    answer = await (await as_role("staff")).get(customers_url + str(ann.id))
    cursor = await connection.execute("SELECT action, trace_id FROM audit_log WHERE object_id = %s", [ann.id])
    assert await cursor.fetchall() == [("get_customer", answer.headers["x-request-id"])]


async def test_many_at_once_create_one_customer_with_an_email(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        token, _ = await sign_in(connection, settings, clock, role="staff")
        async with client_of(committing_app, token) as client:
            answers = await asyncio.gather(*(client.post(customers_url, json=body()) for _ in range(200)))
        outcomes = {answer.status_code if answer.status_code == 201 else slug(answer) for answer in answers}
        assert outcomes <= {201, "email-taken", "overloaded"}
        assert [answer.status_code for answer in answers].count(201) == 1
        cursor = await connection.execute("SELECT count(*) FROM customers")
        assert await cursor.fetchone() == (1,)


async def test_a_list_of_many_takes_as_few_statements_as_a_list_of_one(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = await as_role("staff")
    monkeypatch.setattr(repository_search, "counted_exactly", 3)

    async def taken(path: str) -> int:
        with counted_statements(monkeypatch) as statements:
            assert (await staff.get(customers_url + path)).status_code == 200
        return len(statements)

    one = await taken("?limit=50")
    for _ in range(5):
        await make_customer(connection, clock)
    assert await taken("?limit=50") == one
    assert await taken("?limit=5") == one + 2


async def test_a_total_beyond_what_is_counted_says_that_it_is_an_estimate(
    as_role: AsRole, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_search, "counted_exactly", 3)
    staff = await as_role("staff")
    for count in range(1, 6):
        await make_customer(connection, clock)
        page = (await staff.get(f"{customers_url}?limit=1")).json()
        assert (page["total_is_estimate"], page["total"] >= min(count, 4)) == (count > 3, True)
    assert (await staff.get(f"{customers_url}?offset=100000")).json()["items"] == []
