"""How the installation stands, in figures that are cheap to ask for each quarter of a minute."""

from regulars.flows.nightly import NightlyReport
from regulars.flows.nightly import kind as nightly_kind
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.jobs import Jobs, backlog
from regulars.kit.measures import Figure, gauge, gauges
from regulars.kit.models_jobs import Job
from regulars.loyalty.audit import audit_kind
from regulars.loyalty.expiry import ExpiryService
from regulars.loyalty.schemas_reports import LoyaltyAuditResponse


async def measure_installation(connection: Connection, clock: Clock) -> list[Figure]:
    """Jobs, audits and what waits to expire. Audits that were not made yet, or not for a day, are missing."""
    jobs = Jobs(connection, clock)
    return [
        *await _backlog(connection, clock),
        *await _audits(jobs, clock),
        gauge(
            "expiry_backlog_seconds",
            "For how long the oldest expired points wait to be written off.",
            await ExpiryService(connection, clock).backlog_seconds(),
        ),
    ]


async def _backlog(connection: Connection, clock: Clock) -> list[Figure]:
    found = await backlog(connection, now=clock.now())
    states = {"queued": found.queued, "running": found.running, "failed": found.failed}
    return [
        gauges("jobs", "Jobs of the last week by state; those that succeeded are not counted.", "state", states),
        gauge("jobs_oldest_seconds", "Age of the oldest job that has not ended.", found.oldest_seconds),
    ]


async def _audits(jobs: Jobs, clock: Clock) -> list[Figure]:
    """The last audits: of those whose points moved, all day, and of everybody, each night."""
    violations: dict[str, float] = {}
    ages: dict[str, float] = {}
    figures: list[Figure] = []
    touched = await jobs.find_latest(audit_kind, state="succeeded")
    if touched is not None and (content := await jobs.read(touched)):
        violations["touched"] = LoyaltyAuditResponse.model_validate_json(content).violations
        ages["touched"] = _age(touched, clock)
    night = await jobs.find_latest(nightly_kind, state="succeeded")
    if night is not None and (content := await jobs.read(night)):
        report = NightlyReport.model_validate_json(content)
        audited = report.step("audit_ledger")
        if audited is not None and audited.outcome != "failed":
            violations["all"] = audited.counts["violations"]
            ages["all"] = _age(night, clock)
        failed = sum(step.outcome != "done" for step in report.steps)
        figures.append(gauge("nightly_failed_steps", "Steps of the last night that failed or found faults.", failed))
    return [
        gauges("ledger_violations", "Broken rules that the last audit found; must be 0.", "scope", violations),
        gauges("ledger_audit_age_seconds", "Time since the last audit.", "scope", ages),
        *figures,
    ]


def _age(job: Job, clock: Clock) -> float:
    return (clock.now() - job.finished_at).total_seconds() if job.finished_at else 0.0
