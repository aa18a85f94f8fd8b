"""Lines of a file of any size, with their bytes and line ends."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from latimer.files.document import FileError
from latimer.files.encoding import TextEncoding, decode

# The server takes texts of at most 1,000,000 code points, which are at most four bytes each.
MAX_LINE = 1_000_000
_MAX_BYTES = 4 * MAX_LINE
_BLOCK = 1 << 20


class Line(NamedTuple):
    """A line. `raw`: its bytes with the line end. `text`: without. `end`: the line end, "" at the end of a file."""

    raw: bytes
    text: str
    end: str


def read_lines(path: Path, encoding: TextEncoding) -> Iterator[Line]:
    """Yields the lines of a file; a line ends with LF, CRLF or CR. Raises `FileError`, also for a line of more than
    1,000,000 characters, of which at most 4 MB are read."""
    try:
        with path.open("rb") as file:
            file.seek(len(encoding.bom))
            if "\r\n".encode(encoding.codec) == b"\r\n":
                yield from _split_bytes(path, file, encoding)
            else:
                yield from _split_text(path, file, encoding)
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def _split_bytes(path: Path, file: BinaryIO, encoding: TextEncoding) -> Iterator[Line]:
    number = 0
    codec = encoding.codec
    while raw := file.readline(_MAX_BYTES + 2):
        number += 1
        if len(raw) > _MAX_BYTES:
            raise _too_long(path, number)
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            text = decode(path, raw, encoding, line=number)
        if "\0" in text:
            text = decode(path, raw, encoding, line=number)
        if text[-1:] == "\n" and "\r" not in text:
            yield Line(raw, text[:-1], "\n")
            continue
        for part, end in _divide(text):
            if len(part) > MAX_LINE:
                raise _too_long(path, number)
            # CR and LF are one byte each, and stand for themselves in every encoding that comes here.
            yield Line(raw if len(part) + len(end) == len(text) else (part + end).encode(codec), part, end)


def _split_text(path: Path, file: BinaryIO, encoding: TextEncoding) -> Iterator[Line]:
    """Splits UTF-16, UTF-32 and other encodings whose line end is not one byte."""
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    number, held = 1, ""
    while True:
        block = file.read(_BLOCK)
        try:
            held += decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            number += held.count("\n") + block.count("\n".encode(encoding.codec), 0, error.start)
            raise FileError(
                path, f"this line is not {encoding.codec}", place=f"line {number}", cure="name the encoding"
            ) from error
        # The last line may go on in the next block, and a CR at its end may have its LF there.
        whole = held.rfind("\n") + 1 if block else len(held)
        for text, end in _divide(held[:whole]):
            if len(text) > MAX_LINE:
                raise _too_long(path, number)
            number += 1
            yield Line((text + end).encode(encoding.codec), text, end)
        held = held[whole:]
        if len(held) > MAX_LINE:
            raise _too_long(path, number)
        if not block:
            return


def _divide(text: str) -> Iterator[tuple[str, str]]:
    """Yields the lines of a text and their ends."""
    start = 0
    while start < len(text):
        line_feed = text.find("\n", start)
        carriage_return = text.find("\r", start, line_feed if line_feed >= 0 else len(text))
        if carriage_return >= 0:
            end = carriage_return + (2 if carriage_return + 1 == line_feed else 1)
            yield text[start:carriage_return], text[carriage_return:end]
        elif line_feed >= 0:
            end = line_feed + 1
            yield text[start:line_feed], "\n"
        else:
            end = len(text)
            yield text[start:], ""
        start = end


def _too_long(path: Path, number: int) -> FileError:
    return FileError(
        path,
        f"this line has more than {MAX_LINE:,} characters, the most that the server takes in one text",
        place=f"line {number}",
        cure="divide it into lines",
    )
