"""`regulars ledger`: prove that the points add up, write off what expired, tell how a balance came to be."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from regulars.cli.context import one_transaction, ready_database
from regulars.cli.customers import find_customer
from regulars.customers.service import RetailCustomerService
from regulars.kit.database import Database
from regulars.kit.errors import OperatorError, Refusal
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings
from regulars.loyalty.audit import AuditService, LedgerReview
from regulars.loyalty.expiry import Expired, expire_all
from regulars.loyalty.reports import LedgerExplanation, LoyaltyReportService

app = typer.Typer(help="Points: audit, expiry, explanation.", no_args_is_help=True)


@app.command("audit")
def audit(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check every rule of the ledger; exit code 1 and the broken rules if it does not add up.

    Customers whose points do not add up cannot redeem until an audit finds that they do.
    """
    settings = load_settings()
    with ready_database(settings) as url:
        review = asyncio.run(_audit(url, settings))
    found = review.audit
    if as_json:
        under_review = [str(customer_id) for customer_id in review.under_review]
        typer.echo(json.dumps({**asdict(found), "violations": found.violations, "under_review": under_review}))
    else:
        for rule, count in found.counts.items():
            if count:
                typer.echo(f"broken: {rule}, {count:,} times")
        typer.echo(
            f"{found.transactions:,} transactions, {len(found.counts)} rules, {found.violations:,} violations;"
            f" digest {found.digest}"
        )
        if review.under_review or review.released:
            typer.echo(f"{len(review.under_review):,} customers may not redeem; {review.released:,} may again.")
    if found.violations:
        raise typer.Exit(1)


async def _audit(url: str, settings: Settings) -> LedgerReview:
    async with one_transaction(url) as connection:
        return await AuditService(connection).review_ledger(now=settings.clock.now())


@app.command("expire")
def expire() -> None:
    """Write off all points whose time has come; running it twice, or twice at once, is harmless."""
    settings = load_settings()
    with ready_database(settings) as url:
        expired = asyncio.run(_expire(url, settings))
    typer.echo(f"{expired.points:,} points of {expired.customers:,} customers written off, {expired.lots:,} lots.")


async def _expire(url: str, settings: Settings) -> Expired:
    async with Database(url, size=1) as database:
        return await expire_all(database, settings.clock, by=operator)


@app.command("explain")
def explain(
    customer: Annotated[str, typer.Argument(metavar="NUMBER|EMAIL|ID", help="What identifies the customer.")],
) -> None:
    """Tell how a customer's balance came to be, transaction by transaction."""
    settings = load_settings()
    with ready_database(settings) as url:
        told = asyncio.run(_explain(url, settings, customer))
    console = Console(highlight=False, soft_wrap=True)
    for line in told.summary:
        console.print(line, markup=False)
    for transaction in told.transactions:
        console.print(f"{transaction.transaction.seq:>5}  {transaction.sentence}", markup=False)


async def _explain(url: str, settings: Settings, customer: str) -> LedgerExplanation:
    async with one_transaction(url) as connection:
        found = await find_customer(RetailCustomerService(connection, settings, settings.clock), customer)
        try:
            return await LoyaltyReportService(connection, settings.clock).explain(found.id, by=operator)
        except Refusal as refusal:
            raise OperatorError(refusal.title(), "Choose another customer.") from refusal
