"""The versions of the programme: rows are added, never changed."""

from regulars.kit.database import Repository
from regulars.kit.errors import NotFound
from regulars.loyalty.models import Programme


class ProgrammeRepository(Repository):
    """Reads and adds versions."""

    async def current(self) -> Programme:
        """The rules that hold now; the first version comes with the schema."""
        programme = await self._one(Programme, "SELECT * FROM loyalty_programmes ORDER BY version DESC LIMIT 1")
        if programme is None:
            raise NotFound
        return programme

    async def get(self, version: int) -> Programme:
        """The rules of one version.

        Raises:
            NotFound: there is no such version.
        """
        programme = await self._one(Programme, "SELECT * FROM loyalty_programmes WHERE version = %s", [version])
        if programme is None:
            raise NotFound
        return programme

    async def history(self) -> list[Programme]:
        """All versions, newest first."""
        return await self._all(Programme, "SELECT * FROM loyalty_programmes ORDER BY version DESC")

    async def add(self, programme: Programme) -> bool:
        """Add a version; False when another writer has taken its number."""
        added = await self._execute(
            """
            INSERT INTO loyalty_programmes (
                version, points_per_unit, earning_base, earns_on_shipping, rounding, expiry_days, restore_grace_days,
                welcome_bonus_points, point_value, refund_policy, debt_floor, silver_from, gold_from, platinum_from,
                downgrades_at_once, created_by, created_at)
            VALUES (
                %(version)s, %(points_per_unit)s, %(earning_base)s, %(earns_on_shipping)s, %(rounding)s,
                %(expiry_days)s, %(restore_grace_days)s, %(welcome_bonus_points)s, %(point_value)s, %(refund_policy)s,
                %(debt_floor)s, %(silver_from)s, %(gold_from)s, %(platinum_from)s, %(downgrades_at_once)s,
                %(created_by)s, %(created_at)s)
            ON CONFLICT (version) DO NOTHING
            """,
            vars(programme),
        )
        return added == 1
