"""What several statements about orders have in common."""

from psycopg.sql import SQL

# Two orders with one external id are equal if this is: it covers every column that the source decides, not refunds and
# not the customer's profile. Amounts must be numeric(18, 4); `lines` is the text of `canonical_lines()`, or null.
content_hash = SQL("""
    sha256(convert_to(
        ROW(extract(epoch FROM ordered_at), status, currency, total, discount_total, tax_total, shipping_total,
            channel, metadata, lines)::text, 'UTF8'))
""")

order_columns = SQL("""
    customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total, discount_total, tax_total,
    shipping_total, refunded_total, cancelled_on, channel, metadata, content_hash, created_at, updated_at
""")
