"""The bounds of what comes in, for requests and files alike, and what keeps sums and products of it within the columns.

A bound stands here once. What the database can hold follows from it: amounts fit numeric(18, 4), sums of them
numeric(28, 4), points bigint; and days leave room for any number of days that is added to them.
"""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Final

earliest_day: Final = date(1900, 1, 1)
latest_day: Final = date(2999, 12, 31)
# The days as they begin in the first zone of the world and end in the last, so that they are whole in every shop's.
earliest_instant: Final = datetime.combine(earliest_day, time.min, tzinfo=timezone(timedelta(hours=14)))
latest_instant: Final = datetime.combine(latest_day, time.max, tzinfo=timezone(timedelta(hours=-12)))

money_digits: Final = 12
"""Digits of an amount of money before the point."""
money_limit: Final = Decimal(10**money_digits)
"""The first amount that is too large."""
cash_rounding_digits: Final = 3
"""Digits before the point of what cash was rounded by: to 5 cents, or to 1,000 dong."""
price_decimals: Final = 4
"""Of the price of one unit, because fuel and cloth are priced so."""

quantity_digits: Final = 8
quantity_decimals: Final = 3
quantity_limit: Final = Decimal(10**quantity_digits)

most_points: Final = 10_000_000
"""Of one award, redemption or adjustment that a caller names."""
most_points_of_order: Final = 10**12
"""That one order earns, by whatever the programme gives."""
most_points_held: Final = 10**15
"""That one customer may have, or have earned: exact in every JSON parser, with room below bigint."""

rate_digits: Final = 5
"""Digits before the point of the points for one unit of money."""
point_value_digits: Final = 6
"""Digits before the point of what one point is worth."""
