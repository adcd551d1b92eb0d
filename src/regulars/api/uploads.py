"""Order files that come in a request: kept on disk while they arrive, imported once they are whole."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from fastapi import Request, Response

from regulars.api.errors import UnsupportedMediaType
from regulars.api.idempotency import keyed_request
from regulars.flows.import_orders import import_orders
from regulars.flows.importing.files import read_text
from regulars.flows.importing.problems import sentences
from regulars.flows.importing.readers import read_csv, read_ndjson
from regulars.flows.importing.result import Reject
from regulars.flows.importing.rows import ImportRows, UnusableFile
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, DatabaseUnavailable
from regulars.kit.errors import OperatorError
from regulars.kit.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.orders.schemas import ImportLineError, ImportResult

_what_a_file_is = "must be UTF-8 text: JSON lines, or CSV with the columns order_id, ordered_at, total and a customer's"
csv_type, ndjson_type = "text/csv", "application/x-ndjson"
most_errors = 1_000
_in_memory_bytes = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file that has arrived whole.

    Attributes:
        media_type: What the caller said it is.
        digest: SHA-256 of its bytes.
    """

    file: IO[bytes]
    media_type: str
    digest: bytes

    @contextmanager
    def rows(self) -> Iterator[ImportRows]:
        """The orders in the file.

        Raises:
            Validation: it is empty, no UTF-8 text, or lacks a column. What it holds is not repeated.
        """
        read = read_csv if self.media_type == csv_type else read_ndjson
        try:
            yield read(read_text(self.file, name="The body"), {})
        except UnusableFile as error:
            raise Validation.at("", "format", _what_a_file_is) from error


@contextmanager
def kept_on_disk() -> Iterator[IO[bytes]]:
    """A file for an upload; small ones stay in memory, none outlives the request."""
    with tempfile.SpooledTemporaryFile(max_size=_in_memory_bytes) as file:
        yield file


async def receive(request: Request, file: IO[bytes]) -> Upload:
    """Take in the body, piece by piece.

    Raises:
        UnsupportedMediaType: there is no body, so that nothing says what it would be.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (csv_type, ndjson_type):
        raise UnsupportedMediaType
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
        file.write(piece)
    file.seek(0)
    return Upload(file, media_type, digest.digest())


@dataclass(frozen=True)
class Imports:
    """Imports the body of a request, once for an Idempotency-Key.

    An import commits piece by piece, so that its key cannot be claimed in the same transaction: the answer is kept when
    all is done. What was repeated meanwhile, or after a crash, finds its orders written and leaves them as they are.
    """

    request: Request
    database: Database
    settings: Settings
    clock: Clock

    async def run(self, source: str) -> Response:
        """Take in the file, import it and answer; or give the answer again that was kept for the same file.

        Raises:
            UnsupportedMediaType: there is no body.
            Validation: the body is no file of orders.
            IdempotencyKeyReused: the key came with another file.
            DatabaseUnavailable: the database cannot be reached, or went away; the same import may be sent again.
        """
        with kept_on_disk() as file:
            upload = await receive(self.request, file)
            keyed = self._keyed(upload)
            if keyed and (kept := await self._find(keyed)):
                return _replay(kept)
            body = (await self._import(upload, source)).model_dump_json().encode()
        answer = StoredAnswer(200, {"content-type": "application/json"}, body)
        if keyed and (kept := await self._keep(keyed, answer)):
            return _replay(kept)
        return Response(body, answer.status, headers=dict(answer.headers))

    async def _import(self, upload: Upload, source: str) -> ImportResult:
        rejects: list[Reject] = []
        try:
            with upload.rows() as rows:
                result = await import_orders(
                    self.database.url,
                    rows,
                    source=source,
                    settings=self.settings,
                    clock=self.clock,
                    on_reject=lambda reject: rejects.append(reject) if len(rejects) < most_errors else None,
                )
        except OperatorError as error:
            raise DatabaseUnavailable(retry_after=1) from error
        messages = sentences(self.settings.currency)
        return ImportResult(
            received=result.received,
            created=result.created,
            updated=result.updated,
            unchanged=result.unchanged,
            failed=result.rejected,
            customers_created=result.customers_created,
            errors=[ImportLineError(line=bad.line, code=bad.code, message=messages[bad.code]) for bad in rejects],
        )

    def _keyed(self, upload: Upload) -> KeyedRequest | None:
        if "idempotency-key" not in self.request.headers:
            return None
        target = f"{self.request.method} {self.request.url.path}?{self.request.url.query}".encode()
        return keyed_request(self.request, hashlib.sha256(target + b"\0" + upload.digest).digest())

    async def _find(self, keyed: KeyedRequest) -> StoredAnswer | None:
        async with self.database.transaction() as connection:
            return await self._keys(connection).find(keyed, now=self.clock.now())

    async def _keep(self, keyed: KeyedRequest, answer: StoredAnswer) -> StoredAnswer | None:
        """Keep the answer, or give the one that the same request got meanwhile."""
        async with self.database.transaction() as connection:
            keys = self._keys(connection)
            if kept := await keys.claim(keyed, now=self.clock.now()):
                return kept
            await keys.keep(keyed, answer)
        return None

    def _keys(self, connection: Connection) -> IdempotencyKeys:
        return IdempotencyKeys(connection, timedelta(days=self.settings.idempotency_days))


def _replay(kept: StoredAnswer) -> Response:
    return Response(kept.body, kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})
