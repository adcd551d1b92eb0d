"""Refunds say what they are for, and the points of an order follow it when it changes.

Amounts and goods are two budgets: goods come back also where nothing is left to be paid back, so a refund may be of 0.
What an award was computed from is kept from the first change of its order on; until then the order says it. Orders
that are void already and still have points, left by imports of the past, are noted so that the worker takes them back.
"""

from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.execute("ALTER TABLE refunds DROP CONSTRAINT refunds_amount_check")
    op.execute("ALTER TABLE refunds ADD CONSTRAINT refunds_amount_check CHECK (amount >= 0)")
    op.execute("""
        ALTER TABLE refunds ADD COLUMN shipping_amount numeric(18, 4) NOT NULL DEFAULT 0,
            ADD CHECK (shipping_amount BETWEEN 0 AND amount)
    """)
    op.execute("""
        CREATE TABLE award_bases (
            customer_id uuid NOT NULL,
            order_id uuid NOT NULL,
            total numeric(18, 4) NOT NULL,
            discount_total numeric(18, 4) NOT NULL,
            tax_total numeric(18, 4) NOT NULL,
            shipping_total numeric(18, 4) NOT NULL,
            cash_rounding numeric(18, 4) NOT NULL,
            lines_total numeric(18, 4),
            is_followed boolean NOT NULL,
            changed_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, order_id),
            FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
        )
    """)
    op.execute("CREATE INDEX award_bases_to_follow ON award_bases (customer_id, order_id) WHERE NOT is_followed")
    op.execute("""
        INSERT INTO award_bases
        SELECT o.customer_id, o.id, o.total, o.discount_total, o.tax_total, o.shipping_total,
            o.cash_rounding,
            (SELECT sum(l.total) FROM order_lines AS l WHERE l.customer_id = o.customer_id AND l.order_id = o.id),
            false, now()
        FROM orders AS o
        JOIN customers AS c ON c.id = o.customer_id AND c.erased_at IS NULL
        JOIN (
            SELECT t.customer_id, t.order_id, sum(t.points - coalesce((
                SELECT sum(c.due) FROM point_clawbacks AS c WHERE c.customer_id = t.customer_id AND c.award_id = t.id
            ), 0)) AS points
            FROM loyalty_transactions AS t WHERE t.transaction_type = 'EARNED' AND t.order_id IS NOT NULL
            GROUP BY t.customer_id, t.order_id
        ) AS left_over ON left_over.customer_id = o.customer_id AND left_over.order_id = o.id
        WHERE o.status IN ('cancelled', 'refunded') AND left_over.points > 0
    """)


def downgrade() -> None:
    op.execute("DROP TABLE award_bases")
    op.execute("ALTER TABLE refunds DROP COLUMN shipping_amount")
    op.execute("""
        DELETE FROM refund_lines USING refunds AS r
        WHERE r.customer_id = refund_lines.customer_id AND r.id = refund_lines.refund_id AND r.amount = 0
    """)
    op.execute("DELETE FROM refunds WHERE amount = 0")
    op.execute("ALTER TABLE refunds DROP CONSTRAINT refunds_amount_check")
    op.execute("ALTER TABLE refunds ADD CONSTRAINT refunds_amount_check CHECK (amount > 0)")
