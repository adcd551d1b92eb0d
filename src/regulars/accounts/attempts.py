"""How often a password may be tried: 20 failures of an account within an hour, wherever it is typed."""

import math
from datetime import datetime, timedelta
from uuid import UUID

from regulars.accounts.errors import TooManyAttempts
from regulars.accounts.repository_sessions import SignInFailureRepository
from regulars.kit.database import Connection
from regulars.kit.keyed_hashes import KeyedHashes

most_failures = 20
failures_count_for = timedelta(hours=1)


class SignInAttempts:
    """Counts failures. The transaction that counts must commit before the password is looked at."""

    def __init__(self, connection: Connection, hashes: KeyedHashes) -> None:
        self._failures = SignInFailureRepository(connection)
        self._hashes = hashes

    async def expect_failure(self, login: str, now: datetime) -> UUID:
        """Count an attempt as failed until it has succeeded, so that many at once cannot pass the limit.

        Returns:
            What `take_back()` needs.

        Raises:
            TooManyAttempts: 20 attempts at this account failed within the last hour.
        """
        account_hash = self._hashes.of("sign-in", login)
        await self._failures.lock_account(account_hash)
        count, first = await self._failures.count_since(account_hash, now - failures_count_for)
        if count >= most_failures and first is not None:
            wait = first + failures_count_for - now
            raise TooManyAttempts(retry_after=max(1, math.ceil(wait.total_seconds())))
        return await self._failures.add(account_hash, now=now)

    async def take_back(self, failure_id: UUID) -> None:
        """The attempt succeeded."""
        await self._failures.remove(failure_id)
