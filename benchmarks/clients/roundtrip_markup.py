"""The round trips of formats that are XML or zipped XML."""

from __future__ import annotations

import io
import json
import plistlib
import re
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lxml import etree

from benchmarks.clients.roundtrip import Group, Package
from latimer.files import ReadOptions

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
_TARGETS = ("target", "translation", "tuv")
_TRANSLATION = re.compile(rb"<translation[^>]*>.*?</translation>", re.DOTALL)
_LANGUAGE = re.compile(rb'(?:target-language| language)="([^"]+)"')


def _parse(data: bytes) -> Any:  # noqa: ANN401 (the stubs of lxml have no type for its elements)
    return etree.fromstring(data, _PARSER)


def check_xml(data: bytes) -> None:
    """Raises an exception if a file is no XML."""
    _parse(data)


def check_zip(data: bytes) -> None:
    """Raises an exception if a member of an archive is damaged or no XML, or if its library cannot read it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged")
        names = archive.namelist()
        for name in names:
            # The manifests of LibreOffice's templates are no XML with namespaces; they are never changed.
            is_xml = name.endswith((".xml", ".rels", ".xhtml", ".opf", ".ncx")) and not name.startswith("META-INF/")
            if is_xml and (content := archive.read(name)):
                _parse(content)
        # odfpy refuses manifests that name their document type, as those of old templates do.
        manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
    if b"<!DOCTYPE" not in manifest:
        _read_by_library(data, names)


def _read_by_library(data: bytes, names: Sequence[str]) -> None:
    """Opens an office file with the usual library of its format (benchmarks/requirements.txt)."""
    file = io.BytesIO(data)
    if "word/document.xml" in names:
        [paragraph.text for paragraph in import_module("docx").Document(file).paragraphs]
    elif "ppt/presentation.xml" in names:
        [list(slide.shapes) for slide in import_module("pptx").Presentation(file).slides]
    elif "xl/workbook.xml" in names:
        [list(sheet.values) for sheet in import_module("openpyxl").load_workbook(file, rich_text=True).worksheets]
    elif "content.xml" in names:
        import_module("odf.opendocument").load(file)


def check_strings(data: bytes) -> None:
    """Raises an exception if a .strings file is no property list, which old ones of ASCII are read as."""
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    stripped = re.sub(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|//[^\n]*', lambda match: match[0][:1], text, flags=re.DOTALL)
    if re.sub(r'"\s*=\s*"\s*;|[/\s]', "", stripped):
        raise ValueError("an entry is broken")


def compare_targets(before: bytes, after: bytes) -> bool:
    """Returns True if two files differ in translations only, and each new one equals its source."""
    roots = [_parse(before), _parse(after)]
    # Each translation has to be a source, or one that was there before.
    known = {"".join(each.itertext()).strip() for root in roots for each in root.iter("{*}source", "{*}seg")}
    known |= {"".join(each.itertext()).strip() for each in roots[0].iter("{*}target")} | {""}
    if any("".join(each.itertext()).strip() not in known for each in roots[1].iter("{*}target")):
        return False
    stripped = []
    for root in roots:
        for name in _TARGETS:
            for element in list(root.iter("{*}" + name)):
                element.getparent().remove(element)
        for element in root.iter("*"):
            element.text, element.tail = (element.text or "").strip(), (element.tail or "").strip()
            for name in ("target-language", "language"):
                element.attrib.pop(name, None)
        stripped.append(etree.tostring(root, method="c14n2"))
    return stripped[0] == stripped[1]


def _language_options(data: bytes) -> ReadOptions:
    declared = _LANGUAGE.search(data[:4000])
    return ReadOptions(source_language="en", target_language=declared[1].decode() if declared else "pt")


def _portuguese(_: bytes) -> ReadOptions:
    return ReadOptions(source_language="en", target_language="pt")


def compare_catalogs(before: bytes, after: bytes) -> bool:
    """Returns True if two string catalogs differ in the target language only."""
    catalogs = [json.loads(before), json.loads(after)]
    for catalog in catalogs:
        for entry in catalog["strings"].values():
            entry.get("localizations", {}).pop("pt", None)
            if not entry.get("localizations"):
                entry.pop("localizations", None)
    return bool(catalogs[0] == catalogs[1])


def empty_targets(paths: Sequence[Path], folder: Path) -> None:
    """Writes files of Qt or XLIFF without their translations."""
    for number, path in enumerate(paths):
        data = re.sub(rb"[ \t]*<target.*?</target>\r?\n?", b"", path.read_bytes(), flags=re.DOTALL)
        data = _TRANSLATION.sub(b'<translation type="unfinished"></translation>', data)
        (folder / f"{number:02}-{path.name}").write_bytes(data)


def convert_to_xlsx(paths: Sequence[Path], folder: Path) -> None:
    """Converts spreadsheets with LibreOffice."""
    profile = f"-env:UserInstallation=file://{folder.parent}/profile"
    command = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", str(folder)]
    subprocess.run([*command, *map(str, paths)], check=True, capture_output=True)


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the messages of a file of Qt and their translations."""
    for number, message in enumerate(_parse(path.read_bytes()).iter("message")):
        source = message.findtext("source") or ""
        if source:
            yield source, message.findtext("translation") or f"{number}"


def make_resx(paths: Sequence[Path], folder: Path) -> None:
    """Writes RESX files with the translations of files of Qt, by lxml."""
    for path in paths:
        root = etree.Element("root")
        for number, (source, translation) in enumerate(_messages(path)):
            data = etree.SubElement(root, "data", name=f"key{number}")
            etree.SubElement(data, "value").text = translation
            etree.SubElement(data, "comment").text = source
        (folder / f"{path.stem}.resx").write_bytes(etree.tostring(root, pretty_print=True, xml_declaration=True))


def make_tmx(paths: Sequence[Path], folder: Path) -> None:
    """Writes TMX files with the messages of files of Qt and their translations, by lxml."""
    name = "{http://www.w3.org/XML/1998/namespace}lang"
    for path in paths:
        root = etree.Element("tmx", version="1.4")
        etree.SubElement(root, "header", srclang="en")
        body = etree.SubElement(root, "body")
        for texts in _messages(path):
            unit = etree.SubElement(body, "tu")
            for language, text in zip(("en", path.stem.replace("_", "-")), texts, strict=True):
                variant = etree.SubElement(unit, "tuv", {name: language})
                etree.SubElement(variant, "seg").text = text
        (folder / f"{path.stem}.tmx").write_bytes(etree.tostring(root, pretty_print=True, xml_declaration=True))


def make_stringsdict(paths: Sequence[Path], folder: Path) -> None:
    """Writes .stringsdict files with the translations of files of Qt, by plistlib."""
    for path in paths:
        entries = {
            f"key{number}": {
                "NSStringLocalizedFormatKey": "%#@n@",
                "n": {"NSStringFormatSpecTypeKey": "NSStringPluralRuleType", "one": text, "other": f"%d {text}"},
            }
            for number, (_, text) in enumerate(_messages(path))
        }
        (folder / f"{path.stem}.stringsdict").write_bytes(plistlib.dumps(entries))


def make_xcstrings(paths: Sequence[Path], folder: Path) -> None:
    """Writes string catalogs with the messages of files of Qt, by json in the style of Xcode."""
    for path in paths:
        strings: dict[str, object] = {
            source: {"localizations": {path.stem: {"stringUnit": {"state": "translated", "value": text}}}}
            for source, text in _messages(path)
        }
        catalog = {"sourceLanguage": "en", "strings": strings, "version": "1.0"}
        text = json.dumps(catalog, ensure_ascii=False, indent=2, separators=(",", " : "))
        (folder / f"{path.stem}.xcstrings").write_text(text, encoding="utf-8")


_QT = Package("pip", "labelme")
_TRANSLATIONS = "labelme/translate/*.ts"
_LIBREOFFICE = Package("apt", "libreoffice-common")
_TEMPLATES = "usr/lib/libreoffice/share/**/*"
_MADE = ", made of its messages"

GROUPS: tuple[Group, ...] = (
    Group("docx", Package("pip", "python-docx --no-binary :all:"), "*/**/*.docx", check_zip),
    Group("pptx", Package("pip", "python-pptx --no-binary :all:"), "*/**/*.pptx", check_zip),
    Group("xlsx", _LIBREOFFICE, f"{_TEMPLATES}.ots", check_zip, make=convert_to_xlsx, note=", converted"),
    Group("odf", _LIBREOFFICE, f"{_TEMPLATES}.ott", check_zip),
    Group("odf", _LIBREOFFICE, f"{_TEMPLATES}.otp", check_zip),
    Group("odf", Package("pip", "odfpy --no-binary :all:"), "*/**/*.od?", check_zip),
    *(
        Group("epub", Package("apt", f"developers-reference{code}"), "usr/**/*.epub", check_zip)
        for code in ("", "-de", "-fr", "-it", "-ja", "-ru")
    ),
    Group("epub", Package("apt", "debian-policy"), "usr/**/*.epub", check_zip),
    Group(
        "xliff",
        Package("apt", "php-symfony-validator"),
        "usr/**/*.xlf",
        check_xml,
        None,
        compare_targets,
        _language_options,
    ),
    Group(
        "xliff",
        Package("apt", "php-symfony-security-core"),
        "usr/**/*.xlf",
        check_xml,
        make=empty_targets,
        compare=compare_targets,
        options=_language_options,
        note=", targets removed",
    ),
    Group(
        "tmx", _QT, _TRANSLATIONS, check_xml, make=make_tmx, compare=compare_targets, options=_portuguese, note=_MADE
    ),
    Group("android", Package("npm", "react-native"), "package/**/res/**/strings.xml", check_xml, most=250),
    Group("qt", _QT, _TRANSLATIONS, check_xml, options=_language_options),
    Group(
        "qt",
        _QT,
        _TRANSLATIONS,
        check_xml,
        make=empty_targets,
        compare=compare_targets,
        options=_language_options,
        note=", translations removed",
    ),
    Group("resx", _QT, _TRANSLATIONS, check_xml, make=make_resx, note=_MADE),
    Group("strings", Package("npm", "react-native-image-crop-picker"), "package/ios/QB*/**/*.strings", check_strings),
    Group("stringsdict", _QT, _TRANSLATIONS, plistlib.loads, make=make_stringsdict, note=_MADE),
    Group(
        "xcstrings",
        _QT,
        _TRANSLATIONS,
        json.loads,
        make=make_xcstrings,
        compare=compare_catalogs,
        options=_portuguese,
        note=_MADE,
    ),
    Group("xml", Package("apt", "iso-codes"), "usr/share/xml/**/*.xml", check_xml),
    Group("xml", Package("apt", "shared-mime-info"), "usr/share/**/*.xml", check_xml),
    Group("xml", Package("apt", "libreoffice-common"), "usr/lib/libreoffice/share/**/*.xml", check_xml),
)
