"""Routes that show what every route gets from the edge, and what tests read of answers."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import FastAPI, Query, Request
from psycopg.errors import LockNotAvailable, QueryCanceled
from pydantic import Field

from regulars.api.access import public, requires
from regulars.api.deps import TransactionDep
from regulars.api.routing import Router
from regulars.kit.errors import Conflict
from regulars.kit.schemas import Day, Id, Limit, Offset, QuerySchema, RequestSchema, Text
from regulars.kit.security import Principal

router = Router(tags=["Operations"])
MayErase = Annotated[Principal, requires("customers:erase")]


class Parcel(RequestSchema):
    points: Annotated[int, Field(ge=1, le=10_000_000)] = 1
    name: Annotated[str, Text(10)] = "box"
    anything: Any = None


class Filters(QuerySchema):
    tags: Annotated[list[str], Field(default_factory=list)]
    q: Annotated[str, Field(min_length=2)] | None = None
    is_open: bool = True
    since: Day | None = None
    until: date | None = None
    limit: Limit = 50
    offset: Offset = 0


class Broken(Conflict):
    """It does not go on."""


@router.post("/parcels", dependencies=[public])
async def take(parcel: Parcel) -> dict[str, Any]:
    return parcel.model_dump()


@router.post("/parcels/optional", dependencies=[public])
async def take_or_leave(parcel: Parcel | None = None) -> dict[str, bool]:
    return {"given": parcel is not None}


@router.get("/parcels", dependencies=[public])
async def search(filters: Annotated[Filters, Query()]) -> Filters:
    return filters


@router.get("/parcels/{parcel_id}", dependencies=[public])
async def read(parcel_id: Id) -> dict[str, UUID]:
    return {"id": parcel_id}


@router.delete("/parcels/{parcel_id}", status_code=204)
async def erase(parcel_id: Id, caller: MayErase) -> None: ...


@router.post("/guarded")
async def guarded(caller: MayErase, parcel: Parcel) -> None: ...


@router.post("/stream", dependencies=[public], consumes=("text/csv",), streams=True, body_limit=lambda _: 10)
async def stream(request: Request) -> dict[str, int]:
    return {"bytes": sum([len(piece) async for piece in request.stream()])}


@router.post("/fault/{kind}", dependencies=[public])
async def fault(kind: str, transaction: TransactionDep) -> None:
    await transaction.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('lost', now(), now())")
    raise {
        "bug": RuntimeError("secret detail"), "timeout": QueryCanceled(), "lock": LockNotAvailable(),
        "refusal": Broken(of=UUID(int=7)),
    }[kind]  # fmt: skip


@router.post("/products/{sku}", dependencies=[public])
async def write(sku: str, transaction: TransactionDep) -> None:
    await transaction.execute("INSERT INTO products (sku, created_at, updated_at) VALUES (%s, now(), now())", [sku])


def with_probes(app: FastAPI) -> FastAPI:
    app.include_router(router)
    return app


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].removeprefix("/problems/")


def without_trace(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says, without what tells one request from another."""
    return {name: value for name, value in answer.json().items() if name not in {"instance", "trace_id"}}


def codes(answer: httpx.Response) -> dict[str, str]:
    return {error["in"] + error["pointer"]: error["code"] for error in answer.json()["errors"]}


json_header = {"Content-Type": "application/json"}
