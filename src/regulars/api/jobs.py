"""Jobs: follow background work, and fetch what came of it."""

from collections.abc import AsyncIterator
from typing import IO, Annotated

from fastapi import Depends, Request, Response

from regulars.api.access import requires
from regulars.api.bodies import check_accept
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.downloads import download
from regulars.api.long_work import JobResponse
from regulars.api.problems import ProblemResponse
from regulars.api.routing import Router
from regulars.kit.csv_files import media_type as csv_type
from regulars.kit.jobs import JobNotFinished, Jobs, ResultGone
from regulars.kit.schemas import Id
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/jobs", tags=["Jobs"])

MayRead = Annotated[Principal, requires("jobs:read", own=True)]


async def job_service(connection: TransactionDep, clock: ClockDep) -> Jobs:
    """Jobs in the request's transaction."""
    return Jobs(connection, clock)


JobsDep = Annotated[Jobs, Depends(job_service)]


@router.get("/{job_id}", operation_id="get_job", summary="Follow a job")
async def get_job(job_id: Id, jobs: JobsDep, clock: ClockDep, caller: MayRead) -> JobResponse:
    """State and progress. Callers see what they asked for themselves; who may read the audit log sees all."""
    return JobResponse.of(await jobs.get(job_id, by=caller), clock)


@router.get(
    "/{job_id}/result",
    operation_id="get_job_result",
    summary="Fetch what came of a job",
    produces=[],
    long_work=True,
    response_class=Response,
    refusals=[JobNotFinished, ResultGone],
    responses={
        200: {
            "description": "What the operation would have answered, or its file.",
            "content": {
                "application/json": {"schema": {"type": "object"}, "example": {"requested": 1, "changed": 1}},
                csv_type: {"schema": {"type": "string"}, "example": "id,customer_number\r\n"},
                "application/zip": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def get_job_result(job_id: Id, request: Request, jobs: JobsDep, caller: MayRead) -> Response:
    """For 24 hours, some only once. Of a job that failed it is the problem, with the status of it."""
    job = await jobs.open_result(job_id, by=caller)
    if job.error is not None:
        return ProblemResponse(job.error, job.error["status"])
    media_type = job.result_media_type or ""
    check_accept(request.headers, [media_type])
    return await download(lambda file: _write(jobs.pieces(job.id), file), media_type, name=job.result_name)


async def _write(pieces: AsyncIterator[bytes], file: IO[bytes]) -> None:
    async for piece in pieces:
        file.write(piece)
