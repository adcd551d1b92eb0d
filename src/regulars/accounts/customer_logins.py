"""The logins of customers, when something happens to the customers."""

from collections.abc import Sequence
from uuid import UUID

from regulars.accounts.models import User
from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.customers.errors import EmailTaken
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_verifications import VerificationRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection


class CustomerLogins:
    """Logins of customers, in the transaction of what happens to them."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._customers = RetailCustomerRepository(connection)
        self._users = UserRepository(connection)
        self._sessions = SessionRepository(connection)
        self._verifications = VerificationRepository(connection)
        self._clock = clock

    async def sign_out(self, customer_ids: Sequence[UUID]) -> None:
        """End whatever these customers have open: sessions, access tokens, refresh tokens.

        Whether they may sign in again is for the state of the customer to say, not for this.
        """
        now = self._clock.now()
        logins = await self._users.end_epoch_of_customers(customer_ids, now=now)
        if logins:
            await self._sessions.close_all_of_users(logins, now=now)

    async def follow_email(self, customer: RetailCustomer) -> None:
        """Let a customer, who is locked and has proved the present address, sign in under it.

        The address of before is free, and the links that were mailed there are worth nothing. Somebody who registered
        under the address and never proved it has to give it up.

        Raises:
            EmailTaken: somebody else signs in under it by right: staff, or a customer whose login the shop made.
        """
        assert customer.email is not None, "it was proved"  # noqa: S101
        user = await self._users.get_by_customer(customer.id)
        if user is not None and user.email == customer.email:
            return
        other = await self._users.get_by_email(customer.email)
        if other is not None:
            await self._displace(other)
        if user is None:
            return
        if not await self._users.set_email(user.id, customer.email, now=self._clock.now()):
            raise EmailTaken
        await self._verifications.void(user.id, "password_reset")
        await self._audit("move_login", user, ["email"])

    async def move(self, source: UUID, target: UUID) -> None:
        """Let the login of a record, if there is one, belong to another record of the same person."""
        user = await self._users.get_by_customer(source)
        if user is not None:
            await self._users.set_customer(user.id, target, now=self._clock.now())
            await self._customers.link_login(target, user.id)

    async def _displace(self, user: User) -> None:
        """Delete the login of somebody who only typed the address that it has for a name."""
        if user.customer_id is None:
            raise EmailTaken
        customer = await self._customers.get(user.customer_id)
        is_typed = customer.email == user.email and not customer.is_email_verified
        if not is_typed or await self._customers.find_claim("email", user.email) == customer.id:
            raise EmailTaken
        await self._sessions.delete_all_of(user.id)
        await self._verifications.void(user.id)
        await self._verifications.void(customer.id, "email")
        await self._users.remove(user.id)
        await self._customers.link_login(customer.id, None)
        await self._audit("displace_login", user, ["email"])

    async def _audit(self, action: str, user: User, fields: Sequence[str]) -> None:
        await record_audit(
            self._connection,
            action,
            by=None,
            at=self._clock.now(),
            object_kind="user",
            object_id=user.id,
            fields=fields,
        )
