"""Entity tags and If-Match: who says which version they have read overwrites no other."""

import re
from dataclasses import dataclass

from regulars.kit.errors import PreconditionFailed

_tag = r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")'
_tags = re.compile(rf"\s*{_tag}\s*(,\s*{_tag}\s*)*")


def etag_of(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


@dataclass(frozen=True)
class Precondition:
    """What the caller asks of the object before it is changed.

    Attributes:
        etags: The object must have one of these; None if any will do.
    """

    etags: frozenset[str] | None

    def require(self, version: int) -> None:
        """Refuse another version than the caller has read.

        Raises:
            PreconditionFailed: with the entity tag of now.
        """
        etag = etag_of(version)
        if self.etags is not None and etag not in self.etags:
            raise PreconditionFailed(etag)


any_version = Precondition(None)


def parse_if_match(text: str) -> Precondition:
    """The value of an If-Match header (RFC 9110, 13.1.1).

    Weak tags never match, and neither does a text that is no list of tags: whoever sent it meant some version.
    """
    if text.strip() == "*":
        return any_version
    tags = re.findall(_tag, text) if _tags.fullmatch(text) else []
    return Precondition(frozenset(tag for weak, tag in tags if not weak))
