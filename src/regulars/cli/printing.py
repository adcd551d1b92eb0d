"""What commands print alike: tables as wide as the terminal, and what a page leaves out."""

from typing import Any

import typer
from rich.console import Console

from regulars.kit.schemas import Page


def table_console(columns: int) -> Console:
    """A console as wide as the terminal; of so many columns where the output goes elsewhere."""
    return Console(width=None if Console().is_terminal else columns)


def print_rest(page: Page[Any]) -> None:
    """Say how many there are beyond a page, if any, and how to see them."""
    shown = page.offset + len(page.items)
    if page.total > shown:
        typer.echo(f"{page.total - shown} more: --offset {shown}")
