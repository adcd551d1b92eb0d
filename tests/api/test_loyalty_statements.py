"""How many statements a request about points takes, its transaction's begin and end not counted."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import TokenFor, client_of
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer
from tests.factories.statements import counted_statements

base = "/api/v1/retail-customers"


@pytest.fixture
async def till(
    settings: Settings, database: RolledBackDatabase, clock: Clock, token_for: TokenFor
) -> httpx.AsyncClient:
    """A till whose session was checked a moment ago."""
    checking = settings.model_copy(update={"session_check_seconds": 5})
    token, _ = await token_for("service")
    till = client_of(create_app(checking, database=database, clock=clock), token)
    assert (await till.get("/api/v1/auth/me")).status_code == 200
    return till


@pytest.fixture
async def member(till: httpx.AsyncClient, connection: Connection, clock: Clock) -> UUID:
    """A customer with two lots."""
    customer = (await make_customer(connection, clock)).id
    for _ in range(2):
        body = {"customer_id": str(customer), "points": 100}
        assert (await till.post(f"{base}/loyalty/earn", json=body)).status_code == 201
    return customer


@pytest.fixture
def statements(member: UUID, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Those that are executed from now on."""
    with counted_statements(monkeypatch) as executed:
        yield executed


def count(statements: list[str]) -> int:
    """Without the one by which the test itself checks what a commit would."""
    return sum("SET CONSTRAINTS" not in statement for statement in statements)


async def test_an_award_for_an_order_takes_five(till: httpx.AsyncClient, member: UUID, statements: list[str]) -> None:
    """Claim of the key, lock, whose order, posting, answer under the key."""
    body = {"customer_id": str(member), "points": 5, "order_id": str(uuid4())}
    answer = await till.post(f"{base}/loyalty/earn", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert count(statements) == 5, statements


async def test_an_award_without_order_and_key_takes_two(
    till: httpx.AsyncClient, member: UUID, statements: list[str]
) -> None:
    answer = await till.post(f"{base}/loyalty/earn", json={"customer_id": str(member), "points": 5})
    assert answer.status_code == 201
    assert count(statements) == 2, statements


async def test_a_redemption_takes_five_however_many_lots_it_uses(
    till: httpx.AsyncClient, member: UUID, statements: list[str]
) -> None:
    for points in (10, 150):
        statements.clear()
        body = {"customer_id": str(member), "points": points}
        answer = await till.post(f"{base}/loyalty/redeem", json=body, headers={"Idempotency-Key": f"k{points}"})
        assert answer.status_code == 201
        assert count(statements) == 5, statements


@pytest.mark.parametrize("path", ["balance", "transactions", "expiring"])
async def test_reading_points_takes_two(
    till: httpx.AsyncClient, member: UUID, statements: list[str], path: str
) -> None:
    assert (await till.get(f"{base}/{member}/loyalty/{path}")).status_code == 200
    assert count(statements) == 2, statements
