"""Signing in, staying signed in, signing out, and finding out who is calling.

Unlike other services this one opens its own transactions. A failed sign-in must stay counted although the request is
refused, a stolen refresh token must close its session although it gets no answer, and no connection may be held while
a password is hashed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from regulars.accounts.attempts import SignInAttempts
from regulars.accounts.errors import InvalidCredentials, InvalidToken, SessionRevoked
from regulars.accounts.logins import login_name
from regulars.accounts.models import RefreshToken, SessionOwner
from regulars.accounts.passwords import PasswordHash, PasswordHashing, unknown_account_hash
from regulars.accounts.recent_callers import RecentCallers
from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_clients import ApiClientRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.accounts.roles import scopes_of
from regulars.accounts.tokens import Identity, TokenSigner, hash_token, new_refresh_token, next_refresh_token
from regulars.kit.clock import Clock
from regulars.kit.database import Transactions
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.security import Principal, Role
from regulars.kit.settings import Settings


@dataclass(frozen=True)
class IssuedTokens:
    """What a caller gets who signed in.

    Attributes:
        access_token: Sent as bearer token with every request.
        expires_in: Its life in seconds.
        refresh_token: Exchanged for the next pair; API clients get none.
        scopes: What the caller may do.
    """

    access_token: str
    expires_in: int
    refresh_token: str | None
    scopes: frozenset[str]


class AccountsService:
    """Who may sign in, and who is calling."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock, hashing: PasswordHashing) -> None:
        self._database = database
        self._clock = clock
        self._hashing = hashing
        self._signer = TokenSigner.from_settings(settings)
        self._hashes = KeyedHashes.from_settings(settings)
        self._refresh_life = timedelta(days=settings.refresh_token_days)
        self._grace = timedelta(seconds=settings.refresh_grace_seconds)
        self._callers = RecentCallers(settings.session_check_seconds)

    async def sign_in(self, email: str, password: str) -> IssuedTokens:
        """Open a session for a person.

        Raises:
            InvalidCredentials: whatever the reason; each takes the same work.
            TooManyAttempts: 20 sign-ins of this account failed within the last hour.
        """
        now, login = self._clock.now(), login_name(email)
        async with self._database.transaction() as connection:
            failure_id = await SignInAttempts(connection, self._hashes).expect_failure(login, now)
            user = await UserRepository(connection).get_by_email(login)
        # The password is compared without a connection: what changes meanwhile is found when the session is opened.
        stored = PasswordHash(user.password_hash) if user else unknown_account_hash
        matches = await self._hashing.matches(password, stored)
        if user is None or not matches:
            raise InvalidCredentials(error="invalid_grant")
        async with self._database.transaction() as connection:
            sessions, expires_at = SessionRepository(connection), now + self._refresh_life
            session_id = await sessions.open_for_user(
                user.id, auth_epoch=user.auth_epoch, now=now, expires_at=expires_at
            )
            if session_id is None:
                raise InvalidCredentials(error="invalid_grant")
            await SignInAttempts(connection, self._hashes).take_back(failure_id)
            refresh_token, token_hash = new_refresh_token()
            await sessions.add_refresh_token(token_hash, session_id, now=now, expires_at=expires_at)
        return self._issue(
            Identity(user.id, session_id, user.auth_epoch), user.role, scopes_of(user.role), refresh_token
        )

    async def sign_in_client(self, client_id: str, secret: str) -> IssuedTokens:
        """Open a session for an API client.

        Raises:
            InvalidCredentials: whatever the reason.
            TooManyAttempts: 20 sign-ins of this client failed within the last hour.
        """
        now, meant = self._clock.now(), _client_id(client_id)
        async with self._database.transaction() as connection:
            failure_id = await SignInAttempts(connection, self._hashes).expect_failure(str(meant), now)
            client = await ApiClientRepository(connection).get_by_id(meant)
        matches = client is not None and client.has_secret(hash_token(secret), now)
        if client is None or not matches or not client.is_open(now):
            raise InvalidCredentials(error="invalid_client")
        async with self._database.transaction() as connection:
            session_id = await SessionRepository(connection).open_for_client(
                client.id, auth_epoch=client.auth_epoch, now=now, expires_at=now + self._signer.life
            )
            if session_id is None:
                raise InvalidCredentials(error="invalid_client")
            await SignInAttempts(connection, self._hashes).take_back(failure_id)
        scopes = scopes_of("service").intersection(client.scopes)
        return self._issue(Identity(client.id, session_id, client.auth_epoch), "service", scopes, None)

    async def refresh(self, refresh_token: str, *, client: str) -> IssuedTokens:
        """Exchange a refresh token for new tokens; it works once.

        Two tabs of a browser may send it at the same moment, and an answer may be lost: the client that used it gets
        the same successor again for `refresh_grace_seconds`, as long as nobody has used that.

        Args:
            refresh_token: The newest of a session.
            client: Who sends it, as far as the network tells: address and browser.

        Raises:
            InvalidToken: nobody has been given this token, or its time is over.
            SessionRevoked: the session has ended. It ends also when a token comes back that was used before: then
                one of the two callers has stolen it.
        """
        now, refresh_life = self._clock.now(), self._refresh_life
        next_token, next_hash = next_refresh_token(refresh_token, self._hashes)
        client_hash = self._hashes.of("refresh-client", client)
        async with self._database.transaction() as connection:
            sessions = SessionRepository(connection)
            token = await sessions.lock_refresh_token(hash_token(refresh_token))
            owner = await sessions.get_owner(token.session_id) if token else None
            is_reused = token is not None and token.used_at is not None
            if token and self._is_repeated(token, client_hash, now) and await sessions.has_unused_token(next_hash):
                is_reused, is_repeated = False, True
            else:
                is_repeated = False
            is_valid = token is not None and now < token.expires_at
            if token and is_reused:
                await sessions.close(token.session_id, now=now)
            elif token and owner and is_valid and owner.is_open(now) and not is_repeated:
                await sessions.spend_refresh_token(token.token_hash, by=client_hash, now=now)
                await sessions.add_refresh_token(next_hash, token.session_id, now=now, expires_at=now + refresh_life)
                await sessions.prolong(token.session_id, expires_at=now + refresh_life)
        if token is None or owner is None or (not is_valid and not is_reused):
            raise InvalidToken
        if is_reused or not owner.is_open(now):
            self._callers.forget()
            raise SessionRevoked
        return self._issue(_identity(owner), owner.role, _scopes(owner), next_token)

    def _is_repeated(self, token: RefreshToken, client_hash: bytes, now: datetime) -> bool:
        """Whether a used token comes back so soon, and from the same client, that nobody need have stolen it."""
        return token.used_at is not None and token.used_by == client_hash and now < token.used_at + self._grace

    async def sign_out(self, caller: Principal, *, everywhere: bool) -> None:
        """Close the caller's session, or all of the caller's sessions."""
        async with self._database.transaction() as connection:
            sessions, now = SessionRepository(connection), self._clock.now()
            if everywhere and caller.id is not None:
                await sessions.close_all_of(caller.id, now=now)
            elif caller.session_id is not None:
                await sessions.close(caller.session_id, now=now)
        self._callers.forget()

    async def principal_of(self, access_token: str) -> Principal:
        """The caller behind an access token, with the scopes of this moment, or of `session_check_seconds` ago.

        Raises:
            InvalidToken: the token does not pass.
            SessionRevoked: its session was closed, its owner disabled or changed since.
        """
        now = self._clock.now()
        if known := self._callers.find(access_token, now):
            return known
        identity = self._signer.read(access_token, now=now)
        async with self._database.transaction() as connection:
            owner = await SessionRepository(connection).get_owner(identity.session_id)
        if owner is None or not owner.is_open(now) or _identity(owner) != identity:
            raise SessionRevoked
        caller = Principal(
            id=identity.subject,
            kind="user" if owner.user_id else "client",
            role=owner.role,
            scopes=_scopes(owner),
            session_id=owner.session_id,
            customer_id=owner.customer_id,
            source=owner.source,
            max_points_per_transaction=owner.max_points_per_transaction,
            max_points_per_day=owner.max_points_per_day,
        )
        self._callers.keep(access_token, caller, now=now, ends_at=identity.ends_at)
        return caller

    def _issue(self, identity: Identity, role: Role, scopes: frozenset[str], refresh_token: str | None) -> IssuedTokens:
        token = self._signer.sign(identity, role=role, scopes=scopes, now=self._clock.now())
        return IssuedTokens(token, int(self._signer.life.total_seconds()), refresh_token, scopes)


def _identity(owner: SessionOwner) -> Identity:
    subject = owner.user_id or owner.client_id
    assert subject is not None  # noqa: S101 - the table says that one of them is set
    return Identity(subject, owner.session_id, owner.auth_epoch)


def _scopes(owner: SessionOwner) -> frozenset[str]:
    scopes = scopes_of(owner.role)
    return scopes if owner.client_scopes is None else scopes.intersection(owner.client_scopes)


def _client_id(text: str) -> UUID:
    """The id, however it is spelled; for what is no id, one that no client has."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
