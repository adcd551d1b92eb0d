"""The schema as plain SQL, applied by Alembic."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import Connection, OperationalError, connect
from psycopg.errors import InsufficientPrivilege, LockNotAvailable, UndefinedTable
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import DBAPIError

from regulars.kit.database import runtime_role, server_away
from regulars.kit.errors import OperatorError
from regulars.migrations.rights import apply_rights, require_runtime_role

oldest_server_version = 180000


def head_revision() -> str:
    """The revision that this program needs."""
    return ScriptDirectory.from_config(_config("")).get_current_head() or ""


def current_revision(url: str) -> str | None:
    """The revision a database is at; None before the first migration.

    Raises:
        OperatorError: the server cannot be reached, or is too old.
    """
    with _connect(url) as connection:
        return _revision_seen_by(connection)


def migrate(url: str) -> tuple[str | None, str]:
    """Bring a database to the revision this program needs; say from which and to which.

    The runtime role gets its rights as well, and is made if need be.

    Raises:
        OperatorError: the server cannot be reached, is too old, is at a revision that this program does not know,
            a lock could not be had in time, or the runtime role cannot be used.
    """
    before, head = current_revision(url), head_revision()
    if before is not None and before not in _known_revisions():
        raise _newer(before)
    if before != head:
        try:
            command.upgrade(_config(url), "head")
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise OperatorError(
                    "A migration waited too long for a lock and was rolled back.",
                    "Run `regulars migrate` again when fewer writers are at work.",
                ) from error
            raise
    with _connect(url) as connection:
        apply_rights(connection)
    return before, head


def require_current(url: str) -> None:
    """Refuse a database that is not at the revision this program needs, or whose user may not be the runtime role.

    Raises:
        OperatorError: says what was found and what to do.
    """
    head = head_revision()
    with _connect(url) as connection:
        require_runtime_role(connection)
        # The user of a program that only runs may see nothing as itself.
        connection.execute(SQL("SET ROLE {}").format(Identifier(runtime_role)))
        try:
            found = _revision_seen_by(connection)
        except InsufficientPrivilege:  # migrated by an older program, or brought from another server
            found = None
    if found is not None and found not in _known_revisions():
        raise _newer(found)
    if found != head:
        raise OperatorError(
            f"The database schema is at revision {found or 'none'}, this program needs {head}.",
            "Run `regulars migrate` first.",
        )


def _newer(revision: str) -> OperatorError:
    return OperatorError(
        f"The database is at revision {revision}, which this version of regulars does not know.",
        "Install the newer regulars that made it.",
    )


def _revision_seen_by(connection: Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except UndefinedTable:
        return None
    return row[0] if row else None


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("regulars.migrations")))
    config.attributes["url"] = url
    return config


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config("")).walk_revisions()}


def _connect(url: str) -> Connection:
    try:
        connection = connect(url, connect_timeout=10)
    except OperationalError as error:
        raise server_away(error) from error
    if connection.info.server_version < oldest_server_version:
        found = connection.info.server_version // 10000
        connection.close()
        raise OperatorError(f"The server runs PostgreSQL {found}, regulars needs 18 or later.", "Upgrade the server.")
    return connection
