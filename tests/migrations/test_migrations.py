from regulars.migrations import current_revision, head_revision, migrate


def test_migrating_twice_changes_nothing(own_database_url: str) -> None:
    assert current_revision(own_database_url) == head_revision()
    assert migrate(own_database_url) == (head_revision(), head_revision())
