"""Forgetting what is over: sessions, tokens, failed sign-ins, kept answers, events, results of jobs, counters, proofs.

None of it means anything once its time has passed: whoever reads it compares the time too. Deleting keeps the tables
small, and keeps no more about people than is needed.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from regulars.accounts.attempts import failures_count_for
from regulars.accounts.repository_sessions import SessionRepository, SignInFailureRepository
from regulars.customers.repository_engagement import CustomerEngagementRepository
from regulars.customers.repository_verifications import VerificationRepository
from regulars.flows.refund_order import early_reversals_kept
from regulars.flows.repository_registrations import RegistrationRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.events import purge_events
from regulars.kit.idempotency import IdempotencyKeys
from regulars.kit.jobs import kept_for
from regulars.kit.repository_jobs import JobRepository
from regulars.kit.repository_ratelimit import RateLimitRepository
from regulars.kit.settings import Settings
from regulars.loyalty.repository_bonuses import WelcomeBonusRepository
from regulars.orders.repository_refunds import EarlyReversalRepository

welcome_bonuses_kept: Final = timedelta(days=365)
"""How long after the erasure of a customer their contacts get no second welcome bonus."""

batch_size: Final = 1_000
most_batches: Final = 1_000
engagement_events_kept: Final = timedelta(days=400)
"""Far longer than any sender repeats a report; what the reports came to stays."""

Purge = Callable[[Connection], Awaitable[int]]


async def forget_what_is_over(database: Transactions, settings: Settings, clock: Clock) -> dict[str, int]:
    """Delete it in transactions of 1,000 rows at most, a million of a kind at most; the rest is left to the next run.

    Several at once do not disturb each other, nor whoever uses the rows.

    Returns:
        How many rows of each table were deleted.
    """
    return {table: await _purged(database, purge) for table, purge in _purges(settings, clock).items()}


async def _purged(database: Transactions, purge: Purge) -> int:
    total = 0
    for _ in range(most_batches):
        async with database.transaction() as connection:
            deleted = await purge(connection)
        total += deleted
        if deleted < batch_size:
            break
    return total


def _purges(settings: Settings, clock: Clock) -> Mapping[str, Purge]:
    now, kept = clock.now(), timedelta(days=settings.idempotency_days)
    events_end = now - timedelta(days=settings.events_kept_days)
    return {
        "refresh_tokens": lambda c: SessionRepository(c).purge_refresh_tokens(now, at_most=batch_size),
        "sessions": lambda c: SessionRepository(c).purge(now, at_most=batch_size),
        "sign_in_failures": lambda c: SignInFailureRepository(c).purge(now - failures_count_for, at_most=batch_size),
        "idempotency_keys": lambda c: IdempotencyKeys(c, kept).purge(now, at_most=batch_size),
        "engagement_events": lambda c: CustomerEngagementRepository(c).purge_engagement_events(
            now - engagement_events_kept, at_most=batch_size
        ),
        "events": lambda c: purge_events(c, events_end, at_most=batch_size),
        "early_reversals": lambda c: EarlyReversalRepository(c).purge(now - early_reversals_kept, at_most=batch_size),
        "job_pieces": lambda c: JobRepository(c).purge_results(now, at_most=batch_size),
        "jobs": lambda c: JobRepository(c).purge(now - kept_for, at_most=batch_size),
        "rate_limits": lambda c: RateLimitRepository(c).purge(now, at_most=batch_size),
        "registrations": lambda c: RegistrationRepository(c).purge(now, at_most=batch_size),
        "verifications": lambda c: VerificationRepository(c).purge(now, at_most=batch_size),
        "welcome_bonuses": lambda c: WelcomeBonusRepository(c).purge(now - welcome_bonuses_kept, at_most=batch_size),
    }
