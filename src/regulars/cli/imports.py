"""`regulars import`: bring in orders, customers, products and points from files."""

import asyncio
import json
import os
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

import typer

from regulars.cli.context import ready_database
from regulars.cli.import_reports import Display, RejectsFile
from regulars.flows.import_customers import import_customers
from regulars.flows.import_orders import import_orders, parse_source
from regulars.flows.import_points import import_points
from regulars.flows.import_products import import_products
from regulars.flows.importing import rows as subjects
from regulars.flows.importing.completejourney import bundled_transactions
from regulars.flows.importing.files import (
    FileFormat,
    formats,
    general_formats,
    guess_format,
    parse_format,
    standard_input,
)
from regulars.flows.importing.open_rows import open_rows
from regulars.flows.importing.readers import parse_mapping
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject
from regulars.flows.importing.rows import ImportRows, Subject
from regulars.flows.importing.staged import ImportOptions
from regulars.kit.clock import Clock
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings, load_settings

app = typer.Typer(help="Bring in data from files.", no_args_is_help=True)

_File: TypeAlias = Annotated[Path | None, typer.Argument(help="The file; - is standard input.", show_default=False)]
_Source: TypeAlias = Annotated[
    str, typer.Option(help="The system whose order and customer ids the file has, such as webshop.")
]
_SourceOfIds: TypeAlias = Annotated[
    str | None, typer.Option("--source", help="The system whose customer ids the file has, if it has any.")
]
_Format: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="csv, ndjson or parquet; else told by the name.")
]
_OrderFormat: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="csv, ndjson, parquet, cdnow or completejourney; else told by the name.")
]
_Mapped: TypeAlias = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="The column of a field; repeatable.")
]
_Rejects: TypeAlias = Annotated[Path | None, typer.Option(help="Where rejected lines go; else FILE.rejects.csv.")]
_Atomic: TypeAlias = Annotated[bool, typer.Option("--atomic", help="Import nothing if any line is rejected.")]
_Award: TypeAlias = Annotated[
    bool, typer.Option("--award", help="Give the programme's points for paid orders that have earned none.")
]
_Events: TypeAlias = Annotated[bool, typer.Option("--events", help="Tell the outbox of what is new.")]
_Encoding: TypeAlias = Annotated[str, typer.Option(help="How the text is encoded.")]
_Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")]


@dataclass(frozen=True)
class _Given:
    """What all imports are told by their options."""

    file: Path | None
    file_format: str | None
    mapped: list[str] | None
    rejects: Path | None
    encoding: str
    as_json: bool


class _Import(Protocol):
    """An import with everything said that is its own; what is missing, all imports are told alike."""

    def __call__(
        self, url: str, rows: ImportRows, *, clock: Clock, on_reject: OnReject, on_progress: OnProgress
    ) -> Coroutine[Any, Any, ImportResult]: ...


@app.command("orders")
def orders(
    source: _Source,
    file: _File = None,
    *,
    file_format: _OrderFormat = None,
    mapped: _Mapped = None,
    rejects: _Rejects = None,
    atomic: _Atomic = False,
    award: _Award = False,
    events: _Events = False,
    encoding: _Encoding = "utf-8",
    as_json: _Json = False,
) -> None:
    """Import orders and the customers who made them; importing a file twice changes nothing."""
    settings, options = load_settings(), ImportOptions(atomic=atomic, award=award, events=events)
    work = partial(import_orders, source=parse_source(source), settings=settings, options=options)
    _import(subjects.orders, _Given(file, file_format, mapped, rejects, encoding, as_json), settings, work)


@app.command("customers")
def customers(
    file: _File = None,
    *,
    source: _SourceOfIds = None,
    file_format: _Format = None,
    mapped: _Mapped = None,
    rejects: _Rejects = None,
    atomic: _Atomic = False,
    events: _Events = False,
    encoding: _Encoding = "utf-8",
    as_json: _Json = False,
) -> None:
    """Import customers; who is known is filled where empty, and importing a file twice changes nothing."""
    settings, options = load_settings(), ImportOptions(atomic=atomic, events=events)
    work = partial(import_customers, source=source, settings=settings, options=options)
    _import(subjects.customers, _Given(file, file_format, mapped, rejects, encoding, as_json), settings, work)


@app.command("products")
def products(
    file: _File = None,
    *,
    file_format: _Format = None,
    mapped: _Mapped = None,
    rejects: _Rejects = None,
    atomic: _Atomic = False,
    encoding: _Encoding = "utf-8",
    as_json: _Json = False,
) -> None:
    """Import the catalogue; what a line leaves empty stays as it is known."""
    work = partial(import_products, options=ImportOptions(atomic=atomic))
    _import(subjects.products, _Given(file, file_format, mapped, rejects, encoding, as_json), load_settings(), work)


@app.command("points")
def points(
    file: _File = None,
    *,
    source: _SourceOfIds = None,
    file_format: _Format = None,
    mapped: _Mapped = None,
    rejects: _Rejects = None,
    atomic: _Atomic = False,
    encoding: _Encoding = "utf-8",
    as_json: _Json = False,
) -> None:
    """Bring in the points of an older system; a customer has one opening balance, so a repeat changes nothing."""
    settings, options = load_settings(), ImportOptions(atomic=atomic)
    work = partial(import_points, source=source, settings=settings, options=options)
    _import(subjects.points, _Given(file, file_format, mapped, rejects, encoding, as_json), settings, work)


def _import(subject: Subject, given: _Given, settings: Settings, work: _Import) -> None:
    """Open the file, run the import, and say what became of it; exit code 2 if lines were rejected."""
    among = formats if subject is subjects.orders else general_formats
    kind = parse_format(given.file_format, among) if given.file_format else guess_format(_required(given.file), among)
    rejected = RejectsFile(_rejects_path(given.file, given.rejects, subject), settings.currency)
    mapping = parse_mapping(given.mapped or [], subject)
    with (
        open_rows(_file_of(given.file, kind), kind, mapping, subject, encoding=given.encoding) as rows,
        ready_database(settings) as url,
        rejected,
        Display() as display,
    ):
        result = asyncio.run(work(url, rows, clock=settings.clock, on_reject=rejected.write, on_progress=display.show))
    typer.echo(json.dumps(_as_json(result, rejected)) if given.as_json else _summary(result, rejected, subject))
    if result.rejected:
        raise typer.Exit(2)


def _file_of(file: Path | None, kind: FileFormat) -> Path:
    return bundled_transactions() if file is None and kind == "completejourney" else _required(file)


def _required(file: Path | None) -> Path:
    if file is None:
        raise OperatorError("No file is named.", "Name one, or - for standard input.")
    return file


def _rejects_path(file: Path | None, given: Path | None, subject: Subject) -> Path:
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
    name = f"{subject.name if file is None or file == standard_input else file.name}.rejects.csv"
    beside = file.parent if file else Path()
    return (beside if os.access(beside, os.W_OK) else Path()) / name


def _summary(result: ImportResult, rejected: RejectsFile, subject: Subject) -> str:
    noun = "portions of points" if subject is subjects.points else subject.name
    done = f"{result.created:,} {noun} created, {result.updated:,} updated, {result.unchanged:,} unchanged"
    if subject is subjects.orders:
        done += f", {result.customers_created:,} customers created"
    done += f" in {result.seconds:.1f} s ({result.rows_per_second:,} rows/s)."
    if result.orders_awarded:
        done += f"\n{result.points:,} points awarded for {result.orders_awarded:,} orders."
    elif result.points:
        done += f"\n{result.points:,} points brought in."
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
