"""What is told to others about preferences."""

from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from regulars.kit.events import Event
from regulars.preferences.models import PreferenceType

Change: TypeAlias = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, kw_only=True)
class PreferenceChanged(Event, kind="preference.changed"):
    """A customer has another preference than before. The key is told if it is a well-known one."""

    preference_id: UUID
    preference_type: PreferenceType
    well_known_key: str | None
    change: Change
