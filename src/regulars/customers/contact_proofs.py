"""Proving that an e-mail address or a phone number belongs to a customer."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

from phonenumbers import PhoneNumberType, number_type, parse, region_code_for_number

from regulars.customers.access import require_visible
from regulars.customers.errors import AlreadyVerified, InvalidCode, InvalidOrExpiredToken, UnsupportedCountry
from regulars.customers.events import CustomerVerified
from regulars.customers.identifiers import Phone
from regulars.customers.masking import mask_email, mask_phone
from regulars.customers.models import ContactKind, RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_verifications import OldContactKind, Verification
from regulars.customers.schemas_verification import RetailCustomerVerification, VerificationResult, VerificationSent
from regulars.customers.verifications import Verifications, lives
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.events import record_events
from regulars.kit.queue import enqueue
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation

Channel = ContactKind


class ContactProofs:
    """Links by mail and codes by text message, for customers who exist; in the caller's transaction."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)
        self._verifications = Verifications(connection, settings, clock)

    async def send_email(self, customer_id: UUID, by: Principal) -> VerificationSent:
        """Mail a link; the one that was mailed before is void.

        Raises:
            NotFound, CustomerErased: no such customer for this caller.
            AlreadyVerified: nothing is to be proved.
            RateLimited: the address was written to too often.
            Validation: the customer has no e-mail address.
        """
        customer = await self._customer(customer_id, by)
        if customer.email is None:
            raise _no_address("email")
        if customer.is_email_verified:
            raise AlreadyVerified
        await self.begin_email(customer.id, customer.email)
        return _sent("email", mask_email(customer.email))

    async def send_phone(self, customer_id: UUID, by: Principal) -> VerificationSent:
        """Text a code; the one that was texted before is void.

        Raises:
            NotFound, CustomerErased: no such customer for this caller.
            UnsupportedCountry: nothing is sent to such numbers.
            AlreadyVerified: nothing is to be proved.
            RateLimited: the number was written to too often.
            Validation: the customer has no phone number.
        """
        customer = await self._customer(customer_id, by)
        if customer.phone is None:
            raise _no_address("phone")
        if customer.is_phone_verified:
            raise AlreadyVerified
        require_served(customer.phone, self._settings.sms_countries)
        verification_id = await self._verifications.begin("phone", customer.id, customer.phone)
        await enqueue(self._connection, "send_phone_verification", verification_id=str(verification_id))
        return _sent("phone", mask_phone(customer.phone))

    async def begin_email(self, customer_id: UUID, email: str) -> None:
        """Queue the link for an address; refuses with `RateLimited` only."""
        verification_id = await self._verifications.begin("email", customer_id, email)
        await enqueue(self._connection, "send_email_verification", verification_id=str(verification_id))

    async def tell_old_owners(self, before: RetailCustomer, changed: Collection[str]) -> None:
        """Queue word to the address and the number that a change took from a customer, as far as they were proved.

        To others none is sent: whoever writes any address into a profile and out again could have anybody written to.

        Args:
            before: The customer before the change.
            changed: Names of the fields that changed.
        """
        old: Mapping[OldContactKind, str | None] = {
            "old_email": before.email if before.is_email_verified and "email" in changed else None,
            "old_phone": before.phone if before.is_phone_verified and "phone" in changed else None,
        }
        for kind, address in old.items():
            if address is not None and (kept := await self._verifications.keep_old(kind, before.id, address)):
                await enqueue(self._connection, "tell_old_owner", verification_id=str(kept))

    async def accept_email(self, customer_id: UUID, proof: RetailCustomerVerification, by: Principal | None) -> None:
        """Accept a mailed token, or the word of staff. What follows from it is up to `mark_proved()`.

        Args:
            customer_id: Whose address.
            proof: A token or a reason.
            by: Who gives a reason; None where a token speaks for itself.

        Raises:
            InvalidOrExpiredToken: the token is not this customer's open one for the present address.
            InsufficientScope, NotFound, CustomerErased: the caller may not, or no such customer for the caller.
            Validation: a code, or no address to verify.
        """
        if proof.code is not None:
            raise Validation.at("/code", "range", "proves a phone number; an e-mail address needs the token")
        if proof.token is not None:
            await self._spend_email_token(customer_id, proof.token)
        else:
            await self._override(customer_id, proof, by, "email")

    async def count_code(self, customer_id: UUID, by: Principal) -> Verification:
        """Count a try at the code of a customer. Commit before `accept_phone()`.

        Raises:
            NotFound, CustomerErased: no such customer for this caller.
            CodeBurned: five codes were tried.
            InvalidCode: no code is open.
        """
        await self._customer(customer_id, by)
        return await self._verifications.count_code(customer_id)

    async def accept_phone(
        self, customer_id: UUID, proof: RetailCustomerVerification, by: Principal, counted: Verification | None
    ) -> None:
        """Accept a texted code that was counted before, or the word of staff. See `accept_email()`.

        Raises:
            InvalidCode: wrong, or for another number than the present one; says how many tries are left.
            InsufficientScope, NotFound, CustomerErased: the caller may not, or no such customer for the caller.
            Validation: a token, or no number to verify.
        """
        if proof.token is not None:
            raise Validation.at("/token", "range", "proves an e-mail address; a phone number needs the code")
        if proof.code is not None:
            assert counted is not None, "the flow counts every code"  # noqa: S101
            customer = await self._customers.lock(customer_id)
            if customer.phone != counted.address:
                raise InvalidCode(attempts_left=0)
            await self._verifications.check_code(counted, proof.code)
        else:
            await self._override(customer_id, proof, by, "phone")

    async def _spend_email_token(self, customer_id: UUID, token: str) -> None:
        """One refusal for every reason: a stranger with a token learns nothing about customers."""
        try:
            customer = await self._customers.lock(customer_id)
        except NotFound as error:
            raise InvalidOrExpiredToken from error
        verification = await self._verifications.spend_token("email", token, subject_id=customer_id)
        if verification.address != customer.email or customer.deleted_at or customer.erased_at:
            raise InvalidOrExpiredToken

    async def _override(
        self, customer_id: UUID, proof: RetailCustomerVerification, by: Principal | None, channel: Channel
    ) -> None:
        assert by is not None, "the door finds out who gives a reason"  # noqa: S101
        by.require("customers:write")
        customer = await self._customers.lock(customer_id)
        require_visible(customer, by, "customers:write")
        if (customer.email if channel == "email" else customer.phone) is None:
            raise _no_address(channel)
        await self._verifications.void(customer_id, channel)
        await record_audit(
            self._connection,
            f"verify_{channel}",
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
            fields=[f"is_{channel}_verified"],
            facts={"override_reason": proof.override_reason},
        )

    async def _customer(self, customer_id: UUID, by: Principal) -> RetailCustomer:
        customer = await self._customers.get(customer_id)
        require_visible(customer, by, "customers:verify")
        return customer

    async def mark_proved(self, customer_id: UUID, channel: Channel) -> VerificationResult:
        """Write down that a customer, who is locked, proved the present address or number: it identifies them now.

        Raises:
            EmailTaken, PhoneTaken: it identifies another record.
        """
        now, customers = self._clock.now(), self._customers
        customer = await customers.get(customer_id)
        address = customer.email if channel == "email" else customer.phone
        assert address is not None, "what was proved is there"  # noqa: S101
        await customers.claim(customer_id, channel, address, at=now)
        mark = customers.mark_email_verified if channel == "email" else customers.mark_phone_verified
        await mark(customer_id, now=now)
        await record_events(self._connection, now, CustomerVerified(customer_id=customer_id, channel=channel))
        customer = await self._customers.get(customer_id)
        return VerificationResult(
            customer_id=customer.id,
            is_verified=customer.is_verified,
            is_email_verified=customer.is_email_verified,
            is_phone_verified=customer.is_phone_verified,
        )


def require_served(phone: Phone, countries: list[str]) -> None:
    """Refuse numbers that no code is texted to.

    Args:
        phone: In E.164.
        countries: ISO 3166 codes of those that are served; none for all.

    Raises:
        UnsupportedCountry: the country is not among them, or whoever is written to collects money for it.
    """
    number = parse(phone)
    if number_type(number) in {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}:
        raise UnsupportedCountry
    if countries and region_code_for_number(number) not in countries:
        raise UnsupportedCountry


def _sent(channel: Channel, masked: str | None) -> VerificationSent:
    minutes = lives[channel] // timedelta(minutes=1)
    return VerificationSent(channel=channel, sent_to=masked or "", valid_minutes=minutes)


def _no_address(channel: Channel) -> Validation:
    what = "an e-mail address" if channel == "email" else "a phone number"
    return Validation.at("/customer_id", "missing", f"must be a customer with {what}", place="path")
