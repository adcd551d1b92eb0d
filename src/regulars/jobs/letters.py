"""What the mails and text messages of the program say.

Links begin with `public_url`, never with a name that a request brought along; where it is not set, the mail carries the
token alone.
"""

from urllib.parse import urlencode
from uuid import UUID

from regulars.kit.messages import Mail, TextMessage
from regulars.kit.settings import Settings

_unasked = "If you did not ask for this, do nothing."


def email_proof(settings: Settings, address: str, customer_id: UUID, token: str) -> Mail:
    """The link that proves an address."""
    way = _way(settings, "verify-email", customer_id=str(customer_id), token=token)
    text = (
        f"Please confirm that this is your e-mail address:\n\n{way}\n\nThis works once, for 24 hours. Whoever opened"
        f" the account will then see what was bought under this address. {_unasked}\n"
    )
    return Mail(address, f"{settings.brand_name}: confirm your e-mail address", text)


def phone_proof(settings: Settings, number: str, code: str) -> TextMessage:
    """The code that proves a number."""
    return TextMessage(number, f"{settings.brand_name}: your code is {code}. It is good for 10 minutes.")


def registration_proof(settings: Settings, address: str, token: str) -> Mail:
    """The link that makes a customer."""
    way = _way(settings, "confirm-registration", token=token)
    text = f"Please confirm your registration:\n\n{way}\n\nThis works once, for 24 hours. {_unasked}\n"
    return Mail(address, f"{settings.brand_name}: confirm your registration", text)


def known_already(settings: Settings, address: str) -> Mail:
    """To the owner of an address with which somebody tried to register."""
    text = (
        "Somebody tried to register with this e-mail address, which we know already. If it was you: sign in, or ask"
        f" for a new password, by which you also get a login if you never had one. {_unasked}\n"
    )
    return Mail(address, f"{settings.brand_name}: you are registered already", text)


def old_email(settings: Settings, address: str) -> Mail:
    """To the owner of an address that a customer has no more."""
    text = (
        f"The e-mail address of your account at {settings.brand_name} was changed: this one does not belong to it any"
        " more. If it was not you, please tell us at once.\n"
    )
    return Mail(address, f"{settings.brand_name}: your e-mail address was changed", text)


def old_phone(settings: Settings, number: str) -> TextMessage:
    """To the owner of a number that a customer has no more."""
    return TextMessage(
        number,
        f"{settings.brand_name}: the phone number of your account was changed, this one does not belong to it any more."
        " If it was not you, please tell us at once.",
    )


def password_reset(settings: Settings, address: str, token: str) -> Mail:
    """The link by which somebody who forgot the password sets a new one."""
    way = _way(settings, "reset-password", token=token)
    text = (
        f"Hello,\n\nsomebody asked for a new password for your account at {settings.brand_name}. To set one, open this"
        f" page within an hour:\n\n{way}\n\nIf it was not you, do nothing: your password stays as it is.\n"
    )
    return Mail(address, f"A new password for {settings.brand_name}", text)


def _way(settings: Settings, page: str, **parameters: str) -> str:
    """A link to a page that sends the token on, which the shop puts there."""
    if settings.public_url is None:
        return f"Token: {parameters['token']}"
    return f"{settings.public_url}/{page}?{urlencode(parameters)}"
