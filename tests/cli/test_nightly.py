"""`regulars nightly`, as the operator runs it."""

import json

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.cli.program import run
from tests.factories.loyalty import break_accounts, make_members


async def test_the_nights_work_is_done_told_and_told_again(own_database_url: str, clock: Clock) -> None:
    nothing = run(own_database_url, "nightly", "--last")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    async with connect(own_database_url) as connection:
        await make_members(connection, clock, 2)
    done = run(own_database_url, "nightly")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Night of ")
    assert "score_customers  done" in done.stdout
    assert "0 violations" in done.stdout
    told = json.loads(run(own_database_url, "nightly", "--last", "--json").stdout)
    assert told["is_sound"]
    assert told["job_id"] in done.stdout
    async with connect(own_database_url) as connection:
        rows = await (await connection.execute("SELECT kind, state, progress FROM jobs")).fetchall()
    assert rows == [("nightly", "succeeded", 100)]


async def test_what_is_not_as_it_must_be_ends_with_1(own_database_url: str, clock: Clock) -> None:
    async with connect(own_database_url) as connection, connection.transaction():
        await make_members(connection, clock, 1)
        await break_accounts(connection)
    done = run(own_database_url, "nightly", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert [step["step"] for step in json.loads(done.stdout)["steps"] if step["outcome"] != "done"] == ["audit_ledger"]


async def test_it_is_not_begun_twice_at_once(own_database_url: str) -> None:
    async with connect(own_database_url) as connection:
        await connection.execute(
            "INSERT INTO jobs (id, kind, state, attempts, creator_kind, created_at, heard_at, arguments, same_as)"
            " VALUES (uuidv4(), 'nightly', 'running', 1, 'operator', now(), now(), '{\"by\": \"schedule\"}', 'nightly')"
        )
    refused = run(own_database_url, "nightly")
    assert refused.returncode == 2
    assert "under way" in refused.stderr
