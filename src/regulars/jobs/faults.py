"""Faults that pass by themselves, and with how much patience work is tried again."""

from asyncio import CancelledError

from procrastinate import RetryDecision, RetryStrategy
from procrastinate.jobs import Job
from psycopg import OperationalError
from psycopg.errors import QueryCanceled

from regulars.kit.deadline import Timeout
from regulars.kit.errors import Unavailable
from regulars.kit.messages import PassingDeliveryError

# A server that restarts, a mail server that is busy, a worker that has to stop before the task is done (Procrastinate
# cancels it then): eight more attempts within three hours. Everything else fails at once, to be looked at.
passing_faults = (PassingDeliveryError, Unavailable, OperationalError, CancelledError)
most_attempts = 8


class Patience(RetryStrategy):
    """Waits ever longer, and holds up nobody meanwhile."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When a job is tried again, if it is.

        Its lock becomes one of its own: in Procrastinate a job that waits for its time keeps all later ones with the
        same lock waiting too. What these locks keep apart is a matter of load; the work itself is safe side by side.
        """
        decision = super().get_retry_decision(exception=exception, job=job)
        if decision is not None and job.lock is not None:
            decision.lock = f"retry:{job.id}"
        return decision


patient = Patience(
    max_attempts=most_attempts,
    wait=5,
    exponential_wait=3,
    retry_exceptions=passing_faults,  # type: ignore[arg-type]  # CancelledError is no Exception, and works all the same
)


def passes(fault: BaseException) -> bool:
    """Whether the same work may go well later; work that takes longer than it may does so each time."""
    return isinstance(fault, passing_faults) and not isinstance(fault, Timeout | QueryCanceled)
