"""Importing customers: who is new, who is known, what is filled, what is rejected, and what an interruption leaves."""

from pathlib import Path

import pytest

from regulars.flows import import_customers as flow
from regulars.flows.importing.readers import read_csv, read_ndjson
from regulars.flows.importing.repository_customers import CustomerWritingRepository
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.result import ImportResult
from regulars.flows.importing.rows import customers
from regulars.flows.importing.staged import ImportOptions
from tests.flows.shop import Shop, kill_when_rows_appear


async def load(shop: Shop, text: str, *, source: str | None = "crm", **options: bool) -> ImportResult:
    shop.rejects = []
    read = read_ndjson if text.startswith("{") else read_csv
    return await flow.import_customers(
        shop.url,
        read(iter(text.splitlines(keepends=True)), {}, customers),
        source=source,
        settings=shop.settings,
        clock=shop.clock,
        options=ImportOptions(**options),
        on_reject=shop.rejects.append,
    )


def known(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query("SELECT email, phone, first_name, city, tags FROM customers ORDER BY created_at, email")


async def test_customers_are_new_with_everything_that_is_said_of_them(shop: Shop) -> None:
    result = await load(
        shop,
        '{"customer_id": "1", "email": "Ann@Example.com", "first_name": "Ann", "address_line1": "Via 1",'
        ' "created_at": "2020-05-01", "tags": ["vip", " news ", "vip"],'
        ' "external_ids": {"card": 4711, "shop": " a ", "app": null}}\n'
        '{"customer_id": "2", "phone": "+4930123456", "tags": "vip|gold", "referrer": "1"}\n'
        '{"customer_id": "3", "referrer": "2", "date_of_birth": "1990-05-31"}\n',
    )
    assert (result.received, result.created, result.rejected, shop.codes) == (3, 3, 0, {})
    rows = shop.query("""
        SELECT i.value, c.email, c.phone, c.first_name, c.address_line1, c.tags, left(c.customer_number, 13),
            c.date_of_birth::text, r.value,
            array(SELECT kind || '=' || value FROM customer_identifiers x WHERE x.customer_id = c.id ORDER BY 1)
        FROM customers c JOIN customer_identifiers i ON i.customer_id = c.id AND i.kind = 'ext:crm'
        LEFT JOIN customer_identifiers r ON r.customer_id = c.referrer_customer_id AND r.kind = 'ext:crm'
        ORDER BY i.value
    """)
    ann, bob, eve = [row[:9] for row in rows]
    assert ann == ("1", "ann@example.com", None, "Ann", "Via 1", ["vip", "news"], "CUST-20200501", None, None)
    assert bob == ("2", None, "+4930123456", None, None, ["vip", "gold"], "CUST-20260615", None, "1")
    assert eve == ("3", None, None, None, None, [], "CUST-20260615", "1990-05-31", "2")
    assert rows[0][9][:4] == ["email=ann@example.com", "ext:card=4711", "ext:crm=1", "ext:shop=a"]


async def test_a_repeat_changes_nothing(shop: Shop) -> None:
    text = "customer_id,email,first_name,tags,external_ids,referrer\n"
    text += '1,a@example.com,Ann,vip|b,"{""card"":""9""}",\n2,b@example.com,Bob,vip,,1\n'
    assert (await load(shop, text)).created == 2
    written = shop.writes()
    again = await load(shop, text)
    assert (again.created, again.updated, again.unchanged, again.rejected) == (0, 0, 2, 0)
    assert shop.writes() == written


async def test_who_is_known_is_filled_and_never_overwritten(shop: Shop) -> None:
    await load(shop, "customer_id,email,first_name,tags\n1,a@example.com,Ann,a\n")
    text = "customer_id,email,first_name,city,phone,tags,external_ids\n"
    result = await load(shop, text + '1,other@example.com,Anna,Rom,+4930123456,b|a,"{""card"":""9""}"\n')
    assert (result.created, result.updated, result.unchanged) == (0, 1, 0)
    assert known(shop) == [("a@example.com", "+4930123456", "Ann", "Rom", ["a", "b"])]
    assert shop.customer_of("email", "other@example.com") is None
    assert shop.customer_of("ext:card", "9") == shop.customer_of("ext:crm", "1")
    by_mail = await load(shop, "email,city,state\na@example.com,Bari,RM\n", source=None)
    assert (by_mail.updated, known(shop)[0][3]) == (1, "Rom")
    gained = await load(shop, "email,customer_id\na@example.com,77\n", source="till")
    assert (gained.updated, shop.customer_of("ext:till", "77")) == (1, shop.customer_of("ext:crm", "1"))


async def test_what_cannot_be_taken_is_told_by_line(shop: Shop) -> None:
    await load(shop, 'customer_id,email,external_ids\n1,a@example.com,"{""card"":""9""}"\n2,b@example.com,\n')
    text = "customer_id,email,phone,first_name,created_at,tags,referrer,external_ids\n"
    lines = [
        "3,c@example.com,,,,,,",
        "3,,,,,,,",
        "4,c@example.com,,,,,,",
        "1,b@example.com,,,,,,",
        ",nonsense,,,,,,",
        ",,12,,,,,",
        ",,,Ann,,,,",
        f"5,,,{'x' * 101},,,,",
        "6,,,,2027-01-01,,,",
        f"7,,,,,{'x' * 51},,",
        f"8,,,,,{'|'.join(map(str, range(51)))},,",
        "9,,,,,,nobody,",
        "10,,,,,,10,",
        "11,,,,,,,[1]",
        '12,,,,,,,"{""card"": ""9""}"',
        '13,,,,,,,"{""card"": ""10""}"',
        '14,,,,,,,"{""card"": ""10""}"',
        '15,,,,,"[1, {}",,',
        "16,,,,,,9,",
    ]
    result = await load(shop, text + "\n".join(lines) + "\n")
    assert shop.codes == {
        3: "customer-repeated",
        4: "email-taken",
        5: "email-taken",
        6: "email-format",
        7: "phone-format",
        8: "customer-missing",
        9: "profile-length",
        10: "created-at-range",
        11: "tags-format",
        12: "tags-number",
        13: "referrer-unknown",
        14: "referrer-self",
        15: "external-ids-format",
        16: "external-id-taken",
        18: "external-id-taken",
        19: "tags-format",
    }
    assert (result.created, result.rejected) == (3, 16)
    assert shop.query(
        "SELECT value FROM customer_identifiers WHERE kind = 'ext:crm' ORDER BY length(value), value"
    ) == [
        ("1",),
        ("2",),
        ("3",),
        ("13",),
        ("16",),
    ]
    assert shop.query("SELECT count(*) FROM customers WHERE referrer_customer_id IS NOT NULL") == [(0,)]


async def test_an_id_that_a_line_has_twice_is_one(shop: Shop) -> None:
    result = await load(shop, 'customer_id,external_ids\n1,"{""crm"":""1"",""card"":""9""}"\n')
    assert (result.created, result.rejected) == (1, 0)
    assert shop.customer_of("ext:card", "9") == shop.customer_of("ext:crm", "1")


async def test_who_was_brought_by_a_later_line_is_known_also_after_somebody_else_was_faster(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "customers_per_batch", 1)
    reserve_numbers = CustomerWritingRepository.reserve_numbers

    async def register_second_first(writing: CustomerWritingRepository, batch: Batch) -> None:
        await reserve_numbers(writing, batch)
        if shop.customer_of("ext:crm", "1") and not shop.customer_of("ext:crm", "2"):
            shop.query("INSERT INTO customer_identifiers VALUES ('ext:crm', '2', uuidv7(), now())")
            shop.query("""
                INSERT INTO customers (id, customer_number, created_at, updated_at)
                SELECT customer_id, 'CUST-20260101-9999', now(), now() FROM customer_identifiers WHERE value = '2'
            """)

    monkeypatch.setattr(CustomerWritingRepository, "reserve_numbers", register_second_first)
    result = await load(shop, "customer_id,referrer\n1,3\n2,1\n3,\n")
    assert (result.created, result.updated + result.unchanged) == (2, 1)
    first, second, third = (shop.customer_of("ext:crm", number) for number in "123")
    referrers = dict(shop.query("SELECT id, referrer_customer_id FROM customers"))
    assert referrers == {first: third, second: first, third: None}


async def test_consents_are_not_taken_from_a_file(shop: Shop) -> None:
    await load(shop, "email,email_marketing_consent\na@example.com,true\n", source=None)
    assert shop.query("SELECT email_marketing_consent FROM customers") == [(False,)]


async def test_all_or_nothing_writes_nobody(shop: Shop) -> None:
    result = await load(shop, "email\na@example.com\nnonsense\n", source=None, atomic=True)
    assert (result.created, result.is_written, known(shop)) == (0, False, [])


async def test_new_customers_are_told_to_the_outbox_only_when_asked(shop: Shop) -> None:
    await load(shop, "email\na@example.com\n", source=None)
    assert shop.query("SELECT count(*) FROM events") == [(0,)]
    await load(shop, "email\na@example.com\nb@example.com\n", source=None, events=True)
    assert shop.query("SELECT kind, customer_id, facts FROM events") == [
        ("customer.created", shop.customer_of("email", "b@example.com"), {"by_registration": False})
    ]


program = """
import asyncio, sys
from pathlib import Path
from regulars.flows import import_customers as flow
from regulars.flows.importing.open_rows import open_rows
from regulars.flows.importing.rows import customers
from regulars.kit.settings import Settings

flow.customers_per_batch = 50
settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
with open_rows(Path(sys.argv[2]), "csv", {}, customers) as rows:
    asyncio.run(flow.import_customers(sys.argv[1], rows, source="crm", settings=settings, clock=settings.clock))
"""


async def test_a_killed_import_is_finished_by_running_it_again(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    lines = [f"c{n},c{n}@example.com,{f'c{n + 1}' if n < 1999 else ''},2024-01-{n % 28 + 1:02}" for n in range(2000)]
    file.write_text("customer_id,email,referrer,created_at\n" + "\n".join(lines) + "\n")
    kill_when_rows_appear(shop, "customers", program, file)
    [(written,)] = shop.query("SELECT count(*) FROM customers")
    assert 0 < written < 2000
    result = await load(shop, file.read_text())
    assert (result.created, result.created + result.unchanged) == (2000 - written, 2000)
    assert shop.query(
        "SELECT count(*), count(referrer_customer_id), count(DISTINCT customer_number) FROM customers"
    ) == [(2000, 1999, 2000)]
    assert shop.query("SELECT kind, count(*) FROM customer_identifiers GROUP BY kind ORDER BY kind") == [
        ("email", 2000),
        ("ext:crm", 2000),
        ("number", 2000),
    ]


def brought_by(shop: Shop) -> dict[str, str | None]:
    return dict(
        shop.query("""
            SELECT i.value, r.value FROM customer_identifiers i JOIN customers c ON c.id = i.customer_id
            LEFT JOIN customer_identifiers r ON r.customer_id = c.referrer_customer_id AND r.kind = 'ext:crm'
            WHERE i.kind = 'ext:crm' ORDER BY 1
        """)
    )


async def test_nobody_is_brought_by_somebody_whom_they_brought(shop: Shop) -> None:
    lines = ["1,2", "2,3", "3,1", "4,1", "5,", "6,5", "7,6"]
    await load(shop, "customer_id,referrer\n" + "\n".join(lines) + "\n")
    assert shop.codes == dict.fromkeys((2, 3, 4), "referrer-circle")
    assert brought_by(shop) == {"4": None, "5": None, "6": "5", "7": "6"}


async def test_what_is_stored_closes_no_circle_either(shop: Shop) -> None:
    await load(shop, "customer_id,referrer\n1,\n2,1\n3,2\n")
    await load(shop, "customer_id,referrer\n1,3\n4,3\n2,3\n")
    assert shop.codes == {2: "referrer-circle"}
    # 2 was brought by 1 already; what the file says of it is not news, and no circle.
    assert brought_by(shop) == {"1": None, "2": "1", "3": "2", "4": "3"}
