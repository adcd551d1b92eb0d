"""What a process remembers of a caller, and for how long."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from regulars.accounts import recent_callers
from regulars.accounts.recent_callers import RecentCallers
from regulars.kit.security import Principal

now = datetime(2026, 6, 15, 10, tzinfo=UTC)
caller = Principal(uuid4(), "client", "service", frozenset())
far = (now + timedelta(minutes=15)).timestamp()


def after(seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def test_a_caller_is_known_by_the_token_for_some_seconds() -> None:
    callers = RecentCallers(5)
    callers.keep("token", caller, now=now, ends_at=far)
    assert callers.find("token", after(4.9)) == caller
    assert callers.find("token", after(5)) is None
    assert callers.find("other", now) is None


def test_a_token_is_not_known_beyond_its_end() -> None:
    callers = RecentCallers(5)
    callers.keep("token", caller, now=now, ends_at=after(2).timestamp())
    assert callers.find("token", after(1.9)) == caller
    assert callers.find("token", after(2)) is None


def test_a_clock_that_goes_back_makes_nobody_known() -> None:
    callers = RecentCallers(5)
    callers.keep("token", caller, now=now, ends_at=far)
    assert callers.find("token", after(-1)) is None


def test_nobody_is_known_when_sessions_are_checked_each_time() -> None:
    callers = RecentCallers(0)
    callers.keep("token", caller, now=now, ends_at=far)
    assert callers.find("token", now) is None


def test_not_too_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_callers, "most_callers", 2)
    callers = RecentCallers(5)
    for token in "abc":
        callers.keep(token, caller, now=now, ends_at=far)
    assert [callers.find(token, now) for token in "abc"] == [None, None, caller]
