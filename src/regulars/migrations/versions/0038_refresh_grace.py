"""Which client used a refresh token: the same one may send it twice within a moment, as two tabs of a browser do."""

from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.execute("ALTER TABLE refresh_tokens ADD COLUMN used_by bytea")


def downgrade() -> None:
    op.execute("ALTER TABLE refresh_tokens DROP COLUMN used_by")
