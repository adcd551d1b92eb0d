"""New accounts for people."""

from uuid import UUID

from regulars.accounts.logins import login_name_of_new_account
from regulars.accounts.models import User
from regulars.accounts.passwords import PasswordHash
from regulars.accounts.repository import UserRepository
from regulars.customers.errors import EmailTaken
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Role


class Enrolment:
    """Makes accounts in the caller's transaction. Passwords come hashed, so that no connection waits for it."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._users = UserRepository(connection)
        self._clock = clock

    async def create_user(
        self, email: str, password_hash: PasswordHash, *, role: Role, customer_id: UUID | None = None
    ) -> User:
        """A person who may sign in.

        Args:
            email: The login name.
            password_hash: Of a password that `check_password` let pass.
            role: Any but `service`.
            customer_id: The customer record that this person is; for role `customer`, and only for it.

        Raises:
            Validation: not an e-mail address.
            EmailTaken: another account has the address.
        """
        user = await self._users.add(
            email=login_name_of_new_account(email),
            password_hash=password_hash,
            role=role,
            customer_id=customer_id,
            now=self._clock.now(),
        )
        if user is None:
            raise EmailTaken
        return user
