"""Language tokens: finds them in a model's vocabulary and maps them to BCP-47 codes.

Models write a language as a token in one of four styles: `>>por<<` (Marian, from OPUS-MT's model cards), `__pt__`
(M2M-100), `por_Latn` (NLLB) and `pt_XX` (mBART-50). This module consists of pure functions over the bytes of vocabulary
files and over tokens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

from latimer_server.core.languages import match_code, simplify_code

# The pattern of a quoted language token in the JSON vocabulary files of each style. Its group is the token's name,
# without marks.
_STYLES: Mapping[str, re.Pattern[bytes]] = {
    "marian": re.compile(rb'">>([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]{2,9}){0,3})<<"'),
    "m2m100": re.compile(rb'"__([a-z]{2,3})__"'),
    "nllb": re.compile(rb'"([a-z]{3}_[A-Z][a-z]{3})"'),
    "mbart": re.compile(rb'"([a-z]{2}_[A-Z]{2})"'),
}
# Possible styles by the `model_type` in config.json. NLLB has M2M-100's type but its own tokens.
_BY_MODEL_TYPE = {"marian": ("marian",), "m2m_100": ("m2m100", "nllb"), "mbart": ("mbart",)}
# Styles by the catalogue's `family`, reduced to letters and digits, for models without a config.json.
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
# Styles whose model input has a token for the source language too. Marian's input has one for the target only.
_WITH_SOURCE_TOKENS = ("m2m100", "nllb", "mbart")
# The files of a model that may contain its language tokens, by style, in groups with the small files first. The first
# group with any token is used.
_FILES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # If source and target have separate vocabularies, the target tokens may be in either.
    "marian": (("vocab.json", "target_vocab.json"),),
    **dict.fromkeys(
        _WITH_SOURCE_TOKENS,
        (("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json"), ("tokenizer.json",)),
    ),
}
# The BCP-47 codes of token names that are no language code, or not the code of the language that they mean: `pob` from
# OpenSubtitles (Brazilian Portuguese), `ns` from M2M-100 (Northern Sotho), names of Wikipedia editions, and three
# macrolanguages that NLLB names by their largest variety.
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
# Token names that `map_languages` drops: valid codes that are not a language. The first line has special codes of
# ISO 639, the others the families of ISO 639-5.
_FAMILIES = """
mul und zxx mis qaa
aav afa alg alv apa aqa aql art ath auf aus awd azc bad bai bat ber bih bnt btk cai cau cba ccn ccs cdc cdd cel
cmc cpe cpf cpp crp csu cus day dmn dra egx esx euq fiu fox gem gme gmq gmw grk hmx hok hyx iir ijo inc ine ira
iro itc jpx kar kdo khi kro map mkh mno mun myn nah nai ngf nic nub omq omv oto paa phi plf poz pqe pqw pra qwe
roa sai sal sdv sem sgn sio sit sla smi son sqj ssa syd tai tbq trk tup tut tuw urj wak wen xgn xnd ypk zhx zle
zls zlw znd
"""
_NO_LANGUAGES = frozenset(_FAMILIES.split())
# Deprecated codes for Serbo-Croatian. A vocabulary may have them beside Serbian's own code.
_OLD_NAMES = ("sh", "hbs")
_SCRIPT_LETTERS = 4
# The script of Chinese that a region stands for in a token name, such as `zh_CN`.
_CHINESE = {"CN": "Hans", "SG": "Hans", "TW": "Hant", "HK": "Hant", "MO": "Hant"}


def find_styles(model_type: str, family: str) -> tuple[str, ...]:
    """Returns the token styles that a model may have.

    `model_type` is that of the model's config.json, "" if it has none. Only then `family`, the catalogue's free text,
    decides. The result is empty for an unknown type or family.
    """
    if model_type:
        return _BY_MODEL_TYPE.get(model_type, ())
    style = _BY_FAMILY.get(re.sub(r"[^a-z0-9]", "", family.casefold()))
    return (style,) if style else ()


def has_source_tokens(style: str) -> bool:
    """Returns True if the input of models of this style has a token for the source language."""
    return style in _WITH_SOURCE_TOKENS


def list_token_files(style: str) -> tuple[tuple[str, ...], ...]:
    """Returns groups of names of files that may contain the language tokens; no groups for an unknown style.

    The caller should search a group only if the groups before it have no token.
    """
    return _FILES.get(style, ())


def scan_tokens(style: str, data: bytes) -> set[str]:
    """Returns the language tokens in the bytes of a JSON file, without their marks (`por` for `>>por<<`).

    `style`: `marian`, `m2m100`, `nllb` or `mbart`.

    Searches the bytes instead of parsing the JSON: a vocabulary of 3 MB takes 3 ms instead of 40.
    """
    if b"\\u003" in data:  # some JSON writers escape the characters that are special in HTML
        data = data.replace(b"\\u003e", b">").replace(b"\\u003c", b"<")
        data = data.replace(b"\\u003E", b">").replace(b"\\u003C", b"<")
    return {name.decode() for name in _STYLES[style].findall(data)}


def map_languages(style: str, names: Iterable[str]) -> dict[str, str]:
    """Maps BCP-47 codes to the given token names (without marks). Names that are not languages are dropped.

    If several names have the same code, a name of the code's own language wins over that of a variety or an old code,
    then the shortest wins.
    """
    candidates_by_code: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        code = _parse_name(style, name)
        if code:
            candidates_by_code.setdefault(code, []).append((len(name), name))
    return {
        _drop_script(code, candidates_by_code): min(candidates, key=lambda pair: (_is_indirect(code, pair[1]), pair))[1]
        for code, candidates in sorted(candidates_by_code.items())
    }


def need_target_token(codes: Sequence[str]) -> bool:
    """Returns True if a model with these target languages needs a token that says which one to write.

    That is so for several languages and for one language in several scripts, but not for several regions.
    """
    languages = {code.split("-")[0] for code in codes}
    subtags = {part for code in codes for part in code.split("-")[1:]}
    scripts = {part for part in subtags if len(part) == _SCRIPT_LETTERS and part.isalpha()}
    return len(languages) > 1 or len(scripts) > 1


def choose_served(listed: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Returns the listed language codes that a model's vocabulary has, with their token names, and those that it lacks.

    `listed`: the codes of the catalogue entry; none selects all of the vocabulary. `mapping`: token names by the
    vocabulary's codes. A near code in the vocabulary counts as well.
    """
    if not listed:
        return dict(mapping), []
    matched = {code: match_code(code, mapping) for code in listed}
    served = {code: mapping[near] for code, near in matched.items() if near}
    return served, [code for code, near in matched.items() if not near]


def _parse_name(style: str, name: str) -> str | None:
    """Returns the BCP-47 code of a token name such as `pt_XX` or `por_Latn`; None if the name is not a language."""
    if name in _NO_LANGUAGES:
        return None
    language, *subtags = re.split("[_-]", name)
    alias = _ALIASES.get(name.lower().replace("-", "_"))
    if style == "mbart":  # mBART's regions only say where its training data came from; XX is no region
        subtags = [_CHINESE[part] for part in subtags if language == "zh" and part in _CHINESE]
    elif language in ("zh", "zho", "cmn"):
        subtags = [_CHINESE.get(part.upper(), part) for part in subtags]
    try:
        return simplify_code(alias or "-".join([_ALIASES.get(language.lower(), language), *subtags]))
    except ValueError:
        return None


def _drop_script(code: str, codes: Collection[str]) -> str:
    """Returns the code without its script, if that is the usual one and `codes` has no other code of the language.

    A code with a region keeps its script.

    Chinese keeps its script: a caller that asks for `zh` must see which script it gets.
    """
    language = langcodes.Language.get(code)
    if not language.script or language.language == "zh" or language.territory:
        return code
    if any(other != code and other.split("-")[0] == language.language for other in codes):
        return code
    # For a language without data, langcodes would name the script usual in the United States (Latin). The script of the
    # code then counts as the usual one.
    has_data = language.language in LIKELY_SUBTAGS
    usual = langcodes.Language.get(language.language or code).maximize().script if has_data else language.script
    is_usual = usual == language.script or (usual, language.script) == ("Kore", "Hang")
    return language.language or code if is_usual else code


def _is_indirect(code: str, name: str) -> bool:
    """Returns True if a token name is not the code's own language but a variety, an alias or an old code of it."""
    language = re.split("[_-]", name)[0]
    return language in _OLD_NAMES or langcodes.standardize_tag(language).split("-")[0] != code.split("-")[0]
