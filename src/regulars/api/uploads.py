"""Order files that come in a request: kept on disk while they arrive, imported once they are whole, or by a job."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from fastapi import Request, Response

from regulars.api.errors import UnsupportedMediaType
from regulars.api.idempotency import kept_form_of, keyed_request, keys_of, replayed
from regulars.api.limits import Place
from regulars.api.long_work import accepted
from regulars.flows.import_uploads import csv_type, import_upload, ndjson_type, require_usable
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.idempotency import KeyedRequest, StoredAnswer
from regulars.kit.jobs import Jobs
from regulars.kit.security import Principal
from regulars.kit.settings import Settings

_in_memory_bytes = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file that has arrived whole.

    Attributes:
        media_type: What the caller said it is.
        digest: SHA-256 of its bytes.
        lines: How many it has.
    """

    file: IO[bytes]
    media_type: str
    digest: bytes
    lines: int


@contextmanager
def kept_on_disk() -> Iterator[IO[bytes]]:
    """A file for an upload; small ones stay in memory, none outlives the request."""
    with tempfile.SpooledTemporaryFile(max_size=_in_memory_bytes) as file:
        yield file


async def receive(request: Request, file: IO[bytes]) -> Upload:
    """Take in the body, piece by piece; until all of it is here, the request holds no place among those at work.

    Raises:
        Overloaded: all places are taken when it is here.
        UnsupportedMediaType: there is no body, so that nothing says what it would be.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (csv_type, ndjson_type):
        raise UnsupportedMediaType
    digest, lines = hashlib.sha256(), 0
    place: Place = request.state.place
    place.give_back()
    async for piece in request.stream():
        digest.update(piece)
        lines += piece.count(b"\n")
        file.write(piece)
    place.take()
    file.seek(0)
    return Upload(file, media_type, digest.digest(), lines)


@dataclass(frozen=True)
class Imports:
    """Imports the body of a request, once for an Idempotency-Key.

    An import commits piece by piece, so that its key cannot be claimed in the same transaction: the answer is kept when
    all is done. What was repeated meanwhile, or after a crash, finds its orders written and leaves them as they are.
    A job is promised in one transaction with its key.
    """

    request: Request
    database: Database
    settings: Settings
    clock: Clock
    is_job_preferred: bool

    async def run(self, source: str, *, by: Principal) -> Response:
        """Take in the file and import it, or promise to; or give the answer again that was kept for the same file.

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
                return replayed(kept)
            if self.is_job_preferred or upload.lines > self.settings.sync_max_customers:
                return await self._promise(upload, source, keyed, by)
            body = (await self._import(upload, source)).encode()
        answer = StoredAnswer(200, {"content-type": "application/json"}, body)
        if keyed and (kept := await self._keep(keyed, answer)):
            return replayed(kept)
        return Response(body, answer.status, headers=dict(answer.headers))

    async def _import(self, upload: Upload, source: str) -> str:
        result = await import_upload(
            self.database.url,
            upload.file,
            upload.media_type,
            source=source,
            settings=self.settings,
            clock=self.clock,
        )
        return result.model_dump_json()

    async def _promise(self, upload: Upload, source: str, keyed: KeyedRequest | None, by: Principal) -> Response:
        """202 with a job, which gets the file."""
        require_usable(upload.file, upload.media_type)
        arguments = {"source": source, "media_type": upload.media_type, "lines": str(upload.lines)}
        async with self.database.transaction() as connection:
            keys = keys_of(connection, self.settings)
            if keyed and (kept := await keys.claim(keyed, now=self.clock.now())):
                return replayed(kept)
            job = await Jobs(connection, self.clock).start(
                "import_orders",
                by=by,
                arguments=arguments,
                given=upload.file,
                same_as=f"import_orders:{by.id}:{source}:{upload.media_type}:{upload.digest.hex()}",
                serial_for=source,
            )
            response = accepted(job, self.clock).response()
            if keyed:
                await keys.keep(keyed, kept_form_of(response), now=self.clock.now())
        return response

    def _keyed(self, upload: Upload) -> KeyedRequest | None:
        if "idempotency-key" not in self.request.headers:
            return None
        target = f"{self.request.method} {self.request.url.path}?{self.request.url.query}".encode()
        return keyed_request(self.request, hashlib.sha256(target + b"\0" + upload.digest).digest())

    async def _find(self, keyed: KeyedRequest) -> StoredAnswer | None:
        async with self.database.transaction() as connection:
            return await keys_of(connection, self.settings).find(keyed, now=self.clock.now())

    async def _keep(self, keyed: KeyedRequest, answer: StoredAnswer) -> StoredAnswer | None:
        """Keep the answer, or give the one that the same request got meanwhile."""
        async with self.database.transaction() as connection:
            keys = keys_of(connection, self.settings)
            if kept := await keys.claim(keyed, now=self.clock.now()):
                return kept
            await keys.keep(keyed, answer, now=self.clock.now())
        return None
