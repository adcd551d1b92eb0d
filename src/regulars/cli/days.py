"""Days as operators type them."""

from datetime import date

from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings


def past_day(text: str | None, settings: Settings) -> date:
    """The day that is meant; the shop's today without one.

    Raises:
        OperatorError: it is no day, or one to come.
    """
    today = settings.clock.today()
    if text is None:
        return today
    day = _parsed(text)
    if day is None:
        raise OperatorError(f"{text!r} is no day.", "Write it as YYYY-MM-DD.")
    if day > today:
        raise OperatorError(f"{day} has not happened yet.", f"Choose a day up to today, {today}.")
    return day


def _parsed(text: str) -> date | None:
    """A day in the one form that is taken; Python knows several."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None
