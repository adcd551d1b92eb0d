"""Addresses and phone numbers that too many people gave to identify anybody. They stay in the profiles that have them.

Whoever they identified keeps everything but that: nobody's history is split.
"""

from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE shared_contacts (
            kind text NOT NULL CHECK (kind IN ('email', 'phone')),
            value text NOT NULL,
            since timestamptz NOT NULL,
            PRIMARY KEY (kind, value)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE shared_contacts")
