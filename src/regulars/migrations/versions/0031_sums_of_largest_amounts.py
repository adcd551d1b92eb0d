"""What a customer has spent is a sum: room for any number of orders of the largest amount that one may have.

The value of such a customer is as large. Only the precision grows, so that no row is written anew.
"""

from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    _resize("numeric(28, 4)")


def _resize(kind: str) -> None:
    op.execute(f"ALTER TABLE customer_metrics ALTER COLUMN net_spent TYPE {kind}")
    columns = ", ".join(f"ALTER COLUMN {name} TYPE {kind}" for name in ("clv", "clv_low", "clv_high"))
    op.execute(f"ALTER TABLE customer_scores {columns}")


def downgrade() -> None:
    _resize("numeric(18, 4)")
