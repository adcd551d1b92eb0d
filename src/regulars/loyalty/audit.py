"""The proof that the ledger adds up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from regulars.kit.database import Connection
from regulars.loyalty.repository_audit import AuditRepository

audit_kind: Final = "audit_ledger"
"""The kind of job that audits those whose points moved lately."""


@dataclass(frozen=True)
class LedgerAudit:
    """Every rule of the ledger and how often it is broken.

    Attributes:
        scope: Whether all customers were looked at, or those whose account moved lately.
        counts: Violations by rule; all must be 0.
        transactions: How many transactions were looked at.
        digest: SHA-256 over the heads of all chains, in hexadecimal.
    """

    scope: Literal["all", "touched"]
    counts: dict[str, int]
    transactions: int
    digest: str

    @property
    def violations(self) -> int:
        """All violations; 0 when the ledger is sound."""
        return sum(self.counts.values())


class AuditService:
    """Checks every rule of the ledger against what the tables hold, changing nothing."""

    def __init__(self, connection: Connection) -> None:
        self._audit = AuditRepository(connection)

    async def audit_ledger(self, *, since: datetime | None = None) -> LedgerAudit:
        """Check all customers, or those whose account moved since an instant."""
        counts = await self._audit.count_violations(since=since)
        transactions = await self._audit.count_transactions(since=since)
        return LedgerAudit("all" if since is None else "touched", counts, transactions, await self._audit.digest())
