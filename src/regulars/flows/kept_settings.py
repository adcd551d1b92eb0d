"""Settings that the stored data depend on: kept with the data at first use, and never another one without a word."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from regulars.flows.rebuild import rebuild_metrics, rebuild_scores
from regulars.kit.database import Connection, Database
from regulars.kit.errors import OperatorError
from regulars.kit.repository_kept_settings import KeptSettingsRepository
from regulars.kit.settings import Settings
from regulars.orders.repository_days import StoreDayRepository

currency: Final = "currency"
timezone: Final = "store_timezone"
_changing: Final = "changing to "
"""Before the name of a time zone while days are being changed to it: some are still those of the old one."""


@dataclass(frozen=True)
class NewDays:
    """What a change of the time zone came to.

    Attributes:
        days: Orders and refunds that got another day.
        customers: Customers whose metrics followed.
        scores: Customers whose scores followed.
    """

    days: int
    customers: int
    scores: int


async def require_kept_settings(connection: Connection, settings: Settings) -> None:
    """Refuse settings under which the stored amounts and days would mean something else; keep them at first use.

    As long as there are no orders, either may be changed at will.

    Raises:
        OperatorError: says what the data say, and the way out.
    """
    kept, now = KeptSettingsRepository(connection), settings.clock.now()
    given = {currency: settings.currency, timezone: settings.store_timezone}
    found = {name: await kept.get_or_keep(name, value, now=now) for name, value in given.items()}
    if found == given:
        return
    if not await StoreDayRepository(connection).has_orders():
        for name, value in given.items():
            await kept.keep(name, value, now=now)
        return
    if found[currency] != given[currency]:
        raise OperatorError(
            f"The amounts in this database are in {found[currency]}, REGULARS_CURRENCY is {given[currency]}.",
            f"Set REGULARS_CURRENCY={found[currency]}; another currency needs a database of its own.",
        )
    if found[timezone].startswith(_changing):
        raise OperatorError(
            f"The change of the time zone to {found[timezone].removeprefix(_changing)} was interrupted.",
            "Set REGULARS_STORE_TIMEZONE to the one that is meant, and run `regulars settings timezone`.",
        )
    raise OperatorError(
        f"The store days in this database are those of {found[timezone]},"
        f" REGULARS_STORE_TIMEZONE is {given[timezone]}.",
        f"Set REGULARS_STORE_TIMEZONE={found[timezone]}, or stop every program and run `regulars settings timezone`.",
    )


async def change_timezone(database: Database, settings: Settings) -> NewDays:
    """Set the days of all orders and refunds by the time zone of the settings, and what follows from the days.

    Instants stay as they are, and so do promises made by the old days: when points and tiers expire. It may be begun
    again after an interruption; until it has ended, nothing else starts.

    Raises:
        OperatorError: another program is connected, or the currency is another as well.
    """
    now, zone, clock = settings.clock.now(), settings.store_timezone, settings.clock
    async with database.transaction() as connection:
        if await KeptSettingsRepository(connection).count_other_programs():
            raise OperatorError("Other programs use this database.", "Stop every server and worker, then try again.")
    async with database.transaction() as connection:
        kept = KeptSettingsRepository(connection)
        if await kept.get_or_keep(currency, settings.currency, now=now) != settings.currency:
            await require_kept_settings(connection, settings)
        await kept.keep(timezone, f"{_changing}{zone}", now=now)
    days = 0
    after: UUID | None = UUID(int=0)
    while after is not None:
        async with database.transaction() as connection:
            changed, after = await StoreDayRepository(connection).set_days(after=after, timezone=zone)
        days += changed
    customers = await rebuild_metrics(database, clock, repair=True, tell=lambda _: None)
    scores = await rebuild_scores(database, settings, clock, repair=True, tell=lambda _: None)
    async with database.transaction() as connection:
        await KeptSettingsRepository(connection).keep(timezone, zone, now=now)
    return NewDays(days, customers, scores)
