"""Tests of reading language tokens of a vocabulary as BCP-47 codes, in every style of published models."""

from __future__ import annotations

import json

import pytest

from latimer_server.models.store.language_tokens import choose_served, map_languages, scan_tokens

# facebook/mbart-large-50-many-to-many-mmt
MBART = """
ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX
ro_RO ru_RU si_LK tr_TR vi_VN zh_CN af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN
pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI
"""
# facebook/m2m100_418M
M2M100 = """
af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy id
ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru sd si
sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
"""
# Tokens of facebook/nllb-200-distilled-600M, without those of a two-letter code and its default script.
NLLB = """
ace_Arab ace_Latn acm_Arab als_Latn arb_Arab arz_Arab ayr_Latn azb_Arab azj_Latn bem_Latn ckb_Arab crh_Latn eng_Latn
fuv_Latn gaz_Latn jpn_Jpan kas_Arab kas_Deva khk_Cyrl kmr_Latn knc_Arab knc_Latn kor_Hang lvs_Latn ltg_Latn nno_Latn
nob_Latn npi_Deva ory_Orya pbt_Arab pes_Arab plt_Latn por_Latn prs_Arab quy_Latn srp_Cyrl swh_Latn taq_Latn taq_Tfng
tgl_Latn twi_Latn aka_Latn tzm_Tfng uzn_Latn ydd_Hebr yue_Hant zho_Hans zho_Hant zsm_Latn
"""


@pytest.mark.parametrize(
    ("tokens", "codes"),
    [
        ("por pob", {"pt": "por", "pt-BR": "pob"}),  # opus-mt-tc-big-en-pt
        ("pt pt_br fr fr_CA es es_AR", {"es": "es", "es-AR": "es_AR", "fr": "fr", "fr-CA": "fr_CA"}),
        ("pt_BR pt_PT", {"pt-BR": "pt_BR", "pt-PT": "pt_PT"}),
        ("cmn_Hans cmn_Hant yue_Hant", {"yue": "yue_Hant", "zh-Hans": "cmn_Hans", "zh-Hant": "cmn_Hant"}),
        ("zho zho_Hans", {"zh": "zho", "zh-Hans": "zho_Hans"}),
        ("zh_cn zh_TW", {"zh-Hans": "zh_cn", "zh-Hant": "zh_TW"}),
        ("nob nno nor", {"nb": "nob", "nn": "nno", "no": "nor"}),
        ("srp_Latn srp_Cyrl", {"sr-Cyrl": "srp_Cyrl", "sr-Latn": "srp_Latn"}),
        ("srp_Cyrl", {"sr": "srp_Cyrl"}),
        ("hbs_Latn srp_Latn", {"sr-Latn": "srp_Latn"}),  # the code of Serbo-Croatian is deprecated
        ("heb ind tgl", {"fil": "tgl", "he": "heb", "id": "ind"}),
        ("iw in tl", {"fil": "tl", "he": "iw", "id": "in"}),
        ("arb ara arz", {"ar": "ara", "arz": "arz"}),
        ("eng_Latn en_GB", {"en": "eng_Latn", "en-GB": "en_GB"}),
        ("zlm_Latn zsm_Latn", {"ms": "zsm_Latn", "zlm": "zlm_Latn"}),
        ("jbo_Latn tlh_Latn ido", {"io": "ido", "jbo": "jbo_Latn", "tlh": "tlh_Latn"}),
        (
            "bat_smg fiu_vro nds_nl be_tarask",
            {"be-tarask": "be_tarask", "nds-NL": "nds_nl", "sgs": "bat_smg", "vro": "fiu_vro"},
        ),
        ("mul und roa gem xx aaa_bbb_ccc", {}),
    ],
)
def test_the_tokens_of_opus_models_become_codes(tokens: str, codes: dict[str, str]) -> None:
    found = map_languages("marian", tokens.split())
    assert {code: name for code, name in found.items() if code in codes} == codes
    assert set(found) - set(codes) <= {"pt", "pt-BR"}


def test_every_language_of_m2m100_has_a_code() -> None:
    found = map_languages("m2m100", M2M100.split())
    assert len(found) == 100
    assert {code: name for code, name in found.items() if code != name} == {"fil": "tl", "nso": "ns"}


def test_every_language_of_mbart_has_a_code_and_its_region_is_ignored() -> None:
    found = map_languages("mbart", MBART.split())
    assert len(found) == 52
    assert found["pt"] == "pt_XX"
    assert found["ar"] == "ar_AR"
    assert {code for code in found if "-" in code} == {"zh-Hans"}


def test_the_tokens_of_nllb_become_common_codes() -> None:
    found = map_languages("nllb", NLLB.split())
    assert len(found) == len(NLLB.split())
    expected = {
        "ar": "arb_Arab", "az": "azj_Latn", "fa": "pes_Arab", "fa-AF": "prs_Arab", "fil": "tgl_Latn", "ko": "kor_Hang",
        "ku": "kmr_Latn", "lv": "lvs_Latn", "ltg": "ltg_Latn", "mn": "khk_Cyrl", "ms": "zsm_Latn", "nb": "nob_Latn",
        "pt": "por_Latn", "ps": "pbt_Arab", "qu": "quy_Latn", "sq": "als_Latn", "sr": "srp_Cyrl", "sw": "swh_Latn",
        "tw": "twi_Latn", "ak": "aka_Latn", "yue": "yue_Hant", "zh-Hans": "zho_Hans", "zh-Hant": "zho_Hant",
        "ace-Arab": "ace_Arab", "ace-Latn": "ace_Latn", "acm": "acm_Arab", "taq-Tfng": "taq_Tfng",
    }  # fmt: skip
    assert {code: found.get(code) for code in expected} == expected


@pytest.mark.parametrize(
    ("family", "content", "names"),
    [
        ("marian", {"</s>": 0, ">>por<<": 5, ">>pt_BR<<": 6, "▁>>": 7, ">>not a language<<": 8}, {"por", "pt_BR"}),
        ("m2m100", {"additional_special_tokens": ["__pt__", "__ast__", "__madeupword0__"]}, {"pt", "ast"}),
        ("nllb", {"added_tokens": [{"content": "por_Latn"}, {"content": "<mask>"}]}, {"por_Latn"}),
        ("mbart", {"additional_special_tokens": ["pt_XX", "zh_CN"], "src_lang": None}, {"pt_XX", "zh_CN"}),
    ],
)
def test_tokens_are_read_from_the_json_of_their_family(family: str, content: object, names: set[str]) -> None:
    assert scan_tokens(family, json.dumps(content).encode()) == names
    assert scan_tokens(family, json.dumps(content, indent=2, ensure_ascii=False).encode()) == names
    escaped = json.dumps(content).replace(">", "\\u003e").replace("<", "\\u003C")
    assert scan_tokens(family, escaped.encode()) == names


def test_invalid_json_has_no_tokens() -> None:
    assert scan_tokens("marian", b"\xff\x00 garbage >>por<<") == set()


def test_a_listed_language_is_served_if_the_vocabulary_has_it_or_a_close_one() -> None:
    mapping = {"pt": "por", "pt-BR": "pob", "nb": "nob", "zh-Hans": "cmn_Hans"}
    served, lacking = choose_served(["pt", "pt-PT", "no", "zh", "gl"], mapping)
    assert served == {"pt": "por", "pt-PT": "por", "no": "nob", "zh": "cmn_Hans"}
    assert lacking == ["gl"]
    assert choose_served([], mapping) == (mapping, [])
