"""Customers whose points do not add up, and contacts that have had their welcome bonus."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    # No reference to customers: what is broken may name one who is not there.
    op.execute("""
        CREATE TABLE loyalty_reviews (
            customer_id uuid PRIMARY KEY,
            rules text[] NOT NULL CHECK (cardinality(rules) > 0),
            found_at timestamptz NOT NULL
        )
    """)
    # Outlives the erasure of its customer by a year, so nothing here can be read as an address or a number.
    op.execute("""
        CREATE TABLE welcome_bonuses (
            contact_hash bytea PRIMARY KEY CHECK (octet_length(contact_hash) = 32),
            customer_id uuid NOT NULL,
            given_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX welcome_bonuses_customer ON welcome_bonuses (customer_id)")


def downgrade() -> None:
    op.execute("DROP TABLE welcome_bonuses, loyalty_reviews")
