"""Search filters as SQL conditions: a table with a row for each filter; values are always bound."""

from calendar import isleap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, LiteralString, TypeAlias

from psycopg.sql import SQL, Composable, Literal, Placeholder

from regulars.customers.models import stated_preferences
from regulars.customers.repository_purchases import valid_order
from regulars.customers.repository_segments import segments_at_two_moments
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.formulas.rfm import RFMSegment
from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.clock import Clock
from regulars.kit.repository_search import anywhere, begins_a_word

days_of_a_year = 365


@dataclass(frozen=True)
class Conditions:
    """Conditions that must all hold, on customers `c`, their metrics `m`, scores `s` and loyalty account `a`."""

    terms: tuple[Composable, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: "Conditions") -> "Conditions":
        return Conditions(self.terms + other.terms, {**self.parameters, **other.parameters})

    def where(self) -> Composable:
        """The WHERE clause; nothing if there are no conditions."""
        return SQL(" WHERE ") + SQL(" AND ").join(self.terms) if self.terms else SQL("")


Rule: TypeAlias = Callable[[str, Any, Clock], Conditions]
"""Makes the condition of a filter from its name, its value and the shop's clock."""


def conditions_of(filters: RetailCustomerSearchFilters, clock: Clock) -> Conditions:
    """What the filters ask for, except for what has to be looked up first.

    That is words, e-mail, phone and number, and two runs, with which `rfm_segment` is the one in the second of them.
    """
    found = Conditions((SQL("c.erased_at IS NULL" if filters.include_deleted else "c.deleted_at IS NULL"),))
    for name, value in filters.given().items():
        if name in rules and not (name == "rfm_segment" and filters.segment_from):
            found += rules[name](name, value, clock)
    found += _birthday_within(filters.birthday_from, filters.birthday_to)
    return found + _ordered_within(filters.ordered_from, filters.ordered_to) + _expiring_within(filters, clock)


def moved_between(filters: RetailCustomerSearchFilters, first: datetime, second: datetime) -> Conditions:
    """Was in `segment_from` at the first moment and in `rfm_segment`, if any is asked for, at the second."""
    before = SQL("IS NULL") if filters.segment_from == "none" else SQL("= {}").format(Placeholder("segment_from"))
    after = SQL("= ANY({})").format(Placeholder("rfm_segment")) if filters.rfm_segment else SQL("IS NOT NULL")
    moved = SQL("c.id IN (SELECT customer_id FROM ({}) AS moved WHERE segment_before {} AND segment {})").format(
        segments_at_two_moments, before, after
    )
    segments = [segment.value for segment in filters.rfm_segment]
    named = {"segment_from": filters.segment_from, "rfm_segment": segments}
    return Conditions((moved,), {**named, "first_moment": first, "second_moment": second})


def _unchanged(value: Any) -> Any:  # noqa: ANN401 - any filter's value
    return value


def _term(text: LiteralString, convert: Callable[[Any], Any] = _unchanged) -> Rule:
    """The condition `text`, in which `{}` is the value."""

    def rule(name: str, value: Any, _: Clock) -> Conditions:  # noqa: ANN401 - any filter's value
        return Conditions((SQL(text).format(Placeholder(name)),), {name: convert(value)})

    return rule


def _since(column: LiteralString) -> Rule:
    """An instant on the given store day or later."""

    def rule(name: str, day: date, clock: Clock) -> Conditions:
        return _term(column + " >= {}")(name, clock.start_of(day), clock)

    return rule


def _until(column: LiteralString) -> Rule:
    """An instant on the given store day or earlier."""

    def rule(name: str, day: date, clock: Clock) -> Conditions:
        return _term(column + " < {}")(name, clock.end_of(day), clock)

    return rule


def _one_of(column: LiteralString) -> Rule:
    """One of the given words, whatever their case and accents."""

    def rule(name: str, words: list[str], _: Clock) -> Conditions:
        bound = {f"{name}_{position}": word for position, word in enumerate(words)}
        keys = SQL(", ").join(SQL("search_key({})").format(Placeholder(key)) for key in bound)
        return Conditions((SQL("search_key({}) IN ({})").format(SQL(column), keys),), bound)

    return rule


def _from_zero(column: LiteralString) -> Rule:
    """At least so much of a total that is 0 before the first purchase; above 0 a plain bound, as an index needs it."""
    return _term("(" + column + " >= {0} OR (" + column + " IS NULL AND {0} <= 0))")


def containing(words: Sequence[str]) -> Conditions:
    """Each of these words, as `WordRepository` prepares them, stands in the name, address, phone or number.

    Two characters make no trigram, so they must begin a word.
    """
    patterns = [anywhere(word) if len(word) > 2 else begins_a_word(word) for word in words]
    bound = {f"word_{position}": pattern for position, pattern in enumerate(patterns)}
    return Conditions(tuple(SQL("c.search_text LIKE {}").format(Placeholder(name)) for name in bound), bound)


def _beginning(column: LiteralString) -> Rule:
    """Begins so, whatever its case and accents; what is nothing but marks begins nothing."""
    return _term("starts_with(search_key(" + column + ") COLLATE \"C\", search_key({0})) AND search_key({0}) <> ''")


def _stated(field: str) -> Rule:
    """One of the given words is among those of a list that is a preference."""
    chosen = SQL("""c.id IN (
        SELECT customer_id FROM customer_preferences
        WHERE preference_type = {} AND preference_key = {} AND preference_value ?| {}
    )""")
    key = [Literal(part) for part in stated_preferences[field]]

    def rule(name: str, words: list[str], _: Clock) -> Conditions:
        return Conditions((chosen.format(*key, Placeholder(name)),), {name: words})

    return rule


_has_bought = "EXISTS (SELECT FROM customer_metrics b WHERE b.customer_id = c.id AND b.total_orders > 0)"


def _has_orders(name: str, value: bool, _: Clock) -> Conditions:  # noqa: ARG001, FBT001 - a rule
    return Conditions((SQL("m.total_orders > 0") if value else SQL("NOT " + _has_bought),))


def _segments(name: str, segments: list[RFMSegment], _: Clock) -> Conditions:
    """Whoever has not bought yet is a prospect, although no run has said so."""
    listed = SQL("s.segment = ANY({})").format(Placeholder(name))
    if RFMSegment.PROSPECT in segments:
        listed = SQL("({} OR (s.segment IS NULL AND NOT " + _has_bought + "))").format(listed)
    return Conditions((listed,), {name: [segment.value for segment in segments]})


def _tiers(name: str, tiers: list[LoyaltyTier], _: Clock) -> Conditions:
    """Whoever has no account yet is where everybody begins."""
    listed = SQL("a.tier = ANY({})").format(Placeholder(name))
    if LoyaltyTier.BRONZE in tiers:
        listed = SQL("({} OR a.tier IS NULL)").format(listed)
    return Conditions((listed,), {name: [tier.value for tier in tiers]})


def _ends_since(name: str, day: date, clock: Clock) -> Conditions:
    return _term("a.tier_until > {}")(name, clock.start_of(day), clock)


def _ends_until(name: str, day: date, clock: Clock) -> Conditions:
    return _term("a.tier_until <= {}")(name, clock.end_of(day), clock)


_birthday = "(extract(month FROM c.date_of_birth) * 100 + extract(day FROM c.date_of_birth))"


def _birthday_within(first: date | None, last: date | None) -> Conditions:
    """Has a birthday in the period; one of 29 February is on the 28th in years without that day."""
    if first is None or last is None:
        return Conditions()
    bounds = [_month_and_day(first), _month_and_day(last)]
    if bounds[1] == 228 and not isleap(last.year):
        bounds[1] = 229
    if (last - first).days >= days_of_a_year:
        within = "c.date_of_birth IS NOT NULL"
    elif first.year == last.year:
        within = _birthday + " BETWEEN {} AND {}"
    else:
        within = "(" + _birthday + " >= {} OR " + _birthday + " <= {})"
    names = ("birthday_first", "birthday_last")
    return Conditions((SQL(within).format(*map(Placeholder, names)),), dict(zip(names, bounds, strict=True)))


def _month_and_day(day: date) -> int:
    return day.month * 100 + day.day


def _ordered_within(first: date | None, last: date | None) -> Conditions:
    """Has a valid order in the period."""
    if first is None and last is None:
        return Conditions()
    exists = SQL("""EXISTS (
        SELECT FROM orders o
        WHERE o.customer_id = c.id AND o.ordered_on BETWEEN {} AND {} AND {}
    )""").format(Placeholder("ordered_from"), Placeholder("ordered_to"), valid_order)
    return Conditions((exists,), {"ordered_from": first or date.min, "ordered_to": last or date.max})


def _expiring_within(filters: RetailCustomerSearchFilters, clock: Clock) -> Conditions:
    """Has points whose last usable store day lies in the period."""
    first, last = filters.points_expiring_from, filters.points_expiring_to
    if first is None and last is None:
        return Conditions()
    exists = SQL("""EXISTS (
        SELECT FROM point_lots l
        WHERE l.customer_id = c.id AND l.remaining > 0 AND l.expires_at > {} AND l.expires_at <= {}
    )""").format(Placeholder("points_after"), Placeholder("points_until"))
    after, until = clock.start_of(first) if first else "-infinity", clock.end_of(last) if last else "infinity"
    return Conditions((exists,), {"points_after": after, "points_until": until})


rules: Mapping[str, Rule] = {
    "first_name": _beginning("c.first_name"),
    "last_name": _beginning("c.last_name"),
    "gender": _term("c.gender = ANY({})"),
    "date_of_birth_from": _term("c.date_of_birth >= {}"),
    "date_of_birth_to": _term("c.date_of_birth <= {}"),
    "city": _one_of("c.city"),
    "state": _one_of("c.state"),
    "country": _one_of("c.country"),
    "is_active": _term("c.is_active = {}"),
    "is_verified": _term("(c.is_email_verified OR c.is_phone_verified) = {}"),
    "is_email_verified": _term("c.is_email_verified = {}"),
    "is_phone_verified": _term("c.is_phone_verified = {}"),
    "loyalty_tier": _tiers,
    "loyalty_points_min": _from_zero("a.balance"),
    "loyalty_points_max": _term("coalesce(a.balance, 0) <= {}"),
    "loyalty_points_lifetime_min": _from_zero("a.lifetime_points"),
    "loyalty_points_lifetime_max": _term("coalesce(a.lifetime_points, 0) <= {}"),
    "tier_expiry_from": _ends_since,
    "tier_expiry_to": _ends_until,
    "rfm_segment": _segments,
    "rfm_recency_score_min": _term("s.recency_score >= {}"),
    "rfm_recency_score_max": _term("s.recency_score <= {}"),
    "rfm_frequency_score_min": _term("s.frequency_score >= {}"),
    "rfm_frequency_score_max": _term("s.frequency_score <= {}"),
    "rfm_monetary_score_min": _term("s.monetary_score >= {}"),
    "rfm_monetary_score_max": _term("s.monetary_score <= {}"),
    "clv_min": _term("s.clv >= {}"),
    "clv_max": _term("s.clv <= {}"),
    "p_buy_min": _term("s.p_buy >= {}"),
    "p_buy_max": _term("s.p_buy <= {}"),
    "total_spent_min": _from_zero("m.net_spent"),
    "total_spent_max": _term("coalesce(m.net_spent, 0) <= {}"),
    "average_order_value_min": _term("m.net_spent / nullif(m.total_orders, 0) >= {}"),
    "average_order_value_max": _term("m.net_spent / nullif(m.total_orders, 0) <= {}"),
    "total_orders_min": _from_zero("m.total_orders"),
    "total_orders_max": _term("coalesce(m.total_orders, 0) <= {}"),
    "has_orders": _has_orders,
    "first_order_from": _since("m.first_order_at"),
    "first_order_to": _until("m.first_order_at"),
    "last_order_from": _since("m.last_order_at"),
    "last_order_to": _until("m.last_order_at"),
    "created_from": _since("c.created_at"),
    "created_to": _until("c.created_at"),
    "last_activity_from": _since("greatest(m.last_order_at, g.last_activity_at)"),
    "last_activity_to": _until("greatest(m.last_order_at, g.last_activity_at)"),
    "email_marketing_consent": _term("c.email_marketing_consent = {}"),
    "sms_marketing_consent": _term("c.sms_marketing_consent = {}"),
    "push_notification_consent": _term("c.push_notification_consent = {}"),
    "preferred_categories": _stated("preferred_categories"),
    "preferred_brands": _stated("preferred_brands"),
    "tags_any": _term("c.tags && {}"),
    "tags_all": _term("c.tags @> {}"),
    "tags_none": _term("NOT c.tags && {}"),
    "acquisition_source": _term("c.acquisition_source = ANY({})"),
    "acquisition_campaign": _term("c.acquisition_campaign = ANY({})"),
    "referrer_customer_id": _term("c.referrer_customer_id = {}"),
    "user_id": _term("c.user_id = {}"),
}
