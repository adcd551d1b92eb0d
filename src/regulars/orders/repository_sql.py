"""What several statements about orders have in common."""

from psycopg.sql import SQL

# Two orders with one external id are equal if this is: it covers every column that the source decides, not refunds and
# not the customer's profile. Amounts must be numeric(18, 4); `lines` is the text of `canonical_lines()`, or null.
# Orders without cash rounding have the hash that they had before there was such a column.
content_hash = SQL("""
    sha256(convert_to(
        ROW(extract(epoch FROM ordered_at), status, currency, total, discount_total, tax_total, shipping_total,
            channel, metadata, lines)::text || coalesce('+' || nullif(cash_rounding, 0), ''), 'UTF8'))
""")

# The status of an order that its source tells anew: what was refunded stays so, and none goes back to one that it has
# passed. Whether it is cancelled is decided apart.
status_after = SQL("""
    CASE WHEN orders.refunded_total >= {total} AND {total} > 0 THEN 'refunded'
        WHEN orders.refunded_total > 0 THEN 'partially_refunded'
        WHEN orders.status IN ('partially_refunded', 'refunded', 'cancelled') THEN orders.status
        WHEN array_position(ARRAY['pending', 'paid', 'fulfilled'], orders.status)
            > array_position(ARRAY['pending', 'paid', 'fulfilled'], {status}) THEN orders.status
        ELSE {status} END
""")

order_columns = SQL("""
    customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total, discount_total, tax_total,
    shipping_total, cash_rounding, refunded_total, cancelled_on, channel, metadata, content_hash, created_at, updated_at
""")
