"""Mails by way of a mail server (SMTP)."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from smtplib import (
    SMTP,
    SMTP_SSL,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from regulars.kit.clock import Clock
from regulars.kit.delivery_mail import Sender, compose, for_transport
from regulars.kit.messages import DeliveryError, FinalDeliveryError, Mail, PassingDeliveryError

Encryption = Literal["tls", "starttls", "none"]
_schemes: dict[str, tuple[Encryption, int]] = {
    "smtps": ("tls", 465),
    "smtp": ("starttls", 587),
    "smtp+insecure": ("none", 25),
}
_form = (
    "is not of the form smtps://user:password@host:port, or smtp://, or smtp+insecure://;"
    " in the password, write / as %2F, # as %23, ? as %3F, @ as %40, % as %25"
)


@dataclass(frozen=True)
class SmtpServer:
    """Where the mail server is, and how to talk to it.

    Attributes:
        host: Its name, which its certificate must bear.
        port: Its TCP port.
        encryption: TLS from the start, TLS by STARTTLS (then nothing is sent without), or none.
        user: Login name; empty for none.
        password: Of the login.
    """

    host: str
    port: int
    encryption: Encryption
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtps://user:password@host:port`, `smtp://...` or `smtp+insecure://host`.

        Raises:
            ValueError: not of this form, or a password would travel unencrypted; says so without repeating it.
        """
        try:
            parts = urlsplit(url)
            given_port = parts.port
        except ValueError:
            raise ValueError(_form) from None  # the reason may quote the password
        if parts.scheme not in _schemes or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(_form)
        encryption, usual_port = _schemes[parts.scheme]
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(user) != bool(password):
            raise ValueError("has a user without a password, or a password without a user")
        if user and encryption == "none":
            raise ValueError("would send the password unencrypted; use smtps:// or smtp://")
        if not (user + password).isascii():
            raise ValueError("has a user or password with characters outside of ASCII")
        return cls(parts.hostname, given_port or usual_port, encryption, user, password)


class SmtpMessenger:
    """Hands mails to a mail server, each over its own connection.

    Args:
        server: Where it is.
        sender: Whom the mails come from.
        clock: Dates them.
        timeout_seconds: How long each step of the conversation may take.
    """

    def __init__(self, server: SmtpServer, sender: Sender, clock: Clock, *, timeout_seconds: float = 15.0) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._tls = ssl.create_default_context()

    async def send_mail(self, mail: Mail) -> None:
        """Hand a mail over; on return the server has taken it. See `MailCarrier`."""
        await asyncio.to_thread(self._deliver, mail)

    def _deliver(self, mail: Mail) -> None:
        # What the server answered may repeat the address: it is left out of the chain of causes.
        try:
            self._converse(mail)
        except SMTPRecipientsRefused as refused:
            code, _ = next(iter(refused.recipients.values()))
            raise _answered(code) from None
        except SMTPResponseException as refused:
            raise _answered(refused.smtp_code) from None
        except SMTPServerDisconnected as error:
            raise PassingDeliveryError("The mail server ended the conversation.") from error
        except SMTPException as error:
            raise FinalDeliveryError("The mail server lacks STARTTLS, a kind of login, or SMTPUTF8.") from error
        except OSError as error:
            raise PassingDeliveryError("The mail server cannot be reached.") from error

    def _converse(self, mail: Mail) -> None:
        message = compose(mail, self._sender, now=self._clock.now(), policy=for_transport)
        connection = self._connect()
        try:
            if self._server.encryption == "starttls":
                connection.starttls(context=self._tls)
            if self._server.user:
                connection.login(self._server.user, self._server.password)
            connection.send_message(message, self._sender.address, [mail.to])
            with suppress(OSError):  # a mail that was taken is not sent again because of a bad farewell
                connection.quit()
        finally:
            connection.close()

    def _connect(self) -> SMTP:
        host, port, seconds = self._server.host, self._server.port, self._timeout_seconds
        if self._server.encryption == "tls":
            return SMTP_SSL(host, port, timeout=seconds, context=self._tls)
        return SMTP(host, port, timeout=seconds)


def _answered(code: int) -> DeliveryError:
    """What an answer means: 5xx is for good, anything else may pass (greylisting is 4xx)."""
    kind = FinalDeliveryError if 500 <= code <= 599 else PassingDeliveryError
    return kind(f"The mail server answered {code}.")
