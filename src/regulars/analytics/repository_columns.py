"""Reading many numbers at once."""

from collections.abc import Mapping

from psycopg.sql import SQL, Composed

from regulars.analytics.binary_rows import Columns, read_columns
from regulars.kit.database import Repository


class ColumnsRepository(Repository):
    """A repository that reads columns of numbers."""

    async def _columns(self, statement: SQL | Composed, types: Mapping[str, str]) -> Columns:
        """The columns of a SELECT without parameters.

        Args:
            statement: It must not give a null.
            types: Name and NumPy type of each column, as it gives them.
        """
        data = bytearray()
        copied = SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(statement)
        async with self._connection.cursor() as cursor, cursor.copy(copied) as copy:
            async for block in copy:
                data += block
        return read_columns(data, types)
