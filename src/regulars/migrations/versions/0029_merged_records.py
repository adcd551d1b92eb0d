"""Records that became part of another, and contacts that people only typed about themselves.

A record without a history becomes part of the one that an address or number already identifies, once the person has
proved it. Its id was handed out, so the row stays and says which record it belongs to.

An e-mail address or phone number that somebody typed when registering identifies nobody before it is proved. Records
of before lose such identifiers where that is safe: the person registered the record themselves, nobody else changed
the contact since, no other system names the record, and no order hangs on it.

A proved address is the login name too: logins that stayed with an earlier address follow.
"""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.execute("ALTER TABLE customers ADD COLUMN merged_into uuid")
    for kind in ("email", "phone"):
        op.execute(f"""
            DELETE FROM customer_identifiers AS held USING customers AS c
            WHERE held.kind = '{kind}' AND held.customer_id = c.id AND held.value = c.{kind}
                AND NOT c.is_{kind}_verified AND NOT c.is_guest AND c.erased_at IS NULL
                AND EXISTS (
                    SELECT FROM audit_log AS a
                    WHERE a.object_kind = 'customer' AND a.object_id = c.id AND a.action = 'register_customer'
                )
                AND NOT EXISTS (
                    SELECT FROM audit_log AS a
                    WHERE a.object_kind = 'customer' AND a.object_id = c.id AND a.action = 'update_customer'
                        AND a.actor_id IS DISTINCT FROM c.user_id AND '{kind}' = ANY (a.fields)
                )
                AND NOT EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.id)
                AND NOT EXISTS (
                    SELECT FROM customer_identifiers AS named
                    WHERE named.customer_id = c.id AND named.kind LIKE 'ext:%'
                )
        """)
    op.execute("""
        UPDATE users AS u SET email = c.email, updated_at = now()
        FROM customers AS c
        WHERE u.customer_id = c.id AND c.is_email_verified AND c.email <> u.email
            AND NOT EXISTS (SELECT FROM users AS other WHERE other.email = c.email)
    """)
    # A grant for a contact that nobody has proved waits for the proof; the event of it stays.
    for channel, kind in (("email", "email"), ("sms", "phone")):
        op.execute(f"""
            UPDATE customers AS c SET {channel}_marketing_consent = false, version = version + 1
            WHERE {channel}_marketing_consent AND {kind} IS NOT NULL AND NOT EXISTS (
                SELECT FROM customer_identifiers AS held
                WHERE held.kind = '{kind}' AND held.value = c.{kind} AND held.customer_id = c.id
            )
        """)
    op.execute("""
        CREATE TABLE suppressed_contacts (
            customer_id uuid NOT NULL REFERENCES customers (id),
            channel text NOT NULL CHECK (channel IN ('email', 'sms')),
            address text NOT NULL CHECK (address <> ''),
            reason text NOT NULL CHECK (reason IN ('bounced', 'complained', 'withdrawn')),
            suppressed_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, channel, address)
        )
    """)
    op.execute("CREATE INDEX suppressed_contacts_channel ON suppressed_contacts (channel)")
    # Links that were mailed to a name under which nobody signs in any more.
    op.execute("""
        DELETE FROM verifications AS v USING users AS u
        WHERE v.kind = 'password_reset' AND v.subject_id = u.id AND v.address <> u.email
    """)


def downgrade() -> None:
    for kind in ("email", "phone"):
        op.execute(f"""
            INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
            SELECT DISTINCT ON ({kind}) '{kind}', {kind}, id, created_at FROM customers
            WHERE {kind} IS NOT NULL ORDER BY {kind}, created_at
            ON CONFLICT DO NOTHING
        """)
    op.execute("DROP TABLE suppressed_contacts")
    op.execute("ALTER TABLE customers DROP COLUMN merged_into")
