"""Who looked at a person, in the audit log."""

from uuid import UUID

from regulars.kit.database import Repository
from regulars.privacy.models import Access


class AccessRepository(Repository):
    """Entries of the audit log about one person."""

    async def get_accesses(self, customer_id: UUID, *, limit: int) -> list[Access]:
        """Whatever was done to a customer or its login, newest first, and every file of many customers."""
        return await self._all(
            Access,
            """
            SELECT a.occurred_at, a.action, a.actor_kind, coalesce(u.email, c.name) AS actor, a.fields,
                a.object_id IS NOT NULL OR a.facts ? 'customer_ids' AS is_certain
            FROM audit_log a
            LEFT JOIN users u ON a.actor_kind = 'user' AND u.id = a.actor_id
            LEFT JOIN api_clients c ON a.actor_kind = 'client' AND c.id = a.actor_id
            WHERE a.object_kind = 'customer' AND a.object_id = %(id)s
                    OR a.object_kind = 'user' AND a.object_id IN (SELECT id FROM users WHERE customer_id = %(id)s)
                    OR a.facts ? 'customer_ids' AND a.facts -> 'customer_ids' @> to_jsonb(%(id)s::text)
                    OR a.object_kind = 'customer' AND a.object_id IS NULL
                        AND a.action IN ('export_customers', 'export_suppressions')
                        AND a.occurred_at >= (SELECT created_at FROM customers WHERE id = %(id)s)
            ORDER BY a.occurred_at DESC, a.id DESC LIMIT %(limit)s
            """,
            {"id": customer_id, "limit": limit},
        )
