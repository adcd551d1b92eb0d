"""Messages as files, where nothing is set up to send them: for development and tests."""

import asyncio
import json
import os
import secrets
from email import message_from_bytes
from email.message import EmailMessage
from itertools import count
from pathlib import Path

from regulars.kit.clock import Clock
from regulars.kit.delivery_mail import Sender, compose, for_reading
from regulars.kit.messages import Mail, PassingDeliveryError, TextMessage


class OutboxMessenger:
    """Writes each message into a folder as a file that its owner alone may read; nothing is sent.

    The names of the files sort by time: `20260615T100000.000000Z-000001-3f9a0c12.eml` for a mail, `.json` for a text
    message.

    Args:
        folder: Made with the first message.
        sender: Whom the mails come from.
        clock: Dates them.
    """

    def __init__(self, folder: Path, sender: Sender, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock
        self._numbers = count(1)

    async def send_mail(self, mail: Mail) -> None:
        """Write a mail down. See `MailCarrier`."""
        message = compose(mail, self._sender, now=self._clock.now(), policy=for_reading)
        await asyncio.to_thread(self._write, message.as_bytes(), ".eml")

    async def send_text(self, message: TextMessage) -> None:
        """Write a text message down. See `TextCarrier`."""
        text = json.dumps({"to": message.to, "text": message.text}, ensure_ascii=False)
        await asyncio.to_thread(self._write, text.encode() + b"\n", ".json")

    def last_mail_to(self, address: str) -> Mail | None:
        """The mail to an address that was written last, by this or another process; its text ends in a line end."""
        mails = (_read_mail(path) for path in sorted(self._folder.glob("*.eml"), reverse=True))
        return next((mail for mail in mails if mail.to == address), None)

    def _write(self, content: bytes, suffix: str) -> None:
        number, time = next(self._numbers), f"{self._clock.now():%Y%m%dT%H%M%S.%fZ}"
        path = self._folder / f"{time}-{number:06d}-{secrets.token_hex(4)}{suffix}"
        unfinished = path.with_suffix(".part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            unfinished.rename(path)
        except OSError as error:
            raise PassingDeliveryError("The outbox cannot be written.") from error


def _read_mail(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), EmailMessage, policy=for_reading)
    return Mail(message["To"].addresses[0].addr_spec, str(message["Subject"]), message.get_content())
