"""What became of mails, in the database: events by the sender's ids, and what they add up to for each customer."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from uuid import UUID

from regulars.customers.engagement import EngagementEvent, EngagementTally
from regulars.customers.identifiers import Email
from regulars.kit.database import Repository


class CustomerEngagementRepository(Repository):
    """Engagement of customers. Whoever writes has locked them."""

    async def get_emails(self, customer_ids: Sequence[UUID]) -> dict[UUID, Email | None]:
        """The present e-mail addresses of customers."""
        rows = await self._rows("SELECT id, email FROM customers WHERE id = ANY(%s)", [list(customer_ids)])
        return {row[0]: row[1] for row in rows}

    async def find_reported(self, events: Sequence[EngagementEvent]) -> set[tuple[UUID, str]]:
        """Of events, the customers and ids of those that were reported before."""
        rows = await self._rows(
            """
            SELECT customer_id, event_id FROM engagement_events
            JOIN unnest(%s::uuid[], %s::text[]) AS asked (customer_id, event_id) USING (customer_id, event_id)
            """,
            [[event.customer_id for event in events], [event.event_id for event in events]],
        )
        return {(row[0], row[1]) for row in rows}

    async def get_kinds_of_messages(self, events: Sequence[EngagementEvent]) -> list[tuple[UUID, str, str]]:
        """What was reported of the mails that events are about: customer, message, kind."""
        rows = await self._rows(
            """
            SELECT DISTINCT customer_id, message_id, kind FROM engagement_events
            JOIN unnest(%s::uuid[], %s::text[]) AS asked (customer_id, message_id) USING (customer_id, message_id)
            """,
            [[event.customer_id for event in events], [event.message_id for event in events]],
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def record_engagement(
        self, events: Sequence[EngagementEvent], tallies: Sequence[EngagementTally], *, at: datetime
    ) -> set[UUID]:
        """Write events that were not reported before, and add what they come to. Nothing else writes it.

        Args:
            events: The events.
            tallies: What they come to; one for each customer.
            at: When it is written.

        Returns:
            Of these customers, those whose mail comes back, by all that was reported.
        """
        await self._execute(
            """
            INSERT INTO engagement_events (customer_id, event_id, message_id, kind, occurred_at, recorded_at)
            SELECT *, %s FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
            """,
            [
                at,
                [event.customer_id for event in events],
                [event.event_id for event in events],
                [event.message_id for event in events],
                [event.kind for event in events],
                [event.occurred_at for event in events],
            ],
        )
        rows = [asdict(tally) for tally in tallies]
        columns = {field.name: [row[field.name] for row in rows] for field in fields(EngagementTally)}
        await self._execute(
            "INSERT INTO customer_engagement (customer_id) SELECT unnest(%(customer_id)s::uuid[])"
            " ON CONFLICT (customer_id) DO NOTHING",
            columns,
        )
        written = await self._rows(
            """
            UPDATE customer_engagement g
            SET mails_sent = g.mails_sent + t.sent,
                mails_delivered = g.mails_delivered + t.delivered,
                mails_opened = g.mails_opened + t.opened,
                mails_clicked = g.mails_clicked + t.clicked,
                last_delivered_at = greatest(g.last_delivered_at, t.delivered_at),
                last_opened_at = greatest(g.last_opened_at, t.opened_at),
                last_clicked_at = greatest(g.last_clicked_at, t.clicked_at),
                last_activity_at = greatest(g.last_activity_at, t.active_at),
                bounced_at = CASE WHEN t.bounced_email <> g.bounced_email THEN t.bounced_at
                    ELSE greatest(g.bounced_at, t.bounced_at) END,
                bounced_email = coalesce(t.bounced_email, g.bounced_email)
            FROM unnest(%(customer_id)s::uuid[], %(sent)s::bigint[], %(delivered)s::bigint[], %(opened)s::bigint[],
                %(clicked)s::bigint[], %(delivered_at)s::timestamptz[], %(opened_at)s::timestamptz[],
                %(clicked_at)s::timestamptz[], %(active_at)s::timestamptz[], %(bounced_email)s::text[],
                %(bounced_at)s::timestamptz[]) AS t (customer_id, sent, delivered, opened, clicked, delivered_at,
                    opened_at, clicked_at, active_at, bounced_email, bounced_at)
            WHERE g.customer_id = t.customer_id
            RETURNING g.customer_id, g.bounced_at > coalesce(g.last_delivered_at, '-infinity')
            """,
            columns,
        )
        return {customer_id for customer_id, comes_back in written if comes_back}

    async def purge_engagement_events(self, before: datetime, *, at_most: int) -> int:
        """Delete events that were reported before an instant; what they came to stays. Says how many."""
        return await self._execute(
            """
            DELETE FROM engagement_events WHERE (customer_id, event_id) IN (
                SELECT customer_id, event_id FROM engagement_events WHERE recorded_at < %s
                ORDER BY recorded_at LIMIT %s
            )
            """,
            [before, at_most],
        )
