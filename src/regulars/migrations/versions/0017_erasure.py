"""Erased people: the log that proves it and outlives a restore, and what reading and erasing look up.

audit_log stays append-only for the runtime role. The one thing that may be taken out of it, what people wrote in words
about a person who is being erased, is taken out by a function that can do nothing else.
"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE erasure_log (
            customer_id uuid PRIMARY KEY,
            erased_at timestamptz NOT NULL,
            reason text NOT NULL CHECK (reason IN ('request', 'deletion', 'inactivity', 'other')),
            requested_by uuid,
            proof bytea NOT NULL,
            email_hash bytea,
            phone_hash bytea,
            points_closed bigint NOT NULL DEFAULT 0,
            rows jsonb NOT NULL DEFAULT '{}',
            completed_at timestamptz,
            confirmed_at timestamptz,
            CHECK (confirmed_at IS NULL OR completed_at IS NOT NULL)
        )
    """)
    op.execute("CREATE INDEX erasure_log_email ON erasure_log (email_hash) WHERE email_hash IS NOT NULL")
    op.execute("CREATE INDEX erasure_log_phone ON erasure_log (phone_hash) WHERE phone_hash IS NOT NULL")
    op.execute("CREATE INDEX erasure_log_open ON erasure_log (erased_at) WHERE confirmed_at IS NULL")
    op.execute("CREATE INDEX customers_deleted ON customers (deleted_at) WHERE deleted_at IS NOT NULL")
    # Whoever was among the customers of a list is found by it, without a row for each of them.
    op.execute("""
        CREATE INDEX audit_log_listed ON audit_log USING gin ((facts -> 'customer_ids') jsonb_path_ops)
            WHERE facts ? 'customer_ids'
    """)
    op.execute("""
        CREATE FUNCTION strip_audit_log(person uuid, logins uuid[]) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
        BEGIN ATOMIC
            WITH stripped AS (
                UPDATE public.audit_log AS entry
                SET facts = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(entry.facts)
                             WHERE jsonb_typeof(value) <> 'string')
                WHERE (
                        entry.object_kind IN ('customer', 'user') AND entry.object_id = ANY (person || logins)
                        OR entry.facts ? 'customer_ids' AND entry.facts -> 'customer_ids' @> to_jsonb(person::text)
                    ) AND jsonb_path_exists(entry.facts, '$.* ? (@.type() == "string")')
                RETURNING 1
            )
            SELECT count(*) FROM stripped;
        END
    """)
    op.execute("REVOKE EXECUTE ON FUNCTION strip_audit_log FROM PUBLIC")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_app') THEN
                GRANT EXECUTE ON FUNCTION strip_audit_log TO regulars_app;
            END IF;
        END $$
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION strip_audit_log")
    op.execute("DROP INDEX audit_log_listed, customers_deleted")
    op.execute("DROP TABLE erasure_log")
