"""The sockets that `serve` listens on: opened before anything else, so that a taken port is found out first."""

import ctypes
import errno
import resource
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

from regulars.kit.errors import OperatorError

backlog = 2048
accept_seconds = 0.2
"""How long a process needs, at most, to take over what the system has accepted for it."""

most_descriptors = 65_536
_attach_filter = 26  # SO_ATTACH_FILTER of Linux, which the module socket does not name
# Load the flags of a TCP header; drop the packet if SYN is among them, take it otherwise.
_drop_syn = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF_FFFF))
_address_unknown_here = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host; port 0 takes a free one.

    Raises:
        OperatorError: the host is unknown, the port is taken, or may not be used.
    """
    if not 0 <= port <= 65535:
        raise OperatorError(f"There is no port {port}.", "Use --port with a number from 1 to 65535.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise OperatorError(
            f"The host {host!r} is not known here.", "Use --host 127.0.0.1, or 0.0.0.0 for every address."
        ) from error
    sockets: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            sockets.append(
                _listen(family, (address[0], sockets[0].getsockname()[1] if sockets else port, *address[2:]))
            )
        except OSError as error:
            if error.errno in _address_unknown_here and len(found) > 1:
                continue
            for opened in sockets:
                opened.close()
            raise _explained(error, host, port) from error
    if not sockets:
        raise OperatorError(f"This machine has no address of the host {host!r}.", "Use --host 127.0.0.1.")
    return sockets


def address_of(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allow_many_connections() -> None:
    """Raise the soft limit of open files as far as the hard one lets us: connections are files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most_descriptors if hard == resource.RLIM_INFINITY else min(hard, most_descriptors)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def refuse_newcomers(listeners: Sequence[socket.socket]) -> None:
    """Let the system accept no further connection for these sockets, in whichever process they are open.

    To close a listening socket resets what the system has accepted and we have not yet taken. So the handshakes are
    stopped first: whoever connects now waits, and is refused when the port is closed. Where the system has no such
    filter, a connection of the last instant may be reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _drop_syn))
    for listener in listeners:
        with suppress(OSError):
            listener.setsockopt(
                socket.SOL_SOCKET, _attach_filter, struct.pack("HL", len(_drop_syn), ctypes.addressof(program))
            )


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _explained(error: OSError, host: str, port: int) -> OperatorError:
    if error.errno == errno.EADDRINUSE:
        return OperatorError(f"Port {port} of {host} is in use.", "Stop what uses it, or choose another --port.")
    if error.errno == errno.EACCES:
        return OperatorError(f"Port {port} may not be used by this user.", "Choose a --port of 1024 or above.")
    return OperatorError(f"Cannot listen on {host} port {port} ({error.strerror}).", "Use --host 127.0.0.1.")
