"""Where a caller may read on: signed, so that it can neither be made up nor used with another list."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Annotated

from fastapi import Depends
from pydantic import SecretStr

from regulars.api.deps import SettingsDep
from regulars.api.errors import InvalidCursor

_signature_bytes = 16


class Cursors:
    """Writes and reads cursors. What they are bound to is the list with its filters.

    Args:
        secrets: The first signs; all are accepted.
    """

    def __init__(self, *secrets: SecretStr) -> None:
        self._keys = [
            hmac.digest(secret.get_secret_value().encode(), b"cursors of lists", "sha256") for secret in secrets
        ]

    def write(self, position: object, *, bound_to: object) -> str:
        """The cursor of a position in a list."""
        content = str(position).encode()
        return urlsafe_b64encode(_signature(self._keys[0], content, bound_to) + content).rstrip(b"=").decode()

    def read(self, cursor: str, *, bound_to: object) -> str:
        """The position that a cursor was made of.

        Raises:
            InvalidCursor: it is not ours, or it is of another list.
        """
        try:
            given = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (Error, ValueError) as error:
            raise InvalidCursor from error
        signature, content = given[:_signature_bytes], given[_signature_bytes:]
        if not any(hmac.compare_digest(signature, _signature(key, content, bound_to)) for key in self._keys):
            raise InvalidCursor
        return content.decode()


def _signature(key: bytes, content: bytes, bound_to: object) -> bytes:
    list_digest = hashlib.sha256(repr(bound_to).encode()).digest()
    return hmac.digest(key, list_digest + content, "sha256")[:_signature_bytes]


async def cursors(settings: SettingsDep) -> Cursors:
    """The cursors of this installation, under the secret of its access tokens."""
    return Cursors(*filter(None, (settings.jwt_secret, settings.jwt_secret_previous)))


CursorsDep = Annotated[Cursors, Depends(cursors)]
