"""Keeps the names of people, which models translate: `João` becomes `John`, `Linda Marsh` becomes `Linda Pântano`.

A name is found by its given name, see `given_names`. A text that is a name and nothing else stays as it is. In a
sentence a given name that became that of the other language, or a surname that became another word, is put back. Names
of rulers and saints are translated. English and Portuguese only. Pure functions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from latimer_server.core.languages import primary_subtag
from latimer_server.text.casing import Casing, find_casing
from latimer_server.text.given_names import ENGLISH, PORTUGUESE, read_pairs
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import Edit

_GIVEN = {"en": ENGLISH, "pt": PORTUGUESE}
_PARTICLES = "da|de|do|das|dos|e|di|du|del|della|la|le|van|von|der|den|ter|bin|ibn|al"
_PART = r"(?:[^\W\d_a-z]['’])?[^\W\d_a-z][^\W\d_]++(?:-[^\W\d_a-z][^\W\d_]++)?"
# Two to five words with capitals, particles and initials; and a lone word.
_LINE = re.compile(rf"(?P<first>{_PART})(?: (?:{_PART}|[A-Z]\.|{_PARTICLES})){{0,4}}(?:,? [JS]r\.)?")
# A surname with a capital inside, such as `O'Neill` and `McDonald`.
_INNER_CAPITAL = re.compile(r"(?:O['’]|D['’]|Mc|Mac)[A-Z][a-z]+")
_LONGEST_LINE = 60
# Words that show that a name is that of a place, building or organization, or a title.
_THINGS = frozenset(
    re.findall(
        r"\w+",
        "street road avenue lane square park hospital school university college institute airport station bridge tower"
        " award prize company foundation museum library hall house building center centre church cathedral theatre"
        " theater island islands river lake mount mountain bay beach river city town county falls hotel inc ltd llc"
        " corp group bank day week festival cup stadium film movie book song album show project list file page account"
        " settings profile order report queen prince princess saint pope president minister doctor professor"
        " chairman chairwoman speaker ambassador secretary director judge senator governor mayor deputy commissioner"
        " embaixador embaixadora diretor diretora juiz juíza senador senadora deputado deputada governador prefeito"
        " secretário secretária"
        " comissário comissária"
        " rua avenida praça hospital escola universidade aeroporto ponte fundação museu biblioteca igreja ilha rio lago"
        " hotel banco dia prêmio filme livro lista conta pedido relatório rainha rei príncipe papa santo santa"
        " presidente ministro doutor monday tuesday wednesday thursday friday saturday sunday january february march"
        " april may june july august september october november december english portuguese french spanish german",
    )
)
# Words before or behind a name that is translated: of rulers, saints and books of the Bible.
_TRANSLATED = re.compile(
    r"(?:Papa|Pope|São|Santo|Santa|Saint|St\.|Rei|Rainha|King|Queen|Príncipe|Princesa|Prince|Princess|Dom|D\.|Imperador"
    r"|Imperatriz|Emperor|Empress|Czar|Tsar|Apóstolo|apóstolo|Apostle|Virgem|Virgin|Evangelho (?:de|segundo)|Gospel of"
    r"|Nossa Senhora|Duque|Duke|Duquesa|Duchess)[ \u00a0]$"
)
_NUMBERED = re.compile(
    r"[ \u00a0](?:[IVX]{1,5}\b|\d{1,3}[:.,]\d)|[ \u00a0](?:Batista|the Baptist|Madalena|Magdalene)\b"
)
_WINDOW = 20
_WORD = re.compile(r"(?<![\w'’-])[^\W\d_a-z][^\W\d_]++(?!['’-]\w)")
_SURNAME = re.compile(rf" (?P<surname>{_PART})(?![\w'’-])")
_ENDS = ",.?!:"
# A title before a surname.
_TITLES = ("Sr", "Dr", "Mr", "Ms", "Senhor")
_TITLED = re.compile(rf"(?<!\w)(?:Sra|Srta|Sr|Dra|Dr|Mrs|Mr|Ms|Miss|Senhora|Senhor)\.? (?P<surname>{_PART})(?![\w'’-])")
_PAIRS_OF_LANGUAGES = frozenset({("en", "pt"), ("pt", "en")})
_SMALL_WORD = re.compile(r"(?<![\w'’])[^\W\d_A-Z][^\W\d_]{2,}")


def is_name_line(text: str, language: str) -> bool:
    """Returns True if a text is the name of a person and nothing else. `language`: its BCP-47 code."""
    if len(text) > _LONGEST_LINE or not text[:1].isupper() or text.endswith((".", "!", "?", ":")):
        return text.endswith(" Jr.") and is_name_line(text.removesuffix(" Jr."), language)
    given = _GIVEN.get(primary_subtag(language))
    match = _LINE.fullmatch(text)
    if given is None or match is None:
        return False
    words = text.split()
    if len(words) == 1 and _INNER_CAPITAL.fullmatch(text):
        return True
    is_given = match["first"] in given or (match["first"].isupper() and match["first"].capitalize() in given)
    return is_given and not any(word.lower() in _THINGS for word in words)


def restore_names(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    """Yields the replacement of names of an output by those of the source. `languages`: BCP-47 codes of both."""
    codes = primary_subtag(languages[0]), primary_subtag(languages[1])
    if codes in _PAIRS_OF_LANGUAGES and any(title in source.text for title in _TITLES):
        yield from _restore_titled(source, output)
    found = [match for match in _find_names(source.text, _list_names(codes)) if not _overlaps_protected(match, source)]
    if not found:
        return
    yield from _restore_given(source.text, found, output, codes)
    if find_casing(source) is Casing.NORMAL and _SMALL_WORD.search(source.text):
        yield from _restore_surnames(source.text, found, output)


@cache
def _list_exchanged(codes: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """Returns for each given name of the first language those of the second one that models put in its place."""
    table: defaultdict[str, list[str]] = defaultdict(list)
    for portuguese, english in read_pairs():
        name, other = (portuguese, english) if codes[0] == "pt" else (english, portuguese)
        table[name].append(other)
    return {name: tuple(others) for name, others in table.items()}


@cache
def _list_names(codes: tuple[str, str]) -> frozenset[str]:
    """Returns the given names of a source; none for a pair of languages that is not known here."""
    if codes not in _PAIRS_OF_LANGUAGES:
        return frozenset()
    return _GIVEN[codes[0]] | _list_exchanged(codes).keys()


def _find_names(text: str, names: frozenset[str]) -> list[re.Match[str]]:
    # Most texts have no such name, which the words between spaces tell faster than a pattern.
    plain = text
    for sign in _ENDS:
        plain = plain.replace(sign, " ")
    return [] if names.isdisjoint(plain.split()) else [m for m in _WORD.finditer(text) if m.group() in names]


def _overlaps_protected(match: re.Match[str], guarded: ProtectedText) -> bool:
    return any(span.start < match.end() and match.start() < span.end for span in guarded.spans)


def _restore_given(
    source: str, found: list[re.Match[str]], output: ProtectedText, codes: tuple[str, str]
) -> Iterator[Edit]:
    exchanged = _list_exchanged(codes)
    for name in dict.fromkeys(match.group() for match in found):
        if name not in exchanged or _find_word(name, output.text):
            continue
        places = [match for match in found if match.group() == name]
        if any(_is_translated(source, match) for match in places):
            continue
        for other in exchanged[name]:
            written = _find_word(other, output.text)
            if written and len(written) <= len(places) and not _find_word(other, source):
                yield from (Edit(*match.span(), name) for match in written if not _overlaps_protected(match, output))
                break


def _is_translated(source: str, match: re.Match[str]) -> bool:
    before, behind = source[max(0, match.start() - _WINDOW) : match.start()], source[match.end() :]
    return _TRANSLATED.search(before) is not None or _NUMBERED.match(behind) is not None


def _restore_surnames(source: str, found: list[re.Match[str]], output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the word behind a given name in the output by the surname behind it in the source."""
    for match in found:
        follows = _SURNAME.match(source, match.end())
        if follows is None or _is_translated(source, match):
            continue
        surname = follows["surname"]
        if surname.lower() in _THINGS or surname.isupper() or surname.lower() in output.text.lower():
            continue
        written = _find_word(match.group(), output.text)
        if len(written) != 1 or len(_find_word(match.group(), source)) != 1:
            continue
        other = _SURNAME.match(output.text, written[0].end())
        if other is not None and not _find_word(other["surname"], source) and not _overlaps_protected(other, output):
            yield Edit(*other.span("surname"), surname)


def _restore_titled(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the surname behind a title, as in `Sra. Conceição`, if each text has one title."""
    found, written = list(_TITLED.finditer(source.text)), list(_TITLED.finditer(output.text))
    if len(found) != 1 or len(written) != 1:
        return
    surname, other = found[0]["surname"], written[0]["surname"]
    if surname.isupper() or surname.lower() in _THINGS or surname.lower() in output.text.lower():
        return
    if not _find_word(other, source.text) and not _overlaps_protected(written[0], output):
        yield Edit(*written[0].span("surname"), surname)


def _find_word(word: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w-]){re.escape(word)}(?!\w)", text)) if word in text else []
