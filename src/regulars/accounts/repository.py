"""People who can sign in, in the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL

from regulars.accounts.models import User
from regulars.kit.database import Repository
from regulars.kit.security import Role

counted_exactly = 10_000

_columns = SQL("id, email, password_hash, role, customer_id, is_enabled, auth_epoch, created_at, updated_at")

# A login is open while it is enabled and, if it belongs to a customer, the customer is neither deactivated nor deleted:
# asked of the customer each time, so that it closes and opens with whatever changes the customer.
login_is_open = SQL("""(
    u.is_enabled AND NOT EXISTS (
        SELECT FROM customers WHERE id = u.customer_id AND (NOT is_active OR deleted_at IS NOT NULL)
    )
)""")
_matches = SQL("""
    (%(email)s::text IS NULL OR email = %(email)s) AND (%(roles)s::text[] IS NULL OR role = ANY(%(roles)s))
    AND (%(is_enabled)s::boolean IS NULL OR is_enabled = %(is_enabled)s)
    AND (%(customer_id)s::uuid IS NULL OR customer_id = %(customer_id)s)
""")


class UserRepository(Repository):
    """People who can sign in."""

    async def get(self, user_id: UUID, *, lock: bool = False) -> User | None:
        """The user with this id; others who lock it wait until the transaction ends."""
        query = SQL("SELECT {} FROM users WHERE id = %s {}").format(_columns, SQL("FOR NO KEY UPDATE" if lock else ""))
        return await self._one(User, query, [user_id])

    async def get_open(self, user_id: UUID) -> User | None:
        """The user with this id, if the person may sign in."""
        query = SQL("SELECT {} FROM users u WHERE id = %s AND {}").format(_columns, login_is_open)
        return await self._one(User, query, [user_id])

    async def get_by_email(self, email: str) -> User | None:
        """The user with this normalised address."""
        return await self._one(User, SQL("SELECT {} FROM users WHERE email = %s").format(_columns), [email])

    async def search(
        self,
        *,
        email: str | None = None,
        roles: Sequence[Role] | None = None,
        is_enabled: bool | None = None,
        customer_id: UUID | None = None,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[User], int]:
        """A page of the users that match, newest first, and how many match: counted up to 10,001, beyond estimated."""
        parameters = {
            "email": email, "roles": list(roles) if roles else None, "is_enabled": is_enabled,
            "customer_id": customer_id, "limit": limit, "offset": offset, "most": counted_exactly + 1,
        }  # fmt: skip
        page = SQL("SELECT {} FROM users WHERE {} ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s")
        count = SQL("SELECT count(*) FROM (SELECT FROM users WHERE {} LIMIT %(most)s) AS found")
        found = await self._all(User, page.format(_columns, _matches), parameters)
        total: int = await self._value(count.format(_matches), parameters)
        return found, total if total <= counted_exactly else max(total, await self._estimate(parameters))

    async def _estimate(self, parameters: Mapping[str, object]) -> int:
        plan = await self._value(SQL("EXPLAIN (FORMAT JSON) SELECT FROM users WHERE {}").format(_matches), parameters)
        return int(plan[0]["Plan"]["Plan Rows"])

    async def end_epoch_of_customers(self, customer_ids: Sequence[UUID], *, now: datetime) -> list[UUID]:
        """Let the access tokens of these customers' logins count no more; answers the logins."""
        ended = await self._rows(
            "UPDATE users SET auth_epoch = auth_epoch + 1, updated_at = %s WHERE customer_id = ANY(%s) RETURNING id",
            [now, list(customer_ids)],
        )
        return [row[0] for row in ended]

    async def add(
        self, *, email: str, password_hash: str, role: Role, customer_id: UUID | None, now: datetime
    ) -> User | None:
        """The new user; None if the address is taken."""
        return await self._one(
            User,
            SQL(
                "INSERT INTO users (email, password_hash, role, customer_id, created_at, updated_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (email) DO NOTHING RETURNING {}"
            ).format(_columns),
            [email, password_hash, role, customer_id, now, now],
        )

    async def find_owner_of_mailbox(self, email: str) -> UUID | None:
        """The enabled user who signs in by this address, or else the active customer who has it and no login yet.

        One statement, so that no answer takes longer than another.
        """
        owner_id: UUID | None = await self._value(
            """
            SELECT id FROM users WHERE email = %(email)s AND is_enabled
            UNION ALL
            SELECT c.id FROM customer_identifiers i JOIN customers c ON c.id = i.customer_id
            WHERE i.kind = 'email' AND i.value = %(email)s
                AND c.is_active AND c.deleted_at IS NULL AND c.erased_at IS NULL
                AND NOT EXISTS (SELECT FROM users u WHERE u.customer_id = c.id OR u.email = %(email)s)
            """,
            {"email": email},
        )
        return owner_id

    async def get_by_customer(self, customer_id: UUID) -> User | None:
        """The login of a customer; others who lock it wait until the transaction ends."""
        query = SQL("SELECT {} FROM users WHERE customer_id = %s FOR NO KEY UPDATE").format(_columns)
        return await self._one(User, query, [customer_id])

    async def set_email(self, user_id: UUID, email: str, *, now: datetime) -> bool:
        """Let a person sign in under another address; False if somebody else does already."""
        changed = await self._execute(
            "UPDATE users SET email = %(email)s, updated_at = %(now)s WHERE id = %(id)s"
            " AND NOT EXISTS (SELECT FROM users WHERE email = %(email)s AND id <> %(id)s)",
            {"email": email, "now": now, "id": user_id},
        )
        return changed == 1

    async def set_customer(self, user_id: UUID, customer_id: UUID, *, now: datetime) -> None:
        """Let a login belong to another record of the same person."""
        await self._execute(
            "UPDATE users SET customer_id = %s, updated_at = %s WHERE id = %s", [customer_id, now, user_id]
        )

    async def remove(self, user_id: UUID) -> None:
        """Delete a login whose sessions are deleted, and whose name belongs to somebody else."""
        await self._execute("DELETE FROM users WHERE id = %s", [user_id])

    async def has_login(self, customer_id: UUID) -> bool:
        """Whether a customer can sign in already."""
        return await self._value("SELECT true FROM users WHERE customer_id = %s", [customer_id]) is not None

    async def lock_enabled_admins(self) -> set[UUID]:
        """Everybody who is an enabled admin at this moment, and stays one until the transaction ends but for us."""
        rows = await self._rows(
            "SELECT id FROM users WHERE role = 'admin' AND is_enabled ORDER BY id FOR NO KEY UPDATE"
        )
        return {user_id for (user_id,) in rows}

    async def change(self, user_id: UUID, *, role: Role, is_enabled: bool, now: datetime) -> User | None:
        """Set role and state; tokens that were given before are worth nothing."""
        return await self._one(
            User,
            SQL(
                "UPDATE users SET role = %s, is_enabled = %s, auth_epoch = auth_epoch + 1, updated_at = %s"
                " WHERE id = %s RETURNING {}"
            ).format(_columns),
            [role, is_enabled, now, user_id],
        )

    async def set_password(self, user_id: UUID, password_hash: str, *, instead_of: str, now: datetime) -> bool:
        """Set a password and end all tokens, unless the one before is not what the caller knows; whether it was set."""
        changed = await self._execute(
            "UPDATE users SET password_hash = %s, auth_epoch = auth_epoch + 1, updated_at = %s"
            " WHERE id = %s AND password_hash = %s",
            [password_hash, now, user_id, instead_of],
        )
        return changed == 1
