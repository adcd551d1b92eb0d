"""What commands share: a database that is ready to use, one transaction in it, and the secret of the installation."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import SecretStr

from regulars.accounts.tokens import TokenSigner, secret_of_installation
from regulars.flows.kept_settings import require_kept_settings
from regulars.kit.database import Connection, connect
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import Settings
from regulars.migrations import migrate, require_current


@contextmanager
def ready_database(settings: Settings) -> Iterator[str]:
    """The address of a database whose schema is current, and whose data fit the settings.

    Raises:
        OperatorError: as `migrated_database()` says, or the data were stored under other settings.
    """
    with migrated_database(settings) as url:
        asyncio.run(_require_kept_settings(url, settings))
        yield url


@contextmanager
def migrated_database(settings: Settings) -> Iterator[str]:
    """The address of a database whose schema is current.

    The embedded PostgreSQL is started, and migrates itself; any other server must have been migrated before.

    Raises:
        OperatorError: the server cannot be started or reached, or its schema is outdated.
    """
    if settings.database_url:
        require_current(settings.database_url)
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as url:
        migrate(url)
        yield url


def require_secret(settings: Settings) -> None:
    """Refuse settings without a secret that can be used; only the embedded database needs none, having its own.

    Raises:
        OperatorError: it could be guessed, or there is none and the database is another.
    """
    if settings.jwt_secret or settings.database_url:
        TokenSigner.from_settings(settings)


def secret_of(settings: Settings) -> SecretStr:
    """The secret of the installation: the embedded database has one beside it, made on first use.

    Raises:
        OperatorError: it could be guessed, or there is none and the database is another.
    """
    require_secret(settings)
    return settings.jwt_secret or secret_of_installation(settings.data_dir)


def with_secret(settings: Settings) -> Settings:
    """The settings with the secret of the installation filled in; refuses as `secret_of()` does."""
    return settings.model_copy(update={"jwt_secret": secret_of(settings)})


@asynccontextmanager
async def one_transaction(url: str) -> AsyncIterator[Connection]:
    """One connection in one transaction: committed when the block ends, rolled back when it raises."""
    async with connect(url) as connection, connection.transaction():
        yield connection


async def _require_kept_settings(url: str, settings: Settings) -> None:
    async with one_transaction(url) as connection:
        await require_kept_settings(connection, settings)
