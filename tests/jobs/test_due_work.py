"""What comes round again is done once by whichever worker comes first, however late it comes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from procrastinate import App, PsycopgConnector

from regulars.jobs.due_work import begun_again_after, intervals, is_due
from regulars.jobs.tasks import begin_what_is_due, due_tasks, register_tasks
from regulars.jobs.toolbox import Toolbox
from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.delivery import messenger_from
from regulars.kit.repository_due_work import DueWorkRepository
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns

morning = datetime(2026, 6, 15, 7, 0, tzinfo=UTC)
"""Nine o'clock in the shop, which is when its machine is switched on."""

At = Callable[[datetime], Toolbox]


@pytest.fixture
def at(database: RolledBackDatabase, clock: Clock, tmp_path: Path) -> At:
    settings = Settings(_env_file=None, data_dir=tmp_path, store_timezone="Europe/Berlin")

    def at(now: datetime) -> Toolbox:
        return Toolbox(database, settings, replace(clock, stopped_at=now), messenger_from(settings))  # type: ignore[arg-type]

    return at


async def queued(connection: Connection) -> list[str]:
    """What was queued since the last look, taken out of the queue."""
    rows = await (
        await connection.execute("DELETE FROM procrastinate_jobs RETURNING coalesce(args ->> 'job_id', task_name)")
    ).fetchall()
    kinds = dict(await (await connection.execute("SELECT id::text, kind FROM jobs")).fetchall())
    return sorted(kinds.get(name, name) for (name,) in rows)


async def do_all(connection: Connection, toolbox: Toolbox) -> None:
    for name in intervals:
        await DueWorkRepository(connection).end(name, at=toolbox.clock.now())
    await connection.execute("UPDATE jobs SET state = 'succeeded', finished_at = now(), result_media_type = 'x'")


everything = sorted([*intervals, "nightly"])


async def test_a_machine_that_is_off_at_night_does_all_of_it_each_day_once(connection: Connection, at: At) -> None:
    for day in range(4):
        switched_on = morning + timedelta(days=day)
        await begin_what_is_due(at(switched_on))
        assert await queued(connection) == everything
        await do_all(connection, at(switched_on))
        for minutes in range(1, 15):
            await begin_what_is_due(at(switched_on + timedelta(minutes=minutes)))
        assert await queued(connection) == []


@pytest.mark.parametrize("late", [timedelta(minutes=11), timedelta(hours=7), timedelta(days=100)], ids=str)
async def test_however_late_a_worker_comes_what_was_missed_is_done_once(
    connection: Connection, at: At, late: timedelta
) -> None:
    night = datetime(2026, 6, 15, 1, 29, tzinfo=UTC)
    await begin_what_is_due(at(night))
    await queued(connection)
    await do_all(connection, at(night))
    missed = max(intervals.values()) + late
    for _ in range(3):
        await begin_what_is_due(at(night + missed))
    assert await queued(connection) == everything


async def test_each_is_due_after_its_interval(connection: Connection, at: At) -> None:
    for weeks, (name, interval) in enumerate(intervals.items()):
        done = morning + timedelta(weeks=weeks)
        await begin_what_is_due(at(done))
        await queued(connection)
        await do_all(connection, at(done))
        just_before, due = at(done + interval - timedelta(seconds=1)), at(done + interval)
        assert not await is_due(just_before, name)
        assert await is_due(due, name)
        await begin_what_is_due(just_before)
        assert name not in await queued(connection)
        await begin_what_is_due(due)
        assert name in await queued(connection)


def test_whoever_was_left_out_for_a_locked_row_is_erased_within_the_hour() -> None:
    assert intervals["erase_who_is_due"] <= timedelta(hours=1)


async def test_what_failed_or_died_is_tried_again_soon(connection: Connection, at: At) -> None:
    await begin_what_is_due(at(morning))
    assert "erase_who_is_due" in await queued(connection)
    await begin_what_is_due(at(morning + begun_again_after - timedelta(seconds=1)))
    assert "erase_who_is_due" not in await queued(connection)
    await begin_what_is_due(at(morning + begun_again_after))
    assert "erase_who_is_due" in await queued(connection)


async def test_a_clock_that_was_ahead_holds_up_nothing(connection: Connection, at: At) -> None:
    await begin_what_is_due(at(morning + timedelta(days=3_000)))
    await queued(connection)
    await do_all(connection, at(morning + timedelta(days=3_000)))
    await begin_what_is_due(at(morning))
    assert await queued(connection) == everything


def test_nothing_is_left_to_a_clock_time() -> None:
    app = App(connector=PsycopgConnector())
    register_tasks(app, ())
    assert {task.cron for task in app.periodic_registry.periodic_tasks.values()} == {"* * * * *"}
    assert {task.__name__ for task in due_tasks} == set(intervals)


@pytest.fixture
async def admin(own_database_url: str) -> AsyncIterator[Connection]:
    async with connect(own_database_url) as connection:
        yield connection


async def test_a_worker_that_only_empties_the_queue_does_what_is_due(
    own_database_url: str, admin: Connection, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")
    gone = await make_customer(admin, settings.clock)
    await set_columns(admin, gone, deleted_at=settings.clock.now() - timedelta(days=31))

    async def work(**more: Any) -> None:
        await run_worker(
            own_database_url, settings, install_signal_handlers=False, until_empty=True, starts_due_work=True, **more
        )

    await work()
    erased = "SELECT count(*) FROM customers WHERE erased_at IS NOT NULL"
    assert await (await admin.execute(erased)).fetchone() == (1,)
    undone = "SELECT name FROM due_work WHERE done_at IS NULL"
    assert await (await admin.execute(undone)).fetchall() == []
    ended = "SELECT kind, state FROM jobs ORDER BY kind"
    both = [("audit_ledger", "succeeded"), ("nightly", "succeeded")]
    assert await (await admin.execute(ended)).fetchall() == both
    before = await (await admin.execute("SELECT count(*) FROM procrastinate_jobs")).fetchone()
    await work()
    assert await (await admin.execute("SELECT count(*) FROM procrastinate_jobs")).fetchone() == before
