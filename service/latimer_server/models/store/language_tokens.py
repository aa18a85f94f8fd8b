"""The languages that a model's own vocabulary names: `>>por<<`, `__pt__`, `por_Latn`, `pt_XX` as BCP-47 codes.

Pure functions over the bytes of vocabulary files and over tokens; knows no model, no folder and no catalogue.
The styles are those of OPUS-MT's model cards and of the tokenizers of M2M-100, NLLB and mBART-50.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

from latimer_server.core.languages import match_code, simplify_code

# How each style writes a language as a token of its own, in the JSON of its files.
_STYLES: Mapping[str, re.Pattern[bytes]] = {
    "marian": re.compile(rb'">>([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]{2,9}){0,3})<<"'),
    "m2m100": re.compile(rb'"__([a-z]{2,3})__"'),
    "nllb": re.compile(rb'"([a-z]{3}_[A-Z][a-z]{3})"'),
    "mbart": re.compile(rb'"([a-z]{2}_[A-Z]{2})"'),
}
# The styles that a model may be of by what its config.json calls it: NLLB is an M2M-100 with tokens of its own.
_BY_MODEL_TYPE = {"marian": ("marian",), "m2m_100": ("m2m100", "nllb"), "mbart": ("mbart",)}
# And by the catalogue's word for it, in letters and digits, where there is no config.json.
_BY_FAMILY = {
    "marian": "marian",
    "marianmt": "marian",
    "opusmt": "marian",
    "m2m100": "m2m100",
    "nllb": "nllb",
    "nllb200": "nllb",
    "mbart": "mbart",
    "mbart50": "mbart",
}
# Marian marks the target only; the others are told both languages.
_TOLD_BOTH = ("m2m100", "nllb", "mbart")
# Where the tokens stand, the cheap files first: the first group that has any decides.
_FILES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # With separate vocabularies the target's tokens stand in either.
    "marian": (("vocab.json", "target_vocab.json"),),
    **dict.fromkeys(
        _TOLD_BOTH,
        (("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json"), ("tokenizer.json",)),
    ),
}
# Names that are no codes, or not those of what they stand for: OpenSubtitles' Brazilian Portuguese, Wikipedia's
# folders, M2M-100's Northern Sotho, and three that NLLB names by their largest variety.
_ALIASES = {
    "pob": "pt-BR",
    "ns": "nso",
    "zh_yue": "yue",
    "zh_classical": "lzh",
    "fiu_vro": "vro",
    "bat_smg": "sgs",
    "roa_rup": "rup",
    "pbt": "ps",
    "quy": "qu",
    "fuv": "ff",
}
# Valid tags that are nobody's language: ISO 639's specials, and the families of ISO 639-5.
_FAMILIES = """
mul und zxx mis qaa
aav afa alg alv apa aqa aql art ath auf aus awd azc bad bai bat ber bih bnt btk cai cau cba ccn ccs cdc cdd cel
cmc cpe cpf cpp crp csu cus day dmn dra egx esx euq fiu fox gem gme gmq gmw grk hmx hok hyx iir ijo inc ine ira
iro itc jpx kar kdo khi kro map mkh mno mun myn nah nai ngf nic nub omq omv oto paa phi plf poz pqe pqw pra qwe
roa sai sal sdv sem sgn sio sit sla smi son sqj ssa syd tai tbq trk tup tut tuw urj wak wen xgn xnd ypk zhx zle
zls zlw znd
"""
_NO_LANGUAGES = frozenset(_FAMILIES.split())
# Serbo-Croatian in its codes of old, where Serbian has one of its own.
_OLD_NAMES = ("sh", "hbs")
_SCRIPT_LETTERS = 4
_CHINESE = {"CN": "Hans", "SG": "Hans", "TW": "Hant", "HK": "Hant", "MO": "Hant"}


def find_styles(model_type: str, family: str) -> tuple[str, ...]:
    """The styles in which a model may name languages in its vocabulary; the model's own word for what it is comes
    before the catalogue's, which is anybody's spelling."""
    if model_type:
        return _BY_MODEL_TYPE.get(model_type, ())
    style = _BY_FAMILY.get(re.sub(r"[^a-z0-9]", "", family.casefold()))
    return (style,) if style else ()


def is_told_its_source(style: str) -> bool:
    """Whether models of this style are told what language they read."""
    return style in _TOLD_BOTH


def list_token_files(style: str) -> tuple[tuple[str, ...], ...]:
    """The names of the files to look for tokens in; a later group only where an earlier one has none."""
    return _FILES.get(style, ())


def scan_tokens(style: str, data: bytes) -> set[str]:
    """The language tokens in a JSON file of this style, without their marks.

    Reads bytes, not JSON: a vocabulary of 3 MB takes 3 ms instead of 40.
    """
    if b"\\u003" in data:  # some writers escape what means something in HTML
        data = data.replace(b"\\u003e", b">").replace(b"\\u003c", b"<")
        data = data.replace(b"\\u003E", b">").replace(b"\\u003C", b"<")
    return {name.decode() for name in _STYLES[style].findall(data)}


def map_languages(style: str, names: Iterable[str]) -> dict[str, str]:
    """BCP-47 codes to the tokens' names, sorted; of two names for one code the plainer. What is no language is
    left out."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        code = _read_name(style, name)
        if code:
            found.setdefault(code, []).append((len(name), name))
    return {
        _drop_script(code, found): min(candidates, key=lambda pair: (_is_wider(code, pair[1]), pair))[1]
        for code, candidates in sorted(found.items())
    }


def are_several(codes: Sequence[str]) -> bool:
    """Whether these are several languages, or one in several scripts: a model must be told which to write. Of
    regions one stands for the others."""
    languages = {code.split("-")[0] for code in codes}
    subtags = {part for code in codes for part in code.split("-")[1:]}
    scripts = {part for part in subtags if len(part) == _SCRIPT_LETTERS and part.isalpha()}
    return len(languages) > 1 or len(scripts) > 1


def choose_served(listed: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The listed codes that the vocabulary has, with their tokens, and those that it lacks. No list is all."""
    if not listed:
        return dict(mapping), []
    matched = {code: match_code(code, mapping) for code in listed}
    served = {code: mapping[near] for code, near in matched.items() if near}
    return served, [code for code, near in matched.items() if not near]


def _read_name(style: str, name: str) -> str | None:
    if name in _NO_LANGUAGES:
        return None
    language, *rest = re.split("[_-]", name)
    whole, first = _ALIASES.get(name.lower().replace("-", "_")), _ALIASES.get(language.lower(), language)
    if style == "mbart":  # its regions say where the data was from, or nothing (XX)
        rest = [_CHINESE[part] for part in rest if language == "zh" and part in _CHINESE]
    elif language in ("zh", "zho", "cmn"):
        rest = [_CHINESE.get(part.upper(), part) for part in rest]
    try:
        return simplify_code(whole or "-".join([first, *rest]))
    except ValueError:
        return None


def _drop_script(code: str, codes: Collection[str]) -> str:
    """The code without a script that is the usual one, where the vocabulary has the language in no other.
    Chinese keeps it: who asks for `zh` and who asks for `zh-Hant` must both see what they get."""
    language = langcodes.Language.get(code)
    if not language.script or language.language == "zh" or language.territory:
        return code
    if any(other != code and other.split("-")[0] == language.language for other in codes):
        return code
    # For a language that it does not know, langcodes fills in what is usual in America.
    known = language.language in LIKELY_SUBTAGS
    usual = langcodes.Language.get(language.language or code).maximize().script if known else language.script
    goes_without_saying = usual == language.script or (usual, language.script) == ("Kore", "Hang")
    return language.language or code if goes_without_saying else code


def _is_wider(code: str, name: str) -> bool:
    """Whether a token names a variety that only stands for the language of the code."""
    language = re.split("[_-]", name)[0]
    return language in _OLD_NAMES or langcodes.standardize_tag(language).split("-")[0] != code.split("-")[0]
