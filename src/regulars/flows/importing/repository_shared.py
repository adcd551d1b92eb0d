"""Addresses and phone numbers of a file that are of too many people to say whose a row is.

A phone number with more than three different names, addresses or ids, and an e-mail address with more than three
different names, identify nobody any more; unless their owner has proved them. What they are told with decides alone,
and they stay contacts of whoever has none.
"""

from collections.abc import Collection
from datetime import datetime

from psycopg.sql import SQL, Composable, Literal

from regulars.flows.importing.rows import contact_fields
from regulars.kit.database import Repository

most_people = 3

_create_shared = """
    CREATE TEMP TABLE shared (kind text NOT NULL, value text NOT NULL, is_news boolean NOT NULL);
    CREATE TEMP TABLE mere_contacts (line bigint NOT NULL, kind text NOT NULL, value text NOT NULL)
"""
_find_known = SQL("""
    INSERT INTO shared SELECT DISTINCT kind, value, false FROM shared_contacts
    WHERE kind = {kind} AND value IN (SELECT {contact} FROM checked WHERE code IS NULL)
""")
# What the owner is known by counts as one more.
_find_new = SQL("""
    WITH told AS (
        SELECT DISTINCT checked.{contact} AS value, {companions}
        FROM checked {names} WHERE code IS NULL AND checked.{contact} IS NOT NULL
    ), crowded AS (
        SELECT value FROM told GROUP BY value HAVING greatest({counts}) >= {most}
    ), all_told AS (
        SELECT * FROM told WHERE value IN (SELECT value FROM crowded)
        UNION
        SELECT crowded.value, {known}
        FROM crowded JOIN customer_identifiers AS held ON held.kind = {kind} AND held.value = crowded.value
        JOIN customers AS owner ON owner.id = held.customer_id
    )
    INSERT INTO shared
    SELECT {kind}, value, true FROM all_told
    WHERE NOT EXISTS (SELECT FROM shared WHERE shared.kind = {kind} AND shared.value = all_told.value)
        AND NOT EXISTS (
            SELECT FROM customer_identifiers AS held JOIN customers AS owner ON owner.id = held.customer_id
            WHERE held.kind = {kind} AND held.value = all_told.value AND {is_proved}
        )
    GROUP BY value HAVING greatest({counts}) > {most}
""")
_set_aside = SQL("""
    INSERT INTO mere_contacts SELECT line, kind, value FROM checked JOIN shared ON kind = {kind} AND value = {contact}
    WHERE code IS NULL
""")
_rename = """
    UPDATE checked SET email = nullif(email, mail.value), phone = nullif(phone, telephone.value),
        who = concat_ws(chr(31), 'n' || customer_number, 'x' || external_customer_id,
            'e' || nullif(email, mail.value), 'p' || nullif(phone, telephone.value)),
        code = CASE WHEN num_nonnulls(customer_number, external_customer_id, nullif(email, mail.value),
            nullif(phone, telephone.value)) = 0 THEN 'customer-shared' END
    FROM (SELECT DISTINCT line FROM mere_contacts) AS rows
    LEFT JOIN mere_contacts AS mail ON mail.line = rows.line AND mail.kind = 'email'
    LEFT JOIN mere_contacts AS telephone ON telephone.line = rows.line AND telephone.kind = 'phone'
    WHERE checked.line = rows.line
"""
_stop_identifying = """
    WITH news AS (
        INSERT INTO shared_contacts SELECT kind, value, %(at)s FROM shared WHERE is_news
        ON CONFLICT DO NOTHING RETURNING kind, value
    )
    DELETE FROM customer_identifiers AS held USING news WHERE held.kind = news.kind AND held.value = news.value
"""


class SharedContactsRepository(Repository):
    """Finds out which contacts of the staged rows identify nobody."""

    async def set_aside(self, columns: Collection[str], source: str) -> None:
        """Take them out of `checked`, into `mere_contacts`; a row that names nobody else is rejected.

        Args:
            columns: The fields that the file has.
            source: The system whose ids the file has.
        """
        contacts = sorted(contact_fields.intersection(columns))
        if not contacts:
            return
        await self._execute(_create_shared)
        for contact in contacts:
            await self._find(contact, columns, source)
        if await self._value("SELECT EXISTS (SELECT FROM mere_contacts)"):
            await self._execute(_rename)

    async def stop_identifying(self, columns: Collection[str], *, at: datetime) -> None:
        """Write down which contacts identify nobody from now on; part of a transaction that the caller commits."""
        if not contact_fields.isdisjoint(columns):
            await self._execute(_stop_identifying, {"at": at})

    async def _find(self, contact: str, columns: Collection[str], source: str) -> None:
        place = {"kind": Literal(contact), "contact": SQL(contact)}
        await self._execute(_find_known.format(**place))
        told = _companions(contact, columns, source)
        if told:
            await self._execute(
                _find_new.format(
                    **place,
                    companions=SQL(", ").join(SQL("{} AS {}").format(value, SQL(name)) for name, value, _ in told),
                    known=SQL(", ").join(known for _, _, known in told),
                    counts=SQL(", ").join(SQL("count(DISTINCT {})").format(SQL(name)) for name, _, _ in told),
                    names=SQL("JOIN incoming USING (line)" if any(name == "name" for name, _, _ in told) else ""),
                    most=Literal(most_people),
                    is_proved=SQL("owner.is_email_verified" if contact == "email" else "owner.is_phone_verified"),
                )
            )
        await self._execute(_set_aside.format(**place))


def _companions(contact: str, columns: Collection[str], source: str) -> list[tuple[str, Composable, Composable]]:
    """What a contact is told with: under which name, where a row has it, and where its owner's record has it."""
    found: list[tuple[str, Composable, Composable]] = []
    if "first_name" in columns or "last_name" in columns:
        parts = [part if part in columns else "NULL::text" for part in ("first_name", "last_name")]
        told = SQL("nullif(lower(concat_ws(' ', nullif(btrim({}), ''), nullif(btrim({}), ''))), '')")
        record = told.format(SQL("owner.first_name"), SQL("owner.last_name"))
        found.append(("name", told.format(*map(SQL, parts)), record))
    if contact == "phone" and "email" in columns:
        found.append(("address", SQL("checked.email"), SQL("owner.email")))
    if contact == "phone" and "customer_id" in columns:
        own = SQL(
            "(SELECT value FROM customer_identifiers AS own WHERE own.customer_id = owner.id AND own.kind = {} LIMIT 1)"
        ).format(Literal(f"ext:{source}"))
        found.append(("id", SQL("external_customer_id"), own))
    return found
