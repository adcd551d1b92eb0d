"""Links by which whoever reads a message stops more of them: one click, no login (RFC 8058)."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from typing import Self
from uuid import UUID

from pydantic import SecretStr

from regulars.customers.errors import InvalidOrExpiredToken
from regulars.kit.settings import Settings
from regulars.privacy.models_consents import ConsentChannel

_signature_bytes = 16
_codes: Mapping[ConsentChannel, bytes] = {
    ConsentChannel.EMAIL: b"e",
    ConsentChannel.SMS: b"s",
    ConsentChannel.PUSH: b"p",
}
_channels = {code: channel for channel, code in _codes.items()}


class UnsubscribeTokens:
    """Writes and reads what a link carries: a channel of a customer, signed, without an end.

    A mail is read long after it was sent, so that nothing but the signature decides. What it allows, the reader of the
    mail may do in any case; it shows nothing and can be used any number of times.

    Args:
        secrets: The first signs; all are accepted.
    """

    def __init__(self, *secrets: SecretStr) -> None:
        self._keys = [
            hmac.digest(secret.get_secret_value().encode(), b"links to unsubscribe", "sha256") for secret in secrets
        ]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The tokens of an installation, under the secret of its access tokens and the one before."""
        return cls(*filter(None, (settings.jwt_secret, settings.jwt_secret_previous)))

    def write(self, customer_id: UUID, channel: ConsentChannel) -> str:
        """The token for a channel of a customer."""
        content = _codes[channel] + customer_id.bytes
        return urlsafe_b64encode(content + _signature(self._keys[0], content)).rstrip(b"=").decode()

    def read(self, token: str) -> tuple[UUID, ConsentChannel]:
        """Customer and channel of a token.

        Raises:
            InvalidOrExpiredToken: it is not ours, or it was signed with a secret from before the previous one.
        """
        try:
            given = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (Error, ValueError) as error:
            raise InvalidOrExpiredToken from error
        content, signature = given[:-_signature_bytes], given[-_signature_bytes:]
        if not any(hmac.compare_digest(signature, _signature(key, content)) for key in self._keys):
            raise InvalidOrExpiredToken
        return UUID(bytes=content[1:]), _channels[content[:1]]


def unsubscribe_headers(settings: Settings, customer_id: UUID, channel: ConsentChannel) -> dict[str, str] | None:
    """Headers of a message from which one click unsubscribes; None if there is no `public_url` for the link."""
    if settings.public_url is None:
        return None
    token = UnsubscribeTokens.from_settings(settings).write(customer_id, channel)
    return {
        "List-Unsubscribe": f"<{settings.public_url}/api/v1/unsubscribe/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:_signature_bytes]
