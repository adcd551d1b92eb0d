"""`regulars demo`: a shop that looks alive, from nothing to scored customers and a running API."""

import asyncio
import json
import os
import secrets

import typer

from regulars.cli import serve
from regulars.cli.import_reports import Display
from regulars.cli.listening import listen
from regulars.cli.printing import table_console
from regulars.cli.users import add_user
from regulars.demo.load import DemoReport, load_demo
from regulars.demo.report import as_json, report_of
from regulars.demo.shop import Dataset, datasets
from regulars.kit.database import recreate_database
from regulars.kit.errors import OperatorError
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import Settings, load_settings
from regulars.migrations import migrate

login = "demo@example.com"


def demo(
    data: str = typer.Option("cdnow", help="The shop to load: cdnow or completejourney."),
    no_shift: bool = typer.Option(False, "--no-shift", help="Keep the dates of the data and score as of their end."),
    no_serve: bool = typer.Option(False, "--no-serve", help="End after the report."),
    as_json_object: bool = typer.Option(False, "--json", help="Print the report as one JSON object."),
    host: str = typer.Option("127.0.0.1", help="Name or address to listen on."),
    port: int = typer.Option(8000, help="Port to listen on."),
) -> None:
    """Load the orders of a real shop, made by invented people, score everybody, and serve the API.

    The demo has a database of its own, in a folder beside your data; every demo begins with an empty one.
    """
    settings = load_settings()
    dataset = _dataset(data)
    dataset.require_installed()
    settings = settings.model_copy(update={"data_dir": settings.data_dir / "demo", "database_url": None})
    if not no_serve:
        _require_free(host, port)
    with EmbeddedPostgres(settings.data_dir) as url:
        report = _loaded(url, settings, dataset, shifted=not no_shift)
        _print(report, settings.currency, as_json_object=as_json_object)
        if not no_serve:
            _serve(url, settings, host, port)


def _dataset(name: str) -> Dataset:
    if name not in datasets:
        raise OperatorError(f"There is no demo shop {name!r}.", f"Use --data {' or --data '.join(datasets)}.")
    return datasets[name]


def _require_free(host: str, port: int) -> None:
    """Find out before the work, not after it, that nobody could be answered."""
    for listener in listen(host, port):
        listener.close()


def _loaded(url: str, settings: Settings, dataset: Dataset, *, shifted: bool) -> DemoReport:
    recreate_database(url)
    migrate(url)
    with Display() as display:
        return asyncio.run(load_demo(url, settings, dataset, shifted=shifted, on_progress=display.show))


def _print(report: DemoReport, currency: str, *, as_json_object: bool) -> None:
    if as_json_object:
        typer.echo(json.dumps(as_json(report)))
    else:
        table_console(110).print(report_of(report, currency))


def _serve(url: str, settings: Settings, host: str, port: int) -> None:
    password = secrets.token_urlsafe(12)
    asyncio.run(add_user(url, settings, login, password, role="admin"))
    address = f"http://{host}:{port}/api/v1"
    sign_in = f"curl -s {address}/auth/token -d grant_type=password -d username={login} -d password={password}"
    token = f"$({sign_in} | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])')"
    champions = f"{address}/retail-customers/?rfm_segment=champion&sort=-clv&limit=3"
    typer.echo(
        f"\nAPI    {address}/openapi.json\nlogin  {login} / {password}\n"
        f"try    curl -s -H \"Authorization: Bearer {token}\" '{champions}'\n"
    )
    os.environ["REGULARS_DATA_DIR"] = str(settings.data_dir)
    os.environ.pop("REGULARS_DATABASE_URL", None)
    serve.serve(host=host, port=port, workers=1)
