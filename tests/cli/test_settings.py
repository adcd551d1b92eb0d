"""Settings that the stored data depend on: another value is refused at the start, and there is a way out."""

import os
from pathlib import Path

import psycopg
import pytest
from click.testing import Result

from regulars.kit.database import runtime_conninfo
from tests.cli.program import complaint, query, regulars

orders = """order_id,ordered_at,total,customer_id
1,2026-01-05T23:30:00Z,19.99,ann
2,2026-01-06T10:00:00Z,19.99,ann
3,2026-01-06T10:00:00Z,30.00,bob
"""


@pytest.fixture
def shop(own_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A shop in UTC and EUR, with orders."""
    for name in [name for name in os.environ if name.startswith("REGULARS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text(orders)
    done = regulars(own_database_url, "import", "orders", tmp_path / "orders.csv", "--source", "web")
    assert done.exit_code == 0, done.output
    assert regulars(own_database_url, "score", "all").exit_code == 0
    return own_database_url


def with_setting(monkeypatch: pytest.MonkeyPatch, url: str, name: str, value: str, *arguments: object) -> Result:
    monkeypatch.setenv(f"REGULARS_{name}", value)
    return regulars(url, *arguments)


commands = (
    ("import", "orders", "orders.csv", "--source", "web"),
    ("score", "all"),
    ("rebuild", "metrics", "--check"),
    ("nightly",),
    ("worker", "--until-empty"),
)


@pytest.mark.parametrize("command", commands, ids=" ".join)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CURRENCY", "JPY", "are in EUR, REGULARS_CURRENCY is JPY. Set REGULARS_CURRENCY=EUR"),
        ("STORE_TIMEZONE", "Asia/Tokyo", "are those of UTC, REGULARS_STORE_TIMEZONE is Asia/Tokyo. Set REGULARS_STORE"),
    ],
)
def test_nothing_starts_under_other_settings(
    shop: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str, value: str, said: str
) -> None:
    before = query(shop, "SELECT count(*) FROM orders")
    assert said in complaint(with_setting(monkeypatch, shop, name, value, *command))
    assert query(shop, "SELECT count(*) FROM orders") == before


def test_without_orders_they_may_be_changed(own_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for currency, zone in (("EUR", "UTC"), ("JPY", "Asia/Tokyo"), ("KWD", "Asia/Kuwait")):
        monkeypatch.setenv("REGULARS_STORE_TIMEZONE", zone)
        done = with_setting(monkeypatch, own_database_url, "CURRENCY", currency, "rebuild", "metrics", "--check")
        assert done.exit_code == 0, done.output
        shown = regulars(own_database_url, "settings", "show").output
        assert shown == f"REGULARS_CURRENCY={currency}\nREGULARS_STORE_TIMEZONE={zone}\n"


days = "SELECT external_id, ordered_on::text FROM orders ORDER BY 1"
purchase_days = "SELECT purchase_days FROM customer_metrics ORDER BY 1"


def test_the_time_zone_is_changed_with_everything_that_follows_from_days(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert query(shop, days) == [("1", "2026-01-05"), ("2", "2026-01-06"), ("3", "2026-01-06")]
    assert query(shop, purchase_days) == [(1,), (2,)]
    done = with_setting(monkeypatch, shop, "STORE_TIMEZONE", "Europe/Berlin", "settings", "timezone")
    assert done.output.startswith("1 orders and refunds fall on another day now; the metrics of 1 and"), done.output
    assert query(shop, days) == [("1", "2026-01-06"), ("2", "2026-01-06"), ("3", "2026-01-06")]
    assert query(shop, purchase_days) == [(1,), (1,)]
    for kept in ("metrics", "scores"):
        assert regulars(shop, "rebuild", kept, "--check").exit_code == 0
    assert "are those of Europe/Berlin" in complaint(
        with_setting(monkeypatch, shop, "STORE_TIMEZONE", "UTC", "score", "all")
    )


def test_an_interrupted_change_lets_nothing_start_until_it_is_done_again(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("regulars.flows.kept_settings.rebuild_metrics", None)
        assert with_setting(broken, shop, "STORE_TIMEZONE", "Europe/Berlin", "settings", "timezone").exit_code == 1
    for zone in ("UTC", "Europe/Berlin"):
        said = complaint(with_setting(monkeypatch, shop, "STORE_TIMEZONE", zone, "score", "all"))
        assert said.startswith("The change of the time zone to Europe/Berlin was interrupted.")
    done = with_setting(monkeypatch, shop, "STORE_TIMEZONE", "UTC", "settings", "timezone")
    assert done.exit_code == 0, done.output
    assert query(shop, days) == [("1", "2026-01-05"), ("2", "2026-01-06"), ("3", "2026-01-06")]
    assert regulars(shop, "score", "all").exit_code == 0


def test_the_time_zone_is_not_changed_beside_other_programs(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(runtime_conninfo(shop)):
        refused = with_setting(monkeypatch, shop, "STORE_TIMEZONE", "Europe/Berlin", "settings", "timezone")
    assert "Other programs use this database" in complaint(refused)
    monkeypatch.setenv("REGULARS_CURRENCY", "JPY")
    assert "are in EUR" in complaint(regulars(shop, "settings", "timezone"))
