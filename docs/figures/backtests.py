"""Print the back-tests of `docs/explanation/lifetime-value.md` into it: `make figures`."""

import asyncio
import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console

from regulars.analytics.backtest import BacktestService
from regulars.analytics.schemas_backtest import CLVBacktestResponse
from regulars.cli.backtest import tables_of
from regulars.demo.load import load_demo
from regulars.demo.shop import datasets
from regulars.kit.database import connect
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import Settings
from regulars.migrations import migrate

page = Path(__file__).parent.parent / "explanation" / "lifetime-value.md"


@dataclass(frozen=True)
class Figure:
    """A back-test on the orders of a real shop."""

    data: str
    calibrate_until: date
    window_days: int

    @property
    def command(self) -> str:
        """How to see it oneself."""
        return f"regulars backtest --calibrate-until {self.calibrate_until} --window-days {self.window_days}"


figures = [Figure("cdnow", date(1997, 9, 30), 273), Figure("completejourney", date(2017, 9, 30), 91)]


async def looked_back(url: str, figure: Figure, settings: Settings) -> CLVBacktestResponse:
    """The findings on a database that holds the orders."""
    async with connect(url) as connection, connection.transaction():
        found = await BacktestService(connection, settings).backtest(figure.calibrate_until, figure.window_days)
    return CLVBacktestResponse.of(found, settings.currency)


def printed(found: CLVBacktestResponse, settings: Settings) -> str:
    """What the command prints."""
    console = Console(record=True, width=110, file=sys.stderr)
    for line in tables_of(found, settings.currency):
        console.print(line, highlight=False)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def with_figure(text: str, figure: Figure, printed_tables: str) -> str:
    """The page with the tables between the marks of a figure."""
    begin, end = f"<!-- printed: {figure.data} -->", "<!-- end -->"
    block = f"{begin}\n\n```\n$ {figure.command}\n{printed_tables}\n```\n\n{end}"
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, text, count=1, flags=re.DOTALL)


def main() -> None:
    """Load each shop, look back, write the page."""
    settings = Settings(_env_file=None, currency="USD")
    for figure in figures:
        with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as url:
            migrate(url)
            asyncio.run(load_demo(url, settings, datasets[figure.data], shifted=False))
            found = asyncio.run(looked_back(url, figure, settings))
        page.write_text(with_figure(page.read_text(), figure, printed(found, settings)))


if __name__ == "__main__":
    main()
