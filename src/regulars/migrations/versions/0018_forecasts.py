"""What the models of lifetime value forecast of a customer, beside the value.

All of it is empty for values by the formula. `next_order_on` is empty too where no further order is to be expected.
"""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE customer_scores
            ADD COLUMN expected_orders double precision CHECK (expected_orders >= 0),
            ADD COLUMN median_wait_days double precision CHECK (median_wait_days >= 0),
            ADD COLUMN next_order_on date,
            ADD COLUMN clv_low numeric(18, 4),
            ADD COLUMN clv_high numeric(18, 4),
            ADD CHECK (clv_low <= clv_high)
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE customer_scores
            DROP COLUMN expected_orders, DROP COLUMN median_wait_days, DROP COLUMN next_order_on,
            DROP COLUMN clv_low, DROP COLUMN clv_high
    """)
