import psycopg
import pytest

from regulars.kit.errors import OperatorError
from regulars.migrations import current_revision, head_revision, migrate, require_current


def test_migrating_twice_changes_nothing(own_database_url: str) -> None:
    assert current_revision(own_database_url) == head_revision()
    assert migrate(own_database_url) == (head_revision(), head_revision())


def test_a_newer_schema_asks_for_the_newer_program(own_database_url: str) -> None:
    """Both the programs that run and the migration say so: migrating cannot help."""
    with psycopg.connect(own_database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for start in (require_current, migrate):
        with pytest.raises(OperatorError, match=r"revision 9999, .*does not know\. Install the newer regulars"):
            start(own_database_url)
