"""Purchases: refunds by line, orders found by their id, refunds that came before their order, guests, live scoring."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE customers ADD COLUMN is_guest boolean NOT NULL DEFAULT false")
    op.execute("CREATE INDEX orders_ordered ON orders (ordered_at, id)")
    op.execute("""
        CREATE TABLE refund_lines (
            customer_id uuid NOT NULL,
            refund_id uuid NOT NULL,
            line_number integer NOT NULL CHECK (line_number > 0),
            quantity numeric(14, 3) NOT NULL CHECK (quantity > 0),
            amount numeric(18, 4) NOT NULL CHECK (amount >= 0),
            PRIMARY KEY (customer_id, refund_id, line_number),
            FOREIGN KEY (customer_id, refund_id) REFERENCES refunds (customer_id, id)
        )
    """)
    # Of orders that are not known yet: found by what identifies the order, so distributed like order_identifiers.
    op.execute("""
        CREATE TABLE early_reversals (
            source text NOT NULL,
            external_id text NOT NULL,
            refund_id text NOT NULL,
            request jsonb NOT NULL,
            refused_as text,
            received_by uuid,
            received_at timestamptz NOT NULL,
            PRIMARY KEY (source, external_id, refund_id)
        )
    """)
    op.execute("CREATE INDEX early_reversals_received ON early_reversals (received_at)")
    # The live run of a day may move a customer more than once.
    op.execute("ALTER TABLE segment_history DROP CONSTRAINT segment_history_pkey")
    op.execute("ALTER TABLE segment_history ADD PRIMARY KEY (customer_id, run_id, changed_at)")
    op.execute("ALTER TABLE scoring_runs DROP CONSTRAINT scoring_runs_coverage_check")
    op.execute("""
        ALTER TABLE scoring_runs ADD CONSTRAINT scoring_runs_coverage_check
            CHECK (coverage IN ('full', 'stale', 'selected', 'live'))
    """)
    op.execute("""
        CREATE UNIQUE INDEX scoring_runs_live ON scoring_runs
            (as_of, (parameters ->> 'rfm_run_id'), (parameters ->> 'clv_run_id')) NULLS NOT DISTINCT
            WHERE coverage = 'live'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX scoring_runs_live")
    op.execute("DELETE FROM segment_history WHERE run_id IN (SELECT id FROM scoring_runs WHERE coverage = 'live')")
    op.execute("ALTER TABLE segment_history DROP CONSTRAINT segment_history_pkey")
    op.execute("ALTER TABLE segment_history ADD PRIMARY KEY (customer_id, run_id)")
    op.execute("DELETE FROM scoring_runs WHERE coverage = 'live'")
    op.execute("ALTER TABLE scoring_runs DROP CONSTRAINT scoring_runs_coverage_check")
    op.execute("""
        ALTER TABLE scoring_runs ADD CONSTRAINT scoring_runs_coverage_check
            CHECK (coverage IN ('full', 'stale', 'selected'))
    """)
    op.execute("DROP TABLE early_reversals, refund_lines")
    op.execute("DROP INDEX orders_ordered")
    op.execute("ALTER TABLE customers DROP COLUMN is_guest")
