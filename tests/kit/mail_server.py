"""A real mail server for tests, in the test's own event loop."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """What the server took, and how it answers.

    Attributes:
        recipient_answer: Sent for every recipient, where set.
        data_answer: Sent after every mail, where set.
    """

    recipient_answer: str | None = None
    data_answer: str | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return self.data_answer or "250 OK"

    def check_login(self, server: SMTP, session: Session, envelope: Envelope, kind: str, given: object) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append(kind)
        # `handled` would say that the refusal has been sent already.
        return AuthResult(success=(given.login, given.password) == (b"shop", b"p/ss w@rd"), handled=False)

    def message(self) -> EmailMessage:
        """The only mail that was taken."""
        [envelope] = self.envelopes
        assert isinstance(envelope.content, bytes)
        return message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), EmailMessage, policy=default)


@asynccontextmanager
async def mail_server(
    mailbox: Mailbox, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[None]:
    """Take mails into a mailbox on a port of its own."""
    loop = asyncio.get_running_loop()

    def conversation() -> SMTP:
        return SMTP(
            mailbox, loop=loop, tls_context=starttls, authenticator=mailbox.check_login, hostname="mx.test", **options
        )

    server = await loop.create_server(conversation, "127.0.0.1", 0, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
