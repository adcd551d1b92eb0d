"""Direct SQL against the ledger, past all of our code: as the owner of the server, and as the running program."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import errors

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.models import LoyaltyTransactionCreate, LoyaltyTransactionType
from tests.loyalty.shop import Shop, check_guards

insert = """
    INSERT INTO loyalty_transactions (customer_id, seq, id, transaction_type, points, balance_before, balance_after,
        rule, reason_code, refund_id, reverses_transaction_id, programme_version, created_at, hash)
    SELECT '{customer}', {seq}, uuidv7(), '{kind}', {points}, {before}, {before} + {points}, {rule}, 'x',
        {refund}, {refund}, 1, now(), sha256('x')
"""


def row(kind: str, seq: int, points: int, before: int) -> str:
    rule = "'award'" if kind == "EARNED" else "NULL"
    refund = "uuidv7()" if kind == "REFUND_CLAWBACK" else "NULL"
    return insert.format(
        customer="{customer}", kind=kind, seq=seq, points=points, before=before, rule=rule, refund=refund
    )


account_follows = "UPDATE loyalty_accounts SET balance = {balance}, last_seq = {seq} WHERE customer_id = '{customer}'"


def moved(balance: int, seq: int) -> str:
    return account_follows.format(balance=balance, seq=seq, customer="{customer}")


# The victim holds lots of 100 and 50 points, spent 30 of the first: balance 120, three transactions.
attacks: dict[str, tuple[list[str], str]] = {
    "edit a balance": (["UPDATE loyalty_accounts SET balance = 1000 WHERE customer_id = '{customer}'"], "LG002"),
    "edit lifetime points": (["UPDATE loyalty_accounts SET lifetime_points = 99999"], "LG002"),
    "move the account back": ([moved(150, 2)], "LG002"),
    "inflate a lot": (["UPDATE point_lots SET remaining = remaining + 1 WHERE remaining = 70"], "LG002"),
    "shift points between lots": (
        [
            "UPDATE point_lots SET remaining = remaining - 10 WHERE earned = 50",
            "UPDATE point_lots SET remaining = remaining + 10 WHERE earned = 100",
        ],
        "LG004",
    ),
    "add a lot without a transaction": (
        [
            """INSERT INTO point_lots (customer_id, id, seq, origin_id, earned, remaining, earned_at)
               VALUES ('{customer}', uuidv7(), 1, uuidv7(), 5, 5, now())"""
        ],
        "LG002",
    ),
    "add a transaction with a false hash": (
        [
            row("ADJUSTED_ADD", 4, 5, 120),
            "UPDATE point_lots SET remaining = remaining + 5 WHERE earned = 100",
            "INSERT INTO point_allocations SELECT customer_id, 4, id, 5, false FROM point_lots WHERE earned = 100",
            "UPDATE loyalty_accounts SET balance = 125, last_seq = 4, last_hash = sha256('x')",
        ],
        "LG003",
    ),
    "add an allocation to an old transaction": (
        ["INSERT INTO point_allocations VALUES ('{customer}', 1, NULL, 7, false)"],
        "LG003",
    ),
    "allocate for a transaction that is not there": (
        ["INSERT INTO point_allocations VALUES ('{customer}', 9, NULL, 7, false)"],
        "LG003",
    ),
    "call a redemption an expiry": (
        ["INSERT INTO point_allocations SELECT customer_id, 3, id, -1, true FROM point_lots WHERE earned = 50"],
        "LG003",
    ),
    "book points on a lot that does not move": (
        [
            "INSERT INTO point_allocations SELECT customer_id, 3, id, -1, false FROM point_lots WHERE earned = 50",
            "INSERT INTO point_allocations VALUES ('{customer}', 3, NULL, 1, false)",
        ],
        "LG004",
    ),
    "change a transaction": (["UPDATE loyalty_transactions SET points = 1000"], "LG001"),
    "delete a transaction": (["DELETE FROM loyalty_transactions WHERE seq = 3"], "LG001"),
    "truncate the ledger": (["TRUNCATE loyalty_transactions CASCADE"], "LG001"),
    "change an allocation": (["UPDATE point_allocations SET points = -1 WHERE points < 0"], "LG001"),
    "delete allocations": (["DELETE FROM point_allocations"], "LG001"),
    "truncate allocations": (["TRUNCATE point_allocations"], "LG001"),
    "change the rules of the past": (["UPDATE loyalty_programmes SET points_per_unit = 100"], "LG001"),
    "delete under the replica role": (
        ["SET LOCAL session_replication_role = replica", "DELETE FROM loyalty_transactions WHERE seq = 3"],
        "LG001",
    ),
    "edit a balance under the replica role": (
        ["SET LOCAL session_replication_role = replica", "UPDATE loyalty_accounts SET balance = 1000"],
        "LG002",
    ),
    "leave a gap under the replica role": (
        ["SET LOCAL session_replication_role = replica", row("ADJUSTED_ADD", 9, 5, 120)],
        "LG002",
    ),
    "fork the chain": ([row("ADJUSTED_ADD", 3, 5, 150)], errors.UniqueViolation.sqlstate),
    "leave a gap": ([row("ADJUSTED_ADD", 5, 5, 120)], errors.ForeignKeyViolation.sqlstate),
    "start from a wrong balance": ([row("ADJUSTED_ADD", 4, 5, 1000)], errors.ForeignKeyViolation.sqlstate),
    "overdraw": ([row("REDEEMED", 4, -121, 120)], errors.CheckViolation.sqlstate),
    "redeem a positive number": ([row("REDEEMED", 4, 5, 120)], errors.CheckViolation.sqlstate),
    "earn nothing": ([row("EARNED", 4, 0, 120)], errors.CheckViolation.sqlstate),
    "put off an expiry": (["UPDATE point_lots SET expires_at = NULL"], "LG001"),
    "pretend a lot held more": (["UPDATE point_lots SET earned = 1000"], "LG001"),
    "delete a lot": (["DELETE FROM point_lots WHERE earned = 50"], "LG001"),
    "delete an account": (["DELETE FROM loyalty_accounts"], "LG001"),
    "truncate through a reference": (["TRUNCATE customers CASCADE"], "LG001"),
}


@pytest.fixture
async def victim(shop: Shop) -> UUID:
    customer = await shop.member()
    await shop.earn(customer, 100, expiry_days=30)
    await shop.earn(customer, 50, expiry_days=60)
    await shop.redeem(customer, 30)
    await check_guards(shop.connection)
    return customer


async def attack(connection: Connection, statements: list[str], customer: UUID, *, as_owner: bool = True) -> None:
    async with connection.transaction():
        if as_owner:
            await connection.execute("SET LOCAL ROLE NONE")
        for statement in statements:
            await connection.execute(statement.format(customer=customer))
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("name", attacks)
async def test_even_a_superuser_cannot(name: str, shop: Shop, victim: UUID) -> None:
    statements, expected = attacks[name]
    with pytest.raises(psycopg.Error) as refusal:
        await attack(shop.connection, statements, victim)
    assert refusal.value.sqlstate == expected, refusal.value
    assert await shop.spendable(victim) == 120


@pytest.fixture
async def savepoint(shop: Shop, victim: UUID) -> AsyncIterator[None]:
    """Rolls a test's own writes back before the audit looks."""
    async with shop.connection.transaction(force_rollback=True):
        yield


@pytest.mark.parametrize("before", ["SELECT", "UPDATE point_lots SET remaining = remaining"])
@pytest.mark.parametrize(
    "inside", ["UPDATE point_lots SET remaining = remaining", "UPDATE loyalty_accounts SET tier = tier"]
)
async def test_a_savepoint_does_not_take_the_guard_with_it(
    shop: Shop, victim: UUID, before: LiteralString, inside: LiteralString
) -> None:
    """What was touched is noted in one row: what comes after a savepoint that took it back must note it anew."""

    async def attack_after_rollback() -> None:
        async with shop.connection.transaction():
            await shop.connection.execute(before)
            async with shop.connection.transaction(force_rollback=True):
                await shop.connection.execute(inside)
            await attack(shop.connection, ["UPDATE loyalty_accounts SET balance = 1000"], victim)

    with pytest.raises(psycopg.Error) as refusal:
        await attack_after_rollback()
    assert refusal.value.sqlstate == "LG002"


async def test_what_a_long_transaction_does_late_is_checked_like_the_rest(shop: Shop, victim: UUID) -> None:
    """The guards keep its notes in parts once there are many."""
    many = [f"UPDATE point_lots SET remaining = remaining {sign} 1 WHERE earned = 50" for sign in ("-", "+")] * 300
    await attack(shop.connection, many, victim)
    with pytest.raises(psycopg.Error) as refusal:
        await attack(
            shop.connection, [*many, "UPDATE point_lots SET remaining = remaining + 1 WHERE earned = 50"], victim
        )
    assert refusal.value.sqlstate == "LG002"
    assert await shop.spendable(victim) == 120


@pytest.mark.usefixtures("savepoint")
async def test_a_transaction_needs_its_allocations(shop: Shop, victim: UUID) -> None:
    account = (await shop.accounts.lock_accounts([victim]))[0]
    create = LoyaltyTransactionCreate(
        customer_id=victim,
        transaction_type=LoyaltyTransactionType.ADJUSTED_ADD,
        points=5,
        reason_code="x",
        created_by=None,
        created_at=shop.clock.now(),
    )
    await shop.ledger.create_transaction(create, account.unchanged())
    with pytest.raises(psycopg.Error) as refusal:
        await attack(shop.connection, ["UPDATE point_lots SET remaining = remaining + 5 WHERE earned = 100"], victim)
    assert refusal.value.sqlstate == "LG003"


async def test_uses_of_lots_in_their_order_share_no_statement_with_others(shop: Shop, victim: UUID) -> None:
    create = LoyaltyTransactionCreate(
        customer_id=victim,
        transaction_type=LoyaltyTransactionType.REDEEMED,
        points=-5,
        created_by=None,
        created_at=shop.clock.now(),
    )
    account = (await shop.accounts.lock_accounts([victim]))[0]
    with pytest.raises(ValueError, match="written apart"):
        await shop.ledger.update_loyalty_points([create, replace(create, spends=True)], [account.unchanged()] * 2)


@pytest.mark.usefixtures("savepoint")
@pytest.mark.parametrize("kind", [LoyaltyTransactionType.EXPIRED, LoyaltyTransactionType.REDEEMED])
async def test_a_lot_expires_when_it_is_due_and_is_not_spent_after(
    shop: Shop, victim: UUID, kind: LoyaltyTransactionType
) -> None:
    account = (await shop.accounts.lock_accounts([victim]))[0]
    lots = await shop.ledger.get_open_lots(victim)
    if kind is LoyaltyTransactionType.REDEEMED:
        shop.wait(days=31)
    create = LoyaltyTransactionCreate(
        customer_id=victim, transaction_type=kind, points=-70, created_by=None, created_at=shop.clock.now()
    )
    await shop.ledger.create_transaction(create.taking([(lots[0].id, 70)]), account.unchanged())
    with pytest.raises(psycopg.Error) as refusal:
        await attack(shop.connection, [], victim)
    assert refusal.value.sqlstate == "LG004"


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"{verb} {table}{rest}"
            for table in ("loyalty_transactions", "point_allocations", "point_clawbacks", "loyalty_programmes")
            for verb, rest in (("UPDATE", " SET created_at = now()"), ("DELETE FROM", ""), ("TRUNCATE", ""))
            if not (table == "point_allocations" and verb == "UPDATE")
        ),
        "UPDATE point_allocations SET points = 1",
        "UPDATE point_lots SET expires_at = NULL",
        "UPDATE point_lots SET earned = 1000",
        "DELETE FROM point_lots",
        "TRUNCATE point_lots",
        "DELETE FROM loyalty_accounts",
        "TRUNCATE loyalty_accounts",
        "DELETE FROM loyalty_tier_changes",
        "UPDATE loyalty_tier_changes SET tier = 'platinum'",
        "UPDATE audit_log SET action = 'nothing'",
        "DELETE FROM audit_log",
        "DELETE FROM loyalty_touched",
        "INSERT INTO loyalty_touched VALUES (pg_current_xact_id(), 0, '{}')",
        "ALTER TABLE loyalty_transactions DISABLE TRIGGER append_only",
        "DROP TRIGGER reconcile ON loyalty_touched",
        "DROP TABLE loyalty_transactions",
        "CREATE TABLE elsewhere ()",
        "CREATE OR REPLACE FUNCTION loyalty_reconcile() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
    ],
)
async def test_the_running_program_may_not(statement: str, shop: Shop, victim: UUID) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        async with shop.connection.transaction():
            await shop.connection.execute(statement)


async def test_the_running_program_meets_the_same_guards(shop: Shop, victim: UUID) -> None:
    statement = f"UPDATE loyalty_accounts SET balance = 1000 WHERE customer_id = '{victim}'"
    with pytest.raises(psycopg.Error) as refusal:
        await attack(shop.connection, [statement], victim, as_owner=False)
    assert refusal.value.sqlstate == "LG002"


async def test_an_edit_behind_disabled_triggers_is_found_by_the_audit(
    own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        async with connection.transaction():
            shop = Shop(connection, settings, clock)
            customer = await shop.member(points=100)
            await shop.redeem(customer, 30)
        assert (await AuditService(connection).audit_ledger()).violations == 0
        before = await AuditService(connection).audit_ledger()
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE NONE")
            await connection.execute("ALTER TABLE loyalty_transactions DISABLE TRIGGER ALL")
            await connection.execute("UPDATE loyalty_transactions SET created_by = uuidv7() WHERE seq = 1")
            await connection.execute("ALTER TABLE loyalty_transactions ENABLE TRIGGER ALL")
        after = await AuditService(connection).audit_ledger()
    assert {check for check, count in after.counts.items() if count} == {"hash_chain"}
    assert after.digest == before.digest


async def test_a_history_written_anew_has_another_digest(
    own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        async with connection.transaction():
            await Shop(connection, settings, clock).member(points=100)
        before = await AuditService(connection).audit_ledger()
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE NONE")
            for table in ("loyalty_transactions", "loyalty_accounts"):
                await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            await connection.execute("UPDATE loyalty_transactions SET created_by = uuidv7()")
            await connection.execute("UPDATE loyalty_transactions AS t SET hash = loyalty_row_hash(NULL, t)")
            await connection.execute("UPDATE loyalty_accounts SET last_hash = hash FROM loyalty_transactions")
        after = await AuditService(connection).audit_ledger()
    assert after.violations == 0
    assert after.digest != before.digest
