"""Texts are searched by a key in which case, accents and the way a letter was typed do not count.

One function makes the key, and the server alone runs it: for what is stored, whoever writes it, and for what is asked.
So both always go by the same rules. It needs no dictionary: full case folding (ß is ss), compatibility
decomposition, no marks. The extension unaccent is no help here: what it makes depends on a file, so that PostgreSQL
takes it for neither an index nor a generated column.
"""

from alembic import op

revision = "0026"
down_revision = "0025"

# What Unicode writes upon a letter in Latin, Greek, Cyrillic, Hebrew and Arabic; what shows nothing. Not the vowel
# signs of other scripts, which are letters as much as ours are.
_marks = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    r"\u00ad\u200b-\u200f\u2060\ufeff"
)
# Letters that Unicode does not take apart, and the apostrophes.
_undecomposed, _plain = "łøđðħŧı’‘ʼ", "loddhti'''"  # noqa: RUF001 - the letters are meant

_customer_text = """
    ' ' || coalesce({key}(first_name) || ' ', '') || coalesce({key}(last_name) || ' ', '')
    || coalesce({key}(email) || ' ', '') || coalesce(phone || ' ', '') || lower(customer_number)
"""


def upgrade() -> None:
    # Most texts are ASCII, whose key is the folded text: that alone is a twentieth of the work. Not STRICT, so that it
    # can be inlined.
    op.execute(rf"""
        CREATE FUNCTION search_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE WHEN octet_length(value) = char_length(value)
            THEN casefold(value COLLATE pg_catalog.pg_unicode_fast)
            ELSE normalize(replace(replace(replace(
                translate(
                    casefold(
                        regexp_replace(normalize(value, NFKD), '[{_marks}]+', '', 'g')
                        COLLATE pg_catalog.pg_unicode_fast
                    ),
                    '{_undecomposed}', '{_plain.replace("'", "''")}'
                ),
                'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), NFC)
            END
    """)
    # Rewrites the table, and so makes the keys of all customers who are there.
    op.execute(
        f"ALTER TABLE customers ALTER COLUMN search_text SET EXPRESSION AS ({_customer_text.format(key='search_key')})"
    )
    op.execute("DROP INDEX customers_first_name, customers_last_name, customers_city")
    op.execute('CREATE INDEX customers_first_name ON customers (search_key(first_name) COLLATE "C")')
    op.execute('CREATE INDEX customers_last_name ON customers (search_key(last_name) COLLATE "C", id)')
    op.execute("CREATE INDEX customers_city ON customers (search_key(city))")
    op.execute("""
        ALTER TABLE products ADD COLUMN search_text text NOT NULL
            GENERATED ALWAYS AS (search_key(sku) || ' ' || coalesce(search_key(name), '')) STORED
    """)
    op.execute("DROP INDEX products_search")
    op.execute("CREATE INDEX products_search ON products USING gin (search_text gin_trgm_ops)")


def downgrade() -> None:
    op.execute("ALTER TABLE products DROP COLUMN search_text")
    op.execute("""
        CREATE INDEX products_search ON products USING gin (lower(sku || ' ' || coalesce(name, '')) gin_trgm_ops)
    """)
    op.execute("DROP INDEX customers_first_name, customers_last_name, customers_city")
    op.execute('CREATE INDEX customers_first_name ON customers (lower(first_name) COLLATE "C")')
    op.execute('CREATE INDEX customers_last_name ON customers (lower(last_name) COLLATE "C", id)')
    op.execute("CREATE INDEX customers_city ON customers (lower(city))")
    op.execute(
        f"ALTER TABLE customers ALTER COLUMN search_text SET EXPRESSION AS ({_customer_text.format(key='lower')})"
    )
    op.execute("DROP FUNCTION search_key(text)")
