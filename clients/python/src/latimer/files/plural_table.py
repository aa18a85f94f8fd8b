"""Plural forms of languages by CLDR. benchmarks/clients/plural_table.py writes this file.

Source: the plural rules of CLDR (Unicode License v3), made gettext's expressions by Babel 2.19.0 (BSD-3-Clause).
"""

from __future__ import annotations

# The number of forms, the C expression that gives the form of `n`, and the languages.
_ROWS: tuple[tuple[int, str, str], ...] = (
    (
        1,
        "0",
        "bm bo dz hnj id ig ii ja jbo jv kde kea km ko lkt lo ms my nqo osa sah ses sg su th to tpi vi wo yo yue zh",
    ),
    (
        2,
        "(n != 1)",
        "af an asa ast az bal bem bez bg brx ce cgg chr ckb da de dv ee el en eo et eu fi fo fur fy gl gsw ha haw"
        " hu ia ie io jgo jmc ka kaj kcg kk kkj kl ks ksb ku ky lb lg lij mas mgo ml mn mr nb nd ne nl nn nnh no "
        "nr ny nyn om or os pap ps rm rof rwk saq sc sd sdh seh sn so sq ss ssy st sv sw syr ta te teo tig tk tn "
        "tr ts ug ur uz ve vo vun wae xh xog yi",
    ),
    (
        2,
        "(n % 10 != 1 || n % 100 == 11)",
        "is mk",
    ),
    (
        2,
        "(n > 1)",
        "ak am as bho bn csw doi fa ff gu hi hy kab kn kok ln mg nso pa pcm si ti wa zu",
    ),
    (
        2,
        "n != 1 && n != 2 && n != 3 && (n % 10 == 4 || n % 10 == 6 || n % 10 == 9)",
        "ceb fil",
    ),
    (
        2,
        "n >= 2 && (n < 11 || n > 99)",
        "tzm",
    ),
    (
        3,
        "(n % 10 == 0 || n % 100 >= 11 && n % 100 <= 19 ? 0 : n % 10 == 1 && n % 100 != 11 ? 1 : 2)",
        "lv prg",
    ),
    (
        3,
        "(n == 0 ? 0 : n == 1 ? 1 : 2)",
        "blo cv ksh lag",
    ),
    (
        3,
        "(n == 0 || n == 1 ? 0 : n >= 2 && n <= 10 ? 1 : 2)",
        "shi",
    ),
    (
        3,
        "(n == 0 || n == 1) ? 0 : n != 0 && n % 1000000 == 0 ? 1 : 2",
        "fr pt",
    ),
    (
        3,
        "(n == 1 ? 0 : n != 0 && n % 1000000 == 0 ? 1 : 2)",
        "ca es it lld pt_PT scn vec",
    ),
    (
        3,
        "(n == 1 ? 0 : n == 0 || n != 1 && n % 100 >= 1 && n % 100 <= 19 ? 1 : 2)",
        "ro",
    ),
    (
        3,
        "(n == 1 ? 0 : n == 2 ? 1 : 2)",
        "he iu naq sat se sma smj smn sms",
    ),
    (
        3,
        "(n == 1 ? 0 : n >= 2 && n <= 4 ? 1 : 2)",
        "cs sk",
    ),
    (
        3,
        "n % 10 == 1 && (n % 100 < 11 || n % 100 > 19) ? 0 : n % 10 >= 2 && n % 10 <= 9 && (n % 100 < 11 || n % "
        "100 > 19) ? 1 : 2",
        "lt",
    ),
    (
        3,
        "n % 10 == 1 && n % 100 != 11 ? 0 : n % 10 >= 2 && n % 10 <= 4 && (n % 100 < 12 || n % 100 > 14) ? 1 : 2",
        "be bs hr ru sr uk",
    ),
    (
        3,
        "n == 1 ? 0 : n % 10 >= 2 && n % 10 <= 4 && (n % 100 < 12 || n % 100 > 14) ? 1 : 2",
        "pl",
    ),
    (
        4,
        "(n == 1 || n == 11) ? 0 : (n == 2 || n == 12) ? 1 : (n >= 3 && n <= 10 || n >= 13 && n <= 19) ? 2 : 3",
        "gd",
    ),
    (
        4,
        "n % 10 == 1 && n % 100 != 11 ? 0 : n == 2 ? 1 : n != 2 && n % 10 >= 2 && n % 10 <= 9 && (n % 100 < 11 ||"
        " n % 100 > 19) ? 2 : 3",
        "sgs",
    ),
    (
        4,
        "n % 10 == 1 ? 0 : n % 10 == 2 ? 1 : (n % 100 == 0 || n % 100 == 20 || n % 100 == 40 || n % 100 == 60 || "
        "n % 100 == 80) ? 2 : 3",
        "gv",
    ),
    (
        4,
        "n % 100 == 1 ? 0 : n % 100 == 2 ? 1 : (n % 100 == 3 || n % 100 == 4) ? 2 : 3",
        "dsb hsb sl",
    ),
    (
        5,
        "(n == 1 ? 0 : n == 2 ? 1 : n == 0 || n % 100 >= 3 && n % 100 <= 10 ? 2 : n % 100 >= 11 && n % 100 <= 19 "
        "? 3 : 4)",
        "mt",
    ),
    (
        5,
        "(n == 1 ? 0 : n == 2 ? 1 : n >= 3 && n <= 6 ? 2 : n >= 7 && n <= 10 ? 3 : 4)",
        "ga",
    ),
    (
        5,
        "n % 10 == 1 && n % 100 != 11 && n % 100 != 71 && n % 100 != 91 ? 0 : n % 10 == 2 && n % 100 != 12 && n %"
        " 100 != 72 && n % 100 != 92 ? 1 : ((n % 10 == 3 || n % 10 == 4) || n % 10 == 9) && (n % 100 < 10 || n % "
        "100 > 19) && (n % 100 < 70 || n % 100 > 79) && (n % 100 < 90 || n % 100 > 99) ? 2 : n != 0 && n % "
        "1000000 == 0 ? 3 : 4",
        "br",
    ),
    (
        6,
        "(n == 0 ? 0 : n == 1 ? 1 : n == 2 ? 2 : n % 100 >= 3 && n % 100 <= 10 ? 3 : n % 100 >= 11 && n % 100 <= "
        "99 ? 4 : 5)",
        "ar",
    ),
    (
        6,
        "(n == 0 ? 0 : n == 1 ? 1 : n == 2 ? 2 : n == 3 ? 3 : n == 6 ? 4 : 5)",
        "cy",
    ),
    (
        6,
        "n == 0 ? 0 : n == 1 ? 1 : (n % 100 == 2 || n % 100 == 22 || n % 100 == 42 || n % 100 == 62 || n % 100 =="
        " 82) || n % 1000 == 0 && (n % 100000 >= 1000 && n % 100000 <= 20000 || n % 100000 == 40000 || n % 100000"
        " == 60000 || n % 100000 == 80000) || n != 0 && n % 1000000 == 100000 ? 2 : (n % 100 == 3 || n % 100 == "
        "23 || n % 100 == 43 || n % 100 == 63 || n % 100 == 83) ? 3 : n != 1 && (n % 100 == 1 || n % 100 == 21 ||"
        " n % 100 == 41 || n % 100 == 61 || n % 100 == 81) ? 4 : 5",
        "kw",
    ),
)

PLURAL_FORMS = {
    language: (count, expression) for count, expression, languages in _ROWS for language in languages.split()
}
