"""Opening files: plain, compressed or from standard input, and saying in one line why one cannot be read."""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Literal, TypeAlias, cast, get_args

from regulars.flows.importing.rows import UnusableFile

FileFormat: TypeAlias = Literal["csv", "ndjson", "parquet", "cdnow", "completejourney"]
formats: tuple[FileFormat, ...] = get_args(FileFormat)
general_formats: tuple[FileFormat, ...] = ("csv", "ndjson", "parquet")
standard_input = Path("-")
_formats_by_suffix: dict[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_compressions = (".gz", ".xz")


def guess_format(path: Path, among: Sequence[FileFormat] = formats) -> FileFormat:
    """The format that a file's name promises.

    Args:
        path: The file.
        among: The formats that could be meant, for the message.

    Raises:
        UnusableFile: the name says nothing.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _compressions:
        suffixes.pop()
    found = _formats_by_suffix.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise UnusableFile(
            "Standard input has no name to tell its format by."
            if path == standard_input
            else f"{path.name} does not tell its format by its name.",
            f"Say which it is: --format {'|'.join(among)}.",
        )
    return found


def parse_format(text: str, among: Sequence[FileFormat] = formats) -> FileFormat:
    """A format by its name.

    Raises:
        UnusableFile: there is no such format; lists those there are.
    """
    for known in among:
        if text == known:
            return known
    raise UnusableFile(f"There is no format {text}.", f"Use one of {', '.join(among)}.")


def how_it_is_written(encoding: str) -> str:
    """What to try for a file that is no text in this encoding."""
    if encoding.lower().replace("-", "").replace("_", "") in {"utf8", "utf8sig"}:
        return "Say how it is written: --encoding cp1252."
    return f"It is not written in {encoding}: name another encoding, such as --encoding utf-8."


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """The lines of a file, decompressed by its suffix `.gz` or `.xz`; `-` is standard input.

    Bytes that are no text in this encoding come through as lone surrogates, so that the writer can name their line.

    Raises:
        UnusableFile: the file or the encoding does not exist, or the file is a folder, empty, or damaged.
    """
    with _open_bytes(path) as file:
        yield read_text(file, encoding, name="Standard input" if path == standard_input else path.name)


def read_text(file: IO[bytes], encoding: str = "utf-8", *, name: str) -> Iterator[str]:
    """The lines of an open file; as `open_text()` says."""
    try:
        text = io.TextIOWrapper(
            file,
            encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding,
            errors="surrogateescape",
            newline="",
        )
    except LookupError as error:
        raise UnusableFile(f"There is no encoding {encoding}.", "Use one such as utf-8 or cp1252.") from error
    lines = _mendable(text, name)
    first = next(lines, None)
    if first is None:
        raise UnusableFile(f"{name} is empty.", "Give a file with at least one row.")
    return chain([first], lines)


@contextmanager
def _open_bytes(path: Path) -> Iterator[IO[bytes]]:
    if path == standard_input:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except IsADirectoryError as error:
        raise UnusableFile(f"{path} is a folder.", "Give a file.") from error
    except FileNotFoundError as error:
        raise UnusableFile(f"There is no file {path}.", "Check the name and the folder.") from error
    except OSError as error:
        raise UnusableFile(f"{path} cannot be opened ({error.strerror}).", "Check its permissions.") from error
    with file:
        if path.suffix.lower() == ".gz":
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        elif path.suffix.lower() == ".xz":
            yield lzma.LZMAFile(file)  # noqa: SIM115 - what it reads from is closed here
        else:
            yield file


def _mendable(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    line = 1
    try:
        for line, content in enumerate(text, start=2):  # noqa: B007 - the line after the last good one
            yield content
    except UnicodeError as error:
        raise UnusableFile(
            f"{name} is not {text.encoding} text near line {line}.", how_it_is_written(text.encoding)
        ) from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise UnusableFile(
            f"{name} is damaged: it cannot be read beyond line {line - 1}.", "Fetch the file again."
        ) from error
    finally:
        # The file belongs to the caller: the reader of its text must not close it, and may outlive it.
        with suppress(ValueError):
            text.detach()
