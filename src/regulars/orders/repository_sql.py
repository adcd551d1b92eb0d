"""What several statements about orders have in common."""

from psycopg.sql import SQL

# Orders that count: not cancelled and not paid back in full. An order that cost nothing still is one.
valid_order = SQL("cancelled_on IS NULL AND (refunded_total < total OR total = 0)")

# Two orders with one external id are equal if this is: it covers every column that the source decides, not refunds and
# not the customer's profile. Amounts must be numeric(18, 4); `lines` is the text of `canonical_lines()`, or null.
content_hash = SQL("""
    sha256(convert_to(
        ROW(extract(epoch FROM ordered_at), status, currency, total, discount_total, tax_total, shipping_total,
            channel, metadata, lines)::text, 'UTF8'))
""")

# Purchase metrics always follow from the orders anew; nothing is ever added up step by step. The customers must be
# locked, or of two writers the later one would not know the earlier one's order. `touched` yields their customer_id.
# LATERAL makes it one look into the index for each of them, whatever the statistics say while tables grow.
recompute_metrics = SQL("""
    INSERT INTO customer_metrics AS known
        (customer_id, total_orders, net_spent, first_order_at, last_order_at, purchase_days, changed_at)
    SELECT touched.customer_id, facts.*, {now}
    FROM ({touched}) AS touched, LATERAL (
        SELECT count(*) AS total_orders, coalesce(sum(total - refunded_total), 0) AS net_spent,
            min(ordered_at) AS first_order_at, max(ordered_at) AS last_order_at,
            count(DISTINCT ordered_on) AS purchase_days
        FROM orders WHERE orders.customer_id = touched.customer_id AND {valid}
    ) AS facts
    ON CONFLICT (customer_id) DO UPDATE SET
        total_orders = excluded.total_orders, net_spent = excluded.net_spent,
        first_order_at = excluded.first_order_at, last_order_at = excluded.last_order_at,
        purchase_days = excluded.purchase_days, changed_at = excluded.changed_at
    WHERE (known.total_orders, known.net_spent, known.first_order_at, known.last_order_at, known.purchase_days)
        IS DISTINCT FROM (excluded.total_orders, excluded.net_spent, excluded.first_order_at, excluded.last_order_at,
            excluded.purchase_days)
""")
