"""What the total of an order was rounded by to be paid in coins. Orders from before say nothing of it, so it was 0."""

from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN cash_rounding numeric(18, 4) NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE orders DROP COLUMN cash_rounding")
