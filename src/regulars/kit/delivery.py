"""How messages reach people in this installation: what the settings name, or else files in a folder."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from regulars.kit.delivery_mail import Sender
from regulars.kit.delivery_outbox import OutboxMessenger
from regulars.kit.delivery_smtp import SmtpMessenger, SmtpServer
from regulars.kit.delivery_webhook import WebhookTextMessenger
from regulars.kit.errors import OperatorError
from regulars.kit.messages import DeliveryError, Mail, MailCarrier, Messenger, TextCarrier, TextMessage
from regulars.kit.settings import Settings

log = logging.getLogger(__name__)
_nobody = "regulars@localhost"


@dataclass(frozen=True)
class Delivery:
    """Sends each kind of message its own way, and tells the log what failed.

    Attributes:
        mails: Takes e-mails.
        texts: Takes text messages.
    """

    mails: MailCarrier
    texts: TextCarrier

    async def send_mail(self, mail: Mail) -> None:
        """Hand a mail over. See `MailCarrier`."""
        with _failures_told():
            await self.mails.send_mail(mail)

    async def send_text(self, message: TextMessage) -> None:
        """Hand a text message over. See `TextCarrier`."""
        with _failures_told():
            await self.texts.send_text(message)


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except DeliveryError as error:
        log.warning("%s: %s", type(error).__name__, error)
        raise


def messenger_from(settings: Settings) -> Messenger:
    """The messenger of an installation.

    Mails go to the mail server of `smtp_url`, text messages to the service of `sms_webhook_url`; what is not set is
    written to `data_dir`/outbox instead.

    Raises:
        OperatorError: a setting cannot be used; never repeats it, as it may hold a password.
    """
    outbox = OutboxMessenger(settings.data_dir / "outbox", _sender(settings), settings.clock)
    return Delivery(mails=_mail_server(settings) or outbox, texts=_text_service(settings) or outbox)


def _sender(settings: Settings) -> Sender:
    try:
        return Sender(settings.mail_from or _nobody, settings.brand_name)
    except ValueError as error:
        raise OperatorError(
            f"Mails cannot come from REGULARS_MAIL_FROM and REGULARS_BRAND_NAME: {error}.",
            "Set the first to one bare address such as shop@example.com, the second to one line of text.",
        ) from error


def _mail_server(settings: Settings) -> SmtpMessenger | None:
    if not settings.smtp_url:
        return None
    if not settings.mail_from:
        raise OperatorError("REGULARS_SMTP_URL is set, REGULARS_MAIL_FROM is not.", "Set the address of your mails.")
    try:
        server = SmtpServer.from_url(settings.smtp_url.get_secret_value())
    except ValueError as error:
        raise OperatorError(f"REGULARS_SMTP_URL {error}.", "Correct it; unset, mails are written to files.") from None
    return SmtpMessenger(server, _sender(settings), settings.clock)


def _text_service(settings: Settings) -> WebhookTextMessenger | None:
    if not settings.sms_webhook_url:
        return None
    token = settings.sms_webhook_token
    try:
        return WebhookTextMessenger(settings.sms_webhook_url, token.get_secret_value() if token else None)
    except ValueError as error:
        raise OperatorError(f"REGULARS_SMS_WEBHOOK_TOKEN {error}.", "Correct it.") from None
