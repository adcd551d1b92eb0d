"""The settings that stored data depend on are kept beside the data, so that another value is found out at the start."""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.execute("CREATE TABLE kept_settings (name text PRIMARY KEY, value text NOT NULL, kept_at timestamptz NOT NULL)")
    # Where there are orders, they say themselves which currency it was.
    op.execute("""
        INSERT INTO kept_settings (name, value, kept_at)
        SELECT 'currency', currency, now() FROM (SELECT currency FROM orders ORDER BY created_at LIMIT 1) AS first
    """)


def downgrade() -> None:
    op.execute("DROP TABLE kept_settings")
