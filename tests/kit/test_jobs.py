"""Jobs as those see them who start them."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.jobs import JobNotFinished, Jobs, ResultGone, backlog
from regulars.kit.security import Principal, Role, operator
from tests.factories.jobs import finished_job

queued = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'run_job'"


def somebody(role: Role = "analyst", *scopes: str) -> Principal:
    return Principal(uuid4(), "user", role, frozenset(scopes))


async def value(connection: Connection, query: str) -> object:
    [(found,)] = await (await connection.execute(query)).fetchall()  # type: ignore[arg-type]
    return found


async def test_a_job_is_queued_with_its_row(connection: Connection, clock: Clock) -> None:
    caller = somebody()
    job = await Jobs(connection, clock).start("score", by=caller, arguments={"id": "1"})
    assert (job.state, job.progress, job.created_at) == ("queued", 0, clock.now())
    assert await Jobs(connection, clock).get(job.id, by=caller) == job
    assert await value(connection, queued) == 1
    assert await value(connection, "SELECT args ->> 'job_id' FROM procrastinate_jobs") == str(job.id)


async def test_the_same_work_is_queued_once_and_all_who_asked_may_follow_it(
    connection: Connection, clock: Clock
) -> None:
    jobs, first, second = Jobs(connection, clock), somebody(), somebody()
    job = await jobs.start("score", by=first, same_as="score:all")
    for asking in (second, second, operator):
        assert (await jobs.start("score", by=asking, same_as="score:all")).id == job.id
    assert (await jobs.get(job.id, by=second)).also_asked_by == [second.id]
    assert await value(connection, queued) == 1
    assert (await jobs.start("score", by=first, same_as="score:some")).id != job.id
    assert (await jobs.start("score", by=first)).id != (await jobs.start("score", by=first)).id


async def test_who_finds_work_under_way_may_follow_it(connection: Connection, clock: Clock) -> None:
    jobs, second = Jobs(connection, clock), somebody()
    assert await jobs.find_unfinished("score:all", by=second) is None
    job = await jobs.start("score", by=somebody(), same_as="score:all")
    found = await jobs.find_unfinished("score:all", by=second)
    assert found is not None
    assert found.id == job.id
    assert (await jobs.get(job.id, by=second)).id == job.id


async def test_what_has_ended_is_done_again_when_it_is_asked_for(connection: Connection, clock: Clock) -> None:
    jobs = Jobs(connection, clock)
    job = await finished_job(connection, clock, same_as="score:all")
    assert await jobs.find_unfinished("score:all", by=operator) is None
    assert (await jobs.start("score", by=operator, same_as="score:all")).id != job.id


async def test_others_see_nothing_but_those_who_may_see_all(connection: Connection, clock: Clock) -> None:
    jobs = Jobs(connection, clock)
    job = await jobs.start("score", by=somebody())
    for stranger in (somebody(), somebody("staff", "jobs:read")):
        with pytest.raises(NotFound):
            await jobs.get(job.id, by=stranger)
        with pytest.raises(NotFound):
            await jobs.open_result(job.id, by=stranger)
    with pytest.raises(NotFound):
        await jobs.get(uuid4(), by=operator)
    assert (await jobs.get(job.id, by=somebody("admin", "audit:read"))).id == job.id


async def test_an_unfinished_job_has_no_result(connection: Connection, clock: Clock) -> None:
    job = await Jobs(connection, clock).start("score", by=operator)
    with pytest.raises(JobNotFinished) as refused:
        await Jobs(connection, clock).open_result(job.id, by=operator)
    assert refused.value.retry_after


async def read(connection: Connection, clock: Clock, job_id: object, by: Principal = operator) -> bytes:
    jobs = Jobs(connection, clock)
    job = await jobs.open_result(job_id, by=by)  # type: ignore[arg-type]
    return b"".join([piece async for piece in jobs.pieces(job.id)])


async def test_a_result_is_there_for_a_day(connection: Connection, clock: Clock) -> None:
    job = await finished_job(connection, clock, content=b"done")
    over = replace(clock, stopped_at=clock.now() + timedelta(hours=24))
    almost = replace(over, stopped_at=over.now() - timedelta(seconds=1))
    assert await read(connection, almost, job.id) == b"done"
    with pytest.raises(ResultGone):
        await read(connection, over, job.id)
    assert (await Jobs(connection, over).get(job.id, by=operator)).state == "succeeded"


async def test_a_large_result_comes_in_pieces(
    connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.kit.repository_jobs.piece_bytes", 3)
    job = await finished_job(connection, clock, content=b"12345678")
    pieces = [piece async for piece in Jobs(connection, clock).pieces(job.id)]
    assert pieces == [b"123", b"456", b"78"]


async def test_a_result_for_one_reading_is_gone_after_it(connection: Connection, clock: Clock) -> None:
    job = await finished_job(connection, clock, content=b"all about you", is_fetched_once=True)
    assert await read(connection, clock, job.id) == b"all about you"
    with pytest.raises(ResultGone):
        await read(connection, clock, job.id)


async def test_with_a_person_goes_what_is_kept_about_the_person(connection: Connection, clock: Clock) -> None:
    person, other = uuid4(), uuid4()
    about, others, many, nobody = [
        await finished_job(connection, clock, content=b"x", **kind)
        for kind in ({"customer_id": person}, {"customer_id": other}, {"names_people": True}, {})
    ]
    waiting = await Jobs(connection, clock).start("export", by=operator, customer_id=person, given=b"body")
    await Jobs(connection, clock).forget_customer(person)
    for gone in (about, many):
        with pytest.raises(ResultGone):
            await read(connection, clock, gone.id)
    for kept in (others, nobody):
        assert await read(connection, clock, kept.id) == b"x"
    left = "SELECT count(*) FROM job_pieces WHERE job_id = ANY(ARRAY['{}', '{}', '{}']::uuid[])"
    assert await value(connection, left.format(about.id, many.id, waiting.id)) == 0


async def test_the_backlog_tells_how_old_the_oldest_is(connection: Connection, clock: Clock) -> None:
    assert vars(await backlog(connection, now=clock.now())) == {
        "queued": 0, "running": 0, "failed": 0, "oldest_seconds": 0.0
    }  # fmt: skip
    await Jobs(connection, clock).start("score", by=operator)
    await finished_job(connection, clock)
    found = await backlog(connection, now=clock.now() + timedelta(seconds=90))
    assert (found.queued, found.failed, found.oldest_seconds) == (1, 0, 90.0)
