"""The outbox: what happened, for programs that follow it."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # Rows become visible in the order of commits, not of positions. Whoever reads on from a position takes only rows
    # whose writer ended before the oldest transaction that still runs (docs/reference/events.md), and misses none.
    op.execute("""
        CREATE TABLE events (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
            occurred_at timestamptz NOT NULL,
            kind text NOT NULL CHECK (kind ~ '^[a-z]+(_[a-z]+)*\\.[a-z]+(_[a-z]+)*$'),
            customer_id uuid,
            facts jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
            trace_id text
        )
    """)
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_app') THEN
                REVOKE UPDATE ON events FROM regulars_app;
            END IF;
        END $$
    """)


def downgrade() -> None:
    op.execute("DROP TABLE events")
