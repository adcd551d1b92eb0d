"""The table of bad inputs, row by row, against the routes that exist.

Each case is a function that makes the requests of its row; what must come back is in the table. A row is due as soon
as its endpoint exists.
"""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.bad_inputs import (
    accounts,
    bounds,
    customers,
    edge,
    loyalty,
    orders,
    preferences,
    privacy,
    registration,
    tokens,
)
from tests.api.bad_inputs.table import Row, World, cases, rows
from tests.api.conftest import AsRole, TokenFor
from tests.conftest import RolledBackDatabase

# The files whose cases are registered by being imported.
files_of_cases = (accounts, bounds, customers, edge, loyalty, orders, preferences, privacy, registration, tokens)


@pytest.fixture
async def world(
    client: httpx.AsyncClient, as_role: AsRole, token_for: TokenFor, connection: Connection,
    database: RolledBackDatabase, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch,
) -> World:  # fmt: skip
    return World(client, as_role, token_for, connection, database, settings, clock, monkeypatch)


# Rows that are proved in another place, or about what is not offered.
elsewhere = {
    "33a": "tests/flows/test_registrations_at_once.py",
    "33b": "tests/flows/test_registrations_at_once.py",
    "48c": "tests/flows/test_registrations_at_once.py",
    "53": "tests/api/test_loyalty_parallel.py",
    "70b": "tests/cli/test_serve.py",
    "71": "tests/api/test_loyalty_parallel.py",
}


def is_due(row: Row, app: FastAPI) -> bool:
    """Whether the application has the operation that the row names, with or without a slash at its end."""
    if row.target is None:
        return not row.note.startswith("deferred:")
    method, path = row.target
    return any(
        method in (route.methods or ()) and (route.path_regex.match(path) or route.path_regex.match(path.rstrip("/")))
        for route in iter_route_contexts(app.routes)
    )


async def test_every_row_is_made_as_soon_as_its_endpoint_exists(app: FastAPI) -> None:
    due = {row.id for row in rows.values() if is_due(row, app)}
    assert due == cases.keys() | elsewhere.keys()
    assert cases.keys() & elsewhere.keys() == set()


@pytest.mark.parametrize("row", [rows[name] for name in sorted(cases)], ids=lambda row: row.id)
async def test_a_row_gets_the_answer_of_the_table(world: World, row: Row) -> None:
    answers = await cases[row.id](world)
    for answer in answers if isinstance(answers, list) else [answers]:
        assert answer.status_code == int(row.status)
        if row.slug:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == f"/problems/{row.slug}"
        if answer.status_code in {429, 503, 504}:
            assert int(answer.headers["Retry-After"]) > 0
        if answer.status_code == 401:
            assert "WWW-Authenticate" in answer.headers
