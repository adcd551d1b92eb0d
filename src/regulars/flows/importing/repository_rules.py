"""Which rows can be taken, as SQL: one condition and one code for each rule, in the order in which they are asked."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from regulars.customers.identifiers import blank_marks, words_for_nobody
from regulars.flows.importing.problems import money_code, unreadable_rows
from regulars.flows.importing.rows import customer_fields, money_fields, profile_fields, reference_fields
from regulars.kit.bounds import cash_rounding_digits, earliest_day, earliest_instant, money_digits, most_points_of_order

day_form = r"^\d{4}-\d\d-\d\d$"
# The server's own parser decides what is an instant; these two only keep out its many other notations, and do so at a
# third of the cost of one expression for the whole form.
_day_first = "____-__-__%"
# After Z comes nothing: the server takes `Z+05` for the name of a zone, five hours to the west.
_no_part_of_instant = "[^0-9T:.Z +-]|Z."
# Control characters, line and paragraph separators, and those that turn the direction of reading.
hidden_characters = r"[\x01-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
profile_lengths = {"gender": 50, "postal_code": 20, "address_line1": 200, "address_line2": 200}


# As names_nobody() has it. Zeros and the like fall to btrim(), which asks less of the server than a pattern.
_reference = SQL("""
    CASE WHEN btrim({0}, {blank}) = '' OR lower(btrim({0})) = ANY ({words}) THEN NULL ELSE btrim({0}) END
""")


class Rule(NamedTuple):
    """A row that has a field and meets the condition is rejected with the code."""

    field: str
    condition: Composable
    code: Composable


def trimmed_rows(columns: Collection[str], fields: Collection[str]) -> Composed:
    """The rows of `incoming` without blanks around their values; a value of blanks, or a reference to nobody, is none.

    Args:
        columns: The fields that the file has.
        fields: All that a file of its kind may have.
    """
    values = [SQL("{} AS {}").format(_trimmed(field, columns), Identifier(field)) for field in fields]
    return SQL("SELECT line, problem, {} FROM incoming").format(SQL(", ").join(values))


def reference(field: str) -> Composed:
    """The value of a field that refers to a customer, trimmed; null where it names nobody."""
    return _reference.format(Identifier(field), blank=Literal(blank_marks), words=Literal(list(words_for_nobody)))


def _trimmed(field: str, columns: Collection[str]) -> Composable:
    if field not in columns:
        return Identifier(field)
    if field not in reference_fields:
        return SQL("nullif(btrim({}), '')").format(Identifier(field))
    value = reference(field)
    return SQL("upper({})").format(value) if field == "customer_number" else value


def broken_rules(columns: Collection[str], rules: Iterable[Rule]) -> Composed:
    """An expression over `trimmed_rows()`: the codes of the rules that a row breaks, or null.

    Of each field it is the first rule that it breaks, because the next ones stand on it. Of a row that cannot be read
    nothing else is said.

    Args:
        columns: The fields the file has; the rules of others are not asked.
        rules: Those of one field in the order in which they are asked.
    """
    asked: dict[str, list[Composed]] = {}
    for rule in rules:
        if rule.field in columns:
            asked.setdefault(rule.field, []).append(SQL("WHEN {} THEN {}").format(rule.condition, rule.code))
    nobody = SQL(" AND ").join(SQL("{} IS NULL").format(Identifier(field)) for field in customer_fields)
    faults = [SQL("problem"), SQL("CASE WHEN {} THEN 'customer-missing' END").format(nobody)]
    faults += [SQL("CASE {} END").format(SQL(" ").join(cases)) for cases in asked.values()]
    return SQL("CASE WHEN problem = ANY({}) THEN problem ELSE nullif(concat_ws(' ', {}), '') END").format(
        Literal(sorted(unreadable_rows)), SQL(", ").join(faults)
    )


def amount(field: str, columns: Collection[str]) -> Composed:
    """The value of an amount of a row that broke no rule; zero where it has none."""
    value = SQL("CASE WHEN code IS NULL THEN coalesce({0}, '0')::numeric(18, 4) END AS {0}")
    return (value if field in columns else SQL("0::numeric(18, 4) AS {0}")).format(Identifier(field))


def order_rules(currency: str, digits: int, latest: datetime, points_per_unit: Decimal) -> Iterator[Rule]:
    """The rules of orders.

    Args:
        currency: The one currency a row may name.
        digits: Decimals of that currency.
        latest: Orders after this instant lie in the future.
        points_per_unit: What the orders will earn; zero for nothing.
    """
    yield rule("order_id", SQL("order_id IS NULL"), "order-id-missing")
    yield rule("order_id", SQL("length(order_id) > 200"), "order-id-length")
    yield rule("customer_id", SQL("length(customer_id) > 200"), "customer-id-length")
    yield rule("ordered_at", SQL("ordered_at IS NULL"), "ordered-at-missing")
    yield from instant_rules("ordered_at", latest)
    yield rule("total", SQL("total IS NULL"), "total-missing")
    for field in money_fields:
        yield _rounding_rule(field, digits) if field == "cash_rounding" else _money_rule(field, digits)
    earned = SQL("trunc(total::numeric * {}) > {}").format(Literal(points_per_unit), Literal(most_points_of_order))
    yield rule("total", earned, "total-points")
    yield rule("currency", SQL("upper(currency) <> {}").format(Literal(currency)), "currency-mismatch")
    yield rule("status", SQL("status NOT IN ('paid', 'fulfilled', 'pending', 'cancelled')"), "status-unknown")
    yield rule("channel", SQL("length(channel) > 100"), "channel-length")
    yield from profile_rules(profile_fields, latest)


def instant_rules(field: str, latest: datetime) -> Iterator[Rule]:
    """The form of an instant, and that it lies between 1900 and `latest`."""
    name, word = Identifier(field), field.replace("_", "-")
    yield rule(
        field,
        SQL("{0} NOT LIKE {1} OR {0} ~ {2} OR NOT pg_input_is_valid({0}, 'timestamptz')").format(
            name, Literal(_day_first), Literal(_no_part_of_instant)
        ),
        f"{word}-format",
    )
    yield rule(
        field,
        SQL("{}::timestamptz NOT BETWEEN {} AND {}").format(name, Literal(earliest_instant), Literal(latest)),
        f"{word}-range",
    )


def profile_rules(fields: Iterable[str], latest: datetime) -> Iterator[Rule]:
    """What is said of customers: short enough, readable, and born before today."""
    for field in fields:
        name = Identifier(field)
        longest = Literal(profile_lengths.get(field, 100))
        yield rule(field, SQL("length({}) > {}").format(name, longest), "profile-length")
        yield rule(field, SQL("{} ~ {}").format(name, Literal(hidden_characters)), "profile-characters")
    yield rule(
        "date_of_birth",
        SQL(
            "date_of_birth !~ {} OR NOT pg_input_is_valid(date_of_birth, 'date')"
            " OR date_of_birth::date NOT BETWEEN {} AND {}"
        ).format(Literal(day_form), Literal(earliest_day), Literal(latest.date())),
        "date-of-birth-format",
    )


def rule(field: str, condition: Composable, code: str) -> Rule:
    """A rule with one code."""
    return Rule(field, condition, Literal(code))


def _rounding_rule(field: str, digits: int) -> Rule:
    form = rf"^-?\d{{1,{cash_rounding_digits}}}{_decimals(digits)}$"
    return rule(field, SQL("{} !~ {}").format(Identifier(field), Literal(form)), money_code(field, "format"))


def _decimals(digits: int) -> str:
    return rf"(\.\d{{1,{digits}}})?" if digits else ""


def _money_rule(field: str, digits: int) -> Rule:
    value = Identifier(field)
    kind = SQL("CASE WHEN {0} ~ '^-[0-9.]+$' THEN {1} WHEN {0} ~ {4} THEN {2} ELSE {3} END").format(
        value,
        *(Literal(money_code(field, kind)) for kind in ("negative", "decimals", "format")),
        Literal(rf"^\d{{1,{money_digits}}}\.\d+$"),
    )
    return Rule(field, SQL("{} !~ {}").format(value, Literal(rf"^\d{{1,{money_digits}}}{_decimals(digits)}$")), kind)
