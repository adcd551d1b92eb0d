"""Somebody becomes a customer without anybody's help.

The transactions are opened here, because none may be held while a password is hashed.
"""

from dataclasses import replace
from uuid import UUID

from regulars.accounts.enrolment import Enrolment
from regulars.accounts.passwords import PasswordHash, PasswordHashing, check_password
from regulars.accounts.repository import UserRepository
from regulars.customers.contact_proofs import ContactProofs
from regulars.customers.errors import EmailTaken, InvalidOrExpiredToken, PhoneTaken
from regulars.customers.events import CustomerCreated, CustomerVerified
from regulars.customers.models import ContactKind, NewCustomer, RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas import RetailCustomerResponse
from regulars.customers.service import RetailCustomerService
from regulars.customers.verifications import Verifications, lives
from regulars.flows.guests import Guests
from regulars.flows.repository_registrations import RegistrationRepository
from regulars.flows.schemas_registration import RegistrationProfile, RetailCustomerRegistration
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.events import record_events
from regulars.kit.queue import enqueue
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.service import LoyaltyService
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.erased_people import lasting_hashes, was_erased
from regulars.privacy.models_consents import flags


class RegistrationFlow:
    """Self-registration, open or private."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock, hashing: PasswordHashing) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._hashing = hashing

    async def register_customer(self, data: RetailCustomerRegistration) -> RetailCustomerResponse | None:
        """Make a customer at once, or keep the wish until the mailbox is proved.

        Address and number that are typed here identify nobody before they are proved. Whether somebody has bought as a
        guest with them makes no difference to the answer: the proof brings the two records together.

        Returns:
            The customer; None where registration is private: with the same work for known and unknown addresses.

        Raises:
            WeakPassword: the password is easy to guess.
            AgeRestriction: younger than the setting `minimum_age`.
            EmailTaken, PhoneTaken: another customer or login has it; only where registration is open.
            RateLimited: the address was written to too often.
            Validation: impossible date of birth.
        """
        context = [self._settings.brand_name, data.email, data.first_name, data.last_name]
        check_password(data.password, role="customer", context=context)
        at_once = self._settings.registration_mode == "open"
        async with self._database.transaction() as connection:
            RetailCustomerService(connection, self._settings, self._clock).check_date_of_birth(data.date_of_birth)
            if at_once:
                await _require_free(connection, data)
        hashed = await self._hashing.hash(data.password)
        async with self._database.transaction() as connection:
            if not at_once:
                await self._keep_waiting(connection, data, hashed)
                return None
            customer = await self._open_account(connection, data, hashed, has_proved_email=False)
            await ContactProofs(connection, self._settings, self._clock).begin_email(customer.id, data.email)
            return RetailCustomerResponse.of(customer, self._settings, masked=False)

    async def confirm(self, token: str) -> RetailCustomerResponse:
        """Make the customer whose mailbox is proved by a token.

        Raises:
            InvalidOrExpiredToken: the token does not pass, or the address has a customer by now.
        """
        async with self._database.transaction() as connection:
            verifications = Verifications(connection, self._settings, self._clock)
            proof = await verifications.spend_token("registration", token)
            waiting = await RegistrationRepository(connection).take(proof.subject_id)
            if waiting is None:
                raise InvalidOrExpiredToken
            profile = RegistrationProfile.model_validate(waiting.profile)
            try:
                customer = await self._open_account(connection, profile, waiting.password_hash, has_proved_email=True)
            except EmailTaken as error:
                raise InvalidOrExpiredToken from error
            return RetailCustomerResponse.of(customer, self._settings, masked=False)

    async def _open_account(
        self, connection: Connection, data: RegistrationProfile, hashed: PasswordHash, *, has_proved_email: bool
    ) -> RetailCustomer:
        """Write the record or take over the guest's, open the login, bind the two, give the welcome bonus.

        All or nothing.
        """
        now, customers = self._clock.now(), RetailCustomerRepository(connection)
        guests = Guests(connection, self._clock)
        guest = await guests.find(data.email, lock=True) if has_proved_email else None
        if guest:
            created = await guests.complete(guest, data)
        else:
            claims: frozenset[ContactKind] = frozenset({"email"} if has_proved_email else ())
            profile = data.profile()
            if not has_proved_email:  # what is granted waits for the proof
                profile = replace(profile, email_marketing_consent=False, sms_marketing_consent=False)
            new = NewCustomer(profile, now, self._clock.day_of(now), claims=claims)
            created = await customers.create_customer(new)
            await record_events(connection, now, CustomerCreated(customer_id=created.id, by_registration=True))
        user = await Enrolment(connection, self._clock).create_user(
            data.email, hashed, role="customer", customer_id=created.id
        )
        await customers.link_login(created.id, user.id)
        if has_proved_email:
            await customers.mark_email_verified(created.id, now=now)
            await record_events(connection, now, CustomerVerified(customer_id=created.id, channel="email"))
        said = {channel: bool(getattr(data, name)) for channel, name in flags.items() if name in data.model_fields_set}
        await ConsentJournal(connection, self._clock).state(created.id, said, source="registration", by=None)
        # Once per person: who was erased and comes back has had it.
        if not await was_erased(connection, self._settings, email=created.email, phone=created.phone):
            await LoyaltyService(connection, self._settings, self._clock).give_welcome_bonus(
                created.id, contacts=self._hashes_of(created), by=operator
            )
        await record_audit(
            connection,
            "register_customer",
            by=None,
            at=now,
            object_kind="customer",
            object_id=created.id,
            fields=sorted(data.model_fields_set - {"password"}),
        )
        return await customers.get(created.id)

    def _hashes_of(self, customer: RetailCustomer) -> list[bytes]:
        """What tells a welcomed person again, and says nothing to anybody else."""
        hashes, contacts = lasting_hashes(self._settings), (customer.email, customer.phone)
        return [hashes.of("welcome_bonus", contact) for contact in contacts if contact]

    async def _keep_waiting(
        self, connection: Connection, data: RetailCustomerRegistration, hashed: PasswordHash
    ) -> None:
        """Keep a registration and queue its mail. The job finds out whether the address is known, after the answer.

        A phone number is not kept: nobody has proved it, and whether it can be had would tell whose it is.
        """
        now = self._clock.now()
        registration_id = await RegistrationRepository(connection).add(
            hashed,
            data.model_dump(mode="json", exclude={"password", "phone"}, exclude_unset=True),
            now=now,
            expires_at=now + 2 * lives["registration"],  # the mail may wait, and its link lives from the sending
        )
        verifications = Verifications(connection, self._settings, self._clock)
        verification_id = await verifications.begin("registration", registration_id, data.email)
        await enqueue(connection, "send_registration_proof", verification_id=str(verification_id))


async def arm_registration(
    connection: Connection, verification_id: UUID, *, settings: Settings, clock: Clock
) -> tuple[str, str | None] | None:
    """What the mail of a waiting registration says; commit before sending.

    Returns:
        The address and the token of the link; no token where the address is known: then its owner is told, and the
        registration is forgotten. None if there is nothing to send.
    """
    armed = await Verifications(connection, settings, clock).arm(verification_id)
    if armed is None:
        return None
    address = armed.verification.address
    if await _is_known(connection, address):
        await RegistrationRepository(connection).take(armed.verification.subject_id)
        return address, None
    return address, armed.secret


async def _is_known(connection: Connection, email: str) -> bool:
    """Whether a login or a customer has the address. Nobody knows a guest, who may still become a customer."""
    if await UserRepository(connection).get_by_email(email) is not None:
        return True
    return await RetailCustomerRepository(connection).find_owner("email", email) is not None


async def _require_free(connection: Connection, data: RetailCustomerRegistration) -> None:
    """Spare the work of hashing where the end is plain already; what happens meanwhile is found when it is written."""
    if await _is_known(connection, data.email):
        raise EmailTaken
    if data.phone and await RetailCustomerRepository(connection).find_owner("phone", data.phone):
        raise PhoneTaken
