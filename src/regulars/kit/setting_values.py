"""What single settings may be: each check answers the value as it is used, or says what it must be."""

from collections.abc import Iterable
from ipaddress import ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers import SUPPORTED_REGIONS


def networks(value: list[str]) -> list[str]:
    """Networks of addresses.

    Raises:
        ValueError: one of them is none.
    """
    try:
        for network in value:
            ip_network(network)
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8,fd00::/8") from None
    return value


def timezone(value: str) -> str:
    """The name of a time zone.

    Raises:
        ValueError: this machine knows none of that name.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "not a time zone; use a name such as Europe/Berlin"
        raise ValueError(message) from error
    return value


def countries(value: Iterable[str]) -> list[str]:
    """Codes of countries, in capitals.

    Raises:
        ValueError: one of them is no country that has phone numbers.
    """
    codes = [country.upper() for country in value]
    if not SUPPORTED_REGIONS.issuperset(codes):
        raise ValueError("must be ISO 3166 codes of countries such as DE,AT")
    return codes


def is_text(value: str) -> bool:
    """Whether a value is text: bytes of the environment that are no UTF-8 are not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
