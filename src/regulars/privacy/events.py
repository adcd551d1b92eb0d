"""What is told to others about consents."""

from dataclasses import dataclass

from regulars.kit.events import Event
from regulars.privacy.models_consents import ConsentAction, ConsentChannel, ConsentPurpose


@dataclass(frozen=True, kw_only=True)
class ConsentChanged(Event, kind="consent.changed"):
    """A customer allowed or forbade something, and nothing else was said about it since."""

    purpose: ConsentPurpose
    channel: ConsentChannel
    action: ConsentAction
