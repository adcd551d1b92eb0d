"""The history of segments costs less to write: no foreign key to the customers, no index by run.

A row of it is written beside one of customer_scores, in the same statement, and that one has the key: to check each of
a million rows again took a fifth of the time in which the first run of a large shop writes them. Who moved between two
runs is found by when they looked at the shop (0019).
"""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.execute("ALTER TABLE segment_history DROP CONSTRAINT segment_history_customer_id_fkey")
    op.execute("DROP INDEX segment_history_run")


def downgrade() -> None:
    op.execute("CREATE INDEX segment_history_run ON segment_history (run_id)")
    op.execute("ALTER TABLE segment_history ADD FOREIGN KEY (customer_id) REFERENCES customers (id)")
