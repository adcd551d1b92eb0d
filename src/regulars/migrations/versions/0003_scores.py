"""Scores, the runs that made them, and the history of segments.

A run stores its day, cut points and parameters, so that each of its scores can be explained and computed again.
customer_scores is narrow and apart from the profile: a nightly run rewrites no profile and none of its indexes.
The run ids in it and in segment_history are no foreign keys: only a run writes them, in the transaction that writes the
run, and checking each of a million rows took a third of the time of writing them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE scoring_runs (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            kind text NOT NULL CHECK (kind IN ('rfm', 'clv', 'all')),
            coverage text NOT NULL CHECK (coverage IN ('full', 'stale', 'selected')),
            as_of date NOT NULL,
            method text CHECK (method IN ('seed', 'model', 'blend')),
            history_days integer CHECK (history_days > 0),
            window_days integer CHECK (window_days > 0),
            edges jsonb,
            edges_run_id uuid REFERENCES scoring_runs (id),
            parameters jsonb NOT NULL DEFAULT '{}',
            counts jsonb NOT NULL DEFAULT '{}',
            seconds jsonb NOT NULL DEFAULT '{}',
            started_by text NOT NULL,
            started_at timestamptz NOT NULL,
            finished_at timestamptz
        )
    """)
    op.execute("CREATE INDEX scoring_runs_finished ON scoring_runs (kind, coverage, finished_at DESC)")
    op.execute("""
        CREATE TABLE customer_scores (
            customer_id uuid PRIMARY KEY REFERENCES customers (id),
            recency_score smallint CHECK (recency_score BETWEEN 1 AND 5),
            frequency_score smallint CHECK (frequency_score BETWEEN 1 AND 5),
            monetary_score smallint CHECK (monetary_score BETWEEN 1 AND 5),
            segment text,
            rfm_run_id uuid,
            rfm_scored_at timestamptz,
            clv numeric(18, 4),
            clv_method text,
            clv_reason text,
            clv_window_days integer,
            clv_run_id uuid,
            clv_scored_at timestamptz,
            p_buy double precision CHECK (p_buy BETWEEN 0 AND 1),
            CHECK (num_nulls(recency_score, frequency_score, monetary_score) IN (0, 3))
        )
    """)
    op.execute("CREATE INDEX customer_scores_segment ON customer_scores (segment)")
    op.execute("CREATE INDEX customer_scores_clv ON customer_scores (clv DESC NULLS LAST, customer_id)")
    op.execute("""
        CREATE TABLE segment_history (
            customer_id uuid NOT NULL REFERENCES customers (id),
            run_id uuid NOT NULL,
            segment_before text,
            segment text NOT NULL,
            changed_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, run_id)
        )
    """)
    op.execute("CREATE INDEX segment_history_run ON segment_history (run_id)")


def downgrade() -> None:
    op.execute("DROP TABLE segment_history, customer_scores, scoring_runs")
