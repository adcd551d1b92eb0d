"""Jobs over HTTP: followed by who asked for them, read while they last."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.kit.bulk import BulkRejected
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.jobs import Jobs
from regulars.kit.security import Principal, Role
from tests.api.conftest import TokenFor, client_of
from tests.api.probes import slug, without_trace
from tests.factories.jobs import failed_job, finished_job


def job_url(job_id: UUID) -> str:
    return f"/api/v1/jobs/{job_id}"


@pytest.fixture
def call(app: FastAPI, token_for: TokenFor):
    """`client, caller = await call("staff")`."""

    async def signed_in(role: Role) -> tuple[httpx.AsyncClient, Principal]:
        token, caller = await token_for(role)
        return client_of(app, token), caller

    return signed_in


@pytest.mark.parametrize("role", ["customer", "service", "staff", "analyst", "admin"])
async def test_everybody_follows_the_own_jobs(call, role: Role, connection: Connection, clock: Clock) -> None:
    client, caller = await call(role)
    job = await Jobs(connection, clock).start("calculate_clv", by=caller)
    answer = await client.get(job_url(job.id))
    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(job.id), "kind": "calculate_clv", "state": "queued", "progress": 0,
        "created_at": "2026-06-15T10:00:00Z", "started_at": None, "finished_at": None, "error": None,
        "result_url": None,
    }  # fmt: skip


@pytest.mark.parametrize("role", ["customer", "service", "staff", "analyst"])
async def test_the_jobs_of_others_are_not_there(call, role: Role, connection: Connection, clock: Clock) -> None:
    client, _ = await call(role)
    _, other = await call(role)
    job = await finished_job(connection, clock, by=other)
    for path in (job_url(job.id), f"{job_url(job.id)}/result"):
        foreign, missing = await client.get(path), await client.get(path.replace(str(job.id), str(uuid4())))
        assert (foreign.status_code, slug(foreign)) == (404, "not-found")
        assert without_trace(foreign) == without_trace(missing)


async def test_an_admin_follows_all(call, connection: Connection, clock: Clock) -> None:
    admin, _ = await call("admin")
    _, analyst = await call("analyst")
    job = await finished_job(connection, clock, by=analyst, content=b'{"changed":1}')
    assert (await admin.get(job_url(job.id))).json()["state"] == "succeeded"
    assert (await admin.get(f"{job_url(job.id)}/result")).content == b'{"changed":1}'


async def test_a_result_is_fetched_where_the_job_says(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("analyst")
    job = await finished_job(
        connection, clock, by=caller, content=b"id\r\n", media_type="text/csv", name="customers.csv"
    )
    told = (await client.get(job_url(job.id))).json()
    assert (told["state"], told["progress"], told["result_url"]) == ("succeeded", 100, f"{job_url(job.id)}/result")
    answer = await client.get(told["result_url"])
    assert (answer.status_code, answer.content) == (200, b"id\r\n")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="customers.csv"'
    assert answer.headers["content-length"] == "4"


async def test_an_answer_in_json_has_no_file_name(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("analyst")
    job = await finished_job(connection, clock, by=caller)
    answer = await client.get(f"{job_url(job.id)}/result")
    assert (answer.headers["content-type"], answer.content) == ("application/json", b"{}")
    assert "content-disposition" not in answer.headers


async def test_a_result_is_not_sent_to_who_cannot_take_it(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("analyst")
    job = await finished_job(connection, clock, by=caller, media_type="text/csv", is_fetched_once=True)
    refused = await client.get(f"{job_url(job.id)}/result", headers={"Accept": "application/json"})
    assert (refused.status_code, slug(refused)) == (406, "not-acceptable")
    assert (await client.get(f"{job_url(job.id)}/result")).status_code == 200  # and was not taken by asking


async def test_who_is_early_is_told_when_to_ask_again(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("analyst")
    job = await Jobs(connection, clock).start("calculate_clv", by=caller)
    answer = await client.get(f"{job_url(job.id)}/result")
    assert (answer.status_code, slug(answer), answer.headers["retry-after"]) == (409, "job-not-finished", "2")


async def test_who_is_late_finds_nothing(call, connection: Connection, clock: Clock) -> None:
    late, caller = await call("analyst")
    yesterday = replace(clock, stopped_at=clock.now() - timedelta(hours=24))
    job = await finished_job(connection, yesterday, by=caller)
    assert (await late.get(job_url(job.id))).json()["result_url"] is None
    answer = await late.get(f"{job_url(job.id)}/result")
    assert (answer.status_code, slug(answer)) == (410, "result-gone")


async def test_some_results_are_fetched_once(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("staff")
    job = await finished_job(connection, clock, by=caller, is_fetched_once=True)
    assert (await client.get(f"{job_url(job.id)}/result")).status_code == 200
    assert slug(await client.get(f"{job_url(job.id)}/result")) == "result-gone"


async def test_the_result_of_a_failed_job_is_its_problem(call, connection: Connection, clock: Clock) -> None:
    client, caller = await call("admin")
    items = [{"customer_id": str(uuid4()), "outcome": "failed", "problem": None}]
    job = await failed_job(connection, clock, by=caller, refusal=BulkRejected(items=items))
    told = (await client.get(job_url(job.id))).json()
    assert (told["state"], told["error"]["type"], told["result_url"]) == ("failed", "/problems/bulk-rejected", None)
    answer = await client.get(f"{job_url(job.id)}/result")
    assert (answer.status_code, slug(answer), answer.json()["items"]) == (409, "bulk-rejected", items)


async def test_an_id_that_is_none_is_refused(call) -> None:
    client, _ = await call("staff")
    assert (await client.get("/api/v1/jobs/7")).status_code == 422
