"""The guards of the ledger compare lots and allocations by their change, and an index that nothing needs goes.

The check at commit read each lot that was touched and all its allocations. Now notes carry what moved, and every move
must be matched: points of allocations by those of their transaction and of their lot. What was true before stays true,
as with points held and lifetime points. See docs/adr/0020-append-only-ledger.md.
"""

from alembic import op

revision = "0021"
down_revision = "0019"

# As in 0009: the runtime role cannot touch the notes, and names carry their schema.
definer = "LANGUAGE plpgsql SECURITY DEFINER"
columns = {
    "customer_id": "uuid",
    "seq": "bigint",
    "lot_id": "uuid",
    "lifetime_points": "bigint",
    "held_points": "bigint",
    "booked_points": "bigint",
    "expires_at": "timestamptz",
    "is_expiry": "boolean",
}


def upgrade() -> None:
    op.execute("DROP FUNCTION loyalty_require_sound")
    op.execute("DROP TABLE loyalty_touched")  # notes live as long as a transaction: there are none
    op.execute("DROP TYPE IF EXISTS loyalty_move")  # a downgrade leaves it to the guards that need it
    op.execute(f"CREATE TYPE loyalty_move AS ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
    op.execute("CREATE UNLOGGED TABLE loyalty_touched (transaction_id xid8 PRIMARY KEY, moves loyalty_move[] NOT NULL)")
    op.execute("ALTER TABLE loyalty_touched ALTER moves SET STORAGE EXTERNAL")
    _note_what_moved()
    _reconcile_at_commit()
    # A customer's list goes by seq and the reports by kind and time: nothing reads this one.
    op.execute("DROP INDEX loyalty_transactions_date")
    _keep_from_app("loyalty_touched")


def _note_what_moved() -> None:
    """What must cancel out in every transaction.

    Lifetime points of awards and claw-backs against those of the account; points held in lots against the account's
    balance as far as it is not owed; points booked by allocations against those of their transaction, and against
    those that their lot holds more or less.
    """
    qualifying = "CASE WHEN qualifies THEN points ELSE 0 END"
    _note(
        "loyalty_transactions_added", f"SELECT customer_id, seq, NULL, {qualifying}, 0, -points, NULL, NULL FROM added"
    )
    _note(
        "point_lots_added",
        "SELECT customer_id, NULL, id, 0, remaining, 0, coalesce(expires_at, 'infinity'), NULL FROM added",
    )
    _note("point_allocations_added", "SELECT customer_id, seq, lot_id, 0, 0, points, NULL, is_expiry FROM added")
    _note("point_clawbacks_added", "SELECT customer_id, NULL, NULL, -lifetime_points, 0, 0, NULL, NULL FROM added")
    account = "customer_id, NULL, NULL, -lifetime_points, -greatest(balance, 0), 0, NULL, NULL"
    _note("loyalty_accounts_added", f"SELECT {account} FROM added")
    _note(
        "point_lots_changed",
        "SELECT customer_id, NULL, id, 0, sum(remaining)::bigint, 0, max(coalesce(expires_at, 'infinity')), NULL"
        " FROM (SELECT customer_id, id, remaining, expires_at FROM changed"
        " UNION ALL SELECT customer_id, id, -remaining, expires_at FROM before) AS lots GROUP BY customer_id, id",
    )
    _note(
        "loyalty_accounts_changed",
        f"SELECT {account} FROM changed UNION ALL"
        " SELECT customer_id, NULL, NULL, lifetime_points, greatest(balance, 0), 0, NULL, NULL FROM before",
    )


def _note(name: str, selection: str) -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger {definer} AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted
            SELECT pg_current_xact_id(), array_agg(ROW(t.*)::public.loyalty_move)
            FROM ({selection}) AS t ({", ".join(columns)})
            HAVING count(*) > 0
            ON CONFLICT (transaction_id) DO UPDATE SET moves = noted.moves || excluded.moves;
            RETURN NULL;
        END $$
    """)


def _reconcile_at_commit() -> None:
    op.execute(f"""
        CREATE FUNCTION loyalty_require_sound(noted public.loyalty_touched)
        RETURNS void {definer} SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
            SET plan_cache_mode = force_generic_plan AS $$
        DECLARE
            broken record;
        BEGIN
            PERFORM FROM public.loyalty_accounts
                WHERE customer_id = ANY (ARRAY(SELECT customer_id FROM unnest(noted.moves)))
                ORDER BY customer_id FOR NO KEY UPDATE;
            WITH touched AS MATERIALIZED (SELECT * FROM unnest(noted.moves))
            {_broken_accounts} UNION ALL {_broken_transactions} UNION ALL {_broken_lots}
            LIMIT 1 INTO broken;
            IF FOUND THEN
                RAISE EXCEPTION 'points ledger: % (customer %)', broken.what, broken.customer_id
                    USING ERRCODE = broken.code;
            END IF;
        END $$
    """)
    op.execute("REVOKE EXECUTE ON FUNCTION loyalty_require_sound FROM PUBLIC")
    op.execute(f"""
        CREATE OR REPLACE FUNCTION loyalty_reconcile() RETURNS trigger {definer} AS $$
        DECLARE
            noted public.loyalty_touched;
        BEGIN
            DELETE FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id() RETURNING * INTO noted;
            PERFORM public.loyalty_require_sound(noted);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER reconcile AFTER INSERT ON loyalty_touched
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION loyalty_reconcile()
    """)
    op.execute("ALTER TABLE loyalty_touched ENABLE ALWAYS TRIGGER reconcile")


_broken_accounts = """
            SELECT 'LG002' AS code, c.customer_id, 'account, chain and lots disagree' AS what
            FROM (SELECT customer_id, sum(lifetime_points) AS lifetime_drift, sum(held_points) AS held_drift
                  FROM touched GROUP BY customer_id) AS c
            LEFT JOIN public.loyalty_accounts AS a ON a.customer_id = c.customer_id
            LEFT JOIN LATERAL (
                SELECT seq, balance_after, hash FROM public.loyalty_transactions
                WHERE customer_id = c.customer_id ORDER BY seq DESC LIMIT 1
            ) AS head ON true
            WHERE c.lifetime_drift <> 0 OR c.held_drift <> 0 OR a.last_seq IS DISTINCT FROM coalesce(head.seq, 0)
                OR a.balance <> coalesce(head.balance_after, 0) OR a.last_hash IS DISTINCT FROM head.hash
"""

_broken_transactions = """
            SELECT 'LG003', t.customer_id, 'transaction ' || t.seq || ' does not fit its chain or its allocations'
            FROM (SELECT customer_id, seq, sum(booked_points) AS drift, bool_or(is_expiry) AS expires,
                      bool_and(is_expiry) AS only_expires
                  FROM touched WHERE seq IS NOT NULL GROUP BY customer_id, seq) AS t
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            LEFT JOIN public.loyalty_transactions AS p ON p.customer_id = t.customer_id AND p.seq = t.seq - 1
            WHERE x.seq IS NULL OR (p.seq IS NULL AND x.seq > 1) OR x.balance_before <> coalesce(p.balance_after, 0)
                OR t.drift <> 0 OR t.expires <> t.only_expires OR t.expires <> (x.transaction_type = 'EXPIRED')
                OR x.hash <> public.loyalty_row_hash(p.hash, x)
"""

_broken_lots = """
            SELECT 'LG004', t.customer_id, 'a lot does not fit its allocations or its expiry'
            FROM (SELECT customer_id, seq, bool_or(drift <> 0) AS drifts, min(expires_at) AS earliest,
                      max(expires_at) AS latest
                  FROM (SELECT customer_id, max(seq) AS seq, sum(held_points - booked_points) AS drift,
                            max(expires_at) AS expires_at
                        FROM touched WHERE lot_id IS NOT NULL GROUP BY customer_id, lot_id) AS l
                  GROUP BY customer_id, seq) AS t
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            WHERE t.drifts
                OR CASE WHEN x.transaction_type = 'EXPIRED' THEN t.latest > x.created_at
                        ELSE t.earliest <= x.created_at END
"""


def _keep_from_app(table: str) -> None:
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_app') THEN
                REVOKE ALL ON {table} FROM regulars_app;
            END IF;
        END $$
    """)


def downgrade() -> None:
    """Bring back the index; the guards check what they checked before, and 0009 takes them away by the same names."""
    op.execute("CREATE INDEX loyalty_transactions_date ON loyalty_transactions (customer_id, created_at)")
