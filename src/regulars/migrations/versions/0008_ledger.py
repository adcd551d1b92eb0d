"""The points ledger: programme, accounts, transactions, lots and allocations.

Transactions and allocations are only ever added. Each customer's transactions form a chain: gapless numbers, each
balance continues the one before (the self-reference proves it), each row's hash covers the row before it.
What guards the tables beyond their own constraints comes with the next migration.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _create_programmes()
    _create_accounts()
    _create_transactions()
    _create_lots_and_allocations()
    _create_side_tables()


def _create_programmes() -> None:
    op.execute("""
        CREATE TABLE loyalty_programmes (
            version integer PRIMARY KEY CHECK (version >= 1),
            points_per_unit numeric(12, 4) NOT NULL CHECK (points_per_unit >= 0),
            earning_base text NOT NULL CHECK (earning_base IN ('with_tax', 'without_tax')),
            earns_on_shipping boolean NOT NULL,
            rounding text NOT NULL CHECK (rounding IN ('down')),
            expiry_days integer CHECK (expiry_days BETWEEN 1 AND 3650),
            restore_grace_days integer NOT NULL CHECK (restore_grace_days BETWEEN 1 AND 3650),
            welcome_bonus_points bigint NOT NULL CHECK (welcome_bonus_points BETWEEN 0 AND 10000000),
            point_value numeric(18, 6) NOT NULL CHECK (point_value >= 0),
            refund_policy text NOT NULL CHECK (refund_policy IN ('allow_debt', 'cap_at_zero', 'reduce_refund')),
            debt_floor bigint NOT NULL CHECK (debt_floor <= 0),
            silver_from bigint NOT NULL CHECK (silver_from > 0),
            gold_from bigint NOT NULL CHECK (gold_from > silver_from),
            platinum_from bigint NOT NULL CHECK (platinum_from > gold_from),
            downgrades_at_once boolean NOT NULL,
            created_by uuid,
            created_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        INSERT INTO loyalty_programmes VALUES (
            1, 1, 'with_tax', false, 'down', 365, 30, 100, 0.01, 'allow_debt', -10000000, 10000, 50000, 100000, false,
            NULL, now()
        )
    """)


def _create_accounts() -> None:
    op.execute("""
        CREATE TABLE loyalty_accounts (
            customer_id uuid PRIMARY KEY REFERENCES customers (id),
            balance bigint NOT NULL DEFAULT 0,
            lifetime_points bigint NOT NULL DEFAULT 0 CHECK (lifetime_points >= 0),
            last_seq bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
            last_hash bytea CHECK (octet_length(last_hash) = 32),
            tier text NOT NULL DEFAULT 'bronze' CHECK (tier IN ('bronze', 'silver', 'gold', 'platinum')),
            tier_is_manual boolean NOT NULL DEFAULT false,
            tier_until timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CHECK ((last_seq = 0) = (last_hash IS NULL)),
            CHECK (tier_until IS NULL OR tier_is_manual)
        )
    """)
    op.execute("CREATE INDEX loyalty_accounts_tier ON loyalty_accounts (tier)")
    op.execute("CREATE INDEX loyalty_accounts_balance ON loyalty_accounts (balance, customer_id)")
    op.execute("CREATE INDEX loyalty_accounts_lifetime ON loyalty_accounts (lifetime_points, customer_id)")
    op.execute("CREATE INDEX loyalty_accounts_touched ON loyalty_accounts USING brin (updated_at)")


def _create_transactions() -> None:
    op.execute("""
        CREATE TABLE loyalty_transactions (
            customer_id uuid NOT NULL,
            seq bigint NOT NULL CHECK (seq >= 1),
            id uuid NOT NULL,
            transaction_type text NOT NULL CHECK (transaction_type IN (
                'EARNED', 'REDEEMED', 'EXPIRED', 'ADJUSTED_ADD', 'ADJUSTED_SUB', 'REFUND_CLAWBACK', 'REDEEM_RESTORED')),
            points bigint NOT NULL CHECK (points <> 0),
            balance_before bigint NOT NULL,
            balance_after bigint NOT NULL CHECK (balance_after = balance_before + points),
            prev_seq bigint GENERATED ALWAYS AS (nullif(seq - 1, 0)) STORED,
            qualifies boolean NOT NULL DEFAULT false,
            rule text CHECK (rule ~ '^[a-z][a-z0-9_:.-]{0,99}$'),
            reason_code text CHECK (reason_code ~ '^[a-z][a-z0-9_]{0,63}$'),
            order_id uuid,
            refund_id uuid,
            reverses_transaction_id uuid,
            programme_version integer,
            expires_at timestamptz,
            created_by uuid,
            created_at timestamptz NOT NULL,
            hash bytea NOT NULL CHECK (octet_length(hash) = 32),
            PRIMARY KEY (customer_id, seq),
            UNIQUE (customer_id, seq, balance_after),
            UNIQUE (id, customer_id),
            FOREIGN KEY (customer_id, prev_seq, balance_before)
                REFERENCES loyalty_transactions (customer_id, seq, balance_after),
            CONSTRAINT starts_at_zero CHECK (seq > 1 OR balance_before = 0),
            CONSTRAINT sign_fits_type
                CHECK ((points > 0) = (transaction_type IN ('EARNED', 'ADJUSTED_ADD', 'REDEEM_RESTORED'))),
            CONSTRAINT no_overdraft CHECK (balance_after >= 0 OR points > 0 OR transaction_type = 'REFUND_CLAWBACK'),
            CONSTRAINT award_has_rule CHECK ((transaction_type = 'EARNED') = (rule IS NOT NULL)),
            CONSTRAINT award_has_programme CHECK (
                programme_version IS NOT NULL OR transaction_type NOT IN ('EARNED', 'REFUND_CLAWBACK')),
            CONSTRAINT only_awards_qualify CHECK (NOT qualifies OR transaction_type = 'EARNED'),
            CONSTRAINT only_gains_expire CHECK (expires_at IS NULL OR (points > 0 AND expires_at > created_at)),
            CONSTRAINT adjustment_has_reason
                CHECK (reason_code IS NOT NULL OR transaction_type NOT IN ('ADJUSTED_ADD', 'ADJUSTED_SUB')),
            CONSTRAINT claw_back_has_refund CHECK ((transaction_type = 'REFUND_CLAWBACK') = (refund_id IS NOT NULL)),
            CONSTRAINT reversal_names_original CHECK (
                (transaction_type IN ('REFUND_CLAWBACK', 'REDEEM_RESTORED')) = (reverses_transaction_id IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX loyalty_transactions_date ON loyalty_transactions (customer_id, created_at)")
    op.execute(
        "CREATE INDEX loyalty_transactions_type ON loyalty_transactions (transaction_type, created_at) INCLUDE (points)"
    )
    op.execute("""
        CREATE UNIQUE INDEX one_award_per_order_and_rule ON loyalty_transactions (order_id, rule, customer_id)
            WHERE transaction_type = 'EARNED' AND order_id IS NOT NULL
    """)
    op.execute("""
        CREATE UNIQUE INDEX one_welcome_bonus ON loyalty_transactions (customer_id)
            WHERE transaction_type = 'EARNED' AND rule = 'welcome'
    """)
    op.execute("""
        CREATE UNIQUE INDEX one_opening_balance ON loyalty_transactions (customer_id)
            WHERE transaction_type = 'ADJUSTED_ADD' AND reason_code = 'opening_balance'
    """)
    op.execute("""
        CREATE UNIQUE INDEX one_claw_back_per_refund_and_award
            ON loyalty_transactions (customer_id, reverses_transaction_id, refund_id)
            WHERE transaction_type = 'REFUND_CLAWBACK'
    """)
    op.execute("""
        CREATE INDEX restores_of_redemption ON loyalty_transactions (customer_id, reverses_transaction_id)
            WHERE transaction_type = 'REDEEM_RESTORED'
    """)


def _create_lots_and_allocations() -> None:
    op.execute("""
        CREATE TABLE point_lots (
            customer_id uuid NOT NULL,
            id uuid NOT NULL,
            seq bigint NOT NULL,
            origin_id uuid NOT NULL,
            earned bigint NOT NULL CHECK (earned > 0),
            remaining bigint NOT NULL CHECK (remaining BETWEEN 0 AND earned),
            earned_at timestamptz NOT NULL,
            expires_at timestamptz CHECK (expires_at > earned_at),
            PRIMARY KEY (customer_id, id)
        ) WITH (fillfactor = 85)
    """)
    op.execute("""
        CREATE INDEX point_lots_in_order_of_use ON point_lots (customer_id, expires_at, earned_at, id)
            INCLUDE (remaining) WHERE remaining > 0
    """)
    op.execute(
        "CREATE INDEX point_lots_due ON point_lots (expires_at, customer_id)"
        " WHERE remaining > 0 AND expires_at IS NOT NULL"
    )
    op.execute("""
        CREATE TABLE point_allocations (
            customer_id uuid NOT NULL,
            seq bigint NOT NULL,
            lot_id uuid,
            points bigint NOT NULL CHECK (points <> 0),
            is_expiry boolean NOT NULL,
            CHECK (NOT is_expiry OR (points < 0 AND lot_id IS NOT NULL)),
            CONSTRAINT one_allocation_per_lot UNIQUE NULLS NOT DISTINCT (customer_id, seq, lot_id)
        )
    """)
    op.execute("CREATE INDEX point_allocations_lot ON point_allocations (customer_id, lot_id) INCLUDE (points)")
    op.execute("CREATE UNIQUE INDEX a_lot_expires_once ON point_allocations (customer_id, lot_id) WHERE is_expiry")


def _create_side_tables() -> None:
    # An award that names an order asks whose it is.
    op.execute("CREATE INDEX orders_by_id ON orders (id) INCLUDE (customer_id)")
    op.execute("""
        CREATE TABLE point_clawbacks (
            customer_id uuid NOT NULL,
            refund_id uuid NOT NULL,
            award_id uuid NOT NULL,
            order_id uuid NOT NULL,
            transaction_id uuid,
            due bigint NOT NULL CHECK (due >= 0),
            expired bigint NOT NULL CHECK (expired >= 0),
            written_off bigint NOT NULL CHECK (written_off >= 0),
            taken bigint NOT NULL CHECK (taken = due - expired - written_off AND taken >= 0),
            lifetime_points bigint NOT NULL CHECK (lifetime_points BETWEEN 0 AND due),
            created_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, award_id, refund_id),
            CHECK ((taken > 0) = (transaction_id IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE TABLE loyalty_notes (
            customer_id uuid NOT NULL,
            seq bigint NOT NULL,
            description text,
            metadata jsonb,
            PRIMARY KEY (customer_id, seq),
            FOREIGN KEY (customer_id, seq) REFERENCES loyalty_transactions (customer_id, seq)
        )
    """)
    op.execute("""
        CREATE TABLE loyalty_client_days (
            client_id uuid NOT NULL REFERENCES api_clients (id),
            day date NOT NULL,
            points bigint NOT NULL CHECK (points >= 0),
            PRIMARY KEY (client_id, day)
        )
    """)
    op.execute("""
        CREATE TABLE loyalty_tier_changes (
            customer_id uuid NOT NULL REFERENCES loyalty_accounts (customer_id),
            id uuid NOT NULL DEFAULT uuidv7(),
            tier_before text NOT NULL,
            tier text NOT NULL,
            is_manual boolean NOT NULL,
            tier_until timestamptz,
            reason text,
            created_by uuid,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, id)
        )
    """)


def downgrade() -> None:
    op.execute("""
        DROP INDEX orders_by_id;
        DROP TABLE loyalty_client_days, loyalty_tier_changes, loyalty_notes, point_clawbacks, point_allocations,
            point_lots, loyalty_transactions, loyalty_accounts, loyalty_programmes
    """)
