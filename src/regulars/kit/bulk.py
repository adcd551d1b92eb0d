"""One change for many: what became of each, or all of it refused."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, Field

from regulars.kit.errors import Conflict, Refusal, type_prefix
from regulars.kit.schemas import Id, ResponseSchema

most_ids = 1_000


def _each_once(ids: list[UUID]) -> list[UUID]:
    return list(dict.fromkeys(ids))


Ids: TypeAlias = Annotated[list[Id], Field(min_length=1, max_length=most_ids), AfterValidator(_each_once)]
"""1 to 1,000 ids; one that is repeated counts once."""

Atomic: TypeAlias = Annotated[bool, Field(description="All or nothing: if one cannot be changed, none is.")]


class BulkRejected(Conflict):
    """Some of them cannot be changed, so none was."""

    example: ClassVar[dict[str, object]] = {
        "items": [
            {
                "customer_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77",
                "outcome": "failed",
                "problem": {"type": "/problems/not-found", "title": "There is no such thing.", "status": 404},
            }
        ]
    }


class BulkProblem(ResponseSchema):
    """Why one of many could not be changed: what the problem of a single change would say."""

    type: str = Field(description="`/problems/<slug>`, as of a single change.")
    title: str
    status: int
    detail: str | None

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """The refusal, without what belongs to a request."""
        return cls(
            type=type_prefix + refusal.slug(), title=refusal.title(), status=refusal.status, detail=refusal.detail
        )


class BulkItem(ResponseSchema):
    """What became of one of many."""

    customer_id: Id
    outcome: Literal["changed", "unchanged", "failed"]
    problem: BulkProblem | None


class BulkResult(ResponseSchema):
    """What became of all, in the order in which they were named."""

    requested: int = Field(description="How many were named; one that is repeated counts once.")
    changed: int
    unchanged: int
    failed: int
    items: list[BulkItem]


def bulk_result(
    ids: Sequence[UUID], *, changed: Collection[UUID], refused: Mapping[UUID, Refusal], atomic: bool
) -> BulkResult:
    """Tell what became of each.

    Args:
        ids: All that were named, each once.
        changed: Those that are different now.
        refused: Those that could not be changed, and why.
        atomic: Whether one that is refused takes all others with it.

    Raises:
        BulkRejected: one is refused, and it was all or nothing; the caller's transaction takes back what was written.
    """
    if atomic and refused:
        failed = [_failed(id_, refused[id_]).model_dump(mode="json") for id_ in ids if id_ in refused]
        raise BulkRejected(items=failed)
    written = frozenset(changed)
    items = [
        _failed(id_, refused[id_])
        if id_ in refused
        else BulkItem(customer_id=id_, outcome="changed" if id_ in written else "unchanged", problem=None)
        for id_ in ids
    ]
    return BulkResult(
        requested=len(items),
        changed=len(written),
        unchanged=len(items) - len(written) - len(refused),
        failed=len(refused),
        items=items,
    )


def _failed(id_: UUID, refusal: Refusal) -> BulkItem:
    return BulkItem(customer_id=id_, outcome="failed", problem=BulkProblem.of(refusal))
