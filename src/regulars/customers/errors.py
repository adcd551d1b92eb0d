"""How the customers domain says no."""

from typing import ClassVar

from regulars.kit.errors import BadRequest, Conflict, Gone, TooManyRequests, Unprocessable


class EmailTaken(Conflict):
    """Another customer has this e-mail address."""


class PhoneTaken(Conflict):
    """Another customer has this phone number."""


class MergeRequired(Conflict):
    """Another record with a history of its own has this address or number; the shop has to merge the two first."""


class ExternalIdTaken(Conflict):
    """Another customer has this id in the source."""


class CustomerErased(Gone):
    """The person behind this record was erased."""

    example: ClassVar[dict[str, object]] = {"erased_at": "2026-01-31T12:00:00Z"}


class AgeRestriction(Unprocessable):
    """The customer is younger than this shop allows."""


class InvalidOrExpiredToken(BadRequest):
    """The link is wrong, was used, or has expired; ask for a new one."""


class InvalidCode(BadRequest):
    """The code is wrong or has expired."""

    example: ClassVar[dict[str, object]] = {"attempts_left": 4}


class CodeBurned(TooManyRequests):
    """There were too many wrong codes; ask for a new one."""


class AlreadyVerified(Conflict):
    """This address or number is verified already."""


class UnsupportedCountry(Unprocessable):
    """No codes are sent to phone numbers of this country or range."""
