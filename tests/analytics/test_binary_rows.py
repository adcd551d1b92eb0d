import numpy as np
import pytest

from regulars.analytics.binary_rows import read_columns, write_columns
from regulars.kit.database import Connection


async def test_columns_go_there_and_back(connection: Connection) -> None:
    types = {"number": "i4", "share": "f8"}
    number, share = np.arange(120_000, dtype=np.int32), np.linspace(-1, 1, 120_000)
    await connection.execute("CREATE TEMPORARY TABLE there (number integer, share double precision)")
    async with connection.cursor() as cursor, cursor.copy("COPY there FROM STDIN (FORMAT BINARY)") as copy:
        for piece in write_columns({"share": share, "number": number}, types):
            await copy.write(piece)
    data = bytearray()
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT * FROM there ORDER BY number) TO STDOUT (FORMAT BINARY)") as copy,
    ):
        async for block in copy:
            data += block
    back = read_columns(data, types)
    assert (back["number"] == number).all()
    assert (back["share"] == share).all()


async def test_no_rows_are_no_rows() -> None:
    types = {"number": "i4"}
    written = b"".join(write_columns({"number": np.array([], dtype=np.int32)}, types))
    assert len(read_columns(written, types)["number"]) == 0


async def test_a_null_is_not_taken_for_a_number(connection: Connection) -> None:
    data = bytearray()
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT NULL::integer, repeat('x', 8)) TO STDOUT (FORMAT BINARY)") as copy,
    ):
        async for block in copy:
            data += block
    with pytest.raises(ValueError, match="null"):
        read_columns(data, {"number": "i4", "text": "f4"})
