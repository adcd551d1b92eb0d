"""Who may sign in, what they hold while they are signed in, what they did, and the answers kept for retries."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE users (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            email text NOT NULL UNIQUE,
            password_hash text NOT NULL,
            role text NOT NULL CHECK (role IN ('customer', 'staff', 'analyst', 'admin')),
            customer_id uuid UNIQUE,
            is_enabled boolean NOT NULL DEFAULT true,
            auth_epoch integer NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CHECK ((role = 'customer') = (customer_id IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE TABLE api_clients (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            name text NOT NULL,
            secret_hash bytea NOT NULL,
            previous_secret_hash bytea,
            previous_secret_until timestamptz,
            scopes text[] NOT NULL,
            source text NOT NULL,
            max_points_per_transaction bigint CHECK (max_points_per_transaction > 0),
            max_points_per_day bigint CHECK (max_points_per_day > 0),
            is_enabled boolean NOT NULL DEFAULT true,
            auth_epoch integer NOT NULL DEFAULT 1,
            expires_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE sessions (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            user_id uuid REFERENCES users (id),
            client_id uuid REFERENCES api_clients (id),
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            closed_at timestamptz,
            CHECK (num_nonnulls(user_id, client_id) = 1)
        )
    """)
    op.execute("CREATE INDEX sessions_user ON sessions (user_id) WHERE closed_at IS NULL")
    op.execute("CREATE INDEX sessions_expiry ON sessions (expires_at)")
    op.execute("""
        CREATE TABLE refresh_tokens (
            token_hash bytea PRIMARY KEY,
            session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            used_at timestamptz
        )
    """)
    op.execute("CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id)")
    op.execute("""
        CREATE TABLE sign_in_failures (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            account_hash bytea NOT NULL,
            failed_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX sign_in_failures_account ON sign_in_failures (account_hash, failed_at)")
    op.execute("""
        CREATE TABLE idempotency_keys (
            key text NOT NULL,
            principal_id uuid NOT NULL,
            request_hash bytea NOT NULL,
            status smallint,
            headers jsonb,
            body bytea,
            customer_id uuid,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (key, principal_id)
        )
    """)
    op.execute("CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at)")
    op.execute("CREATE INDEX idempotency_keys_customer ON idempotency_keys (customer_id) WHERE customer_id IS NOT NULL")
    op.execute("""
        CREATE TABLE audit_log (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            occurred_at timestamptz NOT NULL,
            actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'client', 'operator', 'system')),
            actor_id uuid,
            action text NOT NULL,
            object_kind text NOT NULL,
            object_id uuid,
            fields text[] NOT NULL DEFAULT '{}',
            facts jsonb NOT NULL DEFAULT '{}',
            trace_id text
        )
    """)
    op.execute("CREATE INDEX audit_log_object ON audit_log (object_kind, object_id, occurred_at DESC)")


def downgrade() -> None:
    op.execute("""
        DROP TABLE audit_log, idempotency_keys, sign_in_failures, refresh_tokens, sessions, api_clients, users
    """)
