"""How often something was done, proofs that are under way, and what purging and changes of passwords need."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rate_limits (
            kind text NOT NULL,
            subject_hash bytea NOT NULL,
            taken_at timestamptz[] NOT NULL,
            forget_at timestamptz NOT NULL,
            PRIMARY KEY (kind, subject_hash)
        )
    """)
    op.execute("CREATE INDEX rate_limits_forget ON rate_limits (forget_at)")
    op.execute("""
        CREATE TABLE verifications (
            id uuid NOT NULL UNIQUE DEFAULT uuidv7(),
            kind text NOT NULL CHECK (kind IN ('email', 'phone', 'password_reset', 'registration')),
            subject_id uuid NOT NULL,
            address text NOT NULL,
            secret_hash bytea UNIQUE,
            attempts smallint NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            used_at timestamptz,
            PRIMARY KEY (kind, subject_id)
        )
    """)
    op.execute("CREATE INDEX verifications_expiry ON verifications (expires_at)")
    op.execute("ALTER TABLE sessions ADD COLUMN own_password_changes integer NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at)")
    op.execute("CREATE INDEX sign_in_failures_time ON sign_in_failures (failed_at)")
    op.execute("CREATE INDEX sessions_client ON sessions (client_id) WHERE closed_at IS NULL")


def downgrade() -> None:
    op.execute("DROP INDEX sessions_client, sign_in_failures_time, refresh_tokens_expiry")
    op.execute("ALTER TABLE sessions DROP COLUMN own_password_changes")
    op.execute("DROP TABLE verifications, rate_limits")
