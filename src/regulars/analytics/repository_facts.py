"""The purchase facts of customers on a day, as one SELECT that every reader shares."""

from datetime import date

from psycopg.sql import SQL, Composed, Literal

from regulars.analytics.models import Period

# An order counts from its day until the day it is cancelled or refunded in full. `refunded_total` holds every refund
# ever made, so that orders_facts alone answers for the present; for a day in the past, the refunds that came after it
# are added back, and the orders that they completed, left out of the first part, count again.
_facts = SQL("""
    WITH purchases AS (
        SELECT customer_id, count(*) AS orders, sum(total - refunded_total) AS net,
               min(ordered_on) AS first_on, max(ordered_on) AS last_on,
               count(*) {recent} AS recent_orders, sum(total - refunded_total) {recent} AS recent_net,
               {days} AS purchase_days, {last_net} AS last_net
        FROM orders
        WHERE ordered_on <= {as_of} AND (cancelled_on IS NULL OR cancelled_on > {as_of})
          AND (refunded_total < total OR total = 0) AND customer_id {chosen}
        GROUP BY customer_id
    ), later_refunds AS (
        SELECT customer_id, order_id, sum(amount) AS amount
        FROM refunds
        WHERE refunded_on > {as_of} AND customer_id {chosen}
        GROUP BY customer_id, order_id
    ), restored AS (
        SELECT customer_id, count(*) FILTER (WHERE was_left_out) AS orders, sum(amount) AS net,
               min(ordered_on) AS first_on, max(ordered_on) AS last_on,
               count(*) FILTER (WHERE was_left_out AND is_recent) AS recent_orders,
               sum(amount) FILTER (WHERE is_recent) AS recent_net,
               count(DISTINCT ordered_on) FILTER (WHERE was_left_out AND is_other_day) AS purchase_days,
               sum(amount) FILTER (WHERE is_last) AS last_net
        FROM (
            SELECT o.customer_id, o.ordered_on, r.amount, o.refunded_total = o.total AS was_left_out,
                   {is_recent} AS is_recent, {is_last} AS is_last, {is_other_day} AS is_other_day
            FROM later_refunds r
            JOIN orders o ON o.customer_id = r.customer_id AND o.id = r.order_id
            WHERE o.ordered_on <= {as_of} AND (o.cancelled_on IS NULL OR o.cancelled_on > {as_of})
        ) refunded_later
        GROUP BY customer_id
    )
    SELECT c.id AS customer_id,
           (coalesce(p.orders, 0) + coalesce(r.orders, 0))::integer AS orders,
           coalesce(p.net, 0) + coalesce(r.net, 0) AS net,
           {as_of} - least(p.first_on, r.first_on) AS age_days,
           {as_of} - greatest(p.last_on, r.last_on) AS recency_days,
           (coalesce(p.recent_orders, 0) + coalesce(r.recent_orders, 0))::integer AS recent_orders,
           coalesce(p.recent_net, 0) + coalesce(r.recent_net, 0) AS recent_net,
           {either_days} AS purchase_days, {either_last} AS last_net
    FROM customers c
    LEFT JOIN purchases p ON p.customer_id = c.id
    LEFT JOIN restored r ON r.customer_id = c.id
    WHERE c.deleted_at IS NULL AND c.erased_at IS NULL AND c.id {chosen}
""")

_is_other_day = SQL("""
    NOT EXISTS (
        SELECT FROM orders beside
        WHERE beside.customer_id = o.customer_id AND beside.ordered_on = o.ordered_on
          AND (beside.cancelled_on IS NULL OR beside.cancelled_on > {as_of})
          AND (beside.refunded_total < beside.total OR beside.total = 0)
    )
""")

everyone = SQL("IS NOT NULL")


def purchase_facts(period: Period, chosen: SQL | Composed = everyone) -> Composed:
    """A SELECT of `PurchaseFacts`, one row for each customer that is neither deleted nor erased.

    Args:
        period: The day, and how far back frequency and monetary look.
        chosen: A condition on the customer's id, to follow its column; everyone by default.
    """
    is_recent, is_last = _since(period.history_after), _since(period.last_after)
    parts = _bought if period.last_days is not None else _unasked
    return _facts.format(
        as_of=Literal(period.as_of),
        chosen=chosen,
        is_recent=is_recent,
        recent=SQL("") if period.history_days is None else SQL("FILTER (WHERE {})").format(is_recent),
        is_last=is_last,
        **{name: part.format(as_of=Literal(period.as_of), is_last=is_last) for name, part in parts.items()},
    )


def purchase_facts_of_one(*, with_history: bool) -> Composed:
    """The same for `%(customer_id)s` as of `%(as_of)s`, always in the same words, so that it is planned once.

    Args:
        with_history: Whether frequency and monetary look back only to the day after `%(after)s`.
    """
    is_recent = SQL("ordered_on > %(after)s::date") if with_history else SQL("true")
    return _facts.format(
        as_of=SQL("%(as_of)s::date"),
        chosen=SQL("= %(customer_id)s"),
        is_recent=is_recent,
        recent=SQL("FILTER (WHERE {})").format(is_recent) if with_history else SQL(""),
        is_last=SQL("true"),
        **_unasked,
    )


# Counting days and telling the last ones apart takes time that only the models of lifetime value have a use for.
_bought = {
    "days": SQL("count(DISTINCT ordered_on)"),
    "last_net": SQL("sum(total - refunded_total) FILTER (WHERE {is_last})"),
    "is_other_day": _is_other_day,
    "either_days": SQL("(coalesce(p.purchase_days, 0) + coalesce(r.purchase_days, 0))::integer"),
    "either_last": SQL("coalesce(p.last_net, 0) + coalesce(r.last_net, 0)"),
}
_unasked = {
    "days": SQL("NULL::bigint"),
    "last_net": SQL("NULL::numeric"),
    "is_other_day": SQL("false"),
    "either_days": SQL("NULL::integer"),
    "either_last": SQL("NULL::numeric"),
}


def _since(after: date | None) -> SQL | Composed:
    return SQL("true") if after is None else SQL("ordered_on > {}").format(Literal(after))
