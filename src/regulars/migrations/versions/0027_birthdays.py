"""Customers are found by their birthday: month and day as one number, so that 229 is 29 February."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX customers_birthday ON customers
            ((extract(month FROM date_of_birth) * 100 + extract(day FROM date_of_birth)))
            WHERE date_of_birth IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX customers_birthday")
