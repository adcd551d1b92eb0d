"""Jobs that callers follow: state, progress and result. The queue below runs them; these rows tell about them.

Inputs and results are kept in pieces, so that whoever asks and whoever works may be on different machines.
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE jobs (
            id uuid PRIMARY KEY,
            kind text NOT NULL,
            state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
            progress smallint NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
            attempts integer NOT NULL DEFAULT 0,
            creator_kind text NOT NULL CHECK (creator_kind IN ('user', 'client', 'operator')),
            creator_id uuid CHECK ((creator_id IS NULL) = (creator_kind = 'operator')),
            also_asked_by uuid[] NOT NULL DEFAULT '{}',
            customer_id uuid,
            same_as text,
            arguments jsonb NOT NULL DEFAULT '{}',
            is_fetched_once boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL,
            started_at timestamptz,
            heard_at timestamptz,
            finished_at timestamptz CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed'))),
            result_until timestamptz,
            result_media_type text CHECK ((result_media_type IS NOT NULL) = (state = 'succeeded')),
            result_name text,
            names_people boolean NOT NULL DEFAULT false,
            error jsonb CHECK ((error IS NOT NULL) = (state = 'failed'))
        )
    """)
    op.execute("CREATE UNIQUE INDEX jobs_same_as ON jobs (same_as) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX jobs_unfinished ON jobs (created_at) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX jobs_finished_at ON jobs (finished_at)")
    op.execute("CREATE INDEX jobs_result_until ON jobs (result_until)")
    op.execute("CREATE INDEX jobs_customer_id ON jobs (customer_id) WHERE customer_id IS NOT NULL")
    op.execute("""
        CREATE TABLE job_pieces (
            job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
            part text NOT NULL CHECK (part IN ('input', 'result')),
            number integer NOT NULL,
            content bytea NOT NULL,
            PRIMARY KEY (job_id, part, number)
        )
    """)
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_app') THEN
                GRANT SELECT, INSERT, UPDATE, DELETE ON jobs, job_pieces TO regulars_app;
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_report') THEN
                GRANT SELECT ON jobs TO regulars_report;
                REVOKE ALL ON job_pieces FROM regulars_report;
            END IF;
        END $$
    """)


def downgrade() -> None:
    op.execute("DROP TABLE job_pieces, jobs")
