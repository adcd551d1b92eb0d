"""Passwords: which are taken, and how they are kept. Argon2id, and no rule about kinds of characters."""

import asyncio
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from regulars.accounts.errors import WeakPassword
from regulars.kit.security import Role

PasswordHash = NewType("PasswordHash", str)

longest_password = 128
shortest_context_word = 4
# Of a password that nobody knows: verified when there is no account, so that both cost the same.
unknown_account_hash = PasswordHash(
    "$argon2id$v=19$m=19456,t=2,p=1$8vxEeRg7LUY7VyiPHrNRYg$FNp5Y4n66wMbTSlKBfU9VewuXk+n/dHEgZeEVHA0Hjg"
)


def shortest_password(role: Role) -> int:
    """How many characters a password needs at least: 8, for those who see more than their own record 15."""
    return 8 if role == "customer" else 15


def check_password(password: str, *, role: Role, context: Iterable[str] = ()) -> None:
    """Refuse a password that is guessed first.

    Args:
        password: As typed; at most 128 characters, which the schema checks.
        role: Decides the least length.
        context: Words that are known about the account: the shop's name, the person's names, the e-mail address.

    Raises:
        WeakPassword: `rule` says why: too_short, breached, or context when fewer than 8 characters remain of it
            without the context words.
    """
    if len(password) < shortest_password(role):
        raise WeakPassword(rule="too_short")
    folded = password.casefold()
    if folded in breached_passwords():
        raise WeakPassword(rule="breached")
    rest = folded
    for word in sorted(_words(context), key=len, reverse=True):
        rest = rest.replace(word, "")
    if rest != folded and len(rest) < shortest_password("customer"):
        raise WeakPassword(rule="context")
    if _is_made_of_breached(folded):
        raise WeakPassword(rule="breached")


@cache
def breached_passwords() -> frozenset[str]:
    """The most frequent passwords of known leaks, in lower case."""
    text = (files("regulars.accounts") / "breached_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def _is_made_of_breached(folded: str) -> bool:
    """Whether a password is one that is tried first, with other things between its letters, or two such, or a repeat.

    Three words and more are as good as NIST says, whatever the words are.
    """
    text, breached = "".join(letter for letter in folded if letter.isalnum()) or folded, breached_passwords()
    parts = ((text[:length], text[length:]) for length in range(1, len(text)))
    return text in breached or any(
        (first in breached and rest in breached) or _is_repeated(first, text) for first, rest in parts
    )


def _is_repeated(unit: str, text: str) -> bool:
    """Whether a text is a weak unit over and over: one that is tried first, or shorter than any password."""
    if (unit * (len(text) // len(unit) + 1))[: len(text)] != text:
        return False
    is_short = len(unit) < shortest_password("customer") and 2 * len(unit) <= len(text)
    return is_short or unit in breached_passwords()


class PasswordHashing:
    """Argon2id with 19 MiB, two passes, one lane; at most two at a time, off the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._turns = asyncio.Semaphore(2)

    async def hash(self, password: str) -> PasswordHash:
        """What is stored instead of the password."""
        async with self._turns:
            return PasswordHash(await asyncio.to_thread(self._hasher.hash, password))

    async def matches(self, password: str, password_hash: PasswordHash) -> bool:
        """Whether the hash was made of this password."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, password, password_hash)

    def _verify(self, password: str, password_hash: PasswordHash) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _words(context: Iterable[str]) -> set[str]:
    """The context in lower case: whole, and an address also by its parts."""
    wholes = {text.casefold().strip() for text in context}
    parts = {part for whole in wholes for part in whole.replace("@", " ").replace(".", " ").split()}
    return {word for word in wholes | parts if len(word) >= shortest_context_word}
