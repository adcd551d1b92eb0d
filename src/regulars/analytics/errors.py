"""Why analytics refuses."""

from typing import ClassVar

from regulars.kit.errors import Conflict


class InsufficientData(Conflict):
    """There is not enough history for this report yet."""

    example: ClassVar[dict[str, object]] = {"needed": 2, "have": 1}
