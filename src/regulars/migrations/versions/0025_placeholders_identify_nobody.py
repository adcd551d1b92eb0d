"""Placeholders that files had brought in as ids of customers are ids no more, and `17850.0` is `17850`.

The customers who were known by them keep everything else: nobody's history is split.
"""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute(r"""
        DELETE FROM customer_identifiers
        WHERE kind LIKE 'ext:%' AND (
            btrim(value, E' \t\u00a00-\u2013\u2014.\'"`') = ''
            OR lower(btrim(value)) IN ('n/a', '#n/a', '#value!', '#ref!', 'na', '<na>', 'nan', 'nat', 'null', '(null)',
                '[null]', E'\\n', 'nil', 'none', 'undefined', 'unknown', '-1', 'guest', 'anonymous', 'walk-in',
                'walkin')
        )
    """)
    # Only where every id of the system is a whole number, and nobody else has it without the fraction.
    op.execute(r"""
        UPDATE customer_identifiers AS broken SET value = left(value, -2)
        WHERE kind LIKE 'ext:%' AND value ~ '^\d+\.0$' AND NOT EXISTS (
            SELECT FROM customer_identifiers AS other
            WHERE other.kind = broken.kind
                AND (other.value !~ '^\d+(\.0)?$' OR other.value = left(broken.value, -2))
        )
    """)


def downgrade() -> None:
    """What stood there identified nobody; there is nothing to bring back."""
