"""How often one client address may call the operations that need no token.

Many people and tills share an address behind the router of a shop or a carrier, so these stop floods. What protects one
account or one mailbox counts apart, by account (`too-many-attempts`) and by the address that is written to.
"""

from datetime import timedelta

from regulars.kit.ratelimit import RateLimit, Window
from regulars.kit.settings import Settings

_quarter = timedelta(minutes=15)


def sign_in_rate(_: Settings) -> RateLimit:
    """Room for the 300 tills of a chain that sign in every quarter of an hour."""
    return RateLimit("sign-in", (Window(300, _quarter),))


def refresh_rate(_: Settings) -> RateLimit:
    """As for signing in: a token lives as long."""
    return RateLimit("refresh", (Window(300, _quarter),))


def password_rate(_: Settings) -> RateLimit:
    """Forgotten passwords and their mailed tokens."""
    return RateLimit("password", (Window(30, _quarter),))


def register_rate(settings: Settings) -> RateLimit:
    """New customers."""
    return RateLimit("register", (Window(settings.register_per_hour, timedelta(hours=1)),))
