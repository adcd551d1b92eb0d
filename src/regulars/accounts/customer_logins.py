"""The logins of customers, when something happens to the customers."""

from collections.abc import Sequence
from uuid import UUID

from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection


class CustomerLogins:
    """Logins of customers, in the transaction of what happens to them."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._users = UserRepository(connection)
        self._sessions = SessionRepository(connection)
        self._clock = clock

    async def sign_out(self, customer_ids: Sequence[UUID]) -> None:
        """End whatever these customers have open: sessions, access tokens, refresh tokens.

        Whether they may sign in again is for the state of the customer to say, not for this.
        """
        now = self._clock.now()
        logins = await self._users.end_epoch_of_customers(customer_ids, now=now)
        if logins:
            await self._sessions.close_all_of_users(logins, now=now)
