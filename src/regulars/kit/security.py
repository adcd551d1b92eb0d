"""Who is asking: the caller as every floor sees it."""

from dataclasses import dataclass
from typing import ClassVar, Literal
from uuid import UUID

from regulars.kit.errors import Forbidden

Role = Literal["customer", "service", "staff", "analyst", "admin"]


class InsufficientScope(Forbidden):
    """Your role does not allow this."""

    example: ClassVar[dict[str, object]] = {"scope": "customers:read"}


@dataclass(frozen=True)
class Principal:
    """A caller whose token has been checked, and what it may do.

    Attributes:
        id: The user or API client.
        kind: `user`, `client`, or `operator` for the command line, which stands above all scopes.
        role: Name of the set of scopes.
        scopes: What the caller may do, by the names of the scope table.
        session_id: The session the token belongs to; None for the operator.
        customer_id: The customer record that this person is, for role `customer` (and for staff who are customers too).
        source: The one source under which an API client writes.
        max_points_per_transaction: Cap of an API client; None for no cap.
        max_points_per_day: Cap of an API client; None for no cap.
    """

    id: UUID | None
    kind: Literal["user", "client", "operator"]
    role: Role
    scopes: frozenset[str]
    session_id: UUID | None = None
    customer_id: UUID | None = None
    source: str | None = None
    max_points_per_transaction: int | None = None
    max_points_per_day: int | None = None

    @property
    def has_caps(self) -> bool:
        """Whether points that the caller moves are capped."""
        return self.max_points_per_transaction is not None or self.max_points_per_day is not None

    def may(self, scope: str) -> bool:
        """Whether the caller holds this scope."""
        return self.kind == "operator" or scope in self.scopes

    def require(self, scope: str) -> None:
        """Refuse a caller without this scope.

        Raises:
            InsufficientScope: the caller does not hold it.
        """
        if not self.may(scope):
            raise InsufficientScope(scope=scope)

    def sees_identifiers(self) -> bool:
        """Whether names and contacts are shown in clear; all others get masked answers."""
        return self.may("customers:pii")


operator = Principal(id=None, kind="operator", role="admin", scopes=frozenset())
