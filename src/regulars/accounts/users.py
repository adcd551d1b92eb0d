"""People who may sign in, as administrators see and change them.

The transactions are opened here, because none may be held while a password is hashed.
"""

import secrets
from uuid import UUID

from regulars.accounts.enrolment import Enrolment
from regulars.accounts.errors import LastAdmin
from regulars.accounts.logins import login_name
from regulars.accounts.models import User
from regulars.accounts.passwords import PasswordHashing, check_password
from regulars.accounts.repository import UserRepository, counted_exactly
from regulars.accounts.repository_sessions import SessionRepository
from regulars.accounts.schemas_users import UserCreate, UserResponse, UserSearchFilters, UserUpdate
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Page
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation


class UserService:
    """Who may sign in, and as what. Changes take effect within `session_check_seconds`."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock, hashing: PasswordHashing) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._hashing = hashing

    async def search_users(self, filters: UserSearchFilters) -> Page[UserResponse]:
        """A page of the users that match, newest first."""
        async with self._database.transaction() as connection:
            found, total = await UserRepository(connection).search(
                email=filters.email,
                roles=filters.role,
                is_enabled=filters.is_enabled,
                customer_id=filters.customer_id,
                limit=filters.limit,
                offset=filters.offset,
            )
        return Page[UserResponse](
            items=[UserResponse.model_validate(user) for user in found],
            total=total,
            total_is_estimate=total > counted_exactly,
            limit=filters.limit,
            offset=filters.offset,
        )

    async def get_user(self, user_id: UUID) -> UserResponse:
        """A user by id.

        Raises:
            NotFound: there is none.
        """
        async with self._database.transaction() as connection:
            return _shown(await UserRepository(connection).get(user_id))

    async def create_user(self, data: UserCreate, by: Principal) -> UserResponse:
        """Add a person who may sign in; without a password, one that nobody knows stands in until one is set.

        Raises:
            WeakPassword: the password is easy to guess.
            EmailTaken: somebody signs in under the address.
            NotFound: there is no such customer.
            Validation: a customer without a record, or with one that has a login; another role with a record.
        """
        _require_record(data)
        if data.password is not None:
            check_password(data.password, role=data.role, context=[self._settings.brand_name, data.email])
        hashed = await self._hashing.hash(data.password or secrets.token_urlsafe(32))
        async with self._database.transaction() as connection:
            if data.customer_id is not None:
                customer = await self._customer_without_login(connection, data.customer_id)
                self._require_no_own_name(data, customer)
            user = await Enrolment(connection, self._clock).create_user(
                data.email, hashed, role=data.role, customer_id=data.customer_id
            )
            if data.customer_id is not None:
                await RetailCustomerRepository(connection).link_login(data.customer_id, user.id)
            await self._audit(connection, "create_user", user, sorted(data.model_fields_set), by)
        return UserResponse.model_validate(user)

    async def update_user(self, user_id: UUID, change: UserUpdate, by: Principal) -> UserResponse:
        """Change role or state.

        Raises:
            NotFound: there is no such user.
            LastAdmin: nobody would be left who can administer.
            Validation: a customer cannot get another role.
        """
        async with self._database.transaction() as connection:
            return UserResponse.model_validate(await self._change(connection, user_id, change, by, "update_user"))

    async def disable_user(self, user_id: UUID, by: Principal) -> None:
        """Let a person sign in no more; the row stays for the audit log.

        Raises:
            NotFound: there is no such user.
            LastAdmin: nobody would be left who can administer.
        """
        async with self._database.transaction() as connection:
            await self._change(connection, user_id, UserUpdate(is_enabled=False), by, "disable_user")

    async def find_by_email(self, email: str) -> UserResponse:
        """The user who signs in under an address.

        Raises:
            NotFound: nobody does.
        """
        async with self._database.transaction() as connection:
            return _shown(await UserRepository(connection).get_by_email(login_name(email)))

    async def _change(
        self, connection: Connection, user_id: UUID, change: UserUpdate, by: Principal, action: str
    ) -> User:
        users, now = UserRepository(connection), self._clock.now()
        # Before anything else, and in one order: of two admins who disable each other at once, one waits here.
        admins = await users.lock_enabled_admins()
        user = await users.get(user_id, lock=True)
        if user is None:
            raise NotFound
        wanted = {name: getattr(change, name) for name in change.model_fields_set}
        changed = sorted(name for name, value in wanted.items() if getattr(user, name) != value)
        if not changed:
            return user
        role, is_enabled = wanted.get("role", user.role), wanted.get("is_enabled", user.is_enabled)
        if user.role == "customer" and role != "customer":
            raise Validation.at("/role", "enum", "the login of a customer stays one")
        if admins == {user.id} and not (is_enabled and role == "admin"):
            raise LastAdmin
        if not is_enabled:
            await SessionRepository(connection).close_all_of(user.id, now=now)
        after = await users.change(user.id, role=role, is_enabled=is_enabled, now=now)
        assert after is not None, "the row is locked"  # noqa: S101
        await self._audit(connection, action, after, changed, by)
        return after

    async def _customer_without_login(self, connection: Connection, customer_id: UUID) -> RetailCustomer:
        customer = await RetailCustomerRepository(connection).lock(customer_id)
        if customer.deleted_at is not None or customer.erased_at is not None:
            raise NotFound
        if await UserRepository(connection).has_login(customer_id):
            raise Validation.at("/customer_id", "range", "must be a customer without a login")
        return customer

    def _require_no_own_name(self, data: UserCreate, customer: RetailCustomer) -> None:
        if data.password is not None:
            names = [name for name in (customer.first_name, customer.last_name) if name]
            check_password(data.password, role=data.role, context=[self._settings.brand_name, data.email, *names])

    async def _audit(self, connection: Connection, action: str, user: User, fields: list[str], by: Principal) -> None:
        await record_audit(
            connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="user",
            object_id=user.id,
            fields=fields,
            facts={"role": user.role, "is_enabled": user.is_enabled},
        )


def _require_record(data: UserCreate) -> None:
    """Customers are people with a record, all others have none."""
    if data.role == "customer" and data.customer_id is None:
        raise Validation.at("/customer_id", "missing", "is required for the role customer")
    if data.role != "customer" and data.customer_id is not None:
        raise Validation.at("/customer_id", "range", "is for the role customer only")


def _shown(user: User | None) -> UserResponse:
    if user is None:
        raise NotFound
    return UserResponse.model_validate(user)
