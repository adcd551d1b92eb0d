"""Which rows can be taken, as SQL: one condition and one code for each rule, in the order in which they are asked."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from regulars.flows.importing.problems import money_code
from regulars.flows.importing.rows import customer_fields, fields, money_fields, profile_fields

oldest_order = "1900-01-01"
oldest_birth = "1900-01-01"
_day = r"^\d{4}-\d\d-\d\d$"
# The server's own parser decides what is an instant; these two only keep out its many other notations, and do so at a
# third of the cost of one expression for the whole form.
_day_first = "____-__-__%"
_no_part_of_instant = "[^0-9T:.Z +-]"
# Control characters, line and paragraph separators, and those that turn the direction of reading.
_hidden = r"[\x01-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
profile_lengths = {"gender": 50, "postal_code": 20}


class _Rule(NamedTuple):
    field: str
    condition: Composable
    code: Composable


def trimmed_rows(columns: Collection[str]) -> Composed:
    """The rows of `incoming` without blanks around their values; a value of blanks is none."""
    values = [
        SQL("nullif(btrim({0}), '') AS {0}" if field in columns else "{0}").format(Identifier(field))
        for field in fields
        if field != "customer_number"
    ]
    return SQL(
        "SELECT line, problem, {}, nullif(upper(btrim(customer_number)), '') AS customer_number FROM incoming"
    ).format(SQL(", ").join(values))


def first_broken_rule(columns: Collection[str], *, currency: str, digits: int, latest: datetime) -> Composed:
    """An expression over `trimmed_rows()`: the code of the first rule that a row breaks, or null.

    Args:
        columns: The fields the file has; the rules of others are not asked.
        currency: The one currency a row may name.
        digits: Decimals of that currency.
        latest: Orders after this instant lie in the future.
    """
    rules = [rule for rule in _rules(currency, digits, latest) if rule.field in columns]
    asked = [SQL("WHEN {} THEN {}").format(rule.condition, rule.code) for rule in rules]
    nobody = SQL(" AND ").join(SQL("{} IS NULL").format(Identifier(field)) for field in customer_fields)
    return SQL("CASE WHEN problem IS NOT NULL THEN problem WHEN {} THEN 'customer-missing' {} END").format(
        nobody, SQL(" ").join(asked)
    )


def amount(field: str, columns: Collection[str]) -> Composed:
    """The value of an amount of a row that broke no rule; zero where it has none."""
    value = SQL("CASE WHEN code IS NULL THEN coalesce({0}, '0')::numeric(18, 4) END AS {0}")
    return (value if field in columns else SQL("0::numeric(18, 4) AS {0}")).format(Identifier(field))


def _rules(currency: str, digits: int, latest: datetime) -> Iterator[_Rule]:
    yield _rule("order_id", SQL("order_id IS NULL"), "order-id-missing")
    yield _rule("order_id", SQL("length(order_id) > 200"), "order-id-length")
    yield _rule("customer_id", SQL("length(customer_id) > 200"), "customer-id-length")
    yield _rule("ordered_at", SQL("ordered_at IS NULL"), "ordered-at-missing")
    yield _rule(
        "ordered_at",
        SQL("ordered_at NOT LIKE {} OR ordered_at ~ {} OR NOT pg_input_is_valid(ordered_at, 'timestamptz')").format(
            Literal(_day_first), Literal(_no_part_of_instant)
        ),
        "ordered-at-format",
    )
    yield _rule(
        "ordered_at",
        SQL("ordered_at::timestamptz NOT BETWEEN {} AND {}").format(Literal(oldest_order), Literal(latest)),
        "ordered-at-range",
    )
    yield _rule("total", SQL("total IS NULL"), "total-missing")
    for field in money_fields:
        yield _money_rule(field, digits)
    yield _rule("currency", SQL("upper(currency) <> {}").format(Literal(currency)), "currency-mismatch")
    yield _rule("status", SQL("status NOT IN ('paid', 'fulfilled', 'pending', 'cancelled')"), "status-unknown")
    yield _rule("channel", SQL("length(channel) > 100"), "channel-length")
    for field in profile_fields:
        name = Identifier(field)
        longest = Literal(profile_lengths.get(field, 100))
        yield _rule(field, SQL("length({}) > {}").format(name, longest), "profile-length")
        yield _rule(field, SQL("{} ~ {}").format(name, Literal(_hidden)), "profile-characters")
    yield _rule(
        "date_of_birth",
        SQL(
            "date_of_birth !~ {} OR NOT pg_input_is_valid(date_of_birth, 'date')"
            " OR date_of_birth::date NOT BETWEEN {} AND {}"
        ).format(Literal(_day), Literal(oldest_birth), Literal(latest.date())),
        "date-of-birth-format",
    )


def _rule(field: str, condition: Composable, code: str) -> _Rule:
    return _Rule(field, condition, Literal(code))


def _money_rule(field: str, digits: int) -> _Rule:
    value = Identifier(field)
    decimals = rf"(\.\d{{1,{digits}}})?" if digits else ""
    kind = SQL(r"CASE WHEN {0} ~ '^-[0-9.]+$' THEN {1} WHEN {0} ~ '^\d{{1,12}}\.\d+$' THEN {2} ELSE {3} END").format(
        value, *(Literal(money_code(field, kind)) for kind in ("negative", "decimals", "format"))
    )
    return _Rule(field, SQL("{} !~ {}").format(value, Literal(rf"^\d{{1,12}}{decimals}$")), kind)
