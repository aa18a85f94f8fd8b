"""The round trips of formats that are text."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import polib
import yaml

from benchmarks.clients.roundtrip import Group, Package
from latimer.files import ReadOptions

_LANGUAGE = re.compile(rb'^"Language: *([A-Za-z]{2,3}(?:_[A-Za-z]+)?)', re.MULTILINE)
_TOP_KEY = re.compile(rb"^([A-Za-z]{2,3}(?:-[A-Za-z]+)?):", re.MULTILINE)
_VEGA = Package("npm", "vega-datasets@3.2.1")
_DJANGO = Package("pip", "django==5.2.19")
_ISO_CODES = Package("apt", "iso-codes")
_SUBTITLES = Package("pip", "webvtt-py==0.6.0 --no-binary :all:")


def _same_language(pattern: re.Pattern[bytes]) -> Callable[[bytes], ReadOptions]:
    """Returns the options of a file whose language is declared in it, which is source and target."""

    def options(data: bytes) -> ReadOptions:
        match = pattern.search(data)
        language = match[1].decode().replace("_", "-") if match else "en"
        return ReadOptions(source_language=language, target_language=language)

    return options


def check_text(data: bytes) -> None:
    """Raises an exception if a file is no text."""
    data.decode("utf-8-sig")


def check_html(data: bytes) -> None:
    """Raises an exception if a file has no elements."""
    if not len(import_module("lxml.html").document_fromstring(data)):
        raise ValueError("no elements")


def check_json_lines(data: bytes) -> None:
    """Raises an exception if a line is no JSON."""
    for line in data.splitlines():
        json.loads(line)


def check_table(delimiter: str) -> Callable[[bytes], None]:
    """Returns the check that all rows of a table have the same number of cells."""

    def check(data: bytes) -> None:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))
        if len({len(row) for row in rows if row}) > 1:
            raise ValueError("rows of different lengths")

    return check


def check_po(data: bytes) -> None:
    """Raises an exception if msgfmt or polib refuses a file."""
    done = subprocess.run(["msgfmt", "-o", "/dev/null", "-"], input=data, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode()[:200])
    polib.pofile(data.decode())


def is_same_catalog(before: bytes, after: bytes) -> bool:
    """Returns True if two files have the same messages, and translations where the first has them."""
    old, new = (list(polib.pofile(each.decode())) for each in (before, after))
    return len(old) == len(new) and all(
        (one.msgctxt, one.msgid, one.msgid_plural, one.occurrences)
        == (two.msgctxt, two.msgid, two.msgid_plural, two.occurrences)
        and one.msgstr in ("", two.msgstr)
        for one, two in zip(old, new, strict=True)
    )


def check_subtitles(format_: str) -> Callable[[bytes], None]:
    """Returns the check by pysubs2 (benchmarks/requirements.txt)."""

    def check(data: bytes) -> None:
        encoding = "gb18030" if b"\xd3\xee" in data else "utf-8-sig"  # one file of the package srt
        import_module("pysubs2").SSAFile.from_string(data.decode(encoding), format_=format_)

    return check


def check_properties(data: bytes) -> None:
    """Raises an exception if javaproperties (benchmarks/requirements.txt) refuses a file."""
    import_module("javaproperties").loads(data)


def make_json_lines(files: Sequence[Path], folder: Path) -> None:
    """Writes each entry of a list in JSON on a line."""
    for file in files:
        for key, entries in json.loads(file.read_bytes()).items():
            if isinstance(entries, list):
                text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
                (folder / f"{key}.jsonl").write_text(text)


def make_arb(files: Sequence[Path], folder: Path) -> None:
    """Writes the messages of catalogues of gettext as resources of Flutter."""
    for file in files:
        entries = {f"m{number}": entry.msgstr for number, entry in enumerate(polib.pofile(str(file))) if entry.msgstr}
        language = file.parts[-3]
        metadata = {f"@{key}": {"type": "text"} for key in entries}
        resource = {"@@locale": language, **entries, **metadata}
        (folder / f"app_{language}.arb").write_text(json.dumps(resource, indent=2, ensure_ascii=False))


def make_tsv(files: Sequence[Path], folder: Path) -> None:
    """Writes tables between tabs."""
    for file in files:
        with file.open(newline="") as source, (folder / f"{file.stem}.tsv").open("w", newline="") as target:
            csv.writer(target, dialect="excel-tab").writerows(csv.reader(source))


def make_subtitles(format_: str) -> Callable[[Sequence[Path], Path], None]:
    """Returns the function that writes subtitles of WebVTT in another format by pysubs2."""

    def make(files: Sequence[Path], folder: Path) -> None:
        for file in files:
            subtitles = import_module("pysubs2").SSAFile.from_string(file.read_text("utf-8-sig"), format_="vtt")
            (folder / f"{file.stem}.{format_}").write_text(subtitles.to_string(format_))

    return make


GROUPS = (
    Group("text", Package("apt", "base-files"), "usr/share/**/*[!zs]", check_text),
    Group("markdown", Package("npm", "npm@11.0.0"), "package/docs/content/**/*.md", check_text),
    Group("html", Package("apt", "libffi-dev"), "usr/share/doc/**/*.html", check_html),
    Group("html", Package("apt", "debian-reference-en"), "usr/share/debian-reference/*.html", check_html),
    Group("json", _ISO_CODES, "usr/share/iso-codes/json/*.json", json.loads),
    Group("jsonl", _ISO_CODES, "usr/share/iso-codes/json/iso*.json", check_json_lines, make_json_lines, note=", made"),
    Group(
        "arb",
        _DJANGO,
        "django/contrib/auth/locale/[a-d]*/LC_MESSAGES/*.po",
        json.loads,
        make_arb,
        note=", made",
        options=lambda data: _same_language(re.compile(rb'"@@locale": "([A-Za-z_]+)"'))(data),
    ),
    Group(
        "yaml",
        Package("apt", "redmine"),
        "usr/share/redmine/config/locales/*.yml",
        yaml.safe_load,
        options=_same_language(_TOP_KEY),
        most=10,
    ),
    Group("csv", _VEGA, "package/data/*.csv", check_table(","), most=18),
    Group("tsv", _VEGA, "package/data/*.csv", check_table("\t"), make_tsv, note=", made", most=18),
    Group(
        "po",
        _DJANGO,
        "django/conf/locale/*/LC_MESSAGES/*.po",
        check_po,
        compare=is_same_catalog,
        options=_same_language(_LANGUAGE),
    ),
    Group("properties", Package("apt", "tuxguitar"), "usr/share/**/*.properties", check_properties),
    Group("srt", _SUBTITLES, "webvtt_py-*/tests/samples/*.srt", check_subtitles("srt")),
    Group(
        "srt",
        _SUBTITLES,
        "webvtt_py-*/tests/samples/[cmrsu]*.vtt",
        check_subtitles("srt"),
        make_subtitles("srt"),
        note=", made",
    ),
    Group("srt", Package("pip", "srt==3.5.3 --no-binary :all:"), "srt-*/**/*.srt", check_subtitles("srt")),
    Group("vtt", _SUBTITLES, "webvtt_py-*/tests/samples/*.vtt", check_subtitles("vtt")),
    Group(
        "ass", Package("pip", "pysubs2==1.8.1 --no-binary :all:"), "pysubs2-*/tests/data/*.ass", check_subtitles("ass")
    ),
    Group(
        "ass",
        _SUBTITLES,
        "webvtt_py-*/tests/samples/[cmrsu]*.vtt",
        check_subtitles("ass"),
        make_subtitles("ass"),
        note=", made",
    ),
)
