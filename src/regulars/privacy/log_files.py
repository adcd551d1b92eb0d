"""The erasure log as a file: one JSON object per line, to be kept where the backups are."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from regulars.kit.errors import OperatorError
from regulars.privacy.models import Erasure

_hashes = ("proof", "email_hash", "phone_hash")
_instants = ("erased_at", "completed_at", "confirmed_at")
_ids = ("customer_id", "requested_by")


def line_of(erasure: Erasure) -> str:
    """An entry as a line."""
    entry = dict(vars(erasure))
    for name in _hashes:
        entry[name] = entry[name] and entry[name].hex()
    for name in _instants:
        entry[name] = entry[name] and entry[name].isoformat()
    for name in _ids:
        entry[name] = entry[name] and str(entry[name])
    return json.dumps(entry)


def read_log(lines: Iterable[str]) -> Iterator[Erasure]:
    """The entries of a file.

    Raises:
        OperatorError: a line is no entry; says which.
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield _erasure(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise OperatorError(
                f"Line {number} is no entry of an erasure log.",
                "Give what `regulars privacy erasure-log` wrote.",
            ) from error


def _erasure(entry: dict[str, object]) -> Erasure:
    values = dict(entry)
    for names, parse in ((_hashes, bytes.fromhex), (_instants, datetime.fromisoformat), (_ids, UUID)):
        for name in names:
            text = entry[name]
            values[name] = None if text is None else parse(str(text))
    return Erasure(**values)  # type: ignore[arg-type]
