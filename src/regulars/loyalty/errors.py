"""How the points ledger says no."""

from regulars.kit.errors import Conflict, Forbidden, Unprocessable


class InsufficientPoints(Conflict):
    """The customer has fewer points than the redemption needs."""


class CustomerInactive(Conflict):
    """The customer is deactivated; points stay as they are."""


class AlreadyCredited(Conflict):
    """The order has already earned its points."""


class NotRestorable(Conflict):
    """There is nothing left of this redemption to give back, or it is not a redemption."""


class ProgrammeChanged(Conflict):
    """Someone else changed the programme in the meantime."""


class SelfAdjustment(Forbidden):
    """Nobody adjusts the points of their own account."""


class LimitExceeded(Forbidden):
    """These are more points than you may move."""


class BulkRejected(Conflict):
    """At least one item cannot be changed, so nothing was."""


class TiersDoNotRise(Unprocessable):
    """Each tier must begin at more points than the one below it."""
