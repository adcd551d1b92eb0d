"""What a statement about a consent changes: arithmetic of grants, withdrawals and times, without I/O.

The last event of a channel holds, by the time at which the person consented, then by the order of writing. Where times
cannot tell what came last, the stricter one holds. Silence is no consent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from regulars.privacy.models_consents import ConsentAction, ConsentStatement, LastConsent

_shortest = timedelta(microseconds=1)


class Outcome(StrEnum):
    """What became of a statement."""

    RECORDED = "recorded"
    UNCHANGED = "unchanged"
    """It is known already."""
    OVERRULED = "overruled"
    """It would allow what was forbidden, and nothing tells that it came later."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a statement.

    Attributes:
        occurred_at: The time under which it is written; None if it is not.
        is_in_force: Whether it is the last of its channel now.
    """

    outcome: Outcome
    occurred_at: datetime | None = None
    is_in_force: bool = False


def decide(
    statement: ConsentStatement,
    last: LastConsent | None,
    *,
    now: datetime,
    is_known: bool,
    erased_at: datetime | None = None,
) -> Decision:
    """What a statement changes.

    Args:
        statement: What is said.
        last: What holds for its customer, purpose and channel; None if nothing was ever said.
        now: The present instant.
        is_known: Whether it is written down: an event of the same action at the very time that the statement tells, or
            without a time, as the last word of the statement's source.
        erased_at: When a person with an address of the customer was last erased: whatever was allowed before is void.
    """
    if statement.when == "now":
        repeats = last is not None and _says_the_same(statement, last)
        return Decision(Outcome.UNCHANGED) if repeats else _in_force(last, now)
    if is_known:
        return Decision(Outcome.UNCHANGED)
    if statement.action == ConsentAction.GRANTED and _is_void(statement.when, last, erased_at):
        return Decision(Outcome.OVERRULED)
    return _undated(statement, last, now) if statement.when == "unknown" else _dated(statement, statement.when, last)


def _is_void(when: datetime | str, last: LastConsent | None, erased_at: datetime | None) -> bool:
    """Whether a grant may be one from before the erasure. One without a time is not, where a later one holds."""
    if erased_at is None:
        return False
    if isinstance(when, datetime):
        return when <= erased_at
    return last is None or last.occurred_at <= erased_at


def _says_the_same(statement: ConsentStatement, last: LastConsent) -> bool:
    """Whether nothing new is said: forbidden already, or allowed under the same policy and words."""
    if statement.action != last.action:
        return False
    words = (statement.policy_version, statement.text_hash)
    return statement.action == ConsentAction.WITHDRAWN or words == (last.policy_version, last.text_hash)


def _in_force(last: LastConsent | None, now: datetime) -> Decision:
    """It comes last, even if the clock that the event before was written by is ahead of ours."""
    occurred_at = now if last is None else max(now, last.occurred_at)
    return Decision(Outcome.RECORDED, occurred_at, is_in_force=True)


def _undated(statement: ConsentStatement, last: LastConsent | None, now: datetime) -> Decision:
    if last is not None and statement.action == last.action == ConsentAction.WITHDRAWN:
        # Nothing changes, but it must be known as this source's when the same file comes again after a grant. It takes
        # its place before what holds, so that it decides nothing about what is told later.
        return Decision(Outcome.RECORDED, last.occurred_at - _shortest)
    if last is not None and statement.action == last.action:
        return Decision(Outcome.UNCHANGED)
    if last is not None and statement.action == ConsentAction.GRANTED:
        return Decision(Outcome.OVERRULED)
    return _in_force(last, now)


def _dated(statement: ConsentStatement, told: datetime, last: LastConsent | None) -> Decision:
    if last is None or told > last.occurred_at:
        return Decision(Outcome.RECORDED, told, is_in_force=True)
    if told < last.occurred_at:
        return Decision(Outcome.RECORDED, told)
    if statement.action == ConsentAction.GRANTED:
        return Decision(Outcome.OVERRULED)
    return Decision(Outcome.RECORDED, told, is_in_force=True)
