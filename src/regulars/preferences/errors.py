"""How preferences say no."""

from typing import ClassVar

from regulars.kit.errors import Conflict


class PreferenceExists(Conflict):
    """The customer has a preference of this type and key already."""

    example: ClassVar[dict[str, object]] = {"preference_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}
