"""An index that only the audit could use goes: it reads all allocations anyway, and every use of points paid for it.

Allocations are found by customer and transaction. A lot's are needed when all lots of a customer are compared.
"""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute("DROP INDEX point_allocations_lot")


def downgrade() -> None:
    op.execute("CREATE INDEX point_allocations_lot ON point_allocations (customer_id, lot_id) INCLUDE (points)")
