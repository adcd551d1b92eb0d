"""The mail for who forgot the password: from the request to the new password."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from regulars.app import create_app
from regulars.jobs.proofs import send_password_reset
from regulars.jobs.toolbox import Toolbox
from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.delivery_mail import Sender
from regulars.kit.delivery_outbox import OutboxMessenger
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings
from tests.factories.accounts import make_user

good = "a sentence that nobody says"
failed = "SELECT task_name, args::text, status::text FROM procrastinate_jobs WHERE task_name = 'send_password_reset'"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd",
        public_url="https://shop.example/",
        brand_name="Oz",
    )


def outbox(settings: Settings) -> OutboxMessenger:
    return OutboxMessenger(settings.data_dir / "outbox", Sender("shop@example.com", "Oz"), settings.clock)


async def add_ann(connection: Connection, settings: Settings) -> None:
    await make_user(connection, settings.clock, email="ann@example.com")


async def test_the_mailed_link_sets_a_new_password(own_database_url: str, settings: Settings) -> None:
    async with Database(own_database_url, size=2) as database:
        async with database.transaction() as connection:
            await add_ann(connection, settings)
        app = create_app(settings, database=database)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/auth") as client:
            for email in ("ann@example.com", "bob@example.com"):
                asked = {"X-Forwarded-Host": "evil.example"}
                answer = await client.post("/password/forgot", json={"email": email}, headers=asked)
                assert answer.status_code == 202
            await run_worker(own_database_url, settings, install_signal_handlers=False, until_empty=True)
            mail = outbox(settings).last_mail_to("ann@example.com")
            assert mail is not None
            assert outbox(settings).last_mail_to("bob@example.com") is None
            assert "Oz" in mail.subject
            [link] = re.findall(r"https?://\S+", mail.text)
            found = re.fullmatch(r"https://shop\.example/reset-password\?token=([\w-]{43})", link)
            assert found
            body = {"token": found[1], "new_password": good}
            assert (await client.post("/password/reset", json=body)).status_code == 204
            form = {"grant_type": "password", "username": "ann@example.com", "password": good}
            assert (await client.post("/token", data=form)).status_code == 200
    async with connect(own_database_url) as connection:
        rows = await (await connection.execute(failed)).fetchall()
    assert [status for _, _, status in rows] == ["succeeded"] * 2
    assert not any("@" in arguments or found[1] in arguments for _, arguments, _ in rows), "jobs are kept"


async def test_without_an_address_for_links_the_job_says_so(own_database_url: str, settings: Settings) -> None:
    async with Database(own_database_url, size=1) as database:
        bare = settings.model_copy(update={"public_url": None})
        toolbox = Toolbox(database, bare, settings.clock, outbox(settings))
        with pytest.raises(OperatorError, match="REGULARS_PUBLIC_URL"):
            await send_password_reset(toolbox, "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77")


async def test_a_job_that_comes_too_late_sends_nothing(own_database_url: str, settings: Settings, clock: Clock) -> None:
    async with Database(own_database_url, size=1) as database:
        async with database.transaction() as connection:
            await add_ann(connection, settings)
        await create_app(settings, database=database, clock=clock).state.passwords.forgot("ann@example.com")
        async with database.transaction() as connection:
            [(verification_id,)] = await (await connection.execute("SELECT id::text FROM verifications")).fetchall()
        assert clock.stopped_at is not None
        late = replace(clock, stopped_at=clock.stopped_at + timedelta(hours=1))
        await send_password_reset(Toolbox(database, settings, late, outbox(settings)), verification_id)
    assert outbox(settings).last_mail_to("ann@example.com") is None
