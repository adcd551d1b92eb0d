"""By what an erased person is recognised: hashes that only this installation can compute."""

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
