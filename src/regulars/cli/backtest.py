"""`regulars backtest`: what every method of lifetime value would have said, against what has come since."""

import asyncio
from datetime import date, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from regulars.analytics.backtest import BacktestService
from regulars.analytics.errors import InsufficientData
from regulars.analytics.schemas_backtest import CLVBacktestResponse
from regulars.cli.context import one_transaction, ready_database
from regulars.cli.days import past_day
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings, load_settings


def backtest(
    calibrate_until: Annotated[
        str, typer.Option("--calibrate-until", metavar="DATE", help="The last day that the methods may know.")
    ],
    window_days: Annotated[int, typer.Option(min=1, max=3650, help="How far to predict; it must have passed.")] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let every method of lifetime value predict a window of the past, and compare with what came."""
    settings = load_settings()
    day = past_day(calibrate_until, settings)
    last = settings.clock.today() - timedelta(days=window_days)
    if day > last:
        raise OperatorError(f"The {window_days} days after {day} have not passed.", f"Choose a day up to {last}.")
    with ready_database(settings) as url:
        found = asyncio.run(_backtest(url, settings, day, window_days))
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        console = Console(width=110)
        for part in tables_of(found, settings.currency):
            console.print(part, highlight=False)


async def _backtest(url: str, settings: Settings, day: date, window_days: int) -> CLVBacktestResponse:
    async with one_transaction(url) as connection:
        service = BacktestService(connection, settings)
        try:
            found = await service.backtest(day, window_days)
        except InsufficientData as error:
            advice = await _advice(service, day, settings.clock.today(), window_days)
            raise OperatorError(f"There is too little to test: {error.detail}.", advice) from error
    return CLVBacktestResponse.of(found, settings.currency)


async def _advice(service: BacktestService, day: date, today: date, window_days: int) -> str:
    """What can be done about too little data: a later day helps only if there were more orders on it."""
    last = today - timedelta(days=window_days)
    if await service.may_be_tested(day):
        return "The orders until another day may say more."
    if await service.may_be_tested(last):
        return f"Choose a later day, up to {last}."
    if await service.may_be_tested(today):
        return f"Up to {last} no day will do; a shorter window leaves later ones to choose."
    return "No day will do yet: until the shop has more orders, its customers are valued by the formula (seed)."


def tables_of(found: CLVBacktestResponse, currency: str) -> list[Table | str]:
    """The findings for a terminal."""
    title = f"{found.customers:,} customers as of {found.calibrated_until}, the {found.window_days} days after it"
    parameters = ", ".join(f"{name} {value:.4g}" for name, value in found.parameters.items())
    return [
        _methods(found, f"{title} ({currency})"),
        _deciles(found, f"Spent on average by tenths of the ranking ({currency})"),
        _calibration(found),
        _multipliers(found, currency),
        f"model: {parameters}",
    ]


def _methods(found: CLVBacktestResponse, title: str) -> Table:
    table = _table(title, "method", "bias", "MAE", "RMSE", "Spearman", "Gini", "lift")
    for row in found.methods:
        bias = "" if row.bias is None else f"{row.bias:+.1%}"
        figures = (_figure(row.spearman, 3), _figure(row.gini, 3), _figure(row.lift, 2))
        table.add_row(row.method, bias, row.mae, row.rmse, *figures)
    return table


def _deciles(found: CLVBacktestResponse, title: str) -> Table:
    names = list(dict.fromkeys(row.method for row in found.deciles))
    table = _table(title, "tenth", *(f"{name}: {what}" for name in names for what in ("predicted", "spent")))
    for number in sorted({row.decile for row in found.deciles}):
        rows = [row for row in found.deciles if row.decile == number]
        table.add_row(str(number), *(amount for row in rows for amount in (row.predicted, row.actual)))
    return table


def _calibration(found: CLVBacktestResponse) -> Table:
    table = _table("Chance to buy in the window", "from", "to", "customers", "predicted", "bought")
    for row in found.calibration:
        shares = (f"{share:.1%}" for share in (row.predicted, row.observed))
        table.add_row(f"{row.lower:.1f}", f"{row.upper:.1f}", f"{row.customers:,}", *shares)
    return table


def _multipliers(found: CLVBacktestResponse, currency: str) -> Table:
    title = "Multipliers of the formula, and those that would have foretold what was spent"
    headings = ("segment", "customers", "now", f"foretold, {currency}", f"spent, {currency}", "proposed")
    table = _table(title, *headings)
    for row in found.multipliers:
        proposed = "too few" if row.proposed is None else f"{row.proposed:.2f}"
        counted = (f"{row.customers:,}", f"{row.current:.2f}", row.expected, row.actual)
        table.add_row(row.segment.label, *counted, proposed)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
