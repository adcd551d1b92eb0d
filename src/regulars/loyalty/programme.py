"""The rules of the programme, changed by adding a version."""

from dataclasses import replace

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.errors import ProgrammeChanged, TiersDoNotRise
from regulars.loyalty.models import Programme
from regulars.loyalty.repository_programmes import ProgrammeRepository
from regulars.loyalty.schemas_programme import LoyaltyProgrammeUpdate


class ProgrammeService:
    """Reads and changes the programme. What was awarded keeps the version it was awarded by."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._programmes = ProgrammeRepository(connection)

    async def get_programme(self) -> Programme:
        """The rules that hold now."""
        return await self._programmes.current()

    async def get_programme_history(self) -> list[Programme]:
        """All versions, newest first."""
        return await self._programmes.history()

    async def change_programme(self, update: LoyaltyProgrammeUpdate, *, by: Principal) -> Programme:
        """Add a version that differs from the one it is based on in the settings given.

        Raises:
            ProgrammeChanged: the newest version is another than the one the change is based on; says which.
            TiersDoNotRise: a tier would begin below the one under it.
        """
        current = await self._programmes.current()
        if update.based_on != current.version:
            raise ProgrammeChanged(version=current.version)
        changes = update.model_dump(exclude_unset=True, exclude={"based_on"})
        changed = replace(
            current, **changes, version=current.version + 1, created_by=by.id, created_at=self._clock.now()
        )
        if not changed.silver_from < changed.gold_from < changed.platinum_from:
            raise TiersDoNotRise
        if not await self._programmes.add(changed):
            raise ProgrammeChanged(version=changed.version)
        return changed
