"""A customer proves an e-mail address or a phone number, and is identified by it from then on.

The transactions are opened here, because a wrong code must stay counted although the request is refused.
"""

from uuid import UUID

from regulars.accounts.customer_logins import CustomerLogins
from regulars.customers.contact_proofs import Channel, ContactProofs
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_verifications import Verification
from regulars.customers.schemas_verification import RetailCustomerVerification, VerificationResult
from regulars.flows.merge_records import RecordMerging
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal


class ContactVerification:
    """Proofs and what follows from them."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def verify_email(
        self, customer_id: UUID, proof: RetailCustomerVerification, by: Principal | None
    ) -> VerificationResult:
        """Accept the proof of an e-mail address; it is the login name from now on.

        Raises:
            EmailTaken: somebody else signs in under the address by right.
            MergeRequired: the address identifies another record, and both have a history.
            InvalidOrExpiredToken, InsufficientScope, NotFound, CustomerErased, Validation: see
                `ContactProofs.accept_email()`.
        """
        async with self._database.transaction() as connection:
            await self._lock_records(connection, customer_id, "email")
            await self._proofs(connection).accept_email(customer_id, proof, by)
            return await self._settle(connection, customer_id, "email")

    async def verify_phone(
        self, customer_id: UUID, proof: RetailCustomerVerification, by: Principal
    ) -> VerificationResult:
        """Count the try, commit that, and only then look at the code: a wrong one stays counted although it is refused.

        Raises:
            CodeBurned: five codes were tried; ask for a new one.
            MergeRequired: the number identifies another record, and both have a history.
            InvalidCode, InsufficientScope, NotFound, CustomerErased, Validation: see `ContactProofs.accept_phone()`.
        """
        counted: Verification | None = None
        if proof.code is not None:
            async with self._database.transaction() as connection:
                counted = await self._proofs(connection).count_code(customer_id, by)
        async with self._database.transaction() as connection:
            await self._lock_records(connection, customer_id, "phone")
            await self._proofs(connection).accept_phone(customer_id, proof, by, counted)
            return await self._settle(connection, customer_id, "phone")

    def _proofs(self, connection: Connection) -> ContactProofs:
        return ContactProofs(connection, self._settings, self._clock)

    async def _lock_records(self, connection: Connection, customer_id: UUID, channel: Channel) -> None:
        """Lock the customer and whoever the address identifies so far, in one order for all; refuses nothing."""
        customers = RetailCustomerRepository(connection)
        try:
            customer = await customers.get(customer_id)
        except NotFound:
            return
        address = customer.email if channel == "email" else customer.phone
        holder_id = await customers.find_claim(channel, address) if address else None
        await customers.lock_states([customer_id, holder_id or customer_id])

    async def _settle(self, connection: Connection, customer_id: UUID, channel: Channel) -> VerificationResult:
        """Bring together what belongs together, and let the address identify the record that comes of it."""
        merging = RecordMerging(connection, self._settings, self._clock)
        customer_id = await merging.unite_with_holder(customer_id, channel)
        consents = ConsentJournal(connection, self._clock)
        waiting = await consents.find_waiting(customer_id)
        result = await self._proofs(connection).mark_proved(customer_id, channel)
        await consents.release(customer_id, waiting)
        if channel == "email":
            customer = await RetailCustomerRepository(connection).get(customer_id)
            await CustomerLogins(connection, self._clock).follow_email(customer)
        return result
