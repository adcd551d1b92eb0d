"""What people like and how they pay is kept as preferences alone; the profile shows it from there.

Until now the profile had columns of its own for five of the preferences, and neither knew of the other. Where both say
something, the preference stays: it was said about just this, and has a date of its own. A preference that is an empty
list says nothing.
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute("""
        INSERT INTO customer_preferences AS p
            (customer_id, preference_type, preference_key, preference_value, created_at, updated_at)
        SELECT c.id, said.type, said.key, said.value, c.updated_at, c.updated_at
        FROM customers c
        CROSS JOIN LATERAL (VALUES
            ('SHOPPING', 'categories', to_jsonb(c.preferred_categories)),
            ('SHOPPING', 'brands', to_jsonb(c.preferred_brands)),
            ('SHOPPING', 'sizes', to_jsonb(c.preferred_sizes)),
            ('SHOPPING', 'colors', to_jsonb(c.preferred_colors)),
            ('PAYMENT', 'method', to_jsonb(c.preferred_payment_method))
        ) AS said (type, key, value)
        WHERE said.value <> '[]'
        ON CONFLICT (customer_id, preference_type, preference_key) DO UPDATE
            SET preference_value = excluded.preference_value, version = p.version + 1,
                updated_at = greatest(p.updated_at, excluded.updated_at)
            WHERE p.preference_value = '[]'
    """)
    op.execute("""
        ALTER TABLE customers DROP COLUMN preferred_categories, DROP COLUMN preferred_brands,
            DROP COLUMN preferred_sizes, DROP COLUMN preferred_colors, DROP COLUMN preferred_payment_method
    """)
    # The two that customers are filtered by.
    op.execute("""
        CREATE INDEX customer_preferences_words ON customer_preferences USING gin (preference_value)
            WHERE preference_type = 'SHOPPING' AND preference_key IN ('categories', 'brands')
    """)


def downgrade() -> None:
    op.execute("DROP INDEX customer_preferences_words")
    op.execute("""
        ALTER TABLE customers ADD COLUMN preferred_categories text[] NOT NULL DEFAULT '{}',
            ADD COLUMN preferred_brands text[] NOT NULL DEFAULT '{}',
            ADD COLUMN preferred_sizes text[] NOT NULL DEFAULT '{}',
            ADD COLUMN preferred_colors text[] NOT NULL DEFAULT '{}', ADD COLUMN preferred_payment_method text
    """)
