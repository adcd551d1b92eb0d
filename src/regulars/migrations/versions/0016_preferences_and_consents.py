"""What customers like, what they allowed, and what became of the mails that were sent to them."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    _create_preferences()
    _create_consents()
    _create_engagement()


def _create_preferences() -> None:
    op.execute("""
        CREATE TABLE customer_preferences (
            customer_id uuid NOT NULL REFERENCES customers (id),
            id uuid NOT NULL DEFAULT uuidv7(),
            preference_type text NOT NULL
                CHECK (preference_type IN ('COMMUNICATION', 'SHOPPING', 'PAYMENT', 'DELIVERY', 'MARKETING')),
            preference_key text NOT NULL CHECK (preference_key <> ''),
            preference_value jsonb NOT NULL,
            version integer NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, preference_type, preference_key),
            UNIQUE (customer_id, id)
        )
    """)
    op.execute("CREATE INDEX customer_preferences_key ON customer_preferences (preference_key)")


def _create_consents() -> None:
    op.execute("""
        CREATE TABLE consent_events (
            customer_id uuid NOT NULL REFERENCES customers (id),
            id uuid NOT NULL DEFAULT uuidv7(),
            seq bigint NOT NULL CHECK (seq > 0),
            purpose text NOT NULL CHECK (purpose ~ '^[a-z_]{1,50}$'),
            channel text NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
            action text NOT NULL CHECK (action IN ('granted', 'withdrawn')),
            policy_version text,
            text_hash bytea CHECK (octet_length(text_hash) = 32),
            source text NOT NULL,
            actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'client', 'operator', 'system')),
            actor_id uuid,
            occurred_at timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, id),
            UNIQUE (customer_id, seq)
        )
    """)
    op.execute("CREATE INDEX consent_events_time ON consent_events (customer_id, occurred_at, seq)")
    # The flags of today become the first events, so that they are projections from the start.
    op.execute("""
        INSERT INTO consent_events
            (customer_id, seq, purpose, channel, action, source, actor_kind, occurred_at, recorded_at)
        SELECT c.id, row_number() OVER (PARTITION BY c.id ORDER BY flag.channel), 'marketing', flag.channel, 'granted',
            'profile', 'system', c.updated_at, c.updated_at
        FROM customers c
        CROSS JOIN LATERAL (VALUES
            ('email', c.email_marketing_consent),
            ('sms', c.sms_marketing_consent),
            ('push', c.push_notification_consent)
        ) AS flag (channel, is_granted)
        WHERE flag.is_granted
    """)


def _create_engagement() -> None:
    # The address that came back is kept, not a mark on the customer: with another address, the mark would be wrong.
    op.execute("""
        CREATE TABLE customer_engagement (
            customer_id uuid PRIMARY KEY REFERENCES customers (id),
            mails_sent bigint NOT NULL DEFAULT 0,
            mails_delivered bigint NOT NULL DEFAULT 0,
            mails_opened bigint NOT NULL DEFAULT 0,
            mails_clicked bigint NOT NULL DEFAULT 0,
            last_delivered_at timestamptz,
            last_opened_at timestamptz,
            last_clicked_at timestamptz,
            last_activity_at timestamptz,
            bounced_email text,
            bounced_at timestamptz,
            CHECK (mails_sent >= mails_delivered AND mails_delivered >= mails_opened AND mails_opened >= mails_clicked),
            CHECK ((bounced_email IS NULL) = (bounced_at IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE engagement_events (
            customer_id uuid NOT NULL REFERENCES customers (id),
            event_id text NOT NULL,
            message_id text NOT NULL,
            kind text NOT NULL CHECK (kind IN
                ('sent', 'delivered', 'opened', 'clicked', 'bounced', 'unsubscribed', 'complained')),
            occurred_at timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, event_id)
        )
    """)
    op.execute("CREATE INDEX engagement_events_message ON engagement_events (customer_id, message_id)")
    op.execute("CREATE INDEX engagement_events_recorded ON engagement_events (recorded_at)")


def downgrade() -> None:
    op.execute("DROP TABLE engagement_events, customer_engagement, consent_events, customer_preferences")
