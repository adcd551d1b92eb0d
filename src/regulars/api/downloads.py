"""Files as answers: written while the transaction is open, sent when it is closed.

Whoever reads slowly then keeps a file waiting and no connection, and a fault on the way is answered as one, not by half
a file that looks whole.
"""

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import IO

from fastapi.responses import StreamingResponse

from regulars.kit.csv_files import media_type

_in_memory_bytes = 1 << 20
_piece_bytes = 1 << 16


Write = Callable[[IO[bytes]], Awaitable[object]]


async def csv_download(name: str, write: Write) -> StreamingResponse:
    """A CSV file under a name, as `write` writes it; a large one is kept on disk until it is sent."""
    return await written_answer(write, media_type, {"Content-Disposition": f'attachment; filename="{name}"'})


async def written_answer(write: Write, media_type: str, headers: Mapping[str, str] | None = None) -> StreamingResponse:
    """An answer as `write` writes it; a large one is kept on disk until it is sent."""
    file = tempfile.SpooledTemporaryFile(max_size=_in_memory_bytes)  # noqa: SIM115 - closed when it is sent
    try:
        await write(file)
    except BaseException:
        file.close()
        raise
    length = {"Content-Length": str(file.tell())}
    return StreamingResponse(_pieces(file), headers={**(headers or {}), **length}, media_type=media_type)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_piece_bytes):
            yield piece
