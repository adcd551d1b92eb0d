"""The proof that the ledger adds up."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from regulars.kit.database import Connection
from regulars.loyalty.repository_audit import AuditRepository, rules

log = logging.getLogger(__name__)
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


@dataclass(frozen=True)
class LedgerReview:
    """An audit, and what followed from it.

    Attributes:
        audit: What was found.
        under_review: Customers who may not redeem, because their points do not add up.
        released: Customers who may again.
    """

    audit: LedgerAudit
    under_review: tuple[UUID, ...]
    released: int


class AuditService:
    """Checks every rule of the ledger against what the tables hold."""

    def __init__(self, connection: Connection) -> None:
        self._audit = AuditRepository(connection)

    async def audit_ledger(self, *, since: datetime | None = None) -> LedgerAudit:
        """Check all customers, or those whose account moved since an instant and those under review; change nothing."""
        return await self._summed_up(await self._audit.find_violations(since=since), since)

    async def review_ledger(self, *, now: datetime, since: datetime | None = None) -> LedgerReview:
        """Audit, keep whoever breaks a rule from redeeming, and let go whoever breaks none any more.

        What belongs to no customer stops nobody; it is in the counts. An audit of all customers logs the digest.
        """
        await self._audit.wait_for_other_reviews()
        found = await self._audit.find_violations(since=since)
        broken: dict[UUID, list[str]] = {}
        for rule, customer_id, _ in found:
            if customer_id is not None:
                broken.setdefault(customer_id, []).append(rule)
        if broken:
            await self._audit.put_under_review(broken, now=now)
        released = await self._audit.release(still_broken=broken)
        audit = await self._summed_up(found, since)
        if since is None:  # a log that leaves the machine keeps what proves later that no history was rewritten
            log.info("the heads of the ledger: %s", audit.digest)
        return LedgerReview(audit, tuple(sorted(broken)), released)

    async def _summed_up(self, found: Sequence[tuple[str, UUID | None, int]], since: datetime | None) -> LedgerAudit:
        counts = dict.fromkeys(rules, 0)
        for rule, _, times in found:
            counts[rule] += times
        transactions = await self._audit.count_transactions(since=since)
        return LedgerAudit("all" if since is None else "touched", counts, transactions, await self._audit.digest())
