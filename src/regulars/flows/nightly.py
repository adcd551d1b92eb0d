"""What a shop needs done each night, in one order and with one report.

Points expire before customers are scored and tiers reviewed, and the ledger is audited when all that has been written.
Each step works in transactions of its own and is harmless to repeat. One that fails is reported, and the others are
done all the same.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from time import perf_counter
from typing import Final, Literal, TypeAlias

from pydantic import Field

from regulars.analytics.models import ScoringRequest
from regulars.analytics.runs import ScoringService
from regulars.flows.rebuild import rebuild_metrics
from regulars.kit.clock import Clock
from regulars.kit.database import DatabaseUnavailable, Transactions, refusal_for
from regulars.kit.errors import Internal, Refusal
from regulars.kit.logs import current_trace_id, log_fault
from regulars.kit.schemas import Day, ResponseSchema
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.expiry import expire_all
from regulars.loyalty.tiers import LoyaltyTierService

kind: Final = "nightly"
"""The kind of job that does it."""


Outcome: TypeAlias = Literal["done", "differences", "failed"]


class StepReport(ResponseSchema):
    """What became of one step."""

    step: str
    outcome: Outcome = Field(description="`differences`: it was done and found what must not be.")
    problem: str | None = Field(default=None, description="Why it failed, as the slug of a problem.")
    seconds: float
    counts: dict[str, int]


class NightlyReport(ResponseSchema):
    """What became of a night's work."""

    day: Day = Field(description="The store's day whose night it was.")
    is_sound: bool = Field(description="Whether every step was done and found nothing that must not be.")
    steps: list[StepReport]

    def step(self, name: str) -> StepReport | None:
        """What became of a step; None if it was not begun."""
        return next((step for step in self.steps if step.step == name), None)


@dataclass(frozen=True)
class Night:
    """What a step works with.

    Attributes:
        day: The store's day whose night it is.
    """

    database: Transactions
    settings: Settings
    clock: Clock
    day: date


@dataclass(frozen=True)
class Found:
    """What a step tells of itself.

    Attributes:
        counts: What it did.
        differences: What it found that must not be.
    """

    counts: Mapping[str, int]
    differences: int = 0


Step: TypeAlias = Callable[[Night], Awaitable[Found]]


async def expire_points(night: Night) -> Found:
    """Write off the points whose time has come."""
    return Found(asdict(await expire_all(night.database, night.clock, by=operator)))


async def check_metrics(night: Night) -> Found:
    """Compare what is kept of every customer's purchases with the orders; `regulars rebuild metrics` puts it right."""
    wrong = await rebuild_metrics(night.database, night.clock, repair=False, tell=lambda _: None)
    return Found({"differences": wrong}, wrong)


async def score_customers(night: Night) -> Found:
    """Score everybody: segments, then lifetime values, in one pass over the orders."""
    request = ScoringRequest(kind="all", as_of=night.day, started_by="nightly", method=night.settings.clv_method)
    async with night.database.transaction() as connection:
        run = await ScoringService(connection, night.settings, night.clock).score_customers(request)
    return Found(run.counts)


async def review_tiers(night: Night) -> Found:
    """Set the tiers that lifetime points no longer match."""
    changed = 0
    while True:
        async with night.database.transaction() as connection:
            reviewed = await LoyaltyTierService(connection, night.clock).review_tiers(by=operator)
        changed += reviewed
        if not reviewed:
            return Found({"changed": changed})


async def audit_ledger(night: Night) -> Found:
    """Check every rule of the ledger for every customer."""
    async with night.database.transaction() as connection:
        audit = (await AuditService(connection).review_ledger(now=night.clock.now())).audit
    counts = {"transactions": audit.transactions, "violations": audit.violations}
    return Found(counts | {rule: broken for rule, broken in audit.counts.items() if broken}, audit.violations)


steps: Mapping[str, Step] = {
    "expire_points": expire_points,
    "check_metrics": check_metrics,
    "score_customers": score_customers,
    "review_tiers": review_tiers,
    "audit_ledger": audit_ledger,
}


async def work_through(
    night: Night,
    *,
    done: Sequence[StepReport] = (),
    tell: Callable[[NightlyReport], Awaitable[None]],
    steps: Mapping[str, Step] = steps,
) -> NightlyReport:
    """Do the steps one after the other.

    Args:
        night: Database, settings and clock.
        done: What an earlier beginning of the same night did; it is not done again.
        tell: Told after each step how far it is.
        steps: What is done, by name.

    Raises:
        DatabaseUnavailable: it cannot be reached. What was done before is told, so that it can go on from there.
    """
    report = _report(night, done)
    for name, step in steps.items():
        if report.step(name) is not None:
            continue
        report = _report(night, [*report.steps, await _done(name, step, night)])
        await tell(report)
    return report


async def _done(name: str, step: Step, night: Night) -> StepReport:
    started, found, problem = perf_counter(), Found({}), None
    try:
        found = await step(night)
    except Exception as fault:
        refusal = fault if isinstance(fault, Refusal) else refusal_for(fault)
        if isinstance(refusal, DatabaseUnavailable):
            raise
        log_fault(fault, trace_id=current_trace_id.get() or "", expected=refusal is not None)
        problem = (refusal or Internal()).slug()
    outcome: Outcome = "differences" if found.differences else "done"
    return StepReport(
        step=name,
        outcome="failed" if problem else outcome,
        problem=problem,
        seconds=round(perf_counter() - started, 3),
        counts=dict(found.counts),
    )


def _report(night: Night, steps: Sequence[StepReport]) -> NightlyReport:
    is_sound = all(step.outcome == "done" for step in steps)
    return NightlyReport(day=night.day, is_sound=is_sound, steps=list(steps))
