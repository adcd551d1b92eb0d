"""Text messages by way of an HTTP service of the operator's choice."""

import asyncio
import ssl

import httpx

from regulars.kit.messages import FinalDeliveryError, PassingDeliveryError, TextMessage

_passing_statuses = frozenset({408, 425, 429})


class WebhookTextMessenger:
    """Posts each text message as JSON, `{"to": "+4930123456", "text": "..."}`; any 2xx says that it was taken.

    Redirects are not followed: the token and the message are meant for one address only. Of the answer nothing but
    the status is read.

    Args:
        url: Where to.
        token: Sent as bearer token; None sends none.
        timeout_seconds: How long one message may take in all.

    Raises:
        ValueError: the token cannot stand in a header.
    """

    def __init__(self, url: str, token: str | None, *, timeout_seconds: float = 15.0) -> None:
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("has spaces or characters that cannot be sent")
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_seconds = timeout_seconds
        self._tls = ssl.create_default_context()

    async def send_text(self, message: TextMessage) -> None:
        """Hand a text message over; on return the service has taken it. See `TextCarrier`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._post(message)
        except (httpx.TransportError, TimeoutError) as error:
            raise PassingDeliveryError("The text message service cannot be reached.") from error
        if 200 <= status <= 299:
            return
        passes = status >= 500 or status in _passing_statuses
        kind = PassingDeliveryError if passes else FinalDeliveryError
        raise kind(f"The text message service answered {status}.")

    async def _post(self, message: TextMessage) -> int:
        body = {"to": message.to, "text": message.text}
        async with (
            httpx.AsyncClient(verify=self._tls, timeout=self._timeout_seconds, follow_redirects=False) as client,
            client.stream("POST", self._url, json=body, headers=self._headers) as response,
        ):
            return response.status_code
