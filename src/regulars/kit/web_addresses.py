"""Web addresses in settings."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def require_private_way(address: str) -> str:
    """A web address on the way to which nobody can listen: https, or http on this machine.

    Raises:
        ValueError: it is neither, or has a user name, spaces or a port that is none; does not repeat it.
    """
    parts = urlsplit(address)
    if not (address.isascii() and address.isprintable()) or " " in address or not parts.hostname or "@" in parts.netloc:
        raise ValueError("must be a web address without a user name, such as https://shop.example")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        raise ValueError("must begin with https://; http:// only leads to this machine itself, such as 127.0.0.1")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is no number between 1 and 65535") from None
    return address


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False
