"""Guards of the points ledger: what the tables' own constraints cannot say, and who may do what.

Each statement that touches the ledger notes once which customers, transactions and lots it touched. When the
transaction commits, one check reads the notes and compares account, chain, lots and allocations of exactly those.
Its price is per statement and per customer touched, not per row. See docs/adr/0020-append-only-ledger.md.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

history = ("loyalty_transactions", "point_allocations", "point_clawbacks", "loyalty_programmes")
# They run with the owner's rights: the runtime role cannot touch the notes. All names in them carry their schema, which
# does what a fixed search_path would do, and costs nothing on every statement.
definer = "LANGUAGE plpgsql SECURITY DEFINER"


def upgrade() -> None:
    _create_hash()
    _refuse_changes_of_history()
    _note_what_was_touched()
    _reconcile_at_commit()
    _grant_rights()


def _create_hash() -> None:
    op.execute("""
        CREATE FUNCTION loyalty_row_hash(previous bytea, t loyalty_transactions) RETURNS bytea
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN sha256(
            coalesce(previous, ''::bytea) || uuid_send(t.customer_id) || int8send(t.seq) || uuid_send(t.id)
            || int8send(t.points) || int8send(t.balance_before) || int8send(t.balance_after)
            || uuid_send(coalesce(t.order_id, '00000000-0000-0000-0000-000000000000'))
            || uuid_send(coalesce(t.refund_id, '00000000-0000-0000-0000-000000000000'))
            || uuid_send(coalesce(t.reverses_transaction_id, '00000000-0000-0000-0000-000000000000'))
            || uuid_send(coalesce(t.created_by, '00000000-0000-0000-0000-000000000000'))
            || int4send(coalesce(t.programme_version, 0)) || timestamptz_send(coalesce(t.expires_at, 'infinity'))
            || timestamptz_send(t.created_at) || boolsend(t.qualifies)
            || (t.transaction_type || '|' || coalesce(t.rule, '') || '|' || coalesce(t.reason_code, ''))::bytea
        )
    """)


def _refuse_changes_of_history() -> None:
    op.execute("""
        CREATE FUNCTION loyalty_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the points ledger is only ever added to: % of % refused', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'LG001';
        END $$
    """)
    for table in history:
        _add_trigger(table, "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE", "loyalty_refuse_change")
    for table in ("point_lots", "loyalty_accounts", "loyalty_tier_changes"):
        _add_trigger(table, "never_deleted", "BEFORE DELETE OR TRUNCATE", "loyalty_refuse_change")
    fixed = "customer_id, id, seq, origin_id, earned, earned_at, expires_at"
    _add_trigger("point_lots", "only_remaining_changes", f"BEFORE UPDATE OF {fixed}", "loyalty_refuse_change")
    _add_trigger("loyalty_accounts", "owner_is_fixed", "BEFORE UPDATE OF customer_id", "loyalty_refuse_change")


def _note_what_was_touched() -> None:
    op.execute("""
        CREATE UNLOGGED TABLE loyalty_touched (
            transaction_id xid8 NOT NULL,
            customer_ids uuid[] NOT NULL,
            seqs bigint[] NOT NULL,
            lot_ids uuid[] NOT NULL,
            lifetime_points bigint[] NOT NULL,
            held_points bigint[] NOT NULL,
            is_first boolean NOT NULL
        )
    """)
    op.execute(
        "ALTER TABLE loyalty_touched ALTER customer_ids SET STORAGE EXTERNAL, ALTER lot_ids SET STORAGE EXTERNAL"
    )
    op.execute("CREATE INDEX loyalty_touched_transaction ON loyalty_touched (transaction_id)")
    # What must cancel out in every transaction: lifetime points of awards and claw-backs against those of the account,
    # points held in lots against the account's balance as far as it is not owed.
    qualifying = "CASE WHEN qualifies THEN points ELSE 0 END"
    added = {
        "loyalty_transactions": f"customer_id, seq, NULL::uuid, {qualifying}, 0",
        "point_lots": "customer_id, NULL::bigint, id, 0, remaining",
        "point_allocations": "customer_id, seq, lot_id, 0, 0",
        "point_clawbacks": "customer_id, NULL::bigint, NULL::uuid, -lifetime_points, 0",
        "loyalty_accounts": "customer_id, NULL::bigint, NULL::uuid, -lifetime_points, -greatest(balance, 0)",
    }
    for table, selection in added.items():
        _note(f"{table}_added", f"SELECT {selection} FROM added")
        _add_trigger(table, "note_added", "AFTER INSERT", f"note_{table}_added", "REFERENCING NEW TABLE AS added")
    changed = {
        "point_lots": "SELECT customer_id, NULL::bigint, id, 0, remaining FROM changed"
        " UNION ALL SELECT customer_id, NULL, id, 0, -remaining FROM before",
        "loyalty_accounts": f"SELECT {added['loyalty_accounts']} FROM changed"
        " UNION ALL SELECT customer_id, NULL, NULL, lifetime_points, greatest(balance, 0) FROM before",
    }
    for table, selection in changed.items():
        _note(f"{table}_changed", selection)
        tables = "REFERENCING OLD TABLE AS before NEW TABLE AS changed"
        _add_trigger(table, "note_changed", "AFTER UPDATE", f"note_{table}_changed", tables)


def _note(name: str, selection: str) -> None:
    op.execute(f"""
        CREATE FUNCTION note_{name}() RETURNS trigger {definer} AS $$
        BEGIN
            INSERT INTO public.loyalty_touched
            SELECT pg_current_xact_id(), array_agg(t.customer_id), array_agg(t.seq), array_agg(t.lot_id),
                   array_agg(t.lifetime_points), array_agg(t.held_points),
                   NOT EXISTS (SELECT FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id())
            FROM ({selection}) AS t (customer_id, seq, lot_id, lifetime_points, held_points)
            HAVING count(*) > 0;
            RETURN NULL;
        END $$
    """)


def _reconcile_at_commit() -> None:
    op.execute(f"""
        CREATE FUNCTION loyalty_require_sound(
            customers uuid[], seqs bigint[], lots uuid[], lifetimes bigint[], held bigint[])
        RETURNS void {definer} SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
            SET plan_cache_mode = force_generic_plan AS $$
        DECLARE
            broken record;
        BEGIN
            PERFORM FROM public.loyalty_accounts WHERE customer_id = ANY (customers)
                ORDER BY customer_id FOR NO KEY UPDATE;
            WITH touched AS MATERIALIZED (
                SELECT * FROM unnest(customers, seqs, lots, lifetimes, held)
                    AS t (customer_id, seq, lot_id, lifetime_points, held_points)
            )
            {_broken_accounts} UNION ALL {_broken_transactions} UNION ALL {_broken_lots}
            LIMIT 1 INTO broken;
            IF FOUND THEN
                RAISE EXCEPTION 'points ledger: % (customer %)', broken.what, broken.customer_id
                    USING ERRCODE = broken.code;
            END IF;
        END $$
    """)
    op.execute(f"""
        CREATE FUNCTION loyalty_reconcile() RETURNS trigger {definer} AS $$
        DECLARE
            customers uuid[]; seqs bigint[]; lots uuid[]; lifetimes bigint[]; held bigint[];
        BEGIN
            WITH mine AS (
                DELETE FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id() RETURNING *
            )
            SELECT array_agg(t.customer_id), array_agg(t.seq), array_agg(t.lot_id), array_agg(t.lifetime_points),
                array_agg(t.held_points)
            INTO customers, seqs, lots, lifetimes, held
            FROM mine, unnest(mine.customer_ids, mine.seqs, mine.lot_ids, mine.lifetime_points, mine.held_points)
                AS t (customer_id, seq, lot_id, lifetime_points, held_points);
            PERFORM public.loyalty_require_sound(customers, seqs, lots, lifetimes, held);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER reconcile AFTER INSERT ON loyalty_touched
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_first) EXECUTE FUNCTION loyalty_reconcile()
    """)
    op.execute("ALTER TABLE loyalty_touched ENABLE ALWAYS TRIGGER reconcile")
    op.execute("REVOKE EXECUTE ON FUNCTION loyalty_require_sound FROM PUBLIC")


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
            FROM (SELECT DISTINCT customer_id, seq FROM touched WHERE seq IS NOT NULL) AS t
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            LEFT JOIN public.loyalty_transactions AS p ON p.customer_id = t.customer_id AND p.seq = t.seq - 1
            LEFT JOIN LATERAL (
                SELECT sum(points) AS points, bool_or(is_expiry) AS expires FROM public.point_allocations
                WHERE customer_id = t.customer_id AND seq = t.seq
            ) AS allocated ON true
            WHERE x.seq IS NULL OR (p.seq IS NULL AND x.seq > 1) OR x.balance_before <> coalesce(p.balance_after, 0)
                OR allocated.points IS DISTINCT FROM x.points
                OR allocated.expires <> (x.transaction_type = 'EXPIRED')
                OR x.hash <> public.loyalty_row_hash(p.hash, x)
"""

_broken_lots = """
            SELECT 'LG004', t.customer_id, 'a lot does not fit its allocations or its expiry'
            FROM (SELECT customer_id, lot_id, max(seq) AS seq FROM touched WHERE lot_id IS NOT NULL
                  GROUP BY customer_id, lot_id) AS t
            LEFT JOIN public.point_lots AS l ON l.customer_id = t.customer_id AND l.id = t.lot_id
            LEFT JOIN public.loyalty_transactions AS x ON x.customer_id = t.customer_id AND x.seq = t.seq
            LEFT JOIN LATERAL (
                SELECT sum(points) AS points FROM public.point_allocations
                WHERE customer_id = t.customer_id AND lot_id = t.lot_id
            ) AS allocated ON true
            WHERE l.id IS NULL OR allocated.points IS DISTINCT FROM l.remaining
                OR coalesce(l.expires_at <= x.created_at, false) <> (x.transaction_type = 'EXPIRED')
"""


def _grant_rights() -> None:
    for role in ("regulars_app", "regulars_report"):
        op.execute(f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    CREATE ROLE {role} NOLOGIN;
                    GRANT {role} TO CURRENT_USER;  -- so that the owner can step down to it
                END IF;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of the cluster was faster
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role {role} not made: ask the owner of the server, then run its grants';
            END $$
        """)
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_app') THEN
                {_rights_of_app}
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'regulars_report') THEN
                GRANT SELECT ON ALL TABLES IN SCHEMA public TO regulars_report;
                ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO regulars_report;
            END IF;
        END $$
    """)


_rights_of_app = f"""
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO regulars_app;
                ALTER DEFAULT PRIVILEGES IN SCHEMA public
                    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO regulars_app;
                GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO regulars_app;
                ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO regulars_app;
                REVOKE UPDATE, DELETE ON {", ".join(history)}, audit_log FROM regulars_app;
                REVOKE DELETE ON loyalty_accounts FROM regulars_app;
                REVOKE UPDATE, DELETE ON point_lots, loyalty_tier_changes FROM regulars_app;
                GRANT UPDATE (remaining) ON point_lots TO regulars_app;
                GRANT UPDATE (reason) ON loyalty_tier_changes TO regulars_app;
                REVOKE ALL ON loyalty_touched FROM regulars_app;
                REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM regulars_app;
"""


def _add_trigger(table: str, name: str, event: str, function: str, referencing: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER {name} {event} ON {table} {referencing} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def downgrade() -> None:
    op.execute("DROP FUNCTION loyalty_refuse_change, loyalty_reconcile, loyalty_require_sound CASCADE")
    for name in (
        "loyalty_transactions_added",
        "point_lots_added",
        "point_allocations_added",
        "point_clawbacks_added",
        "loyalty_accounts_added",
        "point_lots_changed",
        "loyalty_accounts_changed",
    ):
        op.execute(f"DROP FUNCTION note_{name} CASCADE")
    op.execute("DROP TABLE loyalty_touched")
    op.execute("DROP FUNCTION loyalty_row_hash")
