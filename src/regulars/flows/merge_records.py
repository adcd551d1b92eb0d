"""Two records turn out to be one person's: the one without a history becomes part of the other."""

from collections.abc import Mapping
from dataclasses import fields
from uuid import UUID

from regulars.accounts.customer_logins import CustomerLogins
from regulars.accounts.repository import UserRepository
from regulars.customers.errors import MergeRequired
from regulars.customers.events import CustomerMerged
from regulars.customers.models import ContactKind, CustomerProfile, RetailCustomer, stated_preferences
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_merging import RecordMergingRepository
from regulars.customers.repository_verifications import VerificationRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import record_events
from regulars.kit.schemas import most_tags
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.merging import AccountMerging
from regulars.orders.repository import OrderRepository
from regulars.preferences.repository import CustomerPreferenceRepository
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.erased_people import ErasedPeople
from regulars.privacy.models_consents import contact_fields

_flags = frozenset({"email_marketing_consent", "sms_marketing_consent", "push_notification_consent"})
_contacts = ("email", "phone")
# Consents and preferences are moved as such; the profile shows them.
_kept_elsewhere = _flags | stated_preferences.keys()
longest_notes = 4000


class RecordMerging:
    """Brings two records of a person together, in the caller's transaction, which has locked both.

    Points and orders never move between records, so only a record without any can become part of another. Where both
    have some, a person of the shop has to decide.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    async def unite_with_holder(self, person_id: UUID, proved: ContactKind) -> UUID:
        """Unite a person with the record that the address just proved identifies, if that is another one.

        The record with a history stays; where neither has one, the one that the address identified so far, since
        others know its id. What people say of themselves counts before what was written about them.

        Args:
            person_id: Who has proved the present address or number.
            proved: Which of them.

        Returns:
            The record that holds both.

        Raises:
            MergeRequired: both have a history or a login, or the other record is closed.
        """
        person = await self._customers.get(person_id)
        address = person.email if proved == "email" else person.phone
        holder_id = await self._customers.find_claim(proved, address) if address else None
        if holder_id is None or holder_id == person_id:
            return person_id
        holder = await self._customers.lock(holder_id)
        is_open = holder.is_active and holder.deleted_at is None and holder.erased_at is None
        if not is_open or await UserRepository(self._connection).has_login(holder_id):
            raise MergeRequired
        if not await self._has_history(person_id):
            source, target = person, holder
        elif not await self._has_history(holder_id):
            source, target = holder, person
        else:
            raise MergeRequired
        await self._absorb(source, target, person=person, proved=proved)
        return target.id

    async def _has_history(self, customer_id: UUID) -> bool:
        if await OrderRepository(self._connection).has_orders(customer_id):
            return True
        return await AccountMerging(self._connection, self._clock).has_history(customer_id)

    async def _absorb(
        self, source: RetailCustomer, target: RetailCustomer, *, person: RetailCustomer, proved: ContactKind
    ) -> None:
        now, records = self._clock.now(), RecordMergingRepository(self._connection)
        await records.move_claims(source.id, target.id, preferred=person.id, proved=proved)
        await VerificationRepository(self._connection).void(source.id)
        await CustomerLogins(self._connection, self._clock).move(source.id, target.id)
        await CustomerPreferenceRepository(self._connection).move(source.id, target.id)
        await AccountMerging(self._connection, self._clock).move_welcome_bonus(source.id, target.id, by=operator)
        await self._unite_profiles(source, target, person=person)
        await record_events(self._connection, now, CustomerMerged(customer_id=target.id, merged_id=source.id))
        await record_audit(
            self._connection,
            "merge_customers",
            by=None,
            at=now,
            object_kind="customer",
            object_id=target.id,
            facts={"merged_id": str(source.id)},
        )

    async def _unite_profiles(self, source: RetailCustomer, target: RetailCustomer, *, person: RetailCustomer) -> None:
        """Write one profile and the consents that belong to it, and empty the other."""
        now, records = self._clock.now(), RecordMergingRepository(self._connection)
        consents = ConsentJournal(self._connection, self._clock)
        other = target if person is source else source
        united = _united(person, other)
        await records.write(target.id, united, at=now)
        for record in (source, target):
            lost = [
                channel
                for channel, field in contact_fields.items()
                if getattr(record, field) not in {None, united[field]}
            ]
            await consents.give_up_contact(record, lost)
        await consents.move(source.id, target.id, erased=ErasedPeople(self._connection, self._settings))
        await records.write(source.id, {**_emptied, "merged_into": target.id, "deleted_at": now}, at=now)


def _united(person: RetailCustomer, other: RetailCustomer) -> Mapping[str, object]:
    """The profile of a person: what they say of themselves, completed by what is known otherwise."""
    united: dict[str, object] = {
        field.name: getattr(person, field.name) or getattr(other, field.name)
        for field in fields(CustomerProfile)
        if field.name not in _kept_elsewhere
    }
    united["tags"] = list(dict.fromkeys([*other.tags, *person.tags]))[:most_tags]
    united["notes"] = "\n".join(notes for notes in (other.notes, person.notes) if notes)[:longest_notes] or None
    united["is_guest"] = False
    for kind in _contacts:
        owner = person if getattr(person, kind) else other
        united[f"is_{kind}_verified"] = getattr(owner, f"is_{kind}_verified")
    return united


_emptied: Mapping[str, object] = {
    **dict.fromkeys((*_flags, "is_active", "is_guest", "is_email_verified", "is_phone_verified"), False),
    **{name: value for name, value in vars(CustomerProfile()).items() if name not in _kept_elsewhere},
    "user_id": None,
}
