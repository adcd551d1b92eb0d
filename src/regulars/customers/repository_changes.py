"""Customers changed: profiles with the claims that follow them, status and tags, one by one or many at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier, Placeholder

from regulars.customers.errors import EmailTaken, PhoneTaken
from regulars.customers.identifiers import is_placeholder
from regulars.customers.models import ContactKind, CustomerState, RetailCustomer, TagChange, stated_preferences
from regulars.customers.repository_columns import select_customer
from regulars.customers.repository_stated import StatedPreferencesRepository
from regulars.kit.errors import Refusal

taken: Mapping[str, type[Refusal]] = {"email": EmailTaken, "phone": PhoneTaken}
"""What whoever claims an identifier of this kind is refused with if another customer has it."""

_is_verified = {"email": "is_email_verified", "phone": "is_phone_verified"}

_update_customer = SQL("""
    WITH updated AS (
        UPDATE customers SET {assignments}, updated_at = %(updated_at)s WHERE id = %(id)s RETURNING *
    )
    {customer}
""")


class CustomerChangesRepository(StatedPreferencesRepository):
    """What changes customers. Whoever changes one customer has locked it; changes for many lock for themselves."""

    async def update_customer(
        self, customer_id: UUID, changes: Mapping[str, object], *, at: datetime, is_typed: bool = False
    ) -> RetailCustomer:
        """Write changed fields of a profile. An address or number that changes is no longer proved.

        Args:
            customer_id: A customer that is locked.
            changes: The fields that are to be different, at least one; identifiers in their normal form.
            at: When.
            is_typed: Whether people wrote it about themselves: a new address or number then identifies nobody before it
                is proved, and the one before goes on identifying the customer until then.

        Raises:
            EmailTaken, PhoneTaken: another customer has it; nothing was written.
        """
        identifiers = {kind: changes[kind] for kind in ("email", "phone") if kind in changes}
        if identifiers and is_typed:
            await self._require_free(customer_id, identifiers)
            await self.drop_claims(customer_id, [kind for kind, value in identifiers.items() if value is None])
        elif identifiers:
            await self._move_claims(customer_id, identifiers, at)
        unproved = {_is_verified[kind]: False for kind in identifiers}
        return await self._update(customer_id, {**changes, **unproved}, at, [SQL("version = version + 1")])

    async def note_change(self, customer_id: UUID, *, at: datetime) -> None:
        """Write down that a customer, who is locked, shows other values: preferences that are fields of the profile."""
        await self._execute(
            "UPDATE customers SET version = version + 1, updated_at = %s WHERE id = %s", [at, customer_id]
        )

    async def set_active(self, customer_id: UUID, *, is_active: bool, at: datetime) -> RetailCustomer:
        """Activate a customer, which also takes a deletion back, or deactivate it."""
        columns: dict[str, object] = {"is_active": is_active}
        return await self._update(customer_id, columns | ({"deleted_at": None} if is_active else {}), at)

    async def soft_delete(self, customer_id: UUID, *, at: datetime) -> None:
        """Mark a customer as deleted. The record and its claims stay, so that it can be taken back."""
        await self._update(customer_id, {"deleted_at": at}, at)

    async def lock_states(self, customer_ids: Sequence[UUID]) -> list[CustomerState]:
        """Lock customers until the transaction ends, in one order for all, and say what state they are in."""
        return await self._all(
            CustomerState,
            "SELECT id, deleted_at, erased_at FROM customers WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(customer_ids)],
        )

    async def bulk_update_status(self, customer_ids: Sequence[UUID], *, is_active: bool, at: datetime) -> list[UUID]:
        """Activate or deactivate customers that are locked; answers those that were not so before."""
        changed = await self._rows(
            """
            UPDATE customers SET is_active = %(is_active)s, updated_at = %(at)s
            WHERE id = ANY(%(ids)s) AND is_active <> %(is_active)s
            RETURNING id
            """,
            {"ids": list(customer_ids), "is_active": is_active, "at": at},
        )
        return [row[0] for row in changed]

    async def bulk_update_tags(
        self, customer_ids: Sequence[UUID], *, add: Sequence[str], remove: Sequence[str], most: int, at: datetime
    ) -> list[TagChange]:
        """Add and remove tags of customers that are locked. Tags that are there keep their place, new ones follow.

        Args:
            customer_ids: Whose tags.
            add: Tags to have afterwards.
            remove: Tags not to have afterwards; none of `add`.
            most: Whoever would have more tags than this, and more than before, keeps those of before.
            at: When.
        """
        return await self._all(
            TagChange,
            """
            WITH wanted AS (
                SELECT c.id, c.tags AS before, ARRAY(
                    SELECT tag
                    FROM unnest(c.tags || %(add)s::text[]) WITH ORDINALITY AS tags (tag, position)
                    WHERE tag <> ALL(%(remove)s::text[])
                    GROUP BY tag
                    ORDER BY min(position)
                ) AS after
                FROM customers c
                WHERE c.id = ANY(%(ids)s)
            ),
            changes AS (
                SELECT *, cardinality(after) > greatest(%(most)s::integer, cardinality(before)) AS is_too_long
                FROM wanted
            ),
            updated AS (
                UPDATE customers c SET tags = w.after, version = c.version + 1, updated_at = %(at)s
                FROM changes w
                WHERE c.id = w.id AND w.after <> w.before AND NOT w.is_too_long
                RETURNING c.id
            )
            SELECT id, id IN (SELECT id FROM updated) AS is_changed, is_too_long FROM changes
            """,
            {"ids": list(customer_ids), "add": list(add), "remove": list(remove), "most": most, "at": at},
        )

    async def _update(
        self, customer_id: UUID, columns: Mapping[str, object], at: datetime, more: Sequence[SQL] = ()
    ) -> RetailCustomer:
        if stated := {name: value for name, value in columns.items() if name in stated_preferences}:
            await self.write_stated(customer_id, stated, at=at)
        columns = {name: value for name, value in columns.items() if name not in stated}
        assignments = [SQL("{} = {}").format(Identifier(name), Placeholder(name)) for name in columns]
        statement: Composed = _update_customer.format(
            assignments=SQL(", ").join([*assignments, *more]), customer=select_customer(SQL("updated"))
        )
        updated = await self._one(RetailCustomer, statement, {**columns, "id": customer_id, "updated_at": at})
        assert updated is not None, "the customer is locked"  # noqa: S101
        return updated

    async def drop_claims(self, customer_id: UUID, kinds: Sequence[str]) -> None:
        """Let an address or number identify a customer no more."""
        if kinds:
            await self._execute(
                "DELETE FROM customer_identifiers WHERE customer_id = %s AND kind = ANY(%s)", [customer_id, list(kinds)]
            )

    async def find_owner(self, kind: str, value: str) -> UUID | None:
        """The customer whom an address or number identifies; a guest's is still to be had by whoever proves it."""
        owner_id: UUID | None = await self._value(
            """
            SELECT c.id FROM customer_identifiers i JOIN customers c ON c.id = i.customer_id
            WHERE i.kind = %s AND i.value = %s AND NOT c.is_guest
            """,
            [kind, value],
        )
        return owner_id

    async def _require_free(self, customer_id: UUID, identifiers: Mapping[str, object]) -> None:
        for kind, value in identifiers.items():
            if value is not None and await self.find_owner(kind, str(value)) not in {None, customer_id}:
                raise taken[kind]

    async def claim(self, customer_id: UUID, kind: ContactKind, value: str, *, at: datetime) -> None:
        """Let an address or number that was proved identify a customer, instead of the one before.

        Raises:
            EmailTaken, PhoneTaken: it identifies another customer; nothing was written.
        """
        await self._move_claims(customer_id, {kind: value}, at)

    async def _move_claims(self, customer_id: UUID, identifiers: Mapping[str, object], at: datetime) -> None:
        """Claim what identifies the customer from now on, then let go of what did before.

        Whoever lets go waits for nobody afterwards: customers who take each other's address cannot wait in a circle.
        """
        wanted = {
            kind: value
            for kind, value in identifiers.items()
            if value is not None and not (kind == "phone" and is_placeholder(str(value)))
        }
        async with self._connection.transaction():
            settled = await self._rows(
                """
                WITH claim AS (
                    SELECT kind, value, EXISTS (
                        SELECT FROM shared_contacts s WHERE s.kind = wanted.kind AND s.value = wanted.value
                    ) AS is_shared
                    FROM unnest(%(kinds)s::text[], %(values)s::text[]) AS wanted (kind, value)
                ), claimed AS (
                    INSERT INTO customer_identifiers AS held (kind, value, customer_id, created_at)
                    SELECT claim.kind, claim.value, %(customer_id)s, %(at)s
                    FROM claim WHERE NOT is_shared
                    ORDER BY claim.kind, claim.value
                    ON CONFLICT (kind, value) DO UPDATE SET created_at = held.created_at
                    WHERE held.customer_id = excluded.customer_id
                    RETURNING kind
                )
                SELECT kind FROM claimed UNION ALL SELECT kind FROM claim WHERE is_shared
                """,
                {"kinds": list(wanted), "values": list(wanted.values()), "customer_id": customer_id, "at": at},
            )
            if lost := sorted(wanted.keys() - {kind for [kind] in settled}):
                raise taken[lost[0]]
        await self._execute(
            """
            DELETE FROM customer_identifiers
            WHERE customer_id = %(customer_id)s AND kind = ANY(%(kinds)s) AND NOT value = ANY(%(values)s::text[])
            """,
            {"customer_id": customer_id, "kinds": list(identifiers), "values": list(wanted.values())},
        )
