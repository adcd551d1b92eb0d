"""Files as answers: written while the transaction is open, sent when it is closed.

Whoever reads slowly then keeps a file waiting and no connection, and a fault on the way is answered as one, not by half
a file that looks whole.
"""

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import IO

from fastapi.responses import StreamingResponse

_in_memory_bytes = 1 << 20
_piece_bytes = 1 << 16


async def download(
    write: Callable[[IO[bytes]], Awaitable[object]], media_type: str, *, name: str | None
) -> StreamingResponse:
    """What `write` writes, as a file if it has a name; a large one is kept on disk until it is sent."""
    file = tempfile.SpooledTemporaryFile(max_size=_in_memory_bytes)  # noqa: SIM115 - closed when it is sent
    try:
        await write(file)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Length": str(file.tell())}
    if name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(_pieces(file), headers=headers, media_type=media_type)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_piece_bytes):
            yield piece
