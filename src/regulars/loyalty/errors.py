"""How the points ledger says no."""

from typing import ClassVar

from regulars.kit.errors import Conflict, Forbidden, Unprocessable


class InsufficientPoints(Conflict):
    """The customer has fewer points than the redemption needs."""

    example: ClassVar[dict[str, object]] = {"spendable": 20, "points_owed": 0}


class CustomerInactive(Conflict):
    """The customer is deactivated; points stay as they are."""


class AccountUnderReview(Conflict):
    """The customer's points do not add up; they can be redeemed when that is mended."""


class AlreadyCredited(Conflict):
    """The order has already earned its points."""

    example: ClassVar[dict[str, object]] = {"transaction_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}


class NotRestorable(Conflict):
    """There is nothing left of this redemption to give back, or it is not a redemption."""

    example: ClassVar[dict[str, object]] = {"restorable": 0}


class ProgrammeChanged(Conflict):
    """Someone else changed the programme in the meantime."""

    example: ClassVar[dict[str, object]] = {"version": 2}


class SelfAdjustment(Forbidden):
    """Nobody adjusts the points of their own account."""


class LimitExceeded(Forbidden):
    """These are more points than you may move."""

    example: ClassVar[dict[str, object]] = {"limit": 1000, "period": "transaction"}


class TiersDoNotRise(Unprocessable):
    """Each tier must begin at more points than the one below it."""
