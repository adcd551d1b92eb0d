"""The guards of the ledger keep one note for each transaction, to which its statements add.

Before, every statement left a note of its own: it had to ask whether it was the first, and the check at commit had to
put the notes together. Now the note is one row; a transaction's first statement adds it, and with it the deferred
check; every later one appends. What is checked, and when, is as it was. See docs/adr/0020-append-only-ledger.md.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

# As in 0009: the runtime role cannot touch the notes, and names carry their schema.
definer = "LANGUAGE plpgsql SECURITY DEFINER"


def upgrade() -> None:
    op.execute("DROP TABLE loyalty_touched")  # notes live as long as a transaction: there are none
    op.execute("""
        CREATE UNLOGGED TABLE loyalty_touched (
            transaction_id xid8 PRIMARY KEY,
            customer_ids uuid[] NOT NULL,
            seqs bigint[] NOT NULL,
            lot_ids uuid[] NOT NULL,
            lifetime_points bigint[] NOT NULL,
            held_points bigint[] NOT NULL
        )
    """)
    op.execute(
        "ALTER TABLE loyalty_touched ALTER customer_ids SET STORAGE EXTERNAL, ALTER lot_ids SET STORAGE EXTERNAL"
    )
    # What must cancel out in every transaction: lifetime points of awards and claw-backs against those of the account,
    # points held in lots against the account's balance as far as it is not owed.
    qualifying = "CASE WHEN qualifies THEN points ELSE 0 END"
    account = "customer_id, NULL::bigint, NULL::uuid, -lifetime_points, -greatest(balance, 0)"
    _note("loyalty_transactions_added", f"SELECT customer_id, seq, NULL::uuid, {qualifying}, 0 FROM added")
    _note("point_lots_added", "SELECT customer_id, NULL::bigint, id, 0, remaining FROM added")
    _note("point_allocations_added", "SELECT customer_id, seq, lot_id, 0, 0 FROM added")
    _note("point_clawbacks_added", "SELECT customer_id, NULL::bigint, NULL::uuid, -lifetime_points, 0 FROM added")
    _note("loyalty_accounts_added", f"SELECT {account} FROM added")
    _note(
        "point_lots_changed",
        "SELECT customer_id, NULL::bigint, id, 0, remaining FROM changed"
        " UNION ALL SELECT customer_id, NULL, id, 0, -remaining FROM before",
    )
    _note(
        "loyalty_accounts_changed",
        f"SELECT {account} FROM changed"
        " UNION ALL SELECT customer_id, NULL, NULL, lifetime_points, greatest(balance, 0) FROM before",
    )
    _reconcile_at_commit()


def _note(name: str, selection: str) -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger {definer} AS $$
        BEGIN
            INSERT INTO public.loyalty_touched AS noted
            SELECT pg_current_xact_id(), array_agg(t.customer_id), array_agg(t.seq), array_agg(t.lot_id),
                   array_agg(t.lifetime_points), array_agg(t.held_points)
            FROM ({selection}) AS t (customer_id, seq, lot_id, lifetime_points, held_points)
            HAVING count(*) > 0
            ON CONFLICT (transaction_id) DO UPDATE SET
                customer_ids = noted.customer_ids || excluded.customer_ids,
                seqs = noted.seqs || excluded.seqs,
                lot_ids = noted.lot_ids || excluded.lot_ids,
                lifetime_points = noted.lifetime_points || excluded.lifetime_points,
                held_points = noted.held_points || excluded.held_points;
            RETURN NULL;
        END $$
    """)


def _reconcile_at_commit() -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION loyalty_reconcile() RETURNS trigger {definer} AS $$
        DECLARE
            noted public.loyalty_touched;
        BEGIN
            DELETE FROM public.loyalty_touched WHERE transaction_id = pg_current_xact_id() RETURNING * INTO noted;
            PERFORM public.loyalty_require_sound(
                noted.customer_ids, noted.seqs, noted.lot_ids, noted.lifetime_points, noted.held_points);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER reconcile AFTER INSERT ON loyalty_touched
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION loyalty_reconcile()
    """)
    op.execute("ALTER TABLE loyalty_touched ENABLE ALWAYS TRIGGER reconcile")


def downgrade() -> None:
    """Nothing: the guards check what they checked before, and 0009 takes them away by the same names."""
