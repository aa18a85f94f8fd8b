"""Encodings of text files: byte order marks, detection, and errors that name the line.

Detection: a byte order mark decides. A file is UTF-8 if as many of its characters outside of ASCII are valid UTF-8 as
are not; the others are errors then, since another encoding would turn the valid characters into wrong ones. Else
charset-normalizer chooses among the encodings that were common for the source language (WHATWG Encoding, section 4.2).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latimer.files.document import FileError

_BLOCK = 1 << 20
# Bytes that charset-normalizer reads; more cost time and change nothing.
_SAMPLE = 1 << 16
# Formats that are not read in a stream hold their text in memory several times.
_MAX_WHOLE_FILE = 256_000_000

# Characters beyond ASCII that no text of two-byte characters has by chance as UTF-8.
_FEWEST_WIDE = 8
_WIDE_BYTE = re.compile(rb"[\x80-\xff]")

_BOMS = (  # UTF-32 first: its mark starts with that of UTF-16.
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = (
    (("cp932", "euc_jp", "iso2022_jp"), "ja"),
    (("gb18030", "big5"), "zh"),
    (("cp949",), "ko"),
    (("cp1251", "koi8_r"), "ru uk be bg sr mk kk mn"),
    (("cp1250", "iso8859_2"), "pl cs sk hu sl hr bs ro sq"),
    (("cp1253", "iso8859_7"), "el"),
    (("cp1254",), "tr az"),
    (("cp1257",), "lt lv et"),
    (("cp1255",), "he yi"),
    (("cp1256",), "ar fa ur"),
    (("cp874",), "th"),
    (("cp1258",), "vi"),
)
_WESTERN = ("cp1252", "latin_1")


@dataclass(frozen=True)
class TextEncoding:
    """The encoding of a file. `codec`: Python's name of it. `bom`: the byte order mark that the file starts with."""

    codec: str
    bom: bytes = b""


def find_encoding(
    path: Path, given: str | None, source_language: str | None, *, declared: str | None = None
) -> TextEncoding:
    """Returns the encoding of a file.

    `given`: its name, if the caller knows it. `declared`: the name in the file's own declaration. Raises `FileError`,
    also for a declaration that the bytes contradict.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error
    bom, marked = next(((bom, codec) for bom, codec in _BOMS if head.startswith(bom)), (b"", ""))
    if given is not None:
        return _given(path, given, bom, marked)
    if marked:
        return TextEncoding(marked, bom)
    if declared is not None:
        encoding = _given(path, declared, b"", "")
        _check_declared(path, declared, encoding.codec)
        return encoding
    return TextEncoding(_detect(path, source_language))


def read_whole(path: Path, encoding: TextEncoding) -> tuple[str, bytes]:
    """Returns the text of a file and its bytes, both without the byte order mark. Raises `FileError`."""
    try:
        size = path.stat().st_size
        if size > _MAX_WHOLE_FILE:
            raise FileError(
                path,
                f"it has {size:,} bytes, and this format is read into memory up to {_MAX_WHOLE_FILE:,}",
                cure="divide the file",
            )
        raw = path.read_bytes()[len(encoding.bom) :]
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error
    return decode(path, raw, encoding, line=1), raw


def decode(path: Path, raw: bytes, encoding: TextEncoding, *, line: int) -> str:
    """Returns the text of bytes that start at a line. Raises `FileError` with the line of the first wrong byte."""
    try:
        text = raw.decode(encoding.codec)
    except UnicodeDecodeError as error:
        line += raw.count("\n".encode(encoding.codec), 0, error.start)
        raise _undecodable(path, encoding.codec, line) from error
    if "\0" in text:
        raise _binary(path, line + text.count("\n", 0, text.index("\0")))
    return text


def encode(
    path: Path,
    text: str,
    encoding: TextEncoding,
    *,
    line: Callable[[], int],
    escape: Callable[[str], str] | None = None,
) -> bytes:
    """Returns the bytes of a new text.

    `escape`: writes a character that the encoding lacks by others; None raises `FileError` for it. `line`: returns the
    line where the text goes, for the error.
    """
    try:
        return text.encode(encoding.codec)
    except UnicodeEncodeError as error:
        character = text[error.start]
    if escape is not None:
        return "".join(each if _has(encoding, each) else escape(each) for each in text).encode(encoding.codec)
    name = unicodedata.name(character, "a character")
    raise FileError(
        path,
        f"the translation has U+{ord(character):04X} {name}, which the file's encoding {encoding.codec} lacks",
        place=f"line {line()}",
        cure="convert the file to UTF-8 first",
    )


def _has(encoding: TextEncoding, character: str) -> bool:
    try:
        character.encode(encoding.codec)
    except UnicodeEncodeError:
        return False
    return True


def _given(path: Path, given: str, bom: bytes, marked: str) -> TextEncoding:
    try:
        "".encode(given)  # refuses codecs that are not encodings of text, such as rot13
        codec = codecs.lookup(given)
    except LookupError as error:
        raise FileError(path, f"there is no encoding {given!r}", cure="use a name such as utf-8 or cp1252") from error
    # Python's utf-8-sig, utf-16 and utf-32 handle a mark of their own, which is kept apart here.
    name = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(codec.name, codec.name)
    if not marked:
        return TextEncoding(name)
    if marked == name or (codec.name in ("utf-16", "utf-32") and marked.startswith(codec.name)):
        return TextEncoding(marked, bom)
    raise FileError(path, f"its byte order mark says {marked}, not {given}", cure=f"name {marked} or no encoding")


def is_misread_utf8(data: bytes, codec: str) -> bool:
    """Returns True for bytes that are UTF-8 beyond doubt, so that another encoding reads wrong letters from them."""
    if data.isascii() or codec.startswith(("utf", "iso2022", "hz")):
        return False
    try:
        wide = sum(not character.isascii() for character in data.decode())
    except UnicodeDecodeError:
        return False
    return wide >= _FEWEST_WIDE or _is_single_byte(codec)


def is_same_encoding(name: str, other: str) -> bool:
    """Returns True if two names are those of one encoding. A name that is not known equals only itself."""
    try:
        return codecs.lookup(name).name == codecs.lookup(other).name
    except LookupError:
        return name.lower() == other.lower()


def _check_declared(path: Path, declared: str, codec: str) -> None:
    """Raises `FileError` if a file declares another encoding than the UTF-8 that it has."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MAX_WHOLE_FILE else b""
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error
    if is_misread_utf8(data, codec):
        raise misdeclared(path, declared, f"line {_first_wide_line(data)}")


def misdeclared(path: Path, declared: str, place: str) -> FileError:
    """Returns the error of a file that is UTF-8 and declares another encoding."""
    return FileError(
        path,
        f"it declares the encoding {declared}, but its bytes are UTF-8",
        place=place,
        cure="correct the declaration, or name the encoding with --encoding utf-8",
    )


def _first_wide_line(data: bytes) -> int:
    found = _WIDE_BYTE.search(data)
    return data.count(b"\n", 0, found.start() if found else 0) + 1


def _is_single_byte(codec: str) -> bool:
    try:
        b"\xe9".decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _detect(path: Path, source_language: str | None) -> str:
    """Reads the file until a byte is not UTF-8. A file of any size takes one block of memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    wide = 0  # about the number of characters outside of ASCII
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if 0 in block:
                codec = _utf16_without_mark(block)
                if codec is None or file.tell() > _BLOCK:
                    raise _binary(path, line + block.count(b"\n", 0, block.index(0)))
                return codec
            held = decoder.getstate()[0]
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                at = max(error.start - len(held), 0)
                sample = (held + block)[max(0, error.start - _SAMPLE // 2) :][:_SAMPLE]
                return _guess(path, sample, wide, source_language, line + block.count(b"\n", 0, at))
            wide += len(block) - len(text)
            line += block.count(b"\n")
    held = decoder.getstate()[0]
    return _guess(path, held, wide, source_language, line) if held else "utf-8"


def _utf16_without_mark(block: bytes) -> str | None:
    """Text of the Latin script in UTF-16 has a zero in every other byte, in UTF-32 in three of four."""
    head = block[: _SAMPLE // 4 * 4]
    quarter = max(1, len(head) // 4)
    zeros = [head[start::4].count(0) / quarter for start in range(4)]
    layouts = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return layouts.get((zeros[0] > 0.6, zeros[1] > 0.6, zeros[2] > 0.6, zeros[3] > 0.6))


def _guess(path: Path, sample: bytes, wide: int, source_language: str | None, line: int) -> str:
    """Returns the encoding of a sample that is not UTF-8. `wide`: characters before it that are UTF-8 beyond ASCII."""
    # Imported late: few files need it, and it takes a part of the time in which a command starts.
    from charset_normalizer import from_bytes

    read = sample.decode("utf-8", "replace")
    wrong = read.count("\ufffd")
    if wrong <= wide + sum(not each.isascii() for each in read) - wrong:
        raise _undecodable(path, "utf-8", line)
    language = (source_language or "").lower().replace("_", "-").split("-")[0]
    usual: tuple[str, ...] = next((names for names, languages in _LEGACY if language in languages.split()), _WESTERN)
    every = (*_WESTERN, *(codec for names, _ in _LEGACY for codec in names))
    for candidates in (usual, every) if language else (every,):
        matches = from_bytes(sample, cp_isolation=list(candidates), threshold=0.4)
        # The best by charset-normalizer's measures; among equals, the order of the candidates.
        ranked = sorted(
            (round(match.chaos, 2), -match.coherence, _rank(candidates, match.encoding), match.encoding)
            for match in matches
        )
        if ranked:
            return ranked[0][-1]
    raise _undecodable(path, "utf-8", line)


def _rank(candidates: tuple[str, ...], codec: str) -> int:
    return candidates.index(codec) if codec in candidates else len(candidates)


def _undecodable(path: Path, codec: str, line: int) -> FileError:
    return FileError(
        path,
        f"this line is not {codec}",
        place=f"line {line}",
        cure="name the encoding with --encoding, or mend the line",
    )


def _binary(path: Path, line: int) -> FileError:
    return FileError(
        path,
        "this line has a zero byte, which text never has",
        place=f"line {line}",
        cure="check that it is a text file, or name its encoding with --encoding",
    )
