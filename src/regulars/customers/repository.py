"""Customers in the database: written with the claims to what identifies them, read as flat rows."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from uuid import UUID

from psycopg.sql import SQL, Placeholder

from regulars.customers.errors import ExternalIdTaken
from regulars.customers.identifiers import CustomerNumber, Email, Phone, is_placeholder
from regulars.customers.models import NewCustomer, RetailCustomer, stated_preferences
from regulars.customers.numbers import customer_number
from regulars.customers.repository_changes import CustomerChangesRepository, taken
from regulars.customers.repository_columns import customer_rows, listed, profile_columns, select_customer
from regulars.customers.repository_engagement import CustomerEngagementRepository
from regulars.customers.repository_purchases import CustomerPurchasesRepository
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.customers.repository_search import CustomerSearchRepository
from regulars.kit.errors import NotFound

_insert_customer = SQL("""
    WITH inserted AS (
        INSERT INTO customers (id, customer_number, {profile}, is_guest, user_id, created_at, updated_at)
        VALUES (%(id)s, %(customer_number)s, {values}, %(is_guest)s, %(user_id)s, %(created_at)s, %(created_at)s)
        RETURNING *
    )
    {customer}
""").format(
    profile=listed(profile_columns),
    values=SQL(", ").join(Placeholder(column) for column in profile_columns),
    customer=select_customer(SQL("inserted")),
)


class RetailCustomerRepository(
    CustomerChangesRepository,
    CustomerSearchRepository,
    CustomerScoresRepository,
    CustomerPurchasesRepository,
    CustomerEngagementRepository,
):
    """Customers on one connection; changing, searching, scoring, purchases and engagement have files of their own."""

    async def create_customer(self, new: NewCustomer) -> RetailCustomer:
        """Write a customer, number it, and claim what identifies it.

        The day's counter is locked first and until the transaction ends: whoever creates several customers in one
        transaction meets other creators there and nowhere else, so that they cannot wait for each other in a circle.

        Raises:
            EmailTaken, PhoneTaken, ExternalIdTaken: another customer has it; nothing was written.
        """
        number = customer_number(new.created_on, await self.next_customer_number(new.created_on))
        customer_id = await self._claim_identifiers(new, number)
        parameters = asdict(new.profile) | {
            "id": customer_id,
            "customer_number": number,
            "is_guest": new.is_guest,
            "user_id": new.user_id,
            "created_at": new.created_at,
        }
        customer = await self._one(RetailCustomer, _insert_customer, parameters)
        assert customer is not None, "INSERT without ON CONFLICT returns its row"  # noqa: S101
        stated = {name: getattr(new.profile, name) for name in stated_preferences}
        if given := {name: value for name, value in stated.items() if value}:
            await self.write_stated(customer_id, given, at=new.created_at)
        return replace(customer, **stated)

    async def link_login(self, customer_id: UUID, user_id: UUID | None) -> None:
        """Write down which login belongs to a customer; None for none."""
        await self._execute("UPDATE customers SET user_id = %s WHERE id = %s", [user_id, customer_id])

    async def mark_email_verified(self, customer_id: UUID, *, now: datetime) -> None:
        """Write down that the customer has proved to read the present address; a guest is one no more."""
        await self._execute(
            "UPDATE customers SET is_email_verified = true, is_guest = false, updated_at = %s"
            " WHERE id = %s AND NOT is_email_verified",
            [now, customer_id],
        )

    async def mark_phone_verified(self, customer_id: UUID, *, now: datetime) -> None:
        """Write down that the customer has proved to hold the present number; a guest is one no more."""
        await self._execute(
            "UPDATE customers SET is_phone_verified = true, is_guest = false, updated_at = %s"
            " WHERE id = %s AND NOT is_phone_verified",
            [now, customer_id],
        )

    async def next_customer_number(self, day: date, count: int = 1) -> int:
        """Reserve this many positions of a store day, in one row; answers the first of them.

        Positions of a transaction that is rolled back are given out again.
        """
        last: int = await self._value(
            """
            INSERT INTO customer_number_counters AS counter (day, last_number) VALUES (%(day)s, %(count)s)
            ON CONFLICT (day) DO UPDATE SET last_number = counter.last_number + %(count)s
            RETURNING last_number
            """,
            {"day": day, "count": count},
        )
        return last - count + 1

    async def get(self, customer_id: UUID) -> RetailCustomer:
        """The customer with this id, also if it is deleted or erased.

        Raises:
            NotFound: there is none.
        """
        customer = await self._one(RetailCustomer, customer_rows + SQL(" WHERE c.id = %s"), [customer_id])
        if customer is None:
            raise NotFound
        return customer

    async def lock(self, customer_id: UUID) -> RetailCustomer:
        """As `get()`; until the transaction ends nobody else changes the profile.

        Raises:
            NotFound: there is none.
        """
        await self._execute("SELECT FROM customers WHERE id = %s FOR NO KEY UPDATE", [customer_id])
        return await self.get(customer_id)

    async def get_by_email(self, email: Email) -> RetailCustomer | None:
        """The customer who has this e-mail address."""
        return await self._get_claimed("email", email)

    async def get_by_phone(self, phone: Phone) -> RetailCustomer | None:
        """The customer who has this phone number."""
        return await self._get_claimed("phone", phone)

    async def get_by_customer_number(self, number: CustomerNumber) -> RetailCustomer | None:
        """The customer with this number."""
        return await self._get_claimed("number", number)

    async def get_by_user_id(self, user_id: UUID) -> RetailCustomer | None:
        """The customer to whom this login belongs."""
        return await self._one(RetailCustomer, customer_rows + SQL(" WHERE c.user_id = %s"), [user_id])

    async def _get_claimed(self, kind: str, value: str) -> RetailCustomer | None:
        customer_id = await self.find_claim(kind, value)
        return await self.get(customer_id) if customer_id else None

    async def _claim_identifiers(self, new: NewCustomer, number: CustomerNumber) -> UUID:
        """Claim everything that identifies the customer, for an id that is made here."""
        claims = _claims_of(new, number)
        customer_id, claimed = await self._insert_claims(claims, new)
        if lost := [kind for kind in claims if kind not in claimed]:
            await self._execute("DELETE FROM customer_identifiers WHERE customer_id = %s", [customer_id])
            raise taken.get(lost[0], ExternalIdTaken)
        return customer_id

    async def _insert_claims(self, claims: Mapping[str, str], new: NewCustomer) -> tuple[UUID, list[str]]:
        """Insert claims in one order for all writers; answers the customer's id and the kinds that were settled.

        Contacts that several people share identify nobody, and are nobody's to lose.
        """
        [row] = await self._rows(
            """
            WITH customer AS MATERIALIZED (SELECT uuidv7() AS id),
            shared AS MATERIALIZED (
                SELECT s.kind, s.value FROM shared_contacts s
                JOIN unnest(%(kinds)s::text[], %(values)s::text[]) AS claim (kind, value) USING (kind, value)
            ),
            claimed AS (
                INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
                SELECT claim.kind, claim.value, customer.id, %(created_at)s
                FROM customer, unnest(%(kinds)s::text[], %(values)s::text[]) AS claim (kind, value)
                WHERE NOT EXISTS (SELECT FROM shared WHERE shared.kind = claim.kind AND shared.value = claim.value)
                ORDER BY claim.kind, claim.value
                ON CONFLICT DO NOTHING
                RETURNING kind
            )
            SELECT (SELECT id FROM customer), (SELECT coalesce(array_agg(kind), '{}') FROM (
                SELECT kind FROM claimed UNION ALL SELECT kind FROM shared
            ) AS settled)
            """,
            {"kinds": list(claims), "values": list(claims.values()), "created_at": new.created_at},
        )
        return row[0], row[1]


def _claims_of(new: NewCustomer, number: CustomerNumber) -> dict[str, str]:
    contacts = {"email": new.profile.email, "phone": new.profile.phone}
    claims = {"number": str(number)} | {
        kind: value
        for kind, value in contacts.items()
        if value and kind in new.claims and not (kind == "phone" and is_placeholder(value))
    }
    return claims | {f"ext:{source}": external_id for source, external_id in new.external_ids.items()}
