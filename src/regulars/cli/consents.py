"""`regulars import consents` and `regulars customers suppressions`: who may be written to, in and out."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.context import one_transaction, ready_database, with_secret
from regulars.flows.import_consents import ConsentImportResult, import_consents
from regulars.flows.import_orders import parse_source
from regulars.flows.importing.files import open_text
from regulars.kit.database import Database
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings
from regulars.privacy.consents import ConsentService
from regulars.privacy.models_consents import ConsentChannel


def import_consent_file(
    file: Annotated[Path, typer.Argument(help="CSV with a header; - is standard input.", show_default=False)],
    source: Annotated[str, typer.Option(help="Where the consents were given, for lines without a source.")],
    encoding: Annotated[str, typer.Option(help="How the text is encoded.")] = "utf-8",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Import grants and withdrawals; importing a file twice changes nothing, and a withdrawal is never lost."""
    settings, source = load_settings(), parse_source(source)
    if settings.jwt_secret or not settings.database_url:
        settings = with_secret(settings)
    with ready_database(settings) as url:
        result = asyncio.run(_import(url, settings, file, encoding, source))
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        for error in result.errors:
            typer.echo(f"line {error.line}: {error.message}", err=True)
        typer.echo(
            f"{result.recorded:,} consents recorded, {result.unchanged:,} known already, {result.overruled:,} grants"
            f" overruled by withdrawals, {result.failed:,} of {result.received:,} lines rejected."
        )
    if result.failed:
        raise typer.Exit(2)


def export_suppressions(
    channel: Annotated[ConsentChannel, typer.Option(help="By which way they must not be reached.")] = (
        ConsentChannel.EMAIL
    ),
) -> None:
    """Write to standard output, as CSV, who must not be written to, and why."""
    settings = load_settings()
    with ready_database(settings) as url:
        rows = asyncio.run(_export(url, settings, channel))
    typer.echo(f"{rows:,} customers", err=True)


async def _import(url: str, settings: Settings, file: Path, encoding: str, source: str) -> ConsentImportResult:
    async with Database(url, size=1) as database:
        with open_text(file, encoding) as lines:
            return await import_consents(
                database, lines, source=source, by=operator, settings=settings, clock=settings.clock
            )


async def _export(url: str, settings: Settings, channel: ConsentChannel) -> int:
    async with one_transaction(url) as connection:
        consents = ConsentService(connection, settings.clock)
        return await consents.export_suppressions(channel, typer.get_binary_stream("stdout"), by=operator)
