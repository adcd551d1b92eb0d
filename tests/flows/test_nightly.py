"""The night's work: in its order, reported as it was, gone on with where it broke off."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from psycopg import OperationalError

from regulars.flows.nightly import Found, Night, NightlyReport, StepReport, steps, work_through
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, DatabaseUnavailable, Overloaded
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, make_metrics
from tests.factories.loyalty import break_accounts, make_members


@pytest.fixture
def night(database: RolledBackDatabase, clock: Clock) -> Night:
    settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
    return Night(database, settings, clock, clock.today())


async def be_silent(_: NightlyReport) -> None: ...


async def value(connection: Connection, query: str) -> object:
    [(found,)] = await (await connection.execute(query)).fetchall()  # type: ignore[arg-type]
    return found


async def test_points_expire_customers_are_scored_and_the_ledger_is_audited(
    night: Night, connection: Connection, clock: Clock
) -> None:
    [member, *_] = await make_members(connection, clock, 3)
    loyalty = LoyaltyService(connection, night.settings, clock)
    await loyalty.earn_loyalty_points(
        LoyaltyPointsEarn(customer_id=member, points=70, description="x", expiry_days=1), by=operator
    )
    await connection.execute("UPDATE loyalty_accounts SET tier = 'gold' WHERE customer_id = %s", [member])
    later = replace(clock, stopped_at=clock.now() + timedelta(days=3))
    told: list[int] = []

    async def tell(report: NightlyReport) -> None:
        told.append(len(report.steps))

    report = await work_through(replace(night, clock=later, day=later.today()), tell=tell)
    by_name = {step.step: step for step in report.steps}
    assert list(by_name) == list(steps)
    assert told == list(range(1, len(steps) + 1))
    assert (report.day, report.is_sound) == (later.today(), True)
    assert by_name["expire_points"].counts == {"customers": 1, "lots": 1, "points": 70}
    assert by_name["check_metrics"].counts == {"differences": 0}
    assert by_name["score_customers"].counts["scored"] == 3
    assert by_name["review_tiers"].counts == {"changed": 1}
    assert by_name["audit_ledger"].counts["violations"] == 0
    assert await value(connection, "SELECT count(*) FROM loyalty_accounts WHERE tier <> 'bronze'") == 0


async def test_what_must_not_be_is_told(night: Night, connection: Connection, clock: Clock) -> None:
    await make_metrics(connection, await make_customer(connection, clock), orders=7)  # without an order
    await break_accounts(connection)
    report = await work_through(night, tell=be_silent)
    by_name = {step.step: step for step in report.steps}
    assert not report.is_sound
    assert [name for name, step in by_name.items() if step.outcome == "differences"] == [
        "check_metrics",
        "audit_ledger",
    ]
    assert by_name["check_metrics"].counts == {"differences": 1}
    assert by_name["audit_ledger"].counts["violations"] >= 1


def failing_with(fault: Exception) -> dict[str, object]:
    async def fail(night: Night) -> Found:
        async with night.database.transaction() as connection:
            await connection.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('x', now(), now())")
            raise fault

    async def succeed(night: Night) -> Found:
        return Found({"rows": 1})

    return {"first": succeed, "broken": fail, "last": succeed}


@pytest.mark.parametrize(
    ("fault", "slug"), [(ValueError("ann@example.com"), "internal"), (Overloaded(), "overloaded")], ids=repr
)
async def test_a_step_that_fails_does_not_hide_the_others(
    night: Night, connection: Connection, fault: Exception, slug: str
) -> None:
    report = await work_through(night, tell=be_silent, steps=failing_with(fault))  # type: ignore[arg-type]
    assert [(step.step, step.outcome, step.problem) for step in report.steps] == [
        ("first", "done", None),
        ("broken", "failed", slug),
        ("last", "done", None),
    ]
    assert not report.is_sound
    assert "ann" not in report.model_dump_json()
    assert await value(connection, "SELECT count(*) FROM products") == 0


@pytest.mark.parametrize("fault", [DatabaseUnavailable(), OperationalError("gone")], ids=repr)
async def test_without_a_database_it_breaks_off_and_goes_on_later(night: Night, fault: Exception) -> None:
    told: list[list[StepReport]] = []

    async def tell(report: NightlyReport) -> None:
        told.append(report.steps)

    with pytest.raises(type(fault)):
        await work_through(night, tell=tell, steps=failing_with(fault))  # type: ignore[arg-type]
    [done] = told
    assert [step.step for step in done] == ["first"]
    healed = failing_with(fault) | {"broken": failing_with(fault)["last"], "first": failing_with(fault)["broken"]}
    report = await work_through(night, done=done, tell=tell, steps=healed)  # type: ignore[arg-type]
    assert [step.step for step in report.steps] == ["first", "broken", "last"]
    assert report.steps[0] == done[0]
    assert report.is_sound


@pytest.fixture
async def committing(own_database_url: str) -> AsyncIterator[Database]:
    async with Database(own_database_url, size=2) as database:
        yield database


async def test_it_is_harmless_to_repeat(committing: Database, clock: Clock) -> None:
    night = Night(committing, Settings(_env_file=None), clock, clock.today())
    async with committing.transaction() as connection:
        await make_members(connection, clock, 3)
    first, again = await work_through(night, tell=be_silent), await work_through(night, tell=be_silent)
    assert first.is_sound
    assert again.is_sound
    assert again.steps[0].counts == {"customers": 0, "lots": 0, "points": 0}
    [scored] = [step for step in again.steps if step.step == "score_customers"]
    assert scored.counts["changed"] == 0
