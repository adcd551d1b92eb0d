"""A mail in the form in which mail servers and mail programs take it (RFC 5322)."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, default
from email.utils import format_datetime, make_msgid

from regulars.kit.messages import Mail, require_address, require_header_text

for_transport = SMTP.clone(cte_type="7bit")
"""Passes through any mail server."""

for_reading = default.clone(utf8=True)
"""As it is typed, so that a link can be copied out of the file."""


@dataclass(frozen=True)
class Sender:
    """Whom mails come from.

    Attributes:
        address: The bare address, in ASCII; what cannot be delivered comes back to it.
        name: What mail programs show.

    Raises:
        ValueError: one of them cannot stand in a header.
    """

    address: str
    name: str

    def __post_init__(self) -> None:
        require_address(self.address)
        if not self.address.isascii():
            raise ValueError("the address is not in ASCII; write the domain in its xn-- form")
        require_header_text(self.name, "the name")


def compose(mail: Mail, sender: Sender, *, now: datetime, policy: "EmailPolicy[EmailMessage]") -> EmailMessage:
    """The mail with its headers, `for_transport` or `for_reading`."""
    message = EmailMessage(policy)
    message["From"] = _address(sender.address, sender.name)
    message["To"] = _address(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=_address(sender.address).domain)
    message["Auto-Submitted"] = "auto-generated"  # keeps absence notes from answering (RFC 3834)
    message.set_content(mail.text, cte="8bit" if policy is for_reading else None)
    return message


def _address(address: str, name: str = "") -> Address:
    # Not by `addr_spec`, which knows of ASCII only.
    local_part, _, domain = address.rpartition("@")
    return Address(name, local_part, domain)
