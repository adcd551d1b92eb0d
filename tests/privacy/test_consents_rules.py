"""What a statement changes: the last one holds, and the stricter one where times do not tell which that is."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from regulars.privacy.consents_rules import Decision, Outcome, decide
from regulars.privacy.models_consents import ConsentAction, ConsentChannel, ConsentStatement, LastConsent, When

noon = datetime(2026, 6, 15, 12, tzinfo=UTC)
earlier, later = noon - timedelta(hours=1), noon + timedelta(hours=1)
granted, withdrawn = ConsentAction.GRANTED, ConsentAction.WITHDRAWN


def statement(action: ConsentAction, when: When, policy: str | None = None) -> ConsentStatement:
    return ConsentStatement(
        customer_id=UUID(int=1),
        channel=ConsentChannel.EMAIL,
        action=action,
        when=when,
        source="till",
        policy_version=policy,
    )


def held(action: ConsentAction, at: datetime = noon, policy: str | None = None) -> LastConsent:
    return LastConsent(UUID(int=1), "marketing", "email", action, at, policy, None)


def decided(action: ConsentAction, when: When, last: LastConsent | None, *, is_known: bool = False) -> Decision:
    return decide(statement(action, when), last, now=later, is_known=is_known)


def test_what_is_said_now_holds_from_now() -> None:
    for action, last in product(ConsentAction, (None, held(granted), held(withdrawn))):
        if last is None or action != last.action:
            assert decided(action, "now", last) == Decision(Outcome.RECORDED, later, is_in_force=True)
        else:
            assert decided(action, "now", last) == Decision(Outcome.UNCHANGED)


def test_a_grant_under_another_policy_says_something_new_and_another_withdrawal_does_not() -> None:
    new_policy = statement(granted, "now", policy="2")
    assert decide(new_policy, held(granted, policy="1"), now=later, is_known=False).outcome == Outcome.RECORDED
    assert decide(new_policy, held(granted, policy="2"), now=later, is_known=False).outcome == Outcome.UNCHANGED
    again = statement(withdrawn, "now", policy="2")
    assert decide(again, held(withdrawn, policy="1"), now=later, is_known=False).outcome == Outcome.UNCHANGED


def test_what_is_said_now_comes_last_although_the_clock_is_behind() -> None:
    ahead = later + timedelta(seconds=3)
    assert decided(withdrawn, "now", held(granted, ahead)) == Decision(Outcome.RECORDED, ahead, is_in_force=True)


@pytest.mark.parametrize("action", ConsentAction)
@pytest.mark.parametrize("last", ConsentAction)
def test_a_told_time_decides(action: ConsentAction, last: ConsentAction) -> None:
    assert decided(action, earlier, held(last)) == Decision(Outcome.RECORDED, earlier)
    assert decided(action, later, held(last)) == Decision(Outcome.RECORDED, later, is_in_force=True)
    assert decided(action, earlier, None) == Decision(Outcome.RECORDED, earlier, is_in_force=True)
    assert decided(action, noon, held(last), is_known=True) == Decision(Outcome.UNCHANGED)


def test_of_two_at_one_instant_the_withdrawal_holds() -> None:
    assert decided(granted, noon, held(withdrawn)) == Decision(Outcome.OVERRULED)
    assert decided(withdrawn, noon, held(granted)) == Decision(Outcome.RECORDED, noon, is_in_force=True)


def test_without_a_time_the_withdrawal_holds() -> None:
    assert decided(granted, "unknown", held(withdrawn)) == Decision(Outcome.OVERRULED)
    assert decided(withdrawn, "unknown", held(granted)) == Decision(Outcome.RECORDED, later, is_in_force=True)
    assert decided(granted, "unknown", None) == Decision(Outcome.RECORDED, later, is_in_force=True)
    assert decided(granted, "unknown", held(granted)) == Decision(Outcome.UNCHANGED)


def test_a_source_that_says_a_withdrawal_without_a_time_has_said_it_for_good() -> None:
    repeated = decided(withdrawn, "unknown", held(withdrawn))
    assert repeated == Decision(Outcome.RECORDED, noon - timedelta(microseconds=1))
    for action, last in product(ConsentAction, (held(granted), held(withdrawn))):
        assert decided(action, "unknown", last, is_known=True) == Decision(Outcome.UNCHANGED)


@pytest.mark.parametrize("when", ["unknown", earlier, noon])
def test_an_erasure_makes_grants_of_before_void(when: When) -> None:
    def after_erasure(action: ConsentAction, when: When, last: LastConsent | None) -> Outcome:
        return decide(statement(action, when), last, now=later, is_known=False, erased_at=noon).outcome

    assert after_erasure(granted, when, None) == Outcome.OVERRULED
    assert after_erasure(granted, when, held(granted, earlier)) == Outcome.OVERRULED
    assert after_erasure(withdrawn, when, None) == Outcome.RECORDED
    assert after_erasure(granted, noon + timedelta(seconds=1), None) == Outcome.RECORDED
    assert after_erasure(granted, "now", None) == Outcome.RECORDED


def test_a_grant_without_a_time_repeats_the_one_after_the_erasure() -> None:
    decision = decide(statement(granted, "unknown"), held(granted, later), now=later, is_known=False, erased_at=noon)
    assert decision == Decision(Outcome.UNCHANGED)
