"""GET /metrics: figures for those who watch, and nothing about anybody."""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from regulars.jobs.audits import start_audit_of_touched
from regulars.jobs.kinds import kinds
from regulars.jobs.nightly import start_nightly
from regulars.jobs.runs import perform
from regulars.jobs.toolbox import Toolbox
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.delivery import messenger_from
from regulars.kit.jobs import Jobs
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import sign_in
from tests.factories.jobs import failed_job
from tests.factories.loyalty import break_accounts, make_members


def figures_of(answer: httpx.Response) -> dict[str, float]:
    """Value by name and labels, without the process."""
    assert answer.status_code == 200
    lines = [line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")]
    own = f'process="{os.getpid()}"'
    return {name.replace(f",{own}", "").replace(f"{{{own}}}", ""): float(value) for name, value in lines}


@pytest.fixture
async def watcher(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("service")


async def test_it_is_text_that_prometheus_reads(watcher: httpx.AsyncClient) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = await watcher.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    figures = figures_of(answer)
    assert figures["regulars_jobs_oldest_seconds"] == 0
    assert figures["regulars_expiry_backlog_seconds"] == 0
    assert not [name for name in figures if "ledger_violations" in name]  # nobody has audited yet


@pytest.mark.parametrize("role", ["customer", "staff", "analyst"])
async def test_it_is_for_those_who_watch(as_role: AsRole, client: httpx.AsyncClient, role: str) -> None:
    refused = await (await as_role(role)).get("/metrics")  # type: ignore[arg-type]
    assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")
    assert (await client.get("/metrics")).status_code == 401


async def test_requests_are_told_by_template(watcher: httpx.AsyncClient) -> None:
    unknown = "7a1c7b4e-0000-4000-8000-000000000000"
    await watcher.get(f"/api/v1/retail-customers/{unknown}")
    await watcher.get("/api/v1/nowhere/ann@example.com")
    text = (await watcher.get("/metrics")).text
    assert 'method="GET",route="/api/v1/retail-customers/{customer_id}",status="404"' in text
    assert 'route="none",status="404"' in text
    assert "regulars_requests_in_flight" in text
    for told in (unknown, "ann", "nowhere"):
        assert told not in text


async def test_jobs_and_expiry_are_told(watcher: httpx.AsyncClient, connection: Connection, clock: Clock) -> None:
    await Jobs(connection, replace(clock, stopped_at=clock.now() - timedelta(minutes=11))).start("x", by=operator)
    await failed_job(connection, clock, by=operator)
    [member] = await make_members(connection, clock, 1)
    past = replace(clock, stopped_at=clock.now() - timedelta(days=3))
    award = LoyaltyPointsEarn(customer_id=member, points=5, description="x", expiry_days=1)
    await LoyaltyService(connection, Settings(_env_file=None), past).earn_loyalty_points(award, by=operator)
    figures = figures_of(await watcher.get("/metrics"))
    assert [figures[f'regulars_jobs{{state="{state}"}}'] for state in ("queued", "running", "failed")] == [1, 0, 1]
    assert figures["regulars_jobs_oldest_seconds"] == 660
    assert figures["regulars_expiry_backlog_seconds"] > 86_400


async def test_the_last_audits_are_told(
    watcher: httpx.AsyncClient, connection: Connection, database: RolledBackDatabase, clock: Clock, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    an_hour_ago = replace(clock, stopped_at=clock.now() - timedelta(hours=1))
    toolbox = Toolbox(database, settings, an_hour_ago, messenger_from(settings))  # type: ignore[arg-type]
    night = await start_nightly(connection, an_hour_ago, day=clock.today(), is_scheduled=False)
    await perform(toolbox, night.id, kinds)
    await make_members(connection, clock, 1)
    await break_accounts(connection)
    toolbox = replace(toolbox, clock=clock)
    await start_audit_of_touched(toolbox)
    audit = await Jobs(connection, clock).find_latest("audit_ledger")
    assert audit is not None
    await perform(toolbox, audit.id, kinds)
    figures = figures_of(await watcher.get("/metrics"))
    assert figures['regulars_ledger_violations{scope="all"}'] == 0
    assert figures['regulars_ledger_violations{scope="touched"}'] >= 1
    assert figures['regulars_ledger_audit_age_seconds{scope="all"}'] == 3_600
    assert figures['regulars_ledger_audit_age_seconds{scope="touched"}'] == 0
    assert figures["regulars_nightly_failed_steps"] == 0


@pytest.fixture
async def pooled(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(own_database_url) as connection:
        token, _ = await sign_in(connection, settings, clock, role="admin")
    async with client_of(committing_app, token) as client:
        yield client


async def test_the_pool_is_told(pooled: httpx.AsyncClient) -> None:
    figures = figures_of(await pooled.get("/metrics"))
    assert figures['regulars_pool_connections{state="used"}'] == 1  # that of this request
    assert figures['regulars_pool_connections{state="allowed"}'] == 4
    assert figures["regulars_pool_waiting"] == 0
    assert [figures[f'regulars_awards_total{{way="{way}"}}'] for way in ("alone", "together", "left")] == [0, 0, 0]


async def test_what_each_process_counts_for_itself_says_which(pooled: httpx.AsyncClient) -> None:
    text = (await pooled.get("/metrics")).text
    figures = [line for line in text.splitlines() if not line.startswith("#")]
    own = [line for line in figures if f'process="{os.getpid()}"' in line]
    names = {re.split("[{ ]", line)[0].removeprefix("regulars_") for line in own}
    assert names >= {"requests_in_flight", "requests_shed_total", "pool_connections", "pool_waiting", "awards_total"}
    assert not [line for line in figures if "jobs" in line and line in own]  # those are the installation's
