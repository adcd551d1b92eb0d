"""Points, looked after by themselves: what is due is written off, and the ledger is audited."""

import logging
from datetime import timedelta
from typing import Final

from procrastinate import JobContext

from regulars.jobs.toolbox import Toolbox
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.loyalty.expiry import expire_all

log = logging.getLogger(__name__)

# Twice the time between two audits: what was under way during one is seen by the next.
touched_within: Final = timedelta(minutes=30)


async def expire_points(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Write off all points whose time has come."""
    toolbox = Toolbox.of(context)
    await expire_all(toolbox.database, toolbox.clock, by=operator)


async def audit_all_points(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Audit the points of all customers."""
    await review(Toolbox.of(context), within=None)


async def audit_touched_points(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Audit the points of customers whose account moved lately, and of those under review."""
    await review(Toolbox.of(context), within=touched_within)


async def review(toolbox: Toolbox, *, within: timedelta | None) -> None:
    """Audit, keep those whose points do not add up from redeeming, and say so in the log."""
    now = toolbox.clock.now()
    async with toolbox.database.transaction() as connection:
        found = await AuditService(connection).review_ledger(now=now, since=now - within if within else None)
    if found.audit.violations:
        broken = {rule: count for rule, count in found.audit.counts.items() if count}
        log.error("the points of %d customers do not add up: %s", len(found.under_review), broken)
    log.info("audited %d transactions, digest %s", found.audit.transactions, found.audit.digest)
