"""`regulars customers`, as the operator types it."""

import asyncio
import csv
import io
import json
from datetime import timedelta

import pytest

from regulars.customers.identifiers import Email
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.cli.program import complaint, query, regulars
from tests.factories.customers import make_customer, make_metrics

Shop = tuple[str, list[RetailCustomer]]


async def _fill(url: str, clock: Clock) -> list[RetailCustomer]:
    async with connect(url) as connection:
        people = [
            await make_customer(
                connection, clock, first_name=name, city=city, email=Email(f"{name.strip('=').lower()}@example.com"),
                created_at=clock.now() - timedelta(days=position), tags=[name],
            )
            for position, (name, city) in enumerate([("=Ann", "Berlin"), ("Bob", "Bonn"), ("Eve", None)])
        ]  # fmt: skip
        await make_metrics(connection, people[0], orders=1_234, spent="5000")
        return people


@pytest.fixture
def shop(own_database_url: str, clock: Clock) -> Shop:
    """Three customers: of Berlin, of Bonn, and of nowhere."""
    return own_database_url, asyncio.run(_fill(own_database_url, clock))


def test_a_list_shows_who_matches_any_value_of_a_filter(shop: Shop) -> None:
    url, (ann, bob, _) = shop
    done = regulars(
        url, "customers", "list", "--filter", "city=berlin", "--filter", "city=BONN", "--sort", "created_at"
    )
    assert done.exit_code == 0
    lines = [line for line in done.output.splitlines() if "CUST-" in line]
    assert [line.split("│")[1].strip() for line in lines] == [bob.customer_number, ann.customer_number]
    assert "1,234" in lines[1]
    assert "5000.00" in lines[1]
    assert done.output.endswith("2 of 2 customers\n")


def test_a_list_can_be_paged_and_read_by_programs(shop: Shop) -> None:
    url, (_, bob, _) = shop
    done = regulars(url, "customers", "list", "--limit", "1", "--offset", "1", "--json")
    page = json.loads(done.output)
    assert [item["id"] for item in page["items"]] == [str(bob.id)]
    assert (page["total"], page["limit"], page["offset"], page["items"][0]["masked"]) == (3, 1, 1, False)


def test_an_export_goes_to_standard_output_and_the_count_does_not(shop: Shop) -> None:
    url, (ann, _, eve) = shop
    done = regulars(
        url, "customers", "export", "--filter", "tags_any==Ann", "--filter", "tags_any=Eve", "--sort", "-created_at"
    )
    assert (done.exit_code, done.stderr) == (0, "2 customers\n")
    rows = list(csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline="")))
    assert [(row["id"], row["first_name"]) for row in rows] == [(str(ann.id), "'=Ann"), (str(eve.id), "Eve")]


def test_a_customer_is_shown_by_number_address_or_id(shop: Shop) -> None:
    url, (_, bob, _) = shop
    for identifier in (bob.customer_number.lower(), "BOB@example.com", str(bob.id)):
        done = regulars(url, "customers", "show", identifier, "--json")
        assert json.loads(done.output)["id"] == str(bob.id)
    assert "bob@example.com" in regulars(url, "customers", "show", str(bob.id)).output


def test_what_people_are_called_is_no_command_to_the_terminal(shop: Shop) -> None:
    url, (ann, _, _) = shop
    query(url, "UPDATE customers SET first_name = %s WHERE id = %s", "[red]A\x1b[31mnn", ann.id)
    for arguments in (["list"], ["show", str(ann.id)]):
        output = regulars(url, "customers", *arguments).output
        assert "\x1b" not in output
        assert "[red]A[31mnn" in output.replace("\n", "")


def test_who_looked_is_written_down(shop: Shop) -> None:
    url, (ann, *_) = shop
    regulars(url, "customers", "show", str(ann.id))
    regulars(url, "customers", "export", "--filter", "is_active=true")
    assert query(url, "SELECT action, actor_kind, fields FROM audit_log ORDER BY id") == [
        ("get_customer", "operator", []),
        ("export_customers", "operator", ["is_active"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--filter", "colour=red"], "There is no filter 'colour'. Use one of: acquisition_campaign,"),
        (["list", "--filter", "limit=5"], "There is no filter 'limit'."),
        (["list", "--filter", "city"], "Write it as city=VALUE."),
        (["list", "--filter", "q=ab", "--filter", "q=cd"], "The filter q is given twice."),
        (["export", "--filter", "clv_min=a lot"], "The value of clv_min cannot be used. It must be an amount"),
        (["list", "--filter", "rfm_recency_score_min=6"], "It must be at most 5."),
        (["list", "--sort", "password_hash"], "The value of sort cannot be used."),
        (["show", "nobody@example.com"], "There is no such customer."),
        (["show", "CUST-20260615-9999"], "There is no such customer."),
        (["show", "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"], "There is no such customer."),
        (["show", "Ann"], "This identifies no customer."),
        (["show", "CUST-1"], "This identifies no customer."),
        (["show", "a@b@c"], "This identifies no customer."),
    ],
)
def test_what_cannot_be_is_said(own_database_url: str, arguments: list[str], said: str) -> None:
    assert said in complaint(regulars(own_database_url, "customers", *arguments))


def test_who_was_erased_is_not_shown(shop: Shop) -> None:
    url, (ann, *_) = shop
    query(url, "UPDATE customers SET deleted_at = now(), erased_at = now() WHERE id = %s", ann.id)
    assert "was erased" in complaint(regulars(url, "customers", "show", str(ann.id)))
