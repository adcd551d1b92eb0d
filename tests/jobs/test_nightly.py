"""When the night's work begins, and how it goes on with another worker."""

from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from regulars.flows import nightly as flow
from regulars.flows.nightly import Found, Night, NightlyReport
from regulars.jobs.nightly import due_day, nightly, start_nightly, start_when_due
from regulars.jobs.runs import JobRun, perform
from regulars.jobs.toolbox import Toolbox
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, DatabaseUnavailable
from regulars.kit.delivery import messenger_from
from regulars.kit.jobs import Jobs
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase

berlin = ZoneInfo("Europe/Berlin")


def shop(nightly_at: time | None) -> Settings:
    return Settings(_env_file=None, store_timezone="Europe/Berlin", nightly_at=nightly_at)


@pytest.mark.parametrize(
    ("local", "begins", "expected"),
    [
        ("2026-06-15T03:29:59", time(3, 30), date(2026, 6, 14)),
        ("2026-06-15T03:30:00", time(3, 30), date(2026, 6, 15)),
        ("2026-06-15T09:29:59", time(3, 30), date(2026, 6, 15)),
        ("2026-06-15T23:59:59", time(3, 30), date(2026, 6, 15)),
        ("2026-06-15T01:00:00", time(22, 0), date(2026, 6, 14)),
        ("2026-06-15T22:00:00", time(22, 0), date(2026, 6, 15)),
        ("2026-06-15T03:30:00", None, None),
        ("2026-03-29T03:00:00", time(2, 30), date(2026, 3, 29)),  # there was no 2:30
        ("2026-10-25T02:30:00", time(2, 30), date(2026, 10, 25)),  # and here two
    ],
)
def test_it_is_due_from_its_time_in_the_shop_until_the_next(
    local: str, begins: time | None, expected: date | None
) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=berlin)
    assert due_day(shop(begins), now) == expected


def test_the_time_is_one_of_the_shops_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_NIGHTLY_AT", "")
    assert Settings(_env_file=None).nightly_at is None
    monkeypatch.setenv("REGULARS_NIGHTLY_AT", "23:15")
    assert Settings(_env_file=None).nightly_at == time(23, 15)
    for wrong in ("25:00", "03:30+02:00", "night"):
        monkeypatch.setenv("REGULARS_NIGHTLY_AT", wrong)
        with pytest.raises(ValueError, match="nightly_at"):
            Settings(_env_file=None)


@pytest.fixture
def toolbox(database: RolledBackDatabase, clock: Clock, tmp_path: Path) -> Toolbox:
    settings = shop(clock.now().astimezone(berlin).time()).model_copy(update={"data_dir": tmp_path})
    return Toolbox(database, settings, clock, messenger_from(settings))  # type: ignore[arg-type]


async def test_it_is_begun_once_a_night(toolbox: Toolbox, connection: Connection, clock: Clock) -> None:
    for _ in range(3):
        await start_when_due(toolbox)
    rows = await (await connection.execute("SELECT kind, creator_kind, arguments FROM jobs")).fetchall()
    assert rows == [("nightly", "operator", {"day": "2026-06-15", "by": "schedule"})]
    await connection.execute("UPDATE jobs SET state = 'succeeded', finished_at = now(), result_media_type = 'x'")
    await start_when_due(toolbox)
    assert len(await (await connection.execute("SELECT FROM jobs")).fetchall()) == 1


async def test_what_was_done_by_hand_takes_nothing_from_the_night(
    toolbox: Toolbox, connection: Connection, clock: Clock
) -> None:
    await start_nightly(connection, clock, day=clock.today(), is_scheduled=False)
    await connection.execute("UPDATE jobs SET state = 'succeeded', finished_at = now(), result_media_type = 'x'")
    await start_when_due(toolbox)
    assert len(await (await connection.execute("SELECT FROM jobs")).fetchall()) == 2


async def test_another_worker_goes_on_where_the_first_broke_off(
    toolbox: Toolbox, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    is_away = True

    async def first(night: Night) -> Found:
        begun.append("first")
        return Found({})

    async def second(night: Night) -> Found:
        begun.append("second")
        if is_away:
            raise DatabaseUnavailable
        return Found({"rows": 2})

    monkeypatch.setitem(flow.work_through.__kwdefaults__, "steps", {"first": first, "second": second})  # type: ignore[arg-type]
    job = await start_nightly(connection, clock, day=clock.today(), is_scheduled=True)
    with pytest.raises(DatabaseUnavailable):
        await perform(toolbox, job.id, {"nightly": nightly})
    is_away = False
    await perform(toolbox, job.id, {"nightly": nightly})
    assert begun == ["first", "second", "second"]
    jobs = Jobs(connection, clock)
    assert (await jobs.get(job.id, by=operator)).state == "succeeded"
    report = NightlyReport.model_validate_json(b"".join([piece async for piece in jobs.pieces(job.id)]))
    assert (report.is_sound, [step.counts for step in report.steps]) == (True, [{}, {"rows": 2}])


async def test_only_the_latest_run_is_remembered(toolbox: Toolbox, connection: Connection, clock: Clock) -> None:
    job = await start_nightly(connection, clock, day=clock.today(), is_scheduled=True)
    run = JobRun(toolbox, job, operator)  # of no attempt that counts
    await connection.execute("UPDATE jobs SET attempts = 1")
    await run.remember(b"stale")
    async with run.given() as file:
        assert file.read() == b""
