"""The tasks that send proofs. Each makes its secret at the last moment; a task that runs twice sends a newer one.

And the one that tells whose address is not theirs any more.
"""

from uuid import UUID

from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHashing
from regulars.customers.repository_verifications import VerificationRepository
from regulars.customers.verifications import ArmedVerification, Verifications
from regulars.flows.register_customer import arm_registration
from regulars.jobs import letters
from regulars.jobs.toolbox import Toolbox
from regulars.kit.errors import OperatorError


async def send_email_verification(toolbox: Toolbox, verification_id: str) -> None:
    """Mail the link that proves an address."""
    if armed := await _arm(toolbox, verification_id):
        proof = armed.verification
        mail = letters.email_proof(toolbox.settings, proof.address, proof.subject_id, armed.secret)
        await toolbox.messenger.send_mail(mail)


async def send_phone_verification(toolbox: Toolbox, verification_id: str) -> None:
    """Text the code that proves a number."""
    if armed := await _arm(toolbox, verification_id):
        await toolbox.messenger.send_text(
            letters.phone_proof(toolbox.settings, armed.verification.address, armed.secret)
        )


async def send_registration_proof(toolbox: Toolbox, verification_id: str) -> None:
    """Mail the link that makes a customer; to somebody who is known already, that somebody tried."""
    async with toolbox.database.transaction() as connection:
        armed = await arm_registration(
            connection, UUID(verification_id), settings=toolbox.settings, clock=toolbox.clock
        )
    if armed is None:
        return
    address, token = armed
    settings = toolbox.settings
    mail = letters.registration_proof(settings, address, token) if token else letters.known_already(settings, address)
    await toolbox.messenger.send_mail(mail)


async def tell_old_owner(toolbox: Toolbox, verification_id: str) -> None:
    """Tell who proved an address or a number, at that very one, that a customer has it no more."""
    async with toolbox.database.transaction() as connection:
        old = await VerificationRepository(connection).get(UUID(verification_id))
    if old is None or not old.is_open(toolbox.clock.now()):
        return
    if old.kind == "old_email":
        await toolbox.messenger.send_mail(letters.old_email(toolbox.settings, old.address))
    else:
        await toolbox.messenger.send_text(letters.old_phone(toolbox.settings, old.address))
    async with toolbox.database.transaction() as connection:
        await VerificationRepository(connection).close(old.id, now=toolbox.clock.now())


async def send_password_reset(toolbox: Toolbox, verification_id: str) -> None:
    """Mail the link that sets a new password, unless a newer one was asked for or nobody has the account.

    Raises:
        OperatorError: there is no `public_url` for the link to begin with.
    """
    settings = toolbox.settings
    if settings.public_url is None:
        raise OperatorError("REGULARS_PUBLIC_URL is not set.", "Set it to where customers reach this installation.")
    passwords = PasswordService(toolbox.database, settings, toolbox.clock, PasswordHashing())
    if armed := await passwords.arm_reset(UUID(verification_id)):
        address, token = armed
        await toolbox.messenger.send_mail(letters.password_reset(settings, address, token))


async def _arm(toolbox: Toolbox, verification_id: str) -> ArmedVerification | None:
    async with toolbox.database.transaction() as connection:
        return await Verifications(connection, toolbox.settings, toolbox.clock).arm(UUID(verification_id))
