"""Finding texts by words, in whatever case, with or without accents.

The rules stand in the function `search_key` of the schema, which only the server runs: what is stored and what is asked
for go by the same ones.
"""

import re

from psycopg import Connection, connect
from psycopg.errors import InsufficientPrivilege, UndefinedFile, WrongObjectType
from psycopg.sql import SQL, Identifier

from regulars.kit.database import Repository
from regulars.kit.errors import OperatorError

utf8_locale = "C.UTF-8"
trigram_indexes = ("customers_search", "products_search")


class WordRepository(Repository):
    """Prepares what somebody typed into a search field."""

    async def words_of(self, text: str) -> list[str]:
        """The words of a text as they are searched for, each once; none of a text that is nothing but marks."""
        words: list[str] = await self._value(r"SELECT regexp_split_to_array(search_key(%s), '\s+')", [text])
        return [word for word in dict.fromkeys(words) if word]


def anywhere(word: str) -> str:
    """The pattern for LIKE of texts that contain a word."""
    return f"%{_escaped(word)}%"


def begins_a_word(word: str) -> str:
    """The pattern for LIKE of texts in which a word begins so; such a text begins with a blank."""
    return f"% {_escaped(word)}%"


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def knows_latin_only(url: str) -> bool:
    """Whether the trigrams of a database leave out the letters of every script but Latin, as in the locale C.

    Such a search finds the same people, but has to read all of them.
    """
    with connect(url) as connection:
        row = connection.execute(
            "SELECT datctype IN ('C', 'POSIX') FROM pg_database WHERE datname = current_database()"
        )
        return row.fetchone() == (True,)


def index_every_script(url: str) -> bool:
    """Let the trigrams know the letters of every script, and make their indexes anew; answers whether they did not.

    Only where the database's own rules of text are PostgreSQL's (the provider `builtin`): there nothing else that is
    stored depends on the locale that is changed.

    Raises:
        OperatorError: somebody else is connected, or the database has to be made anew; says what to do.
    """
    changed = knows_latin_only(url)
    if changed:
        with connect(url) as connection:
            _change_locale(connection)
    with connect(url, autocommit=True) as connection:
        _require_alone(connection)  # who was connected before still writes trigrams of Latin letters alone
        try:
            for index in trigram_indexes:
                connection.execute(SQL("REINDEX INDEX {}").format(Identifier(index)))
        except InsufficientPrivilege as error:
            raise OperatorError(
                "The indexes are not this user's to make anew.", "Run this as the user who owns the tables."
            ) from error
    return changed


def _change_locale(connection: Connection) -> None:
    refusal = OperatorError(
        "The locale of this database cannot be changed.",
        "Copy it into one that is made with LC_CTYPE 'C.UTF-8': docs/reference/database-server.md says how.",
    )
    row = connection.execute("SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()")
    if row.fetchone() != ("b",):
        raise refusal
    _require_alone(connection)
    try:
        connection.execute("CREATE COLLATION pg_temp.known_here (provider = libc, locale = 'C.UTF-8')")
        connection.execute("UPDATE pg_database SET datctype = %s WHERE datname = current_database()", [utf8_locale])
    except (InsufficientPrivilege, UndefinedFile, WrongObjectType) as error:
        raise refusal from error


def _require_alone(connection: Connection) -> None:
    row = connection.execute("""
        SELECT count(*) > 0 FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    """)
    if row.fetchone() == (True,):
        raise OperatorError("Somebody is connected to the database.", "Stop the other programs, then try again.")
