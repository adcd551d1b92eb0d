"""A job as callers follow it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

State: TypeAlias = Literal["queued", "running", "succeeded", "failed"]


@dataclass(frozen=True)
class Job:
    """A job as callers may follow it.

    Attributes:
        kind: Name of the work.
        creator_kind: What kind of principal asked for it.
        creator_id: Who; None for the operator.
        customer_id: The person it is about, if it is about one.
        arguments: Ids and words for the work.
        is_fetched_once: Whether the result can be read only once.
        also_asked_by: Others who asked for the same while it had not ended.
        progress: 0 to 100.
        attempts: How often a worker began it.
        result_until: When the result is gone.
        result_name: A name for the result as a file; None for an answer in JSON.
        error: Why it failed, as a problem.
    """

    id: UUID
    kind: str
    creator_kind: Literal["user", "client", "operator"]
    creator_id: UUID | None
    created_at: datetime
    customer_id: UUID | None = None
    arguments: dict[str, str] = field(default_factory=dict)
    is_fetched_once: bool = False
    also_asked_by: list[UUID] = field(default_factory=list)
    state: State = "queued"
    progress: int = 0
    attempts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result_until: datetime | None = None
    result_media_type: str | None = None
    result_name: str | None = None
    error: dict[str, Any] | None = None

    def has_result(self, now: datetime) -> bool:
        """Whether the job succeeded and what came of it is still kept."""
        return self.state == "succeeded" and self.result_until is not None and now < self.result_until
