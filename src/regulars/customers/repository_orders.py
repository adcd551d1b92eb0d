"""The orders in which customers can be listed.

An order is a sequence of parts, each of which one index gives in its order: customers with the value, then those
without it; for scores, each score. Sorting over all parts at once would have to read every customer.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.sql import SQL, Composable

from regulars.customers.schemas_search import SortKey


@dataclass(frozen=True)
class Part:
    """Customers who follow one another: which, and in what order."""

    condition: Composable
    order: Composable


@dataclass(frozen=True)
class Value:
    """What customers are sorted by, and the condition that they lack it.

    Attributes:
        absent: Said without the outer join, so that the server can plan it by an anti-join.
        absent_is_zero: Those who lack it stand for 0, not for nothing: they come first when the least comes first.
        index_descends: Its index runs from the largest, ties by ascending id; others run the opposite way.
    """

    expression: LiteralString
    absent: LiteralString
    absent_is_zero: bool = False
    index_descends: bool = False


def _lacks_metric(condition: LiteralString) -> LiteralString:
    return "NOT EXISTS (SELECT FROM customer_metrics b WHERE b.customer_id = c.id AND b." + condition + ")"


def _lacks_score(column: LiteralString) -> LiteralString:
    return "NOT EXISTS (SELECT FROM customer_scores b WHERE b.customer_id = c.id AND b." + column + " IS NOT NULL)"


_lacks_account = "NOT EXISTS (SELECT FROM loyalty_accounts b WHERE b.customer_id = c.id)"

_always: dict[str, LiteralString] = {
    "created_at": "c.created_at",
    "updated_at": "c.updated_at",
    "customer_number": "c.customer_number",
}
_values: dict[str, Value] = {
    "last_name": Value('search_key(c.last_name) COLLATE "C"', "c.last_name IS NULL"),
    "first_order_date": Value("m.first_order_at", _lacks_metric("first_order_at IS NOT NULL")),
    "last_order_date": Value("m.last_order_at", _lacks_metric("last_order_at IS NOT NULL")),
    "average_order_value": Value("m.net_spent / nullif(m.total_orders, 0)", _lacks_metric("total_orders > 0")),
    "total_orders": Value("m.total_orders", _lacks_metric("total_orders IS NOT NULL"), absent_is_zero=True),
    "total_spent": Value("m.net_spent", _lacks_metric("net_spent IS NOT NULL"), absent_is_zero=True),
    "loyalty_points_lifetime": Value("a.lifetime_points", _lacks_account, absent_is_zero=True),
    "clv": Value("s.clv", _lacks_score("clv"), index_descends=True),
}
_scores: dict[str, LiteralString] = {
    "rfm_recency_score": "recency_score",
    "rfm_frequency_score": "frequency_score",
    "rfm_monetary_score": "monetary_score",
}


def parts_of(sort: SortKey) -> tuple[Part, ...]:
    """The parts of an order, first to last. Ties go by id."""
    key, descending = sort.removeprefix("-"), sort.startswith("-")
    if key in _always:
        return (Part(SQL("true"), _by(_always[key], descending=descending)),)
    if key in _scores:
        return _score_parts(_scores[key], descending=descending)
    if key == "loyalty_points":
        return _points_parts(descending=descending)
    value = _values[key]
    present = Part(SQL("{} IS NOT NULL").format(SQL(value.expression)), _by_value(value, descending=descending))
    absent = Part(SQL(value.absent), SQL("c.id"))
    return (absent, present) if value.absent_is_zero and not descending else (present, absent)


def _score_parts(column: LiteralString, *, descending: bool) -> tuple[Part, ...]:
    scores = range(5, 0, -1) if descending else range(1, 6)
    scored = (Part(SQL("s." + column + " = {}").format(score), SQL("c.id")) for score in scores)
    return (*scored, Part(SQL(_lacks_score(column)), SQL("c.id")))


def _points_parts(*, descending: bool) -> tuple[Part, ...]:
    """Who never had points stands for 0, between those who hold points and those who owe some."""
    order = _by("a.balance", descending=descending)
    held, owing = Part(SQL("a.balance >= 0"), order), Part(SQL("a.balance < 0"), order)
    none = Part(SQL(_lacks_account), SQL("c.id"))
    return (held, none, owing) if descending else (owing, none, held)


# A part has no nulls: NULLS FIRST or LAST says no more than how the index runs, without which it could not be used.
def _by_value(value: Value, *, descending: bool) -> Composable:
    if not value.index_descends:
        return _by(value.expression, descending=descending)
    return SQL("{} DESC NULLS LAST, c.id" if descending else "{} NULLS FIRST, c.id DESC").format(SQL(value.expression))


def _by(expression: LiteralString, *, descending: bool) -> Composable:
    return SQL("{} DESC, c.id DESC" if descending else "{}, c.id").format(SQL(expression))
