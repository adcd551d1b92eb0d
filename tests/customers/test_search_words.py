# ruff: noqa: RUF001 - the letters are meant
"""People are found by their names however these are typed, and whoever wrote them down."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg.sql import SQL

from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.factories.customers import make_customer

# Who is called so is found by each of these.
names = {
    "Jörg Möller": ["Moller", "MÖLLER", "Möller Jörg", "moller jo", "JORG", "Mo\u0308ller"],
    "Γιάννης Παπαδόπουλος": ["ΓΙΆΝΝΗΣ", "γιαννης", "ΠΑΠΑΔΌΠΟΥΛΟΣ Γιάννης", "Παπαδοπουλοσ"],
    "Οδυσσεύς Άγγελος": ["ΟΔΥΣΣΕΥΣ", "οδυσσευσ", "αγγελος οδυσσευς"],
    "Пётр Щёголев": ["петр", "ЩЕГОЛЕВ ПЁТР", "Пе\u0308тр"],
    "İbrahim Işık": ["ibrahim", "IBRAHIM", "ışık", "ISIK", "isik", "İBRAHİM"],
    "Sergio Weiß": ["weiss", "WEISS", "WEIẞ", "weiß sergio"],
    "Łukasz Żółć": ["lukasz", "ŁUKASZ", "zolc", "ŻÓŁĆ łukasz"],
    "Søren Æbelø": ["soren", "aebelo", "ÆBELØ SØREN"],
    "Þórður Đorđević": ["thordur", "dordevic", "ĐORĐEVIĆ"],
    "Siobhán O’Brien": ["o'brien", "O’BRIEN siobhan"],
    "Ｋａｎａ　山田": ["kana", "山田 Kana"],
    "Nguyễn Thị": ["nguyen", "NGUYỄN THỊ", "thi nguyen"],
    "محمّد علي": ["محمد", "علي محمد"],
    "Zoe\u00a0Mae Strauss": ["mae zoe", "strauss zoe mae"],
}
pairs = [(name, query) for name, queries in names.items() for query in queries]


async def found(connection: Connection, clock: Clock, **filters: object) -> list[str]:
    query = RetailCustomerSearchFilters.model_validate(filters)
    customers = await RetailCustomerRepository(connection).search_customers(query, clock)
    return [f"{customer.first_name} {customer.last_name}" for customer in customers]


@pytest.fixture
async def everybody(connection: Connection, clock: Clock) -> None:
    for name in names:
        first_name, _, last_name = name.partition(" ")
        await make_customer(connection, clock, first_name=first_name, last_name=last_name or None)


@pytest.mark.usefixtures("everybody")
async def test_a_name_is_found_however_it_is_typed(connection: Connection, clock: Clock) -> None:
    missed = []
    for name, query in pairs:
        first_name, _, last_name = name.partition(" ")
        if await found(connection, clock, q=query) != [f"{first_name} {last_name or None}"]:
            missed.append((name, query))
    assert not missed


@pytest.mark.usefixtures("everybody")
async def test_every_word_must_be_found(connection: Connection, clock: Clock) -> None:
    assert await found(connection, clock, q="Möller Petr") == []
    assert await found(connection, clock, q="ller  rg-") == []  # two letters begin a word
    assert await found(connection, clock, q="ller jö") == ["Jörg Möller"]
    assert await found(connection, clock, q="ller \u00b4 jö") == ["Jörg Möller"]  # a lone accent is no word


@pytest.mark.parametrize("query", ["％％％", "＿＿＿", "\uff3c\uff3c\uff3c"])
@pytest.mark.usefixtures("everybody")
async def test_what_becomes_a_wildcard_is_none(connection: Connection, clock: Clock, query: str) -> None:
    assert await found(connection, clock, q=query) == []


@pytest.mark.parametrize("filters", [{"q": "\u0301\u0301"}, {"first_name": "\u0301"}, {"last_name": "\u0301"}])
@pytest.mark.usefixtures("everybody")
async def test_marks_alone_find_nobody(connection: Connection, clock: Clock, filters: dict[str, str]) -> None:
    assert await found(connection, clock, **filters) == []


async def test_names_and_places_of_their_own_filters_too(connection: Connection, clock: Clock) -> None:
    await make_customer(
        connection, clock, first_name="Éva", last_name="Weiß", city="Győr", state="ΑΤΤΙΚΉ", country="İzmir"
    )
    for filters in (
        {"first_name": "eva"}, {"last_name": "WEISS"}, {"last_name": "weis"},
        {"city": ["GYOR"]}, {"state": ["Αττική"]}, {"country": ["izmir"]},
    ):  # fmt: skip
        assert await found(connection, clock, **filters) == ["Éva Weiß"], filters
    assert await found(connection, clock, city=["Gyo"]) == []


async def test_however_a_name_comes_in_its_key_is_the_same(connection: Connection, clock: Clock) -> None:
    made = await make_customer(connection, clock, first_name="A", last_name="B", email=None)
    customers = RetailCustomerRepository(connection)
    await customers.update_customer(made.id, {"last_name": "Gößmann"}, at=clock.now())
    assert await found(connection, clock, q="GOSSMANN") == ["A Gößmann"]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    await connection.execute(
        "INSERT INTO customers (id, customer_number, first_name, last_name, created_at, updated_at)"
        " SELECT id, 'CUST-20260101-000' || n, 'Ève', 'Šimek' || n, %s, %s"
        " FROM unnest(%s::uuid[]) WITH ORDINALITY AS new (id, n)",
        [at, at, [uuid4(), uuid4()]],
    )
    assert sorted(await found(connection, clock, q="simek EVE")) == ["Ève Šimek1", "Ève Šimek2"]


async def keys(connection: Connection, texts: list[str]) -> list[str]:
    cursor = await connection.execute(
        "SELECT search_key(text) FROM unnest(%s::text[]) WITH ORDINALITY AS t (text, n)", [texts]
    )
    return [row[0] for row in await cursor.fetchall()]


async def test_a_key_is_its_own_key(connection: Connection) -> None:
    """Every letter of the planes that names are written in: asking with what is stored finds it."""
    letters = [chr(code) for code in range(1, 0x3000) if not 0xD800 <= code < 0xE000]
    once = await keys(connection, letters)
    again = await keys(connection, once)
    assert [letter for letter, key, same in zip(letters, once, again, strict=True) if key != same] == []


async def test_a_search_for_a_name_of_another_script_reads_no_more_than_it_finds(
    connection: Connection, clock: Clock
) -> None:
    # Nobody else is called so, not even in a test whose work was rolled back: the index still has their rows.
    for number in range(60):
        await make_customer(connection, clock, first_name="Пётр", last_name="Съёмщиков" if number == 7 else "Иванов")
    await connection.execute("SET LOCAL enable_seqscan = off")
    cursor = await connection.execute(
        SQL("EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM customers WHERE search_text LIKE '%съемщиков%'")
    )
    [[[plan]]] = await cursor.fetchall()
    [index] = plan["Plan"]["Plans"]
    assert (index["Index Name"], index["Actual Rows"]) == ("customers_search", 1)
