from regulars.jobs.worker import run_worker
from regulars.kit.database import connect
from regulars.kit.queue import enqueue
from regulars.kit.settings import Settings

waiting = "SELECT task_name, args, status::text FROM procrastinate_jobs WHERE task_name = 'forget_finished_jobs'"


async def test_a_job_commits_with_its_transaction(own_database_url: str) -> None:
    async with connect(own_database_url) as connection:
        async with connection.transaction(force_rollback=True):
            assert await enqueue(connection, "forget_finished_jobs", timestamp=0)
        assert await (await connection.execute(waiting)).fetchall() == []
        async with connection.transaction():
            await enqueue(connection, "forget_finished_jobs", timestamp=0)
        assert await (await connection.execute(waiting)).fetchall() == [
            ("forget_finished_jobs", {"timestamp": 0}, "todo")
        ]


async def test_an_equal_job_waits_only_once_and_spoils_nothing(own_database_url: str) -> None:
    async with connect(own_database_url) as connection, connection.transaction():
        assert await enqueue(connection, "forget_finished_jobs", once="nightly", timestamp=0)
        assert not await enqueue(connection, "forget_finished_jobs", once="nightly", timestamp=1)
        assert len(await (await connection.execute(waiting)).fetchall()) == 1


async def test_a_worker_runs_what_is_queued(own_database_url: str) -> None:
    async with connect(own_database_url) as connection:
        async with connection.transaction():
            await enqueue(connection, "forget_finished_jobs", timestamp=0)
        await run_worker(own_database_url, Settings(), install_signal_handlers=False, until_empty=True)
        assert await (await connection.execute(waiting)).fetchall() == [
            ("forget_finished_jobs", {"timestamp": 0}, "succeeded")
        ]
