"""Messages to people, what carries them, and the two ways in which that fails.

A message is checked when it is made, so that nothing of what a stranger typed can become a header or a second
recipient. It does not show itself: neither address nor text ends up in a log by way of a traceback.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol

_address = re.compile(r'[^@\s\\"(),:;<>\[\]]+@[^@\s\\"(),:;<>\[\]]+')
_phone = re.compile(r"\+[1-9][0-9]{6,14}")
_encoded_word = "=?"


@dataclass(frozen=True, repr=False)
class Mail:
    """A plain text e-mail to one person.

    Attributes:
        to: The bare address, without a name.
        subject: One line.
        text: What it says, in lines.

    Raises:
        ValueError: a part holds what cannot be sent safely; says which, not what.
    """

    to: str
    subject: str
    text: str

    def __post_init__(self) -> None:
        require_address(self.to)
        require_header_text(self.subject, "the subject")
        _require_printable(self.text, "the text", allowed="\t\n\r")


@dataclass(frozen=True, repr=False)
class TextMessage:
    """A text message (SMS) to one person.

    Attributes:
        to: Phone number in E.164, such as `+4930123456`.
        text: What it says.

    Raises:
        ValueError: a part holds what cannot be sent safely; says which, not what.
    """

    to: str
    text: str

    def __post_init__(self) -> None:
        if not _phone.fullmatch(self.to):
            raise ValueError("the recipient is not a phone number in E.164")
        _require_printable(self.text, "the text", allowed="\n")


class MailCarrier(Protocol):
    """Whatever can send an e-mail."""

    async def send_mail(self, mail: Mail) -> None:
        """Hand a mail over; on return it is somebody else's duty.

        Raises:
            PassingDeliveryError: it was not taken, a later attempt may succeed.
            FinalDeliveryError: it will never be taken.
        """


class TextCarrier(Protocol):
    """Whatever can send a text message."""

    async def send_text(self, message: TextMessage) -> None:
        """Hand a text message over; on return it is somebody else's duty.

        Raises:
            PassingDeliveryError: it was not taken, a later attempt may succeed.
            FinalDeliveryError: it will never be taken.
        """


class Messenger(MailCarrier, TextCarrier, Protocol):
    """Sends every kind of message."""


class DeliveryError(Exception):
    """A message was not taken. Says what answered how, never to whom the message was or what it said."""


class PassingDeliveryError(DeliveryError):
    """What should have taken the message is away, busy or broken: try again later."""


class FinalDeliveryError(DeliveryError):
    """The message was refused, or what should take it is set up wrongly: trying again changes nothing."""


def require_address(address: str) -> None:
    """Check that a text is one bare e-mail address.

    Raises:
        ValueError: it is not, or mail software could read it as something else.
    """
    require_header_text(address, "the address")
    if not _address.fullmatch(address):
        raise ValueError("the address is not one bare e-mail address")


def require_header_text(text: str, what: str) -> None:
    """Check that a text can be a header of a mail.

    Encoded words (`=?utf-8?q?=0A?=`) are refused because Python decodes them when a header is set: they would bring in
    the very line ends that are refused here.

    Raises:
        ValueError: it has line ends, other controls, half of a surrogate pair, or an encoded word.
    """
    _require_printable(text, what, allowed="")
    if _encoded_word in text:
        raise ValueError(f"{what} contains an encoded word")


def _require_printable(text: str, what: str, *, allowed: str) -> None:
    if any(unicodedata.category(mark) in {"Cc", "Cs", "Zl", "Zp"} and mark not in allowed for mark in text):
        raise ValueError(f"{what} contains characters that are not allowed")
