"""The audit of the ledger as a job: every quarter of an hour for the customers whose points moved lately."""

import logging
from datetime import timedelta
from typing import Final

from regulars.jobs.runs import JobResult, JobRun
from regulars.jobs.toolbox import Toolbox
from regulars.kit.jobs import Jobs
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService, audit_kind
from regulars.loyalty.schemas_reports import LoyaltyAuditResponse

looks_back: Final = timedelta(hours=1)
"""Longer than from one audit to the next, so that one that came late or not at all leaves no gap."""

log = logging.getLogger(__name__)


async def audit_ledger(run: JobRun) -> JobResult:
    """Check every rule for the customers whose points moved within the last hour; who breaks one redeems no more."""
    tools, now = run.toolbox, run.toolbox.clock.now()
    async with tools.database.transaction() as connection:
        review = await AuditService(connection).review_ledger(now=now, since=now - looks_back)
    if review.audit.violations:
        log.error("the ledger does not add up", extra={"trace_id": run.job.id.hex})
    return JobResult.of(LoyaltyAuditResponse.model_validate(review.audit))


async def start_audit_of_touched(toolbox: Toolbox) -> None:
    """Start an audit unless one is under way."""
    async with toolbox.database.transaction() as connection:
        await Jobs(connection, toolbox.clock).start(audit_kind, by=operator, same_as=audit_kind)
