"""Imports that are killed, that run beside each other, or that meet other writers; and how much memory they take."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from regulars.flows import import_orders as flow
from regulars.flows.importing.repository_customers import CustomerWritingRepository
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.result import Progress
from regulars.kit.errors import OperatorError
from tests.factories.waiting import until_somebody_waits
from tests.flows.shop import Shop, kill_when_rows_appear

header = "order_id,ordered_at,total,customer_id,email\n"
program = """
import asyncio, resource, sys
from pathlib import Path
from regulars.flows import import_orders as flow
from regulars.flows.importing.files import open_text
from regulars.flows.importing.readers import read_csv
from regulars.kit.settings import Settings

url, file, flow.orders_per_batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
with open_text(file, "utf-8") as lines:
    rows = read_csv(lines, {})
    asyncio.run(flow.import_orders(url, rows, source="web", settings=settings, clock=settings.clock))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_orders(path: Path, orders: int, customers: int) -> str:
    lines = (
        f"O{number},2025-{number % 12 + 1:02}-{number % 28 + 1:02},{number % 90}.5,C{number * 7 % customers},\n"
        for number in range(orders)
    )
    path.write_text(header + "".join(lines))
    return path.read_text()


async def test_a_killed_import_is_finished_by_running_it_again(
    shop: Shop, another_shop: Callable[[], Shop], tmp_path: Path
) -> None:
    text = write_orders(tmp_path / "orders.csv", 8_000, 900)
    kill_when_rows_appear(shop, "orders", program, tmp_path / "orders.csv", 100)
    [(written,)] = shop.query("SELECT count(*) FROM orders")
    assert 0 < written < 8_000
    assert shop.wrong_metrics() == []
    result = await shop.load(text)
    assert result.created + result.unchanged == 8_000
    assert result.unchanged >= written
    undisturbed = another_shop()
    await undisturbed.load(text)
    assert shop.state() == undisturbed.state()


async def test_two_imports_at_once_do_what_they_do_one_after_the_other(
    shop: Shop, another_shop: Callable[[], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "orders_per_batch", 50)
    one = header + "".join(f"{n},2026-01-{n % 28 + 1:02},1,C{n % 40},c{n % 40}@example.com\n" for n in range(300))
    two = header + "".join(f"{n},2026-01-{n % 28 + 1:02},1,C{n % 40},c{n % 40}@example.com\n" for n in range(200, 500))
    stages: list[str] = []
    results = await asyncio.gather(
        shop.load(one), shop.load(two, on_progress=lambda progress: stages.append(progress.stage))
    )
    assert sum(result.created for result in results) == 500
    assert sum(result.unchanged for result in results) == 100
    assert sum(result.customers_created for result in results) == 40
    in_a_row = another_shop()
    await in_a_row.load(one)
    await in_a_row.load(two)
    assert shop.state() == in_a_row.state()
    assert shop.wrong_metrics() == []


async def test_an_import_waits_for_its_turn_before_it_writes(shop: Shop) -> None:
    stages: list[str] = []
    with psycopg.connect(shop.url) as another_import:
        another_import.execute("SELECT pg_advisory_lock(hashtextextended('regulars.import_orders', 0))")
        load = asyncio.create_task(
            shop.load(header + "1,2026-01-02,1,A,\n", on_progress=lambda progress: stages.append(progress.stage))
        )
        await until_somebody_waits(shop.url)
        assert stages[-1] == "waiting"
        assert shop.query("SELECT count(*) FROM orders") == [(0,)]
    assert (await load).created == 1


async def test_the_database_going_away_is_told_with_what_to_do(shop: Shop) -> None:
    def cut_off(progress: Progress) -> None:
        if progress.stage == "checking":
            shop.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(OperatorError, match=r"database broke off the import .*Run the same import again"):
        await shop.load(header + "1,2026-01-02,1,A,\n", on_progress=cut_off)
    assert (await shop.load(header + "1,2026-01-02,1,A,\n")).created == 1


async def test_a_customer_whom_somebody_else_creates_meanwhile_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "orders_per_batch", 1)

    def register_c(progress: Progress) -> None:
        if progress.stage == "writing" and shop.customer_of("ext:web", "C") is None:
            shop.query("""
                WITH claimed AS (
                    INSERT INTO customer_identifiers VALUES ('ext:web', 'C', uuidv7(), now()) RETURNING customer_id
                )
                INSERT INTO customers (id, customer_number, created_at, updated_at)
                SELECT customer_id, 'CUST-20260101-9999', now(), now() FROM claimed
            """)

    lines = "1,2026-01-02,1,A,\n2,2026-01-02,1,B,\n3,2026-01-02,1,C,\n4,2026-01-02,1,D,\n"
    result = await shop.load(header + lines, on_progress=register_c)
    assert (result.created, result.unchanged, result.customers_created, result.rejected) == (4, 0, 3, 0)
    assert shop.query("SELECT customer_number FROM customers WHERE id = %s", [shop.customer_of("ext:web", "C")]) == [
        ("CUST-20260101-9999",)
    ]
    assert shop.wrong_metrics() == []


async def test_an_order_that_somebody_else_takes_in_meanwhile_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "orders_per_batch", 1)
    await shop.load(header + "0,2026-01-02,1,B,\n")

    def steal_order(progress: Progress) -> None:
        if progress.stage == "writing":
            shop.query(
                "INSERT INTO order_identifiers VALUES ('web', '2', %s, uuidv7()) ON CONFLICT DO NOTHING",
                [shop.customer_of("ext:web", "B")],
            )

    result = await shop.load(header + "1,2026-01-02,1,A,\n2,2026-01-02,1,C,\n", on_progress=steal_order)
    assert (result.created, result.customers_created, shop.codes) == (1, 1, {3: "order-of-another-customer"})
    assert shop.customer_of("ext:web", "C") is None


async def test_all_or_nothing_holds_when_an_order_is_taken_in_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.load(header + "0,2026-01-02,1,B,\n")
    reserve_numbers = CustomerWritingRepository.reserve_numbers

    async def steal_order_first(writing: CustomerWritingRepository, batch: Batch) -> None:
        statement = "INSERT INTO order_identifiers VALUES ('web', '2', %s, uuidv7()) ON CONFLICT DO NOTHING"
        shop.query(statement, [shop.customer_of("ext:web", "B")])
        await reserve_numbers(writing, batch)

    monkeypatch.setattr(CustomerWritingRepository, "reserve_numbers", steal_order_first)
    result = await shop.load(header + "1,2026-01-02,1,A,\n2,2026-01-02,1,C,\n", atomic=True)
    assert (result.is_written, result.created, shop.codes) == (False, 0, {3: "order-of-another-customer"})
    assert shop.query("SELECT external_id FROM orders") == [("0",)]


async def test_tills_go_on_while_a_batch_is_written(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A,\n2,2026-01-02,1,B,\n")
    with psycopg.connect(shop.url) as till:
        till.execute("SELECT FROM customers WHERE id = %s FOR NO KEY UPDATE", [shop.customer_of("ext:web", "A")])
        load = asyncio.create_task(shop.load(header + "3,2026-01-02,1,A,\n4,2026-01-02,1,new,\n"))
        await until_somebody_waits(shop.url)
        shop.query("SET lock_timeout = '1s'; UPDATE customer_number_counters SET last_number = last_number + 1")
        till.execute("UPDATE customers SET city = 'Rom' WHERE id = %s", [shop.customer_of("ext:web", "A")])
    assert (await load).created == 2
    assert shop.wrong_metrics() == []


def test_memory_does_not_grow_with_the_file(shop: Shop, tmp_path: Path) -> None:
    def peak_kilobytes(orders: int) -> int:
        file = tmp_path / f"{orders}.csv"
        write_orders(file, orders, orders // 8)
        done = subprocess.run(
            [sys.executable, "-c", program, shop.url, file, "50000"], capture_output=True, check=True, text=True
        )
        return int(done.stdout)

    assert peak_kilobytes(200_000) < peak_kilobytes(50_000) + 5_000
