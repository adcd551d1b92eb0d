"""Proofs: one secret, for one purpose, one subject, one address, for a while, once."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from regulars.customers.errors import CodeBurned, InvalidCode, InvalidOrExpiredToken
from regulars.customers.repository_verifications import VerificationKind
from regulars.customers.verifications import Verifications, lives, most_attempts
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.ratelimit import RateLimited
from regulars.kit.settings import Settings

settings = Settings(_env_file=None, jwt_secret="a secret of this test, thirty-two bytes")
address = "ann@example.com"


def later(clock: Clock, by: timedelta) -> Clock:
    assert clock.stopped_at is not None
    return replace(clock, stopped_at=clock.stopped_at + by)


def proofs(connection: Connection, clock: Clock, by: timedelta = timedelta(0)) -> Verifications:
    return Verifications(connection, settings, later(clock, by))


async def armed(verifications: Verifications, kind: VerificationKind, subject_id: UUID, to: str = address) -> str:
    sent = await verifications.arm(await verifications.begin(kind, subject_id, to))
    assert sent is not None
    assert (sent.verification.kind, sent.verification.subject_id, sent.verification.address) == (kind, subject_id, to)
    return sent.secret


@pytest.mark.parametrize("kind", ["email", "password_reset", "registration"])
async def test_a_token_proves_once(connection: Connection, clock: Clock, kind: VerificationKind) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    token = await armed(verifications, kind, subject_id)
    assert re.fullmatch(r"[\w-]{43}", token)
    assert (await verifications.find_by_token(kind, token)).subject_id == subject_id
    proved = await verifications.spend_token(kind, token, subject_id=subject_id)
    assert (proved.subject_id, proved.address) == (subject_id, address)
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token(kind, token, subject_id=subject_id)
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.find_by_token(kind, token)


async def test_a_token_is_for_one_purpose_and_one_subject(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    token = await armed(verifications, "email", subject_id)
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token("password_reset", token)
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token("email", token, subject_id=uuid4())
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token("email", altered, subject_id=subject_id)
    assert await verifications.spend_token("email", token, subject_id=subject_id)


@pytest.mark.parametrize("kind", ["email", "password_reset", "registration"])
async def test_a_token_lives_its_time_from_when_it_was_sent(
    connection: Connection, clock: Clock, kind: VerificationKind
) -> None:
    delay, subject_id = lives[kind] / 2, uuid4()
    verification_id = await proofs(connection, clock).begin(kind, subject_id, address)
    sent = await proofs(connection, clock, delay).arm(verification_id)
    assert sent is not None
    last_moment = delay + lives[kind] - timedelta(seconds=1)
    assert await proofs(connection, clock, last_moment).find_by_token(kind, sent.secret)
    with pytest.raises(InvalidOrExpiredToken):
        await proofs(connection, clock, delay + lives[kind]).find_by_token(kind, sent.secret)
    with pytest.raises(InvalidOrExpiredToken):
        await proofs(connection, clock, delay + lives[kind]).spend_token(kind, sent.secret)


async def test_a_new_proof_takes_the_place_of_the_old(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    first_id = await verifications.begin("email", subject_id, address)
    first = await verifications.arm(first_id)
    second = await armed(verifications, "email", subject_id, "new@example.com")
    assert first is not None
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token("email", first.secret)
    assert await verifications.arm(first_id) is None, "a job of the old one that comes late sends nothing"
    assert (await verifications.spend_token("email", second)).address == "new@example.com"


async def test_a_job_that_is_repeated_sends_a_secret_that_works(connection: Connection, clock: Clock) -> None:
    verifications = proofs(connection, clock)
    verification_id = await verifications.begin("email", uuid4(), address)
    first, second = await verifications.arm(verification_id), await verifications.arm(verification_id)
    assert first is not None
    assert second is not None
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.spend_token("email", first.secret)
    assert await verifications.spend_token("email", second.secret)
    assert await verifications.arm(verification_id) is None, "it was used"


async def test_a_job_that_waited_too_long_sends_nothing(connection: Connection, clock: Clock) -> None:
    verification_id = await proofs(connection, clock).begin("phone", uuid4(), "+4930123456")
    assert await proofs(connection, clock, timedelta(minutes=10)).arm(verification_id) is None


async def test_no_secret_is_in_the_database(connection: Connection, clock: Clock) -> None:
    verifications = proofs(connection, clock)
    token = await armed(verifications, "email", uuid4())
    code = await armed(verifications, "phone", uuid4(), "+4930123456")
    rows = await (await connection.execute("SELECT v::text, secret_hash FROM verifications v")).fetchall()
    assert not any(token in row or f",{code}," in row for row, _ in rows)
    assert all(len(kept) == 32 and kept != sha256(code.encode()).digest() for _, kept in rows)


async def test_a_code_proves_once(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    code = await armed(verifications, "phone", subject_id, "+4930123456")
    assert re.fullmatch(r"[0-9]{6}", code)
    await verifications.check_code(await verifications.count_code(subject_id), code)
    with pytest.raises(InvalidCode) as refusal:
        await verifications.count_code(subject_id)
    assert refusal.value.facts == {"attempts_left": 0}


async def test_a_code_is_for_one_subject(connection: Connection, clock: Clock) -> None:
    verifications, ann, bob = proofs(connection, clock), uuid4(), uuid4()
    await armed(verifications, "phone", ann, "+4930123456")
    of_bob = await armed(verifications, "phone", bob, "+4930654321")
    with pytest.raises(InvalidCode):
        await verifications.check_code(await verifications.count_code(ann), of_bob)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_sixth_try_is_not_looked_at_even_if_right(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    code = await armed(verifications, "phone", subject_id, "+4930123456")
    left = []
    for _ in range(most_attempts):
        counted = await verifications.count_code(subject_id)
        with pytest.raises(InvalidCode) as refusal:
            await verifications.check_code(counted, wrong(code))
        left.append(refusal.value.facts["attempts_left"])
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(CodeBurned) as burned:
        await verifications.count_code(subject_id)
    assert burned.value.retry_after is not None
    fresh = await armed(verifications, "phone", subject_id, "+4930123456")
    await verifications.check_code(await verifications.count_code(subject_id), fresh)


async def test_a_code_ends_after_ten_minutes(connection: Connection, clock: Clock) -> None:
    subject_id = uuid4()
    await armed(proofs(connection, clock), "phone", subject_id, "+4930123456")
    assert await proofs(connection, clock, timedelta(minutes=9, seconds=59)).count_code(subject_id)
    with pytest.raises(InvalidCode):
        await proofs(connection, clock, timedelta(minutes=10)).count_code(subject_id)


async def test_a_code_that_was_replaced_meanwhile_does_not_pass(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    code = await armed(verifications, "phone", subject_id, "+4930123456")
    counted = await verifications.count_code(subject_id)
    await armed(verifications, "phone", subject_id, "+4930123456")
    with pytest.raises(InvalidCode):
        await verifications.check_code(counted, code)


async def test_of_many_codes_at_once_five_are_looked_at(own_database_url: str, clock: Clock) -> None:
    subject_id = uuid4()
    async with Database(own_database_url, size=8) as database:
        async with database.transaction() as connection:
            await armed(proofs(connection, clock), "phone", subject_id, "+4930123456")

        async def guess() -> bool:
            async with database.transaction() as connection:
                try:
                    await proofs(connection, clock).count_code(subject_id)
                except CodeBurned:
                    return False
            return True

        assert (await asyncio.gather(*(guess() for _ in range(40)))).count(True) == most_attempts


async def test_of_two_uses_of_a_token_at_once_one_gets_it(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=4) as database:
        async with database.transaction() as connection:
            token = await armed(proofs(connection, clock), "email", uuid4())

        async def use() -> bool:
            try:
                async with database.transaction() as connection:
                    await proofs(connection, clock).spend_token("email", token)
            except InvalidOrExpiredToken:
                return False
            return True

        assert (await asyncio.gather(*(use() for _ in range(4)))).count(True) == 1


async def test_an_address_is_written_to_three_times_in_a_quarter_and_ten_a_day(
    connection: Connection, clock: Clock
) -> None:
    """Whatever the purpose and whoever asks."""
    kinds: list[VerificationKind] = ["email", "password_reset", "registration"]
    for kind in kinds:
        await proofs(connection, clock).begin(kind, uuid4(), address)
    with pytest.raises(RateLimited) as refusal:
        await proofs(connection, clock).begin("email", uuid4(), address)
    assert refusal.value.retry_after == 900
    await proofs(connection, clock).begin("email", uuid4(), "bob@example.com")
    for number in range(1, 8):
        await proofs(connection, clock, timedelta(hours=number)).begin("email", uuid4(), address)
    with pytest.raises(RateLimited):
        await proofs(connection, clock, timedelta(hours=8)).begin("email", uuid4(), address)


async def test_what_is_void_proves_nothing(connection: Connection, clock: Clock) -> None:
    verifications, subject_id = proofs(connection, clock), uuid4()
    email = await armed(verifications, "email", subject_id)
    reset = await armed(verifications, "password_reset", subject_id)
    others = await armed(verifications, "email", uuid4())
    await verifications.void(subject_id, "email")
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.find_by_token("email", email)
    assert await verifications.find_by_token("password_reset", reset)
    await verifications.void(subject_id)
    with pytest.raises(InvalidOrExpiredToken):
        await verifications.find_by_token("password_reset", reset)
    assert await verifications.find_by_token("email", others)
