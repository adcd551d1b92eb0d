"""Erasing people: once, whole, whatever comes between, and the books stay right."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from regulars.customers.errors import CustomerErased
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_verifications import VerificationRepository
from regulars.flows import erase_customer
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.queue import enqueue
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.loyalty.audit import AuditService
from regulars.loyalty.closing import AccountClosing
from regulars.privacy.erased_people import was_erased
from regulars.privacy.models import Erasure, Person
from regulars.privacy.repository import ErasureRepository
from regulars.privacy.repository_tables import PersonalTables
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_user, sign_in
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import make_order
from tests.loyalty.shop import Shop

by_operator = Request("request", operator)


async def rows(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query, parameters)).fetchall()  # type: ignore[arg-type]


async def require_sound(connection: Connection) -> None:
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await connection.execute("SET CONSTRAINTS ALL DEFERRED")
    assert (await AuditService(connection).audit_ledger()).violations == 0


@pytest.fixture
async def shop(connection: Connection, settings: Settings, clock: Clock) -> AsyncIterator[Shop]:
    yield Shop(connection, settings, clock)
    await require_sound(connection)


async def log_entry(connection: Connection, customer_id: UUID) -> Erasure:
    entry = await ErasureRepository(connection).get(customer_id)
    assert entry is not None
    return entry


async def test_what_told_who_it_was_is_gone_and_the_record_is_left(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    customer = await make_customer(
        connection, clock, notes="likes tea", tags=["vip"], city="Bonn", email_marketing_consent=True,
        external_ids={"webshop": "W-1"},
    )  # fmt: skip
    erasure = await erasures.erase(customer.id, by_operator)
    left = await RetailCustomerRepository(connection).get(customer.id)
    profile = {name: getattr(left, name) for name in ("first_name", "last_name", "email", "notes", "city", "tags")}
    assert profile == {"first_name": None, "last_name": None, "email": None, "notes": None, "city": None, "tags": []}
    assert (left.customer_number, left.email_marketing_consent) == ("CUST-00000000-0000", False)
    assert (left.erased_at, left.deleted_at) == (clock.now(), clock.now())
    assert await rows(connection, "SELECT 1 FROM customer_identifiers WHERE customer_id = %s", customer.id) == []
    assert (erasure.completed_at, erasure.rows["customers"], erasure.rows["customer_identifiers"]) == (
        clock.now(), 1, 3,
    )  # fmt: skip


async def test_another_customer_stays_as_it_is(connection: Connection, erasures: Erasures, clock: Clock) -> None:
    gone = await make_customer(connection, clock)
    stays = await make_customer(
        connection, clock, last_name=gone.last_name, notes="of two", referrer_customer_id=gone.id
    )
    await make_user(connection, clock, role="customer", customer_id=stays.id)
    before = await rows(connection, "SELECT c::text FROM customers c WHERE id = %s", stays.id)
    await erasures.erase(gone.id, by_operator)
    assert await rows(connection, "SELECT c::text FROM customers c WHERE id = %s", stays.id) == before
    assert len(await rows(connection, "SELECT 1 FROM customer_identifiers WHERE customer_id = %s", stays.id)) == 2
    assert len(await rows(connection, "SELECT 1 FROM users WHERE customer_id = %s", stays.id)) == 1


async def test_login_sessions_and_proofs_are_gone_and_a_mail_that_waits_is_not_sent(
    connection: Connection, erasures: Erasures, settings: Settings, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    _, caller = await sign_in(connection, settings, clock, role="customer", customer_id=customer.id)
    await connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES ('x', %s, now(), now())",
        [caller.session_id],
    )
    proofs, later = VerificationRepository(connection), clock.now() + timedelta(hours=1)
    proof_ids = [
        await proofs.replace("email", customer.id, str(customer.email), now=clock.now(), expires_at=later),
        await proofs.replace(
            "password_reset", caller.id or uuid4(), "x@example.com", now=clock.now(), expires_at=later
        ),
        await proofs.replace("registration", uuid4(), str(customer.email), now=clock.now(), expires_at=later),
        await proofs.add_unless_open("old_phone", customer.id, "+493012345678", now=clock.now(), expires_at=later),
    ]
    stranger = await proofs.replace("email", uuid4(), "y@example.com", now=clock.now(), expires_at=later)
    for proof_id in [*proof_ids, stranger]:
        await enqueue(connection, "send_email_verification", verification_id=str(proof_id))
    await erasures.erase(customer.id, by_operator)
    assert await rows(connection, "SELECT id FROM verifications") == [(stranger,)]
    assert await rows(connection, "SELECT args ->> 'verification_id' FROM procrastinate_jobs") == [(str(stranger),)]
    for table in ("users", "sessions", "refresh_tokens"):
        assert await rows(connection, f"SELECT 1 FROM {table}") == [], table


async def test_kept_answers_about_the_person_go_and_others_stay(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    login = await make_user(connection, clock, role="customer", customer_id=customer.id)
    for key, principal, concerns in (("a", uuid4(), customer.id), ("b", login.id, None), ("c", uuid4(), uuid4())):
        await connection.execute(
            "INSERT INTO idempotency_keys (key, principal_id, request_hash, customer_id, created_at)"
            " VALUES (%s, %s, 'x', %s, now())",
            [key, principal, concerns],
        )
    await erasures.erase(customer.id, by_operator)
    assert await rows(connection, "SELECT key FROM idempotency_keys") == [("c",)]


async def test_points_are_taken_off_by_transactions(shop: Shop, erasures: Erasures) -> None:
    customer_id = await shop.member(points=100)
    await shop.earn(customer_id, 40, description="for the birthday", expiry_days=1)
    await shop.redeem(customer_id, 10)
    erasure = await erasures.erase(customer_id, by_operator)
    ledger = await rows(
        shop.connection,
        "SELECT transaction_type, points, balance_after, reason_code FROM loyalty_transactions"
        " WHERE customer_id = %s ORDER BY seq DESC LIMIT 1",
        customer_id,
    )
    assert ledger == [("ADJUSTED_SUB", -130, 0, "account_closed")]
    assert erasure.points_closed == 130
    assert await rows(shop.connection, "SELECT 1 FROM loyalty_notes") == []
    assert await rows(shop.connection, "SELECT sum(remaining) FROM point_lots") == [(0,)]


async def test_points_that_expired_by_the_clock_are_written_off_as_such(
    shop: Shop, settings: Settings, database: RolledBackDatabase
) -> None:
    customer_id = await shop.member()
    await shop.earn(customer_id, 40, expiry_days=1)
    await shop.earn(customer_id, 60, expiry_days=100)
    shop.wait(days=5)
    erasure = await Erasures(database, settings, shop.clock).erase(customer_id, by_operator)
    ledger = await rows(
        shop.connection, "SELECT transaction_type, points FROM loyalty_transactions ORDER BY seq DESC LIMIT 2"
    )
    assert ledger == [("ADJUSTED_SUB", -60), ("EXPIRED", -40)]
    assert erasure.points_closed == 60


async def test_debt_is_forgiven(shop: Shop, erasures: Erasures) -> None:
    customer_id = await shop.member()
    order_id = await make_order(shop.connection, shop.clock, customer_id, total="100")
    await shop.earn(customer_id, 100, order_id=order_id)
    await shop.redeem(customer_id, 60)
    await shop.refund(customer_id, order_id, so_far="100")
    erasure = await erasures.erase(customer_id, by_operator)
    assert erasure.points_closed == -60
    assert (await shop.accounts.lock_accounts([customer_id]))[0].balance == 0


async def test_an_account_at_zero_or_none_at_all_is_left_alone(shop: Shop) -> None:
    closing = AccountClosing(shop.connection, shop.clock)
    emptied = await shop.member(points=10)
    await shop.redeem(emptied, 10)
    assert [await closing.close(one, by=operator) for one in (emptied, await shop.member())] == [0, 0]
    assert len(await shop.rows(emptied)) == 2


async def test_orders_stay_without_what_was_written_on_them(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, total="30")
    await connection.execute("""UPDATE orders SET metadata = '{"gift_for": "Ann"}'""")
    await erasures.erase(customer.id, by_operator)
    assert await rows(connection, "SELECT total::int, metadata FROM orders") == [(30, None)]
    assert await rows(connection, "SELECT total_orders FROM customer_metrics") == [(1,)]


async def test_words_about_the_person_are_taken_out_of_the_audit_log(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    customer, other = await make_customer(connection, clock), await make_customer(connection, clock)
    for one in (customer, other):
        await connection.execute(
            "INSERT INTO audit_log (occurred_at, actor_kind, action, object_kind, object_id, facts)"
            """ VALUES (now(), 'user', 'deactivate_customer', 'customer', %s, '{"reason": "rude", "rows": 2}')""",
            [one.id],
        )
    await erasures.erase(customer.id, by_operator)
    facts = dict(await rows(connection, "SELECT object_id, facts FROM audit_log WHERE action = 'deactivate_customer'"))
    assert facts == {customer.id: {"rows": 2}, other.id: {"reason": "rude", "rows": 2}}
    logged = await rows(connection, "SELECT actor_kind, object_id FROM audit_log WHERE action = 'erase_customer'")
    assert logged == [("operator", customer.id)]


async def test_an_event_tells_that_it_was_done(connection: Connection, erasures: Erasures, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await erasures.erase(customer.id, by_operator)
    told = await rows(connection, "SELECT customer_id, facts FROM events WHERE kind = 'customer.erased'")
    assert told == [(customer.id, {"reason": "request"})]


async def test_once_is_enough(connection: Connection, erasures: Erasures, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await erasures.erase(customer.id, by_operator)
    with pytest.raises(CustomerErased):
        await erasures.erase(customer.id, by_operator)


async def test_the_wrong_number_erases_nobody(connection: Connection, erasures: Erasures, clock: Clock) -> None:
    customer, other = await make_customer(connection, clock), await make_customer(connection, clock)
    with pytest.raises(Validation):
        await erasures.erase(customer.id, Request("request", operator, other.customer_number))
    with pytest.raises(NotFound):
        await erasures.erase(uuid4(), by_operator)
    assert (await RetailCustomerRepository(connection).get(customer.id)).erased_at is None


class PlugPulledError(Exception):
    pass


async def test_an_erasure_that_was_broken_off_is_finished_by_doing_it_again(
    connection: Connection, erasures: Erasures, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id)
    await connection.execute("""UPDATE orders SET metadata = '{"gift_for": "Ann"}'""")
    erase, done = PersonalTables.erase, []

    async def until_orders(self: PersonalTables, rules: Sequence[Any], person: Person) -> int:
        if rules[0].table == "orders" and not done:
            done.append(True)
            raise PlugPulledError
        return await erase(self, rules, person)

    monkeypatch.setattr(PersonalTables, "erase", until_orders)
    with pytest.raises(PlugPulledError):
        await erasures.erase(customer.id, by_operator)
    assert (await log_entry(connection, customer.id)).completed_at is None
    assert (await RetailCustomerRepository(connection).get(customer.id)).erased_at is not None
    erasure = await erasures.erase(customer.id, by_operator)
    assert erasure.completed_at is not None
    assert await rows(connection, "SELECT metadata FROM orders") == [(None,)]


async def test_every_night_what_is_open_is_finished_and_looked_through_once_more(
    connection: Connection,
    erasures: Erasures,
    database: RolledBackDatabase,
    settings: Settings,
    clock: Clock,
    shop: Shop,
) -> None:
    customer_id = await shop.member(points=10)
    await erasures.erase(customer_id, by_operator)
    # A till that had looked before: its order, its note and its points come after.
    await connection.execute("UPDATE customers SET erased_at = NULL, deleted_at = NULL, is_active = true")
    await shop.earn(customer_id, 7)
    await connection.execute("UPDATE customers SET erased_at = now(), deleted_at = now(), is_active = false")
    await make_order(connection, clock, customer_id)
    await connection.execute("""UPDATE orders SET metadata = '{"gift_for": "Ann"}'""")
    assert await erasures.finish_open() == 0
    later = Erasures(database, settings, replace(clock, stopped_at=clock.now() + timedelta(hours=2)))
    assert await later.finish_open() == 1
    assert await rows(connection, "SELECT metadata FROM orders") == [(None,)]
    entry = await log_entry(connection, customer_id)
    assert (entry.completed_at, entry.confirmed_at) == (clock.now(), clock.now() + timedelta(hours=2))
    assert (entry.rows["orders"], entry.points_closed) == (1, 17)
    assert await later.finish_open() == 0


async def deleted(connection: Connection, clock: Clock, *, days_ago: int) -> RetailCustomer:
    customer = await make_customer(connection, clock)
    await set_columns(connection, customer, deleted_at=clock.now() - timedelta(days=days_ago))
    return customer


async def erased(connection: Connection) -> set[UUID]:
    return {id_ for (id_,) in await rows(connection, "SELECT id FROM customers WHERE erased_at IS NOT NULL")}


async def test_who_was_deleted_is_erased_when_it_cannot_be_undone_any_more(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    due, not_yet = await deleted(connection, clock, days_ago=30), await deleted(connection, clock, days_ago=29)
    assert await erasures.erase_due() == {"deletion": 1}
    assert await erased(connection) == {due.id}
    assert (await log_entry(connection, due.id)).reason == "deletion"
    assert not_yet.deleted_at is None


async def test_one_who_cannot_be_erased_holds_up_nobody(
    connection: Connection, erasures: Erasures, clock: Clock, settings: Settings, database: RolledBackDatabase,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(erase_customer, "people_at_once", 1)
    broken, *others = [await deleted(connection, clock, days_ago=days) for days in (40, 35, 31)]
    close = AccountClosing.close

    async def closed(self: AccountClosing, customer_id: UUID, **options: Any) -> Any:
        if customer_id == broken.id:
            raise ZeroDivisionError
        return await close(self, customer_id, **options)

    with monkeypatch.context() as patched:
        patched.setattr(AccountClosing, "close", closed)
        assert await erasures.erase_due() == {"deletion": 2}
    assert await erased(connection) == {other.id for other in others}
    assert "unhandled" in caplog.messages
    assert await erasures.erase_due() == {"deletion": 1}
    finish = Erasures._finish

    async def finished(self: Erasures, customer_id: UUID, *rest: Any, **options: Any) -> Any:
        if customer_id == broken.id:
            raise ZeroDivisionError
        return await finish(self, customer_id, *rest, **options)

    later = Erasures(database, settings, replace(clock, stopped_at=clock.now() + timedelta(hours=2)))
    with monkeypatch.context() as patched:
        patched.setattr(Erasures, "_finish", finished)
        assert await later.finish_open() == 2
    assert await later.finish_open() == 1


async def test_who_was_not_heard_of_is_erased_if_the_setting_says_so(
    connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock, shop: Shop
) -> None:
    long_ago = clock.now() - timedelta(days=500)
    silent, *heard_of = [await make_customer(connection, clock, created_at=long_ago) for _ in range(5)]
    bought, earned, signed_in, reads_mail = heard_of
    await make_order(connection, clock, bought.id, days_ago=10)
    await shop.earn(earned.id, 5)
    await sign_in(connection, settings, clock, role="customer", customer_id=signed_in.id)
    await connection.execute(
        "INSERT INTO customer_engagement (customer_id, last_activity_at) VALUES (%s, %s)",
        [reads_mail.id, clock.now() - timedelta(days=2)],
    )
    await make_customer(connection, clock)
    off = Erasures(database, settings, clock)
    assert await off.erase_due() == {"deletion": 0}
    on = Erasures(database, settings.model_copy(update={"anonymise_inactive_after_days": 365}), clock)
    assert await on.erase_due() == {"deletion": 0, "inactivity": 1}
    assert await erased(connection) == {silent.id}


async def test_who_buys_at_the_last_moment_is_not_erased(
    connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    customer = await make_customer(connection, clock, created_at=clock.now() - timedelta(days=500))
    find = ErasureRepository.find_inactive

    async def and_then_comes_an_order(self: ErasureRepository, **options: Any) -> list[UUID]:
        found = await find(self, **options)
        if options.get("only") is None:
            await make_order(connection, clock, customer.id)
        return found

    monkeypatch.setattr(ErasureRepository, "find_inactive", and_then_comes_an_order)
    yearly = settings.model_copy(update={"anonymise_inactive_after_days": 365})
    await Erasures(database, yearly, clock).erase_due()
    assert await erased(connection) == set()


async def test_the_log_recognises_address_and_number_for_twelve_months(
    connection: Connection, erasures: Erasures, database: RolledBackDatabase, settings: Settings, clock: Clock
) -> None:
    customer = await make_customer(connection, clock, phone="+4915112345678")
    await erasures.erase(customer.id, by_operator)
    stored = (await rows(connection, "SELECT l::text FROM erasure_log l"))[0][0]
    assert str(customer.email) not in stored
    assert customer.customer_number not in stored
    assert await was_erased(connection, settings, email=customer.email, phone=None)
    assert await was_erased(connection, settings, email=None, phone=customer.phone)
    assert not await was_erased(connection, settings, email="other@example.com", phone=None)
    for days, known in ((365, True), (366, False)):
        later = replace(clock, stopped_at=clock.now() + timedelta(days=days))
        await Erasures(database, settings, later).forget_hashes()
        assert await was_erased(connection, settings, email=customer.email, phone=None) == known
    assert (await log_entry(connection, customer.id)).proof


async def test_a_secret_of_its_own_outlives_the_secret_of_tokens(
    connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock
) -> None:
    lasting = settings.model_copy(update={"erasure_secret": settings.jwt_secret})
    customer = await make_customer(connection, clock)
    await Erasures(database, lasting, clock).erase(customer.id, by_operator)
    replaced = lasting.model_copy(update={"jwt_secret": None})
    assert await was_erased(connection, replaced, email=customer.email, phone=None)


async def test_a_restored_backup_forgets_again(connection: Connection, erasures: Erasures, clock: Clock) -> None:
    """The log of the database that was left is replayed: who came back is erased, as of then."""
    at = clock.now() - timedelta(days=3)
    back, new = await make_customer(connection, clock), await make_customer(connection, clock)
    entries = [
        Erasure(one, at, "request", None, b"proof", b"mail", None, completed_at=at) for one in (back.id, uuid4())
    ]
    assert await erasures.replay(entries) == 1
    assert await erased(connection) == {back.id}
    assert (await RetailCustomerRepository(connection).get(back.id)).erased_at == at
    assert len(await rows(connection, "SELECT 1 FROM erasure_log")) == 2
    assert await erasures.replay(entries) == 0
    assert (await RetailCustomerRepository(connection).get(new.id)).erased_at is None


async def test_there_is_nothing_left_to_export(
    connection: Connection, erasures: Erasures, exports: CustomerDataExports, clock: Clock, tmp_path: Any
) -> None:
    customer = await make_customer(connection, clock)
    await erasures.erase(customer.id, by_operator)
    with (tmp_path / "export.json").open("wb") as file, pytest.raises(CustomerErased):
        await exports.write_json(customer.id, file, by=operator)
