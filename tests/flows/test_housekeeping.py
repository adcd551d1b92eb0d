"""What is over is forgotten, what counts is kept."""

from datetime import timedelta
from uuid import uuid4

import pytest

from regulars.customers.verifications import Verifications
from regulars.flows import housekeeping
from regulars.flows.housekeeping import forget_what_is_over
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_user
from tests.factories.customers import make_customer

hashes = KeyedHashes(b"a secret of this test")
tables = (
    "refresh_tokens",
    "sessions",
    "sign_in_failures",
    "idempotency_keys",
    "job_pieces",
    "jobs",
    "rate_limits",
    "verifications",
    "registrations",
    "events",
    "welcome_bonuses",
    "engagement_events",
    "early_reversals",
)


async def count(connection: Connection, table: str) -> int:
    [(rows,)] = await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchall()  # type: ignore[arg-type]
    return int(rows)


async def fill(connection: Connection, clock: Clock) -> None:
    """In every table one row that is over by a moment, and one that has a second to live."""
    user = await make_user(connection, clock)
    moments = {"now": clock.now(), "second": timedelta(seconds=1), "user": user.id}
    await connection.execute(
        "INSERT INTO sessions (user_id, created_at, expires_at) SELECT %(user)s, %(now)s, t"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at, used_at)"
        " SELECT uuidv4()::text::bytea, (SELECT id FROM sessions ORDER BY expires_at DESC LIMIT 1), %(now)s, t, t"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO sign_in_failures (account_hash, failed_at) SELECT 'x', t - interval '1 hour'"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO idempotency_keys (key, principal_id, request_hash, created_at)"
        " SELECT t::text, uuidv4(), 'x', t - interval '7 days' FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO jobs (id, kind, state, creator_kind, created_at, finished_at, result_until, result_media_type)"
        " SELECT uuidv4(), 'x', 'succeeded', 'operator', t, t - interval '7 days', t, 'text/csv'"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO job_pieces (job_id, part, number, content) SELECT id, 'result', 0, 'x' FROM jobs"
    )
    await connection.execute(
        "INSERT INTO rate_limits (kind, subject_hash, taken_at, forget_at) SELECT 'x', t::text::bytea, '{}', t"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO verifications (kind, subject_id, address, created_at, expires_at)"
        " SELECT 'email', uuidv4(), 'a@example.com', t, t FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "INSERT INTO events (occurred_at, kind)"
        " SELECT t - interval '30 days', 'thing.happened' FROM unnest(ARRAY[%(now)s - %(second)s, %(now)s]) t",
        moments,
    )
    customer = await make_customer(connection, clock)
    await connection.execute(
        "INSERT INTO engagement_events (customer_id, event_id, message_id, kind, occurred_at, recorded_at)"
        " SELECT %(customer)s, t::text, 'm', 'sent', t, t - interval '400 days'"
        " FROM unnest(ARRAY[%(now)s - %(second)s, %(now)s]) t",
        moments | {"customer": customer.id},
    )
    await connection.execute(
        "INSERT INTO early_reversals (source, external_id, refund_id, request, received_at)"
        " SELECT 'till', t::text, '', '{}', t - interval '90 days'"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )
    await connection.execute(
        "WITH gone AS (INSERT INTO customers (customer_number, created_at, updated_at, erased_at)"
        " SELECT 'CUST-20260615-' || (9999 + n), t, t, t - interval '365 days'"
        " FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) WITH ORDINALITY AS moments (t, n) RETURNING id)"
        " INSERT INTO welcome_bonuses SELECT sha256(id::text::bytea), id, %(now)s FROM gone",
        moments,
    )
    await connection.execute(
        "INSERT INTO registrations (password_hash, profile, created_at, expires_at)"
        " SELECT 'x', '{}', t, t FROM unnest(ARRAY[%(now)s, %(now)s + %(second)s]) t",
        moments,
    )


async def test_what_is_over_goes_and_what_counts_stays(
    connection: Connection, database: RolledBackDatabase, clock: Clock
) -> None:
    await fill(connection, clock)
    forgotten = await forget_what_is_over(database, Settings(_env_file=None), clock)
    assert forgotten == dict.fromkeys(tables, 1)
    assert [await count(connection, table) for table in tables] == [1] * len(tables)
    assert set((await forget_what_is_over(database, Settings(_env_file=None), clock)).values()) == {0}


async def test_a_session_goes_with_its_tokens(
    connection: Connection, database: RolledBackDatabase, clock: Clock
) -> None:
    await fill(connection, clock)
    await connection.execute("UPDATE sessions SET expires_at = %s", [clock.now()])
    await forget_what_is_over(database, Settings(_env_file=None), clock)
    assert await count(connection, "refresh_tokens") == 0


async def test_answers_are_kept_as_long_as_the_setting_says(
    connection: Connection, database: RolledBackDatabase, clock: Clock
) -> None:
    await fill(connection, clock)
    await forget_what_is_over(database, Settings(_env_file=None, idempotency_days=8), clock)
    assert await count(connection, "idempotency_keys") == 2


async def test_it_goes_in_bounded_steps_and_not_on_for_ever(
    connection: Connection, database: RolledBackDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "batch_size", 3)
    monkeypatch.setattr(housekeeping, "most_batches", 2)
    settings = Settings(_env_file=None, jwt_secret="a secret of this test, thirty-two bytes")
    verifications = Verifications(connection, settings, clock)
    for number in range(8):
        await verifications.begin("phone", uuid4(), f"+49301234{number}")
    await connection.execute("UPDATE verifications SET expires_at = %s", [clock.now()])
    left = []
    for _ in range(3):
        await forget_what_is_over(database, Settings(_env_file=None), clock)
        left.append(await count(connection, "verifications"))
    assert left == [2, 0, 0]
