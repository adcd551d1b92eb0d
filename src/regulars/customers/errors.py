"""How the customers domain says no."""

from typing import ClassVar

from regulars.kit.errors import Conflict, Gone, Unprocessable


class EmailTaken(Conflict):
    """Another customer has this e-mail address."""


class PhoneTaken(Conflict):
    """Another customer has this phone number."""


class ExternalIdTaken(Conflict):
    """Another customer has this id in the source."""


class CustomerErased(Gone):
    """The person behind this record was erased."""

    example: ClassVar[dict[str, object]] = {"erased_at": "2026-01-31T12:00:00Z"}


class AgeRestriction(Unprocessable):
    """The customer is younger than this shop allows."""
