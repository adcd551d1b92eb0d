"""Alembic's entry: one connection, one transaction for each migration, and a short wait for locks."""

from alembic import context
from psycopg import connect
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

url: str = context.config.attributes["url"]

# SQLAlchemy only carries Alembic here; psycopg reads the address, so that every form of it that libpq knows works.
engine = create_engine("postgresql+psycopg://", creator=lambda: connect(url), poolclass=NullPool)
with engine.connect() as connection:
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
