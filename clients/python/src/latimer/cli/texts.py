"""The arguments of `translate`, `summarize` and `detect`: a text, files, or standard input."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latimer.batch.inputs import STANDARD
from latimer.batch.output import open_output
from latimer.batch.results import BatchError, OutputError
from latimer.cli.messages import say
from latimer.files import FileError

_BLOCK = 1 << 16
# The contract's limit of one text.
MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Given:
    """What the arguments mean: a text, or the names of files (`-` is standard input)."""

    text: str | None = None
    names: list[str] = field(default_factory=list)


def read_arguments(arguments: Sequence[str]) -> Given:
    """Returns the text or the files that arguments name. Words that are no files are one text.

    Raises `BatchError` for an argument that looks like the name of a file that does not exist.
    """
    if any(not argument.strip() for argument in arguments):
        raise BatchError("an argument is empty; give a text, the names of files, or nothing for standard input")
    if not arguments:
        if sys.stdin.isatty():
            say("reading from the terminal; end with Ctrl-D, or name files or a text")
        return Given(names=[STANDARD])
    are_files = [argument == STANDARD or _exists(argument) for argument in arguments]
    if all(are_files):
        return Given(names=list(arguments))
    for argument, is_file in zip(arguments, are_files, strict=True):
        if not is_file and (any(are_files) or _looks_like_a_file(argument)):
            raise BatchError(f"there is no file {argument}; to give it as a text, use: echo '...' | latimer ...")
    return Given(text=" ".join(arguments))


def read_text(name: str) -> str:
    """Returns the text of a file or of standard input. Line breaks are not converted. Raises `FileError`."""
    path = Path("standard input" if name == STANDARD else name)
    try:
        data = sys.stdin.buffer.read() if name == STANDARD else path.read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """Returns UTF-8, or UTF-16 with its mark, as text. Raises `FileError`."""
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(data) % 2 == 0:
        encoding = "utf-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8 text: byte {error.start}", cure="save it as UTF-8") from error


def read_lines() -> Iterator[str]:
    """Yields the lines of standard input as they come, with their line ends. Raises `FileError`.

    Reads without a buffer. A thread that waits in a buffered reader holds its lock, and the interpreter aborts if it
    ends meanwhile.
    """
    count, rest = 0, bytearray()
    raw = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    while block := raw.read(_BLOCK):
        rest += block
        if b"\n" in block:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                count += 1
                yield decode(bytes(line) + b"\n", Path(f"line {count} of standard input"))
    if rest:
        yield decode(bytes(rest), Path(f"line {count + 1} of standard input"))


def write(text: str) -> None:
    """Writes a text to standard output at once. A character that its encoding lacks becomes `?`, which a message on
    standard error says."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding, sys.stdout.errors or "strict")
    except UnicodeEncodeError as error:
        say(
            f"standard output has the encoding {encoding}, and U+{ord(text[error.start]):04X} became a question mark;"
            " set PYTHONIOENCODING=utf-8, or write a file with --output"
        )
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)
    sys.stdout.flush()


def write_output(path: Path, text: str, *, overwrites: bool) -> None:
    """Writes a file. Raises `OutputError` if it exists, unless `overwrites`."""
    if path.exists() and not overwrites:
        raise OutputError(path, "exists already", "--force replaces it", is_refusal=True)
    with open_output(path) as target:
        target.write(text.encode("utf-8", "backslashreplace"))


def _exists(argument: str) -> bool:
    try:
        return Path(argument).exists()
    except (OSError, ValueError):  # a text that is too long for a name, or has a zero byte
        return False


def _looks_like_a_file(argument: str) -> bool:
    if any(character.isspace() for character in argument):
        return False
    path = Path(argument)
    return "/" in argument or (1 < len(path.suffix) <= 6 and path.suffix[1:].isalnum() and not argument.endswith("."))
