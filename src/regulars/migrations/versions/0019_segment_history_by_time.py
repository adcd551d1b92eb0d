"""Who changed the segment after a moment is found without reading who did not."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("CREATE INDEX segment_history_changed ON segment_history (changed_at)")


def downgrade() -> None:
    op.execute("DROP INDEX segment_history_changed")
