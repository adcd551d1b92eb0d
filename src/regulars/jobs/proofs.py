"""The tasks that send proofs. Each makes its secret at the last moment; a task that runs twice sends a newer one."""

from uuid import UUID

from regulars.customers.verifications import ArmedVerification, Verifications
from regulars.flows.register_customer import arm_registration
from regulars.jobs import letters
from regulars.jobs.toolbox import Toolbox
from regulars.kit.keyed_hashes import KeyedHashes


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


async def _arm(toolbox: Toolbox, verification_id: str) -> ArmedVerification | None:
    hashes = KeyedHashes.from_settings(toolbox.settings)
    async with toolbox.database.transaction() as connection:
        return await Verifications(connection, hashes, toolbox.clock).arm(UUID(verification_id))
