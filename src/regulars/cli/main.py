"""`regulars`: the command line."""

import sys
from typing import NoReturn

import typer
from rich.console import Console

from regulars import __version__
from regulars.cli import (
    backtest,
    clients,
    consents,
    customers,
    demo,
    imports,
    ledger,
    migrate,
    nightly,
    privacy,
    rebuild,
    score,
    serve,
    settings,
    users,
    worker,
)
from regulars.kit.collector import collect_less_often
from regulars.kit.database import is_out_of_space
from regulars.kit.errors import OperatorError, free_space

app = typer.Typer(
    name="regulars",
    help="Know your regulars: customers, points and lifetime value for retailers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("migrate")(migrate.migrate_database)
app.command("serve")(serve.serve)
app.command("worker")(worker.run_background_work)
app.command("score")(score.score_customers)
app.command("nightly")(nightly.nightly)
app.command("backtest")(backtest.backtest)
imports.app.command("consents")(consents.import_consent_file)
customers.app.command("suppressions")(consents.export_suppressions)
customers.app.command("erase")(privacy.erase_customer)
customers.app.command("export-data")(privacy.export_data)
app.add_typer(customers.app, name="customers")
app.add_typer(imports.app, name="import")
app.add_typer(ledger.app, name="ledger")
app.add_typer(privacy.app, name="privacy")
app.add_typer(rebuild.app, name="rebuild")
app.add_typer(settings.app, name="settings")
app.add_typer(users.app, name="users")
app.add_typer(clients.app, name="clients")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regulars {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program itself."""


def run() -> None:
    """Run the command line; what the operator can mend is one line on stderr and exit code 2."""
    collect_less_often()
    try:
        app()
    except OperatorError as error:
        _complain(str(error))
    except Exception as error:
        if not is_out_of_space(error):
            raise
        _complain(f"The disk is full. {free_space}")
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(text: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {_escaped(text)}")
    sys.exit(2)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
