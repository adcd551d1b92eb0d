"""The mail by which somebody who forgot the password sets a new one."""

from uuid import UUID

from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHashing
from regulars.jobs.toolbox import Toolbox
from regulars.kit.errors import OperatorError
from regulars.kit.messages import Mail

_text = """Hello,

somebody asked for a new password for your account at {brand}. To set one, open this page within an hour:

{link}

If it was not you, do nothing: your password stays as it is.
"""


async def send_password_reset(toolbox: Toolbox, verification_id: str) -> None:
    """Make the token and mail it, unless a newer one was asked for or nobody has the account.

    The page at `public_url`/reset-password sends the token on to POST /auth/password/reset.

    Raises:
        OperatorError: there is no `public_url` for the link to begin with.
    """
    settings = toolbox.settings
    if settings.public_url is None:
        raise OperatorError("REGULARS_PUBLIC_URL is not set.", "Set it to where customers reach this installation.")
    passwords = PasswordService(toolbox.database, settings, toolbox.clock, PasswordHashing())
    armed = await passwords.arm_reset(UUID(verification_id))
    if armed is None:
        return
    address, token = armed
    text = _text.format(brand=settings.brand_name, link=f"{settings.public_url}/reset-password?token={token}")
    await toolbox.messenger.send_mail(Mail(address, f"A new password for {settings.brand_name}", text))
