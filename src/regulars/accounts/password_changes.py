"""Setting a new password: by the one who knows the present one, by a mailed link, or by the operator.

As for signing in, the transactions are opened here: a wrong password must stay counted although the request is refused,
and no connection may be held while a password is hashed.
"""

from uuid import UUID

from regulars.accounts.attempts import SignInAttempts
from regulars.accounts.claims import CustomerClaims
from regulars.accounts.logins import login_name
from regulars.accounts.models import User
from regulars.accounts.passwords import PasswordHash, PasswordHashing, check_password
from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.customers.errors import EmailTaken, InvalidOrExpiredToken
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_verifications import Verification, VerificationRepository
from regulars.customers.verifications import Verifications
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import NotFound
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.queue import enqueue
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation


class PasswordService:
    """New passwords for people who have an account."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock, hashing: PasswordHashing) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._hashing = hashing

    async def change_own(self, caller: Principal, current: str, new: str) -> None:
        """Change the caller's own password.

        Every other session ends, with its tokens; who called with one a moment ago is let in for as long as
        `session_check_seconds`. The caller's session goes on, and so do its access token and its refresh token: the
        epoch of the account goes up by one, and the session counts the change as its own.

        Raises:
            WeakPassword: the new one is easy to guess.
            TooManyAttempts: 20 attempts at this account failed within the last hour, here or at the sign-in.
            Validation: the current password is another.
        """
        assert caller.session_id is not None  # noqa: S101 - whoever has a token has a session
        async with self._database.transaction() as connection:
            user = await self._own(connection, caller)
            await self._check(connection, user, new)
        await self._prove(user, current, "/current_password")
        hashed = await self._hashing.hash(new)
        async with self._database.transaction() as connection:
            if not await self._set(connection, user, hashed, "change_password", by=caller):
                raise _wrong_password("/current_password")
            sessions = SessionRepository(connection)
            await sessions.close_others(user.id, but=caller.session_id, now=self._clock.now())

    async def prove_own(self, caller: Principal, password: str) -> None:
        """Find out whether whoever holds the caller's token knows the caller's password too.

        Raises:
            TooManyAttempts: 20 attempts at this account failed within the last hour, here or at the sign-in.
            Validation: the password is another.
        """
        async with self._database.transaction() as connection:
            user = await self._own(connection, caller)
        await self._prove(user, password, "/password")

    async def forgot(self, email: str) -> None:
        """Queue the mail with a link by which a new password can be set: the same work and no answer for any address.

        A customer who has no login yet, having been written down at a till, gets one by the same link. For an address
        that nobody has a proof begins too, one that belongs to nobody: the job that would send it finds that out, long
        after the answer.

        Raises:
            RateLimited: the address was written to too often.
        """
        login = login_name(email)
        async with self._database.transaction() as connection:
            owner_id = await UserRepository(connection).find_owner_of_mailbox(login)
            nobody = UUID(bytes=self._hashes.of("nobody", login)[:16])
            verifications = Verifications(connection, self._settings, self._clock)
            verification_id = await verifications.begin("password_reset", owner_id or nobody, login)
            await enqueue(connection, "send_password_reset", verification_id=str(verification_id))

    async def arm_reset(self, verification_id: UUID) -> tuple[str, str] | None:
        """Address and token of the link, for the job that sends it; None if there is nothing to send."""
        async with self._database.transaction() as connection:
            armed = await Verifications(connection, self._settings, self._clock).arm(verification_id)
            if armed is None:
                return None
            subject_id, address = armed.verification.subject_id, armed.verification.address
            user = await UserRepository(connection).get(subject_id)
            is_there = user is not None and user.is_enabled and user.email == address
            if user is None:
                is_there = await CustomerClaims(connection, self._clock).find(subject_id, address) is not None
        return (address, armed.secret) if is_there else None

    async def reset(self, token: str, new: str) -> None:
        """Set a password by the mailed token, which works once; all sessions end. A customer without a login gets one.

        Raises:
            InvalidOrExpiredToken: the token is not one that works.
            WeakPassword: the password is easy to guess; the token goes on working.
        """
        async with self._database.transaction() as connection:
            proof = await Verifications(connection, self._settings, self._clock).find_by_token("password_reset", token)
            user = await UserRepository(connection).get(proof.subject_id)
            if user is None:
                self._check_first(await self._claimed(connection, proof), new)
            elif user.is_enabled and user.email == proof.address:
                await self._check(connection, user, new)
            else:
                raise InvalidOrExpiredToken
        hashed = await self._hashing.hash(new)
        if user is None:
            await self._open_login(proof, token, hashed)
            return
        async with self._database.transaction() as connection:
            present = await UserRepository(connection).get(user.id, lock=True)
            if present is None or present.email != proof.address:  # another address was proved meanwhile
                raise InvalidOrExpiredToken
            verifications = Verifications(connection, self._settings, self._clock)
            await verifications.spend_token("password_reset", token, subject_id=user.id)
            if not await self._set(connection, user, hashed, "reset_password", by=None):
                raise InvalidOrExpiredToken
            await SessionRepository(connection).close_all_of(user.id, now=self._clock.now())

    async def set_by_operator(self, email: str, new: str, *, by: Principal) -> None:
        """Set somebody's password; all sessions end.

        Raises:
            NotFound: nobody signs in under this address.
            WeakPassword: the password is easy to guess.
        """
        async with self._database.transaction() as connection:
            user = await UserRepository(connection).get_by_email(login_name(email))
            if user is None:
                raise NotFound
            await self._check(connection, user, new)
        hashed = await self._hashing.hash(new)
        async with self._database.transaction() as connection:
            user = await UserRepository(connection).get(user.id, lock=True) or user
            await self._set(connection, user, hashed, "set_password", by=by)
            await SessionRepository(connection).close_all_of(user.id, now=self._clock.now())

    async def _prove(self, user: User, password: str, pointer: str) -> None:
        """Refuse a wrong password; it stays counted, and the pointer says where it was sent."""
        async with self._database.transaction() as connection:
            failure_id = await SignInAttempts(connection, self._hashes).expect_failure(user.email, self._clock.now())
        if not await self._hashing.matches(password, PasswordHash(user.password_hash)):
            raise _wrong_password(pointer)
        async with self._database.transaction() as connection:
            await SignInAttempts(connection, self._hashes).take_back(failure_id)

    async def _open_login(self, proof: Verification, token: str, hashed: PasswordHash) -> None:
        async with self._database.transaction() as connection:
            customer = await self._claimed(connection, proof, lock=True)
            verifications = Verifications(connection, self._settings, self._clock)
            await verifications.spend_token("password_reset", token, subject_id=customer.id)
            try:
                await CustomerClaims(connection, self._clock).open_login(customer, hashed)
            except EmailTaken as error:
                raise InvalidOrExpiredToken from error

    async def _claimed(self, connection: Connection, proof: Verification, *, lock: bool = False) -> RetailCustomer:
        customer = await CustomerClaims(connection, self._clock).find(proof.subject_id, proof.address, lock=lock)
        if customer is None:
            raise InvalidOrExpiredToken
        return customer

    def _check_first(self, customer: RetailCustomer, password: str) -> None:
        names = [name for name in (customer.email, customer.first_name, customer.last_name) if name]
        check_password(password, role="customer", context=[self._settings.brand_name, *names])

    async def _own(self, connection: Connection, caller: Principal) -> User:
        assert caller.id is not None  # noqa: S101 - the operator has no password here
        user = await UserRepository(connection).get(caller.id)
        if user is None:
            raise NotFound
        return user

    @property
    def _hashes(self) -> KeyedHashes:
        return KeyedHashes.from_settings(self._settings)

    async def _check(self, connection: Connection, user: User, password: str) -> None:
        """Refuse a weak password, knowing what is known of the person."""
        context = [self._settings.brand_name, user.email]
        if user.customer_id is not None:
            try:
                customer = await RetailCustomerRepository(connection).get(user.customer_id)
                context += [name for name in (customer.first_name, customer.last_name) if name]
            except NotFound:  # erased meanwhile: nothing is known any more
                pass
        check_password(password, role=user.role, context=context)

    async def _set(
        self, connection: Connection, user: User, hashed: PasswordHash, action: str, *, by: Principal | None
    ) -> bool:
        """Write the new password; False if another one was set meanwhile. Links that wait to be used are void."""
        now, users = self._clock.now(), UserRepository(connection)
        if not await users.set_password(user.id, hashed, instead_of=user.password_hash, now=now):
            return False
        await VerificationRepository(connection).void(user.id, "password_reset")
        await record_audit(
            connection, action, by=by, at=now, object_kind="user", object_id=user.id, fields=["password"]
        )
        return True


def _wrong_password(pointer: str) -> Validation:
    return Validation.at(pointer, "enum", "is not the present password")
