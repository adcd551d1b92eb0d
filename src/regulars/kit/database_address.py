"""The address of a database, looked at before anything is sent there.

It holds a password, and the messages of libpq about an address that it misreads quote parts of it: a password with a
bare `@` becomes the name of a host that cannot be found. So none of them is ever shown.
"""

from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

_form: Final = (
    "must be of the form postgresql://user:password@host:port/database, or host=... dbname=... as libpq has it;"
    " in a URL, write / in the password as %2F, # as %23, ? as %3F, @ as %40, : as %3A, % as %25"
)


def require_database_address(address: str) -> str:
    """An address that libpq reads as it was meant.

    Raises:
        ValueError: it does not; does not repeat it.
    """
    try:
        parts = conninfo_to_dict(address)
    except (ProgrammingError, UnicodeError):
        raise ValueError(_form) from None
    hosts, ports = str(parts.get("host", "")).split(","), str(parts.get("port", "")).split(",")
    misread = "@" in str(parts.get("dbname", "")) or any("@" in host or " " in host for host in hosts)
    if misread or not all(port == "" or (port.isascii() and port.isdigit()) for port in ports):
        raise ValueError(_form)
    return address
