"""Refusals: every way the product says no.

A refusal is a class. Its docstring is the title a caller reads, its name is the slug, its keywords are the facts:

    raise InsufficientPoints(spendable=20, points_owed=0)

answers 409 with `/problems/insufficient-points` and these two members. A refusal never carries what the caller
sent, only what we know. The doors turn it into their own shape: problem+json, a page, one line on the terminal.
"""

import errno
import re
from inspect import getdoc
from typing import Any, ClassVar
from uuid import UUID

type_prefix = "/problems/"

out_of_space = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system calls a full disk."""
free_space = "Free space on the disk and try again."


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The request was refused."""

    status: ClassVar[int] = 400
    headers: ClassVar[dict[str, str]] = {}
    example: ClassVar[dict[str, object]] = {}
    """Facts as the documentation shows them."""

    def __init__(self, detail: str | None = None, *, retry_after: int | None = None, **facts: object) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.retry_after = retry_after
        self.facts = facts

    def answer_headers(self) -> dict[str, str]:
        """Headers of the answer: those of its kind, and what this one has to say."""
        retry = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**self.headers, **retry}

    @classmethod
    def slug(cls) -> str:
        """The stable name of this refusal: `InsufficientPoints` is `insufficient-points`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        """The one sentence that says what happened: the first line of the docstring."""
        return (getdoc(cls) or cls.slug()).splitlines()[0]


class BadRequest(Refusal):
    """The request cannot be understood."""

    status = 400


class Unauthorized(Refusal):
    """The caller is not known."""

    status = 401


class Forbidden(Refusal):
    """The caller may not do this."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or you may not know of it."""

    status = 404


class Conflict(Refusal):
    """The state of things does not allow this."""

    status = 409


class Gone(Refusal):
    """It was here and is no more."""

    status = 410


class PreconditionFailed(Refusal):
    """The object has changed since you read it."""

    status = 412

    def __init__(self, etag: str | None = None) -> None:
        super().__init__()
        self.etag = etag

    def answer_headers(self) -> dict[str, str]:
        """The entity tag of now, so that the caller knows what it has missed."""
        return super().answer_headers() | ({"ETag": self.etag} if self.etag else {})


class Unprocessable(Refusal):
    """The request is well formed, its content is not acceptable."""

    status = 422


class TooManyRequests(Refusal):
    """Too many requests of this kind."""

    status = 429


class Unavailable(Refusal):
    """The service cannot answer now."""

    status = 503


class Internal(Unavailable):
    """A fault of ours; the trace id finds it in the log."""

    status = 500


def problem_of(refusal: Refusal, trace_id: str) -> dict[str, Any]:
    """The members of the problem (RFC 9457) that a refusal is answered with; facts become members of their own."""
    members: dict[str, Any] = {
        "type": type_prefix + refusal.slug(),
        "title": refusal.title(),
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": UUID(trace_id).urn,
        "trace_id": trace_id,
        **refusal.facts,
    }
    return {name: value for name, value in members.items() if value is not None}


class OperatorError(Exception):
    """Something the operator can mend: one line that says what is wrong and one that says how to mend it.

    Raised below the command line, which prints it and ends with exit code 2.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what} {mend}")
        self.what = what
        self.mend = mend
