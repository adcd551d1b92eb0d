"""Customers: the profile, the registry of what identifies them, and the counter of their numbers.

Every key of a customer table contains the customer's id, so that the tables can be distributed by it. Uniqueness
across customers lives in one place only: customer_identifiers.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public")
    op.execute("""
        CREATE TABLE customers (
            id uuid PRIMARY KEY DEFAULT uuidv7(),
            customer_number text NOT NULL CHECK (customer_number ~ '^CUST-[0-9]{8}-[0-9]{4,9}$'),
            first_name text,
            last_name text,
            email text,
            phone text,
            date_of_birth date,
            gender text,
            address_line1 text,
            address_line2 text,
            postal_code text,
            city text,
            state text,
            country text,
            is_active boolean NOT NULL DEFAULT true,
            is_email_verified boolean NOT NULL DEFAULT false,
            is_phone_verified boolean NOT NULL DEFAULT false,
            email_marketing_consent boolean NOT NULL DEFAULT false,
            sms_marketing_consent boolean NOT NULL DEFAULT false,
            push_notification_consent boolean NOT NULL DEFAULT false,
            preferred_categories text[] NOT NULL DEFAULT '{}',
            preferred_brands text[] NOT NULL DEFAULT '{}',
            preferred_sizes text[] NOT NULL DEFAULT '{}',
            preferred_colors text[] NOT NULL DEFAULT '{}',
            preferred_payment_method text,
            acquisition_source text,
            acquisition_campaign text,
            referrer_customer_id uuid,
            user_id uuid,
            notes text,
            tags text[] NOT NULL DEFAULT '{}',
            version integer NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            deleted_at timestamptz,
            erased_at timestamptz,
            search_text text NOT NULL GENERATED ALWAYS AS (lower(
                ' ' || coalesce(first_name || ' ', '') || coalesce(last_name || ' ', '') || coalesce(email || ' ', '')
                || coalesce(phone || ' ', '') || customer_number
            )) STORED,
            CHECK (NOT is_email_verified OR email IS NOT NULL),
            CHECK (NOT is_phone_verified OR phone IS NOT NULL)
        )
    """)
    op.execute("CREATE INDEX customers_created ON customers (created_at DESC, id DESC)")
    op.execute("CREATE INDEX customers_updated ON customers (updated_at, id)")
    op.execute("CREATE INDEX customers_number ON customers (customer_number, id)")
    op.execute('CREATE INDEX customers_first_name ON customers (lower(first_name) COLLATE "C")')
    op.execute('CREATE INDEX customers_last_name ON customers (lower(last_name) COLLATE "C", id)')
    op.execute("CREATE INDEX customers_city ON customers (lower(city))")
    op.execute("CREATE INDEX customers_tags ON customers USING gin (tags)")
    op.execute("CREATE INDEX customers_search ON customers USING gin (search_text gin_trgm_ops)")
    op.execute("CREATE INDEX customers_user ON customers (user_id) WHERE user_id IS NOT NULL")
    op.execute("""
        CREATE TABLE customer_identifiers (
            kind text NOT NULL CHECK (kind IN ('number', 'email', 'phone') OR kind LIKE 'ext:_%'),
            value text NOT NULL CHECK (value <> ''),
            customer_id uuid NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (kind, value)
        )
    """)
    op.execute("CREATE INDEX customer_identifiers_customer ON customer_identifiers (customer_id)")
    op.execute("""
        CREATE TABLE customer_number_counters (
            day date PRIMARY KEY,
            last_number bigint NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE customer_number_counters, customer_identifiers, customers")
