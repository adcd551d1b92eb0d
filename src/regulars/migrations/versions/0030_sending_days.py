"""How many messages went out on each store day, so that a shop never sends, and pays for, more than it wants to."""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE sending_days (
            day date NOT NULL,
            medium text NOT NULL CHECK (medium IN ('mail', 'text')),
            messages integer NOT NULL CHECK (messages > 0),
            PRIMARY KEY (day, medium)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE sending_days")
