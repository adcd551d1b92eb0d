"""`regulars import orders`: bring in an order history from a file."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.context import ready_database
from regulars.cli.import_reports import Display, RejectsFile
from regulars.flows.import_orders import import_orders, parse_source
from regulars.flows.importing.completejourney import bundled_transactions
from regulars.flows.importing.files import FileFormat, guess_format, parse_format, standard_input
from regulars.flows.importing.open_rows import open_rows
from regulars.flows.importing.readers import parse_mapping
from regulars.flows.importing.result import ImportResult
from regulars.flows.importing.staged import ImportOptions
from regulars.kit.errors import OperatorError
from regulars.kit.settings import load_settings

app = typer.Typer(help="Bring in data from files.", no_args_is_help=True)


@app.command("orders")
def orders(
    source: Annotated[str, typer.Option(help="The system whose order and customer ids the file has, such as webshop.")],
    file: Annotated[Path | None, typer.Argument(help="The file; - is standard input.", show_default=False)] = None,
    file_format: Annotated[
        str | None,
        typer.Option("--format", help="csv, ndjson, parquet, cdnow or completejourney; else told by the name."),
    ] = None,
    mapped: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="The column of a field; repeatable.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where rejected lines go; else FILE.rejects.csv.")] = None,
    atomic: Annotated[bool, typer.Option("--atomic", help="Import nothing if any line is rejected.")] = False,
    encoding: Annotated[str, typer.Option(help="How the text is encoded.")] = "utf-8",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Import orders and the customers who made them; importing a file twice changes nothing."""
    settings, source = load_settings(), parse_source(source)
    kind = parse_format(file_format) if file_format else guess_format(_required(file))
    rejected = RejectsFile(_rejects_path(file, rejects), settings.currency)
    with (
        open_rows(_file_of(file, kind), kind, parse_mapping(mapped or []), encoding=encoding) as rows,
        ready_database(settings) as url,
        rejected,
        Display() as display,
    ):
        result = asyncio.run(
            import_orders(
                url,
                rows,
                source=source,
                settings=settings,
                clock=settings.clock,
                options=ImportOptions(atomic=atomic),
                on_reject=rejected.write,
                on_progress=display.show,
            )
        )
    typer.echo(json.dumps(_as_json(result, rejected)) if as_json else _summary(result, rejected))
    if result.rejected:
        raise typer.Exit(2)


def _file_of(file: Path | None, kind: FileFormat) -> Path:
    return bundled_transactions() if file is None and kind == "completejourney" else _required(file)


def _required(file: Path | None) -> Path:
    if file is None:
        raise OperatorError("No file is named.", "Name one, or - for standard input.")
    return file


def _rejects_path(file: Path | None, given: Path | None) -> Path:
    """Where rejected lines go: beside the file, or here if that folder cannot be written."""
    if given and file and given.resolve() == file.resolve():
        raise OperatorError(
            "--rejects names the file that is imported.", "Give the rejected lines a file of their own."
        )
    if given and not given.absolute().parent.is_dir():
        raise OperatorError(
            f"There is no folder {given.absolute().parent}.", "Make it, or name another with --rejects."
        )
    if given:
        return given
    name = f"{'orders' if file is None or file == standard_input else file.name}.rejects.csv"
    beside = file.parent if file else Path()
    return (beside if os.access(beside, os.W_OK) else Path()) / name


def _summary(result: ImportResult, rejected: RejectsFile) -> str:
    done = (
        f"{result.created:,} orders created, {result.updated:,} updated, {result.unchanged:,} unchanged, "
        f"{result.customers_created:,} customers created in {result.seconds:.1f} s ({result.rows_per_second:,} rows/s)."
    )
    if not result.rejected:
        return done
    if not result.is_written:
        return (
            f"Nothing was imported, because {result.rejected:,} of {result.received:,} lines were rejected: "
            f"see {rejected.path}, correct them and import again."
        )
    return f"{done}\n{result.rejected:,} lines were rejected: correct them in {rejected.path} and import that file."


def _as_json(result: ImportResult, rejected: RejectsFile) -> dict[str, object]:
    return {
        **asdict(result),
        "seconds": round(result.seconds, 3),
        "rows_per_second": result.rows_per_second,
        "rejects_file": str(rejected.path) if rejected.is_written else None,
    }
