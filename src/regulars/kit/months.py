"""Calendar months of the store, by their first day."""

from datetime import date


def first_of_month(day: date, months_later: int = 0) -> date:
    """The first day of the month of a day, or of the month so many months later; fewer than none is earlier."""
    month = day.year * 12 + day.month - 1 + months_later
    return date(month // 12, month % 12 + 1, 1)


def months_between(first: date, last: date) -> int:
    """How many months later the month of `last` is than the month of `first`."""
    return (last.year - first.year) * 12 + last.month - first.month


def name_of_month(day: date) -> str:
    """`2026-01`."""
    return f"{day.year:04}-{day.month:02}"
