"""When the program's own work was last done: it asks whether it is due, so that no hour can be missed."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    # begun_at alone is set while it is at work, or when that failed: then it is tried again soon.
    op.execute("""
        CREATE TABLE due_work (
            name text PRIMARY KEY,
            begun_at timestamptz NOT NULL,
            done_at timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE due_work")
