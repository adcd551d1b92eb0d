"""Registrations that wait until the person has proved to read the mailbox."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE registrations (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            password_hash text NOT NULL,
            profile jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX registrations_expiry ON registrations (expires_at)")


def downgrade() -> None:
    op.execute("DROP TABLE registrations")
