"""Administrators and the programs that may sign in."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.accounts.roles import scopes_of
from regulars.accounts.service import AccountsService
from regulars.accounts.tokens import hash_token
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.accounts import audited, bearer, me_url, token_url
from tests.api.conftest import Later, client_of
from tests.api.probes import codes, slug
from tests.conftest import RolledBackDatabase

url = "/api/v1/auth/clients"
till: dict[str, Any] = {"name": "till 4", "source": "till", "scopes": ["self", "orders:write", "orders:write"]}


async def made(admin: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await admin.post(url, json=till | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def sign_in(client: httpx.AsyncClient, made: dict[str, Any], secret: str | None = None) -> httpx.Response:
    credentials = f"{made['id']}:{secret or made['client_secret']}".encode()
    headers = {"Authorization": "Basic " + b64encode(credentials).decode()}
    return await client.post(token_url, data={"grant_type": "client_credentials"}, headers=headers)


async def test_an_admin_adds_a_program_that_then_signs_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection
) -> None:
    answer = await admin.post(
        url, json=till | {"max_points_per_transaction": 500, "expires_at": "2027-01-01T00:00:00+01:00"}
    )
    created = answer.json()
    secret = created.pop("client_secret")
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{url}/{created['id']}")
    assert created == {
        "id": created["id"],
        "name": "till 4",
        "source": "till",
        "scopes": ["orders:write", "self"],
        "max_points_per_transaction": 500,
        "max_points_per_day": None,
        "is_enabled": True,
        "expires_at": "2026-12-31T23:00:00Z",
        "previous_secret_until": None,
        "created_at": "2026-06-15T10:00:00Z",
        "updated_at": "2026-06-15T10:00:00Z",
    }
    assert (await admin.get(answer.headers["Location"])).json() == created
    token = (await sign_in(client, created, secret)).json()["access_token"]
    me = (await client.get(me_url, headers=bearer(token))).json()
    assert (me["source"], me["scopes"]) == ("till", ["orders:write", "self"])


async def test_the_secret_is_shown_once_and_kept_as_a_hash(admin: httpx.AsyncClient, connection: Connection) -> None:
    created = await made(admin)
    secret = created["client_secret"]
    assert len(secret) == 43
    [(row, kept)] = await (await connection.execute("SELECT c::text, secret_hash FROM api_clients c")).fetchall()
    assert secret not in row
    assert kept == hash_token(secret)
    [entry] = await audited(connection, "create_api_client")
    assert secret not in str(entry)
    assert entry[2:5] == ("api_client", UUID(created["id"]), ["name", "scopes", "source"])
    for path in (url, f"{url}/{created['id']}"):
        answer = await admin.get(path)
        assert answer.status_code == 200
        assert 'secret"' not in answer.text
        assert secret not in answer.text


async def test_the_caller_carries_the_caps_of_the_program(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, settings: Settings, clock: Clock, database: RolledBackDatabase
) -> None:
    created = await made(admin, max_points_per_transaction=500, max_points_per_day=9000)
    token = (await sign_in(client, created)).json()["access_token"]
    accounts: AccountsService = create_app(settings, database=database, clock=clock).state.accounts
    caller = await accounts.principal_of(token)
    assert (caller.max_points_per_transaction, caller.max_points_per_day) == (500, 9000)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scopes": ["customers:erase"]}, {"body/scopes/0": "enum"}),
        ({"scopes": ["orders:write", "nothing"]}, {"body/scopes/1": "enum"}),
        ({"scopes": []}, {"body/scopes": "length"}),
        ({"source": "with blank"}, {"body/source": "format"}),
        ({"name": ""}, {"body/name": "length"}),
        ({"name": "a\u202eb"}, {"body/name": "characters"}),
        ({"max_points_per_day": 0}, {"body/max_points_per_day": "range"}),
        ({"max_points_per_transaction": "7"}, {"body/max_points_per_transaction": "type"}),
        ({"expires_at": "2026-06-15T10:00:00Z"}, {"body/expires_at": "range"}),
        ({"expires_at": "2027-01-01T00:00:00"}, {"body/expires_at": "format"}),
        ({"client_secret": "mine"}, {"body/client_secret": "unknown"}),
        ({"is_enabled": True}, {"body/is_enabled": "unknown"}),
    ],
)
async def test_a_program_that_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, change: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await admin.post(url, json=till | change)
    assert (answer.status_code, codes(answer)) == (422, expected)


async def test_programs_are_listed_newest_first(admin: httpx.AsyncClient) -> None:
    ids = [(await made(admin, name=f"till {number}"))["id"] for number in range(3)]
    page = (await admin.get(f"{url}?limit=2")).json()
    assert [client["id"] for client in page["items"]] == [ids[2], ids[1]]
    assert (page["total"], page["total_is_estimate"], page["limit"], page["offset"]) == (3, False, 2, 0)
    rest = (await admin.get(f"{url}?limit=2&offset=2")).json()
    assert [client["id"] for client in rest["items"]] == [ids[0]]


@pytest.mark.parametrize("change", [{"scopes": ["self"]}, {"source": "shop"}, {"is_enabled": False}])
async def test_a_change_of_what_it_may_do_acts_at_once(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection, change: dict[str, Any]
) -> None:
    created = await made(admin)
    token = (await sign_in(client, created)).json()["access_token"]
    answer = await admin.put(f"{url}/{created['id']}", json=change)
    assert answer.status_code == 200
    assert answer.json().items() >= change.items()
    old = await client.get(me_url, headers=bearer(token))
    assert (old.status_code, slug(old)) == (401, "session-revoked")
    [entry] = await audited(connection, "update_api_client")
    assert entry[4] == list(change)


async def test_other_changes_leave_it_signed_in(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    created = await made(admin, max_points_per_day=10)
    token = (await sign_in(client, created)).json()["access_token"]
    for change in ({"name": "till 5"}, {"max_points_per_day": None}, {"max_points_per_transaction": 7}, {}):
        answer = await admin.put(f"{url}/{created['id']}", json=change)
        assert answer.status_code == 200
        assert answer.json().items() >= change.items()
    assert (await client.get(me_url, headers=bearer(token))).status_code == 200


async def test_it_ends_at_its_time(admin: httpx.AsyncClient, client: httpx.AsyncClient, later: Later) -> None:
    created = await made(admin)
    token = (await sign_in(client, created)).json()["access_token"]
    answer = await admin.put(f"{url}/{created['id']}", json={"expires_at": "2026-06-15T10:05:00Z"})
    assert answer.status_code == 200
    async with later(timedelta(minutes=4)) as before, later(timedelta(minutes=5)) as after:
        assert (await before.get(me_url, headers=bearer(token))).status_code == 200
        assert (await after.get(me_url, headers=bearer(token))).status_code == 401
        assert (await sign_in(after, created)).status_code == 401


async def test_a_disabled_program_is_out_and_can_come_back(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection
) -> None:
    created = await made(admin)
    token = (await sign_in(client, created)).json()["access_token"]
    assert (await admin.delete(f"{url}/{created['id']}")).status_code == 204
    assert (await sign_in(client, created)).status_code == 401
    assert (await admin.put(f"{url}/{created['id']}", json={"is_enabled": True})).status_code == 200
    assert (await client.get(me_url, headers=bearer(token))).status_code == 401
    assert (await sign_in(client, created)).status_code == 200
    assert len(await audited(connection, "disable_api_client")) == 1


@pytest.mark.parametrize("change", [{"name": None}, {"scopes": None}, {"source": None}, {"is_enabled": None}])
async def test_null_is_no_value_of_what_it_must_have(admin: httpx.AsyncClient, change: dict[str, None]) -> None:
    answer = await admin.put(f"{url}/{(await made(admin))['id']}", json=change)
    assert (answer.status_code, codes(answer)) == (422, {f"body/{next(iter(change))}": "type"})


async def test_a_new_secret_and_the_old_one_work_for_a_while(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, later: Later, connection: Connection
) -> None:
    first = await made(admin)
    token = (await sign_in(client, first)).json()["access_token"]
    answer = await admin.post(f"{url}/{first['id']}/rotate-secret")
    second = answer.json()
    assert answer.status_code == 200
    assert second["previous_secret_until"] == "2026-06-22T10:00:00Z"
    assert second["client_secret"] not in {first["client_secret"], ""}
    assert (await client.get(me_url, headers=bearer(token))).status_code == 200
    assert [(await sign_in(client, each)).status_code for each in (first, second)] == [200, 200]
    async with later(timedelta(days=7)) as after:
        assert [(await sign_in(after, each)).status_code for each in (first, second)] == [401, 200]
    third = (await admin.post(f"{url}/{first['id']}/rotate-secret")).json()
    assert [(await sign_in(client, each)).status_code for each in (first, second, third)] == [401, 200, 200]
    entries = await audited(connection, "rotate_api_client_secret")
    assert len(entries) == 2
    assert third["client_secret"] not in str(entries)


async def test_without_overlap_the_old_secret_and_its_sessions_end_at_once(
    settings: Settings, database: RolledBackDatabase, clock: Clock, admin: httpx.AsyncClient
) -> None:
    strict = create_app(settings.model_copy(update={"client_secret_overlap_days": 0}), database=database, clock=clock)
    async with client_of(strict) as client:
        first = await made(admin)
        token = (await sign_in(client, first)).json()["access_token"]
        headers = {"Authorization": admin.headers["Authorization"]}
        second = (await client.post(f"{url}/{first['id']}/rotate-secret", headers=headers)).json()
        assert (await client.get(me_url, headers=bearer(token))).status_code == 401
        assert [(await sign_in(client, each)).status_code for each in (first, second)] == [401, 200]


async def test_what_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    missing = f"{url}/{uuid4()}"
    answers = [
        await admin.get(missing),
        await admin.put(missing, json={}),
        await admin.delete(missing),
        await admin.post(f"{missing}/rotate-secret"),
    ]
    assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 4


async def test_the_contract_lists_the_scopes_and_invents_no_defaults(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/api/v1/openapi.json")).json()["components"]["schemas"]
    assert set(schemas["ApiClientCreate"]["properties"]["scopes"]["items"]["enum"]) == scopes_of("service")
    for name in ("ApiClientUpdate", "UserUpdate"):
        assert not any("default" in field for field in schemas[name]["properties"].values())
        assert "required" not in schemas[name]
