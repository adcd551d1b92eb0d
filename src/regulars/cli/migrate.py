"""`regulars migrate`: bring the schema up to date."""

import typer

from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import load_settings
from regulars.migrations import migrate


def migrate_database() -> None:
    """Apply the migrations that the database lacks."""
    settings = load_settings()
    if settings.database_url:
        before, after = migrate(settings.database_url)
    else:
        with EmbeddedPostgres(settings.data_dir) as url:
            before, after = migrate(url)
    typer.echo(f"schema {after}, nothing to do" if before == after else f"schema {before or 'empty'} -> {after}")
