"""The data sets of the literature, whole."""

from collections import Counter
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from regulars.flows.importing.completejourney import bundled_transactions, read_completejourney
from regulars.flows.importing.files import open_text
from regulars.flows.importing.readers import read_cdnow
from tests.flows.shop import Shop

cdnow = Path(str(files("regulars.demo"))) / "data" / "cdnow.txt.xz"


async def test_cdnow_is_imported_to_the_last_order_and_the_second_time_unchanged(shop: Shop) -> None:
    with open_text(cdnow, "utf-8") as lines:
        result = await shop.load(read_cdnow(lines), source="cdnow")
    assert (result.received, result.created, result.customers_created, result.rejected) == (69_659, 69_659, 23_570, 0)
    with open_text(cdnow, "utf-8") as lines:
        purchases = [line.split() for line in lines][1:]
    spent: Counter[str] = Counter()
    for customer, _, _, dollars in purchases:
        spent[customer] += Decimal(dollars)  # type: ignore[assignment]
    counted = Counter(customer for customer, *_ in purchases)
    days = Counter(customer for customer, _ in {(customer, day) for customer, day, *_ in purchases})
    assert shop.query(
        """
        SELECT value, total_orders, net_spent, purchase_days
        FROM customer_metrics JOIN customer_identifiers USING (customer_id) WHERE kind = 'ext:cdnow' ORDER BY value
        """
    ) == [(customer, counted[customer], spent[customer], days[customer]) for customer in sorted(counted)]
    before = shop.writes()
    with open_text(cdnow, "utf-8") as lines:
        again = await shop.load(read_cdnow(lines), source="cdnow")
    assert (again.created, again.updated, again.unchanged) == (0, 0, 69_659)
    assert shop.writes() == before


async def test_the_complete_journey_is_2469_households_with_155848_baskets(shop: Shop) -> None:
    result = await shop.load(read_completejourney(bundled_transactions()), source="journey")
    assert (result.created, result.customers_created, result.rejected) == (155_848, 2_469, 0)
    assert shop.query("SELECT count(*), sum(total) FROM order_lines") == [(1_469_307, Decimal("4596039.58"))]
    assert shop.query("SELECT sum(total) FROM orders") == [(Decimal("4596039.58"),)]
    assert shop.query(
        "SELECT count(*), count(DISTINCT department) FROM products WHERE brand IN ('National', 'Private')"
    ) == [(92_331, 32)]
