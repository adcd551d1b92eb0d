"""What is told to others about privacy."""

from dataclasses import dataclass

from regulars.kit.events import Event
from regulars.privacy.models import ErasureReason


@dataclass(frozen=True, kw_only=True)
class PersonErased(Event, kind="customer.erased"):
    """The person behind a customer was erased; orders and points stay, without a name."""

    reason: ErasureReason
