"""Finding products: by a part of their sku or name, by brand, category and department."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX products_search ON products USING gin (lower(sku || ' ' || coalesce(name, '')) gin_trgm_ops)
    """)
    op.execute("CREATE INDEX products_brand ON products (brand, sku)")
    op.execute("CREATE INDEX products_category ON products (category, sku)")
    op.execute("CREATE INDEX products_department ON products (department, sku)")


def downgrade() -> None:
    op.execute("DROP INDEX products_search, products_brand, products_category, products_department")
