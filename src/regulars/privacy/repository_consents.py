"""Consent events: written once, in the order in which they come; read as what holds and as history."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.sql import SQL, Literal

from regulars.customers.repository_columns import mail_comes_back
from regulars.kit.database import Repository
from regulars.kit.security import Principal
from regulars.privacy.models_consents import (
    ConsentChannel,
    ConsentEvent,
    ConsentFlag,
    ConsentKey,
    ConsentStatement,
    LastConsent,
    LastWord,
    Suppression,
    contact_changed,
)

read_at_once = 1_000

_last_consents = SQL("""
    SELECT DISTINCT ON (customer_id, purpose, channel)
        customer_id, purpose, channel, action, occurred_at, policy_version, text_hash
    FROM consent_events
    WHERE customer_id = ANY(%(ids)s)
    ORDER BY customer_id, purpose, channel, occurred_at DESC, seq DESC
""")

# Of a channel in `{channel}`: whether the address or number of customer `c` was neither proved nor asserted by anybody
# but the customer, so that it identifies nobody. What is granted for it waits. Where there is none, there is nothing to
# prove either.
_is_unproved = SQL("""(
    CASE {channel}
        WHEN 'email' THEN c.email IS NOT NULL AND NOT c.is_email_verified
        WHEN 'sms' THEN c.phone IS NOT NULL AND NOT c.is_phone_verified
        ELSE false
    END AND NOT EXISTS (
        SELECT FROM customer_identifiers AS held WHERE held.customer_id = c.id
            AND held.kind = CASE {channel} WHEN 'email' THEN 'email' ELSE 'phone' END
            AND held.value = CASE {channel} WHEN 'email' THEN c.email ELSE c.phone END
    )
)""")
_flags_and_events = SQL("""
    SELECT c.id AS customer_id, flag.channel, flag.is_granted
    FROM customers c
    CROSS JOIN LATERAL (VALUES
        ('email', c.email_marketing_consent),
        ('sms', c.sms_marketing_consent),
        ('push', c.push_notification_consent)
    ) AS flag (channel, is_granted)
    LEFT JOIN ({last}) AS last
        ON last.customer_id = c.id AND last.purpose = 'marketing' AND last.channel = flag.channel
    WHERE c.id = ANY(%(ids)s)
        AND flag.is_granted <> (coalesce(last.action, 'withdrawn') = 'granted' AND NOT {is_unproved})
    ORDER BY c.id, flag.channel
""").format(last=_last_consents, is_unproved=_is_unproved.format(channel=SQL("flag.channel")))
_waiting = SQL("""
    SELECT last.* FROM ({last}) AS last JOIN customers AS c ON c.id = last.customer_id
    WHERE last.action = 'granted' AND {is_unproved}
    ORDER BY last.channel
""").format(last=_last_consents, is_unproved=_is_unproved.format(channel=SQL("last.channel")))

# Whoever may not be written to for several reasons is listed with the one that lasts longest.
_suppressed: Mapping[ConsentChannel, tuple[SQL, SQL]] = {
    ConsentChannel.EMAIL: (SQL("c.email"), SQL("c.email_marketing_consent")),
    ConsentChannel.SMS: (SQL("c.phone"), SQL("c.sms_marketing_consent")),
    ConsentChannel.PUSH: (SQL("NULL::text"), SQL("c.push_notification_consent")),
}
# What was objected to at an address holds there also when it is nobody's any more, until somebody grants it anew.
_suppressions = SQL("""
    SELECT * FROM (
        SELECT {address} AS address, c.customer_number, CASE
            WHEN {comes_back} THEN 'bounced'
            WHEN last.action = 'withdrawn' AND last.source = 'spam-complaint' THEN 'complained'
            WHEN last.action = 'withdrawn' AND last.source <> {contact_changed} THEN 'withdrawn'
            WHEN NOT {flag} THEN 'not_granted'
            WHEN NOT c.is_active OR c.deleted_at IS NOT NULL THEN 'inactive'
        END AS reason
        FROM customers c
        LEFT JOIN customer_engagement g ON g.customer_id = c.id
        LEFT JOIN (
            SELECT DISTINCT ON (customer_id) customer_id, action, source
            FROM consent_events
            WHERE purpose = 'marketing' AND channel = %(channel)s
            ORDER BY customer_id, occurred_at DESC, seq DESC
        ) AS last ON last.customer_id = c.id
        WHERE c.erased_at IS NULL AND c.merged_into IS NULL AND ({address} IS NOT NULL OR %(channel)s = 'push')
        UNION ALL
        SELECT s.address, former.customer_number, s.reason
        FROM suppressed_contacts AS s JOIN customers AS former ON former.id = s.customer_id
        WHERE s.channel = %(channel)s AND NOT EXISTS (
            SELECT FROM customer_identifiers AS held JOIN customers AS c ON c.id = held.customer_id
            WHERE held.kind = CASE s.channel WHEN 'email' THEN 'email' ELSE 'phone' END AND held.value = s.address
                AND {address} = s.address
        )
    ) AS people
    WHERE reason IS NOT NULL
    ORDER BY customer_number, address
""")
_keep_suppressed = SQL("""
    INSERT INTO suppressed_contacts (customer_id, channel, address, reason, suppressed_at)
    SELECT %(id)s, %(channel)s, %(address)s, reason, %(at)s
    FROM (
        SELECT CASE
            WHEN EXISTS (
                SELECT FROM customer_engagement AS g
                WHERE %(channel)s = 'email' AND g.customer_id = %(id)s AND g.bounced_email = %(address)s
                    AND g.bounced_at > coalesce(g.last_delivered_at, '-infinity')
            ) THEN 'bounced'
            WHEN last.action = 'withdrawn' AND last.source = 'spam-complaint' THEN 'complained'
            WHEN last.action = 'withdrawn' AND last.source <> {contact_changed} THEN 'withdrawn'
        END AS reason
        FROM (SELECT) AS this LEFT JOIN (
            SELECT action, source FROM consent_events
            WHERE customer_id = %(id)s AND purpose = 'marketing' AND channel = %(channel)s
            ORDER BY occurred_at DESC, seq DESC LIMIT 1
        ) AS last ON true
    ) AS known
    WHERE reason IS NOT NULL
    ON CONFLICT (customer_id, channel, address) DO UPDATE
    SET reason = excluded.reason, suppressed_at = excluded.suppressed_at
""").format(contact_changed=Literal(contact_changed))


class ConsentRepository(Repository):
    """Consents on one connection. Whoever writes has locked the customers."""

    async def get_last_consents(self, customer_ids: Sequence[UUID]) -> list[LastConsent]:
        """What holds for customers: the last event of each purpose and channel."""
        return await self._all(LastConsent, _last_consents, {"ids": list(customer_ids)})

    async def find_known(self, statements: Sequence[ConsentStatement]) -> set[tuple[ConsentKey, str, datetime]]:
        """Of statements that tell their time, those that are written down with the same action and time."""
        told = [each for each in statements if isinstance(each.when, datetime)]
        if not told:
            return set()
        rows = await self._rows(
            """
            SELECT e.customer_id, e.purpose, e.channel, e.action, e.occurred_at
            FROM consent_events e
            JOIN unnest(%(ids)s::uuid[], %(purposes)s::text[], %(channels)s::text[], %(actions)s::text[],
                    %(times)s::timestamptz[]) AS told (customer_id, purpose, channel, action, occurred_at)
                USING (customer_id, purpose, channel, action, occurred_at)
            """,
            {
                "ids": [each.customer_id for each in told],
                "purposes": [each.purpose for each in told],
                "channels": [each.channel for each in told],
                "actions": [each.action for each in told],
                "times": [each.when for each in told],
            },
        )
        return {((id_, purpose, channel), action, at) for id_, purpose, channel, action, at in rows}

    async def get_last_words(self, statements: Sequence[ConsentStatement]) -> list[LastWord]:
        """Of statements without a time, what their sources said last of the same customers."""
        undated = [each for each in statements if each.when == "unknown"]
        if not undated:
            return []
        return await self._all(
            LastWord,
            """
            SELECT DISTINCT ON (customer_id, purpose, channel, source)
                customer_id, purpose, channel, source, action, occurred_at
            FROM consent_events
            WHERE customer_id = ANY(%(ids)s) AND source = ANY(%(sources)s)
            ORDER BY customer_id, purpose, channel, source, occurred_at DESC, seq DESC
            """,
            {
                "ids": sorted({each.customer_id for each in undated}),
                "sources": sorted({each.source for each in undated}),
            },
        )

    async def append(
        self, events: Sequence[tuple[ConsentStatement, datetime]], *, by: Principal | None, at: datetime
    ) -> None:
        """Write events in the order given.

        Args:
            events: What was said, and when that was.
            by: Who reports it; None for the program itself.
            at: When it is written.
        """
        statements = [statement for statement, _ in events]
        await self._execute(
            """
            INSERT INTO consent_events (customer_id, seq, purpose, channel, action, policy_version, text_hash, source,
                actor_kind, actor_id, occurred_at, recorded_at)
            SELECT n.customer_id,
                coalesce(written.seq, 0) + row_number() OVER (PARTITION BY n.customer_id ORDER BY n.position),
                n.purpose, n.channel, n.action, n.policy_version, n.text_hash, n.source, %(kind)s, %(actor)s,
                n.occurred_at, %(at)s
            FROM unnest(%(ids)s::uuid[], %(purposes)s::text[], %(channels)s::text[], %(actions)s::text[],
                    %(policies)s::text[], %(hashes)s::bytea[], %(sources)s::text[], %(times)s::timestamptz[])
                WITH ORDINALITY AS n (customer_id, purpose, channel, action, policy_version, text_hash, source,
                    occurred_at, position)
            LEFT JOIN (
                SELECT customer_id, max(seq) AS seq FROM consent_events
                WHERE customer_id = ANY(%(ids)s::uuid[]) GROUP BY customer_id
            ) AS written USING (customer_id)
            """,
            {
                "ids": [each.customer_id for each in statements],
                "purposes": [each.purpose for each in statements],
                "channels": [each.channel for each in statements],
                "actions": [each.action for each in statements],
                "policies": [each.policy_version for each in statements],
                "hashes": [each.text_hash for each in statements],
                "sources": [each.source for each in statements],
                "times": [occurred_at for _, occurred_at in events],
                "kind": by.kind if by else "system",
                "actor": by.id if by else None,
                "at": at,
            },
        )

    async def project(self, customer_ids: Sequence[UUID], *, at: datetime) -> None:
        """Bring the flags of customers to what their events say; a flag that changes counts as a change of profile.

        A grant does not hold as long as the address or number that it is for was only typed and never proved.
        """
        await self._execute(
            SQL("""
                UPDATE customers c
                SET email_marketing_consent = said.email, sms_marketing_consent = said.sms,
                    push_notification_consent = said.push, version = c.version + 1, updated_at = %(at)s
                FROM (
                    SELECT customer_id,
                        bool_or(channel = 'email' AND action = 'granted' AND NOT {is_unproved}) AS email,
                        bool_or(channel = 'sms' AND action = 'granted' AND NOT {is_unproved}) AS sms,
                        bool_or(channel = 'push' AND action = 'granted') AS push
                    FROM ({last}) AS last JOIN customers AS c ON c.id = last.customer_id
                    WHERE purpose = 'marketing'
                    GROUP BY customer_id
                ) AS said
                WHERE c.id = said.customer_id
                    AND (c.email_marketing_consent, c.sms_marketing_consent, c.push_notification_consent)
                        <> (said.email, said.sms, said.push)
            """).format(last=_last_consents, is_unproved=_is_unproved.format(channel=SQL("last.channel"))),
            {"ids": list(customer_ids), "at": at},
        )

    async def keep_suppressed(self, customer_id: UUID, channel: ConsentChannel, address: str, *, at: datetime) -> None:
        """Remember of an address that a customer gives up that it must not be written to, if that is so."""
        await self._execute(_keep_suppressed, {"id": customer_id, "channel": channel, "address": address, "at": at})

    async def find_waiting(self, customer_ids: Sequence[UUID]) -> list[LastConsent]:
        """Grants of customers that wait until the address or number is proved."""
        return await self._all(LastConsent, _waiting, {"ids": list(customer_ids)})

    async def find_flags_without_events(self, customer_ids: Sequence[UUID]) -> list[ConsentFlag]:
        """Flags of customers that say something else than the events do."""
        return await self._all(ConsentFlag, _flags_and_events, {"ids": list(customer_ids)})

    async def get_history(
        self, customer_id: UUID, *, before: tuple[datetime, int] | None, limit: int
    ) -> list[ConsentEvent]:
        """The events of a customer, newest first.

        Args:
            customer_id: Whose.
            before: Time and number of the event to read on after; None to begin with the newest.
            limit: How many at most.
        """
        parameters: dict[str, Any] = {"id": customer_id, "limit": limit}
        parameters["time"], parameters["seq"] = before or (None, None)
        return await self._all(
            ConsentEvent,
            """
            SELECT id, seq, purpose, channel, action, policy_version, text_hash, source, actor_id, occurred_at,
                recorded_at
            FROM consent_events
            WHERE customer_id = %(id)s
                AND (%(seq)s::bigint IS NULL OR (occurred_at, seq) < (%(time)s::timestamptz, %(seq)s::bigint))
            ORDER BY occurred_at DESC, seq DESC
            LIMIT %(limit)s
            """,
            parameters,
        )

    async def read_suppressions(self, channel: ConsentChannel) -> AsyncIterator[list[Suppression]]:
        """Everybody who must not be written to by a channel, some at a time, as of one moment."""
        address, flag = _suppressed[channel]
        comes_back = mail_comes_back if channel == ConsentChannel.EMAIL else SQL("false")
        query = _suppressions.format(
            address=address, flag=flag, comes_back=comes_back, contact_changed=Literal(contact_changed)
        )
        async with self._connection.cursor(name="suppressions", row_factory=class_row(Suppression)) as cursor:
            await cursor.execute(query, {"channel": channel})
            while batch := await cursor.fetchmany(read_at_once):
                yield batch
