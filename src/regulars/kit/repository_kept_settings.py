"""The values of settings that stored data depend on, in the database."""

from datetime import datetime

from regulars.kit.database import Repository


class KeptSettingsRepository(Repository):
    """Rows of settings, by name."""

    async def get_or_keep(self, name: str, value: str, *, now: datetime) -> str:
        """The value that is kept; the given one where there is none."""
        await self._execute(
            "INSERT INTO kept_settings (name, value, kept_at) VALUES (%s, %s, %s) ON CONFLICT (name) DO NOTHING",
            [name, value, now],
        )
        return str(await self._value("SELECT value FROM kept_settings WHERE name = %s", [name]))

    async def keep(self, name: str, value: str, *, now: datetime) -> None:
        """Put a value in the place of the one that is kept."""
        await self._execute(
            "INSERT INTO kept_settings (name, value, kept_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value, kept_at = excluded.kept_at",
            [name, value, now],
        )

    async def get_all(self) -> dict[str, str]:
        """What is kept, by name."""
        return dict(await self._rows("SELECT name, value FROM kept_settings ORDER BY name"))

    async def count_other_programs(self) -> int:
        """How many connections programs of ours have beside this one; asked as the user of the address."""
        await self._execute("SET LOCAL ROLE NONE")
        return int(
            await self._value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND application_name LIKE 'regulars%'"
            )
        )
