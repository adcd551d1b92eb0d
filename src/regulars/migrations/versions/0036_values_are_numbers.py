"""What is stored of a lifetime value is a number: neither NaN nor infinite, which PostgreSQL takes for large ones.

A fit at the bound of its search could give values that were none; they were stored as the largest that fits. Customers
who have such a value have none from here on, and get one by the next run.
"""

from alembic import op

revision = "0036"
down_revision = "0035"

_constraints = {
    "customer_scores_clv_is_number": "clv <> 'NaN'",
    "customer_scores_range_is_number": "clv_low <> 'NaN' AND clv_high <> 'NaN'",
    "customer_scores_expected_orders_is_finite": "expected_orders < 'Infinity'",
    "customer_scores_median_wait_days_is_finite": "median_wait_days < 'Infinity'",
}


def upgrade() -> None:
    op.execute("""
        UPDATE customer_scores
        SET clv = NULL, clv_method = NULL, clv_reason = NULL, clv_window_days = NULL, clv_run_id = NULL,
            clv_scored_at = NULL, p_buy = NULL, expected_orders = NULL, median_wait_days = NULL, next_order_on = NULL,
            clv_low = NULL, clv_high = NULL
        WHERE clv_method IN ('model', 'blend') AND (
            clv >= 99999999999999 OR expected_orders >= 'Infinity' OR median_wait_days >= 'Infinity'
            OR clv_low = 'NaN' OR clv_high = 'NaN'
        )
    """)
    added = ", ".join(f"ADD CONSTRAINT {name} CHECK ({condition})" for name, condition in _constraints.items())
    op.execute(f"ALTER TABLE customer_scores {added}")


def downgrade() -> None:
    op.execute("ALTER TABLE customer_scores " + ", ".join(f"DROP CONSTRAINT {name}" for name in _constraints))
