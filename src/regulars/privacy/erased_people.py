"""By what an erased person is recognised: hashes that only this installation can compute."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from regulars.kit.database import Connection
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.settings import Settings
from regulars.privacy.repository import ErasureRepository


def lasting_hashes(settings: Settings) -> KeyedHashes:
    """The hashes of the erasure log, under a secret of their own that outlives `jwt_secret`, if there is one.

    Raises:
        OperatorError: there is no secret at all.
    """
    if settings.erasure_secret is not None:
        return KeyedHashes(settings.erasure_secret.get_secret_value().encode())
    return KeyedHashes.from_settings(settings)


def hash_of(hashes: KeyedHashes, kind: str, value: str | None) -> bytes | None:
    """The hash of an address, phone number or customer number in its normal form; None if there is none."""
    return None if value is None else hashes.of(f"erased-{kind}", value)


async def was_erased(connection: Connection, settings: Settings, *, email: str | None, phone: str | None) -> bool:
    """Whether somebody with this address or phone number, in normal form, was erased within the last twelve months."""
    hashes = lasting_hashes(settings)
    return await ErasureRepository(connection).has_erased(
        email_hash=hash_of(hashes, "email", email), phone_hash=hash_of(hashes, "phone", phone)
    )


class ErasedPeople:
    """Recognises customers who have an address or a phone number of somebody who was erased.

    Args:
        connection: The transaction.
        settings: Of the installation.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._settings = settings
        self._log = ErasureRepository(connection)

    async def erased_at(self, customer_ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        """Of those who are recognised, when the person was last erased.

        Raises:
            OperatorError: people were erased, and there is no secret to recognise them by.
        """
        if not await self._log.has_hashes():
            return {}
        hashes = lasting_hashes(self._settings)
        found: dict[UUID, list[bytes]] = {}
        for kind, customer_id, value in await self._log.get_contacts(customer_ids):
            found.setdefault(customer_id, []).append(hashes.of(f"erased-{kind}", value))
        return await self._log.last_erasures(found)
