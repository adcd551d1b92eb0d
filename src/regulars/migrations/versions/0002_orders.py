"""Orders, their lines and refunds, a minimal catalogue, and the purchase metrics that follow from them.

`ordered_on` is the store's day of `ordered_at`, kept because every question about time is asked in store days.
orders_facts covers what scoring reads, so that it never touches the wide rows.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE orders (
            customer_id uuid NOT NULL REFERENCES customers (id),
            id uuid NOT NULL DEFAULT uuidv7(),
            source text NOT NULL,
            external_id text NOT NULL,
            status text NOT NULL DEFAULT 'paid'
                CHECK (status IN ('pending', 'paid', 'fulfilled', 'cancelled', 'partially_refunded', 'refunded')),
            currency text NOT NULL,
            ordered_at timestamptz NOT NULL,
            ordered_on date NOT NULL,
            total numeric(18, 4) NOT NULL CHECK (total >= 0),
            discount_total numeric(18, 4) NOT NULL DEFAULT 0 CHECK (discount_total >= 0),
            tax_total numeric(18, 4) NOT NULL DEFAULT 0 CHECK (tax_total >= 0),
            shipping_total numeric(18, 4) NOT NULL DEFAULT 0 CHECK (shipping_total >= 0),
            refunded_total numeric(18, 4) NOT NULL DEFAULT 0 CHECK (refunded_total BETWEEN 0 AND total),
            cancelled_on date,
            channel text,
            metadata jsonb,
            content_hash bytea NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, id),
            CHECK ((status = 'cancelled') = (cancelled_on IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE INDEX orders_facts ON orders (customer_id, ordered_on)
            INCLUDE (total, refunded_total, cancelled_on)
    """)
    op.execute("""
        CREATE TABLE order_identifiers (
            source text NOT NULL,
            external_id text NOT NULL,
            customer_id uuid NOT NULL,
            order_id uuid NOT NULL,
            PRIMARY KEY (source, external_id)
        )
    """)
    op.execute("""
        CREATE TABLE order_lines (
            customer_id uuid NOT NULL,
            order_id uuid NOT NULL,
            line_number integer NOT NULL CHECK (line_number > 0),
            sku text NOT NULL,
            quantity numeric(14, 3) NOT NULL,
            unit_price numeric(18, 4) NOT NULL,
            discount numeric(18, 4) NOT NULL DEFAULT 0,
            total numeric(18, 4) NOT NULL,
            PRIMARY KEY (customer_id, order_id, line_number),
            FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
        )
    """)
    op.execute("""
        CREATE TABLE refunds (
            customer_id uuid NOT NULL,
            id uuid NOT NULL DEFAULT uuidv7(),
            order_id uuid NOT NULL,
            refund_id text NOT NULL,
            amount numeric(18, 4) NOT NULL CHECK (amount > 0),
            refunded_at timestamptz NOT NULL,
            refunded_on date NOT NULL,
            reason_code text,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (customer_id, id),
            UNIQUE (customer_id, order_id, refund_id),
            FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
        )
    """)
    op.execute("CREATE INDEX refunds_day ON refunds (refunded_on)")
    op.execute("""
        CREATE TABLE products (
            sku text PRIMARY KEY,
            name text,
            brand text,
            category text,
            department text,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE customer_metrics (
            customer_id uuid PRIMARY KEY REFERENCES customers (id),
            total_orders integer NOT NULL DEFAULT 0 CHECK (total_orders >= 0),
            net_spent numeric(18, 4) NOT NULL DEFAULT 0,
            first_order_at timestamptz,
            last_order_at timestamptz,
            purchase_days integer NOT NULL DEFAULT 0 CHECK (purchase_days BETWEEN 0 AND total_orders),
            changed_at timestamptz NOT NULL
        )
    """)
    # Lists of customers sort by these: each is one more entry for every purchase, and spares reading all customers.
    op.execute("CREATE INDEX customer_metrics_last_order ON customer_metrics (last_order_at, customer_id)")
    op.execute("CREATE INDEX customer_metrics_first_order ON customer_metrics (first_order_at, customer_id)")
    op.execute("CREATE INDEX customer_metrics_orders ON customer_metrics (total_orders, customer_id)")
    op.execute("CREATE INDEX customer_metrics_spent ON customer_metrics (net_spent, customer_id)")
    op.execute(
        "CREATE INDEX customer_metrics_average ON customer_metrics ((net_spent / nullif(total_orders, 0)), customer_id)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE customer_metrics, products, refunds, order_lines, order_identifiers, orders")
