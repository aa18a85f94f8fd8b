"""Tables of number words, ordinals, months and scales for a few languages, used to compare numbers.

Words are in lower case. The comparison is more lenient for a language without a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class NumberWords:
    """The number words of one language.

    `plain`: cardinals below 1,000, which combine into larger numbers. `scales`: words for hundred and more, which
    multiply the number before them, with their power of ten; several powers if usage differs. `joiners`: words between
    the parts of one number, such as `and`. `loose`: words that stand for a number only sometimes (articles, ordinals,
    months, fractions), with their possible values as decimal strings.
    """

    plain: Mapping[str, int] = field(default_factory=dict)
    scales: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    joiners: frozenset[str] = frozenset()
    loose: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _count(words: str, start: int = 0, step: int = 1) -> dict[str, int]:
    """Returns the value of each word; values ascend. `a/b c` from 3 gives a and b the value 3, and c the value 4."""
    return {word: start + step * index for index, group in enumerate(words.split()) for word in group.split("/")}


def _loose(first: Mapping[str, int], *others: str) -> dict[str, tuple[str, ...]]:
    """Returns the table of loose words: those of `first` with one value each, and those of `others`.

    `others`: strings of pairs `word/word=value,value`, divided by spaces. A pair adds values to those that a word has.
    """
    loose: dict[str, tuple[str, ...]] = {word: (str(value),) for word, value in first.items()}
    for pair in " ".join(others).split():
        words, values = pair.split("=")
        for word in words.split("/"):
            loose[word] = (*loose.get(word, ()), *values.split(","))
    return loose


def _months(words: str) -> dict[str, int]:
    return _count(words, 1)


def _compounds(tens: Mapping[str, int], units: Mapping[str, int], form: str) -> dict[str, int]:
    """Returns the values of compounds such as `twenty-one`. `form`: `{t}` stands for the ten, `{u}` for the unit."""
    return {
        form.format(t=ten, u=unit): value + units[unit] for ten, value in tens.items() for unit in units if units[unit]
    }


def _below(words: Mapping[str, int], limit: int) -> dict[str, int]:
    return {word: value for word, value in words.items() if 0 < value < limit}


_EN_SMALL = _count(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_EN_TENS = _count("twenty thirty forty/fourty fifty sixty seventy eighty ninety", 20, 10)
_EN = NumberWords(
    plain=_EN_SMALL | _EN_TENS | _compounds(_EN_TENS, _below(_EN_SMALL, 10), "{t}-{u}"),
    scales={
        "hundred": (2,),
        "hundreds": (2,),
        "thousand": (3,),
        "thousands": (3,),
        "million": (6,),
        "millions": (6,),
        "billion": (9,),
        "billions": (9,),
        "trillion": (12,),
        "trillions": (12,),
    },
    joiners=frozenset({"and"}),
    loose=_loose(
        _count(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
            " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
            1,
        )
        | {"thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100, "thousandth": 1000},
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "january/jan february/feb march/mar april/apr may june/jun july/jul august/aug september/sep/sept"
                " october/oct"
                " november/nov december/dec"
            ).items()
        ),
        "a/an/once/single/individual=1 both/twice/pair/couple/double=2 halves/thirds=3 triple/thrice/thirds=3"
        " quarters=4 fifths=5",
        "half=0.5,2,30,50 halves=2 quarter=0.25,4,15 quarters=0.25,15 dozen/dozens/noon=12 midnight=0,12,24",
        "no/none/nil/null=0 ones=1 teens=10 twenties=20,1920 thirties=30,1930 forties=40,1940 fifties=50,1950",
        "sixties=60,1960 seventies=70,1970 eighties=80,1980 nineties=90,1990 score=20 decade=10 century=100"
        " fortnight=14,15",
    ),
)

_PT_SMALL = _count(
    "zero um/uma dois/duas três/tres quatro cinco seis sete oito nove dez onze doze treze quatorze/catorze quinze"
    " dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove"
)
_PT_TENS = _count("vinte trinta quarenta cinquenta/cinqüenta sessenta setenta oitenta noventa", 20, 10)
_PT = NumberWords(
    plain=_PT_SMALL
    | _PT_TENS
    | {"cem": 100, "cento": 100}
    | _count(
        "duzentos/duzentas trezentos/trezentas quatrocentos/quatrocentas quinhentos/quinhentas seiscentos/seiscentas"
        " setecentos/setecentas oitocentos/oitocentas novecentos/novecentas",
        200,
        100,
    ),
    scales={
        "mil": (3,),
        "milhar": (3,),
        "milhares": (3,),
        "milhão": (6,),
        "milhões": (6,),
        "bilhão": (9,),
        "bilhões": (9,),
        "bilião": (12, 9),
        "biliões": (12, 9),
        "trilhão": (12,),
        "trilhões": (12,),
    },
    joiners=frozenset({"e"}),
    loose=_loose(
        _count(
            "primeiro/primeira/primeiros/primeiras segundo/segunda terceiro/terceira/terceiros/terceiras"
            " quarto/quarta quinto/quinta sexto/sexta sétimo/sétima oitavo/oitava nono/nona décimo/décima",
            1,
        )
        | {"vigésimo": 20, "vigésima": 20, "centésimo": 100, "centésima": 100, "milésimo": 1000, "milésima": 1000},
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "janeiro/jan fevereiro/fev março/mar abril/abr maio/mai junho/jun julho/jul agosto/ago setembro/set"
                " outubro/out"
                " novembro/nov dezembro/dez"
            ).items()
        ),
        "único/única/primeiro=1 ambos/ambas/par/casal/dobro/duplo/dupla=2 triplo/tripla/terço/terços/trio=3 quartos=4",
        "meio/meia=0.5,30,6,50 metade=0.5,2,50 quarto=0.25 quartos=0.25 quintos=5 dúzia/dúzias/meio-dia=12"
        " meia-noite=0,12,24",
        "nenhum/nenhuma/nulo/nula=0 dezena/dezenas/década=10 vintena=20 centena/centenas/século=100 quinzena=15,14",
        "segunda-feira=2 terça-feira=3 quarta-feira=4 quinta-feira=5 sexta-feira=6",
    ),
)

_ES_SMALL = _count(
    "cero un/uno/una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis"
    " diecisiete"
    " dieciocho diecinueve veinte veintiuno/veintiún/veintiuna veintidós veintitrés veinticuatro veinticinco veintiséis"
    " veintisiete veintiocho veintinueve"
)
_ES = NumberWords(
    plain=_ES_SMALL
    | _count("treinta cuarenta cincuenta sesenta setenta ochenta noventa", 30, 10)
    | {"cien": 100, "ciento": 100}
    | _count(
        "doscientos/doscientas trescientos/trescientas cuatrocientos/cuatrocientas quinientos/quinientas"
        " seiscientos/seiscientas setecientos/setecientas ochocientos/ochocientas novecientos/novecientas",
        200,
        100,
    ),
    scales={
        "mil": (3,),
        "miles": (3,),
        "millón": (6,),
        "millones": (6,),
        "millardo": (9,),
        "millardos": (9,),
        "billón": (12,),
        "billones": (12,),
    },
    joiners=frozenset({"y"}),
    loose=_loose(
        _count(
            "primero/primera/primer segundo/segunda tercero/tercera/tercer cuarto/cuarta quinto/quinta sexto/sexta"
            " séptimo/séptima octavo/octava noveno/novena décimo/décima undécimo/undécima duodécimo/duodécima",
            1,
        ),
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "enero/ene febrero/feb marzo/mar abril/abr mayo junio/jun julio/jul agosto/ago"
                " septiembre/setiembre/sep/sept"
                " octubre/oct noviembre/nov diciembre/dic"
            ).items()
        ),
        "único/única=1 ambos/ambas/par/doble=2 triple/tercio/tercios=3 cuartos=4 medio/media=0.5,30 mitad=0.5,2,50",
        "cuarto=0.25,15 docena/docenas/mediodía=12 medianoche=0,12,24 ningún/ninguna/nulo=0 decena/década=10"
        " centenar=100",
    ),
)

_FR_SMALL = _count(
    "zéro un/une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept"
    " dix-huit"
    " dix-neuf"
)
_FR_TENS = _count("vingt trente quarante cinquante soixante", 20, 10)
_FR = NumberWords(
    plain=_FR_SMALL
    | _FR_TENS
    | {
        "septante": 70,
        "huitante": 80,
        "octante": 80,
        "nonante": 90,
        "vingts": 20,
        "quatre-vingt": 80,
        "quatre-vingts": 80,
    }
    | _compounds(_FR_TENS, _below(_FR_SMALL, 10), "{t}-{u}")
    | {f"{ten}-et-un{e}": value + 1 for ten, value in _FR_TENS.items() for e in ("", "e")}
    | {"soixante-et-onze": 71}
    | {f"soixante-{word}": 60 + value for word, value in _FR_SMALL.items() if 10 <= value < 20}
    | {f"quatre-vingt-{word}": 80 + value for word, value in _FR_SMALL.items() if 0 < value < 20},
    scales={
        "cent": (2,),
        "cents": (2,),
        "mille": (3,),
        "milliers": (3,),
        "million": (6,),
        "millions": (6,),
        "milliard": (9,),
        "milliards": (9,),
        "billion": (12,),
        "billions": (12,),
    },
    joiners=frozenset({"et"}),
    loose=_loose(
        _count(
            "premier/première deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième onzième"
            " douzième",
            1,
        ),
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "janvier/janv février/févr mars avril/avr mai juin juillet/juil août septembre/sept octobre/oct"
                " novembre/nov"
                " décembre/déc"
            ).items()
        ),
        "seul/seule/unique=1 second/seconde/double/paire/couple=2 triple/tiers=3 quarts=4 demi/demie=0.5,30"
        " moitié=0.5,2,50",
        "quart=0.25,4,15 douzaine/midi=12 minuit=0,12,24 aucun/aucune/nul/nulle=0 dizaine/dizaines/décennie=10",
        "quinzaine=15 vingtaine=20 centaine/centaines/siècle=100 millier=1000",
    ),
)

_IT_SMALL = _count(
    "zero uno/un/una due tre/tré quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici"
    " sedici"
    " diciassette diciotto diciannove"
)
_IT_TENS = _count("venti trenta quaranta cinquanta sessanta settanta ottanta novanta", 20, 10)


def _italian_compounds() -> dict[str, int]:
    """Returns the values of compounds such as `ventuno` and `ventidue`.

    The ten loses its last vowel before the vowel of `uno` or `otto`.
    """
    return {
        (ten[:-1] if unit[0] in "uo" else ten) + unit: value + small
        for ten, value in _IT_TENS.items()
        for unit, small in _IT_SMALL.items()
        if 0 < small < 10
    }


_IT = NumberWords(
    plain=_IT_SMALL | _IT_TENS | _italian_compounds() | {"cento": 100},
    scales={
        "mille": (3,),
        "mila": (3,),
        "migliaia": (3,),
        "milione": (6,),
        "milioni": (6,),
        "miliardo": (9,),
        "miliardi": (9,),
        "bilione": (12,),
        "bilioni": (12,),
    },
    joiners=frozenset({"e"}),
    loose=_loose(
        _count(
            "primo/prima secondo/seconda terzo/terza quarto/quarta quinto/quinta sesto/sesta settimo/settima"
            " ottavo/ottava"
            " nono/nona decimo/decima undicesimo/undicesima dodicesimo/dodicesima",
            1,
        ),
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "gennaio/gen febbraio/feb marzo/mar aprile/apr maggio/mag giugno/giu luglio/lug agosto/ago"
                " settembre/set"
                " ottobre/ott novembre/nov dicembre/dic"
            ).items()
        ),
        "unico/unica/un'=1 entrambi/entrambe/paio/coppia/doppio/doppia=2 triplo/terzi=3 quarti=4 mezzo/mezza=0.5,30",
        "metà=0.5,2,50 quarto=0.25,15 dozzina/mezzogiorno=12 mezzanotte=0,12,24 nessun/nessuno/nessuna=0",
        "decina/decine/decennio=10 ventina=20 centinaio/centinaia/secolo=100 migliaio=1000",
    ),
)

_DE_SMALL = _count(
    "null eins/ein/eine/einen/einem/einer/eines zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn"
    " vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn"
)
_DE_TENS = _count("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig", 20, 10) | {"dreissig": 30}
_DE = NumberWords(
    plain=_DE_SMALL | _DE_TENS | _compounds(_DE_TENS, _below(_DE_SMALL, 10), "{u}und{t}") | {"einhundert": 100},
    scales={
        "hundert": (2,),
        "tausend": (3,),
        "tausende": (3,),
        "million": (6,),
        "millionen": (6,),
        "milliarde": (9,),
        "milliarden": (9,),
        "billion": (12,),
        "billionen": (12,),
    },
    joiners=frozenset({"und"}),
    loose=_loose(
        {
            f"{stem}{ending}": value
            for stem, value in _count(
                "erst zweit dritt viert fünft sechst siebt/siebent acht neunt zehnt elft zwölft", 1
            ).items()
            for ending in ("e", "en", "er", "es", "em", "ens")
        },
        " ".join(
            f"{word}={value}"
            for word, value in _months(
                "januar/jan/jänner februar/feb märz april/apr mai juni/jun juli/jul august/aug september/sep/sept"
                " oktober/okt"
                " november/nov dezember/dez"
            ).items()
        ),
        "einzige/einziger/einziges/einmal=1 beide/beiden/beider/paar/zweimal/doppelt=2 dreimal/drittel=3",
        "halb/halbe/halben/halber/halbes=0.5,30 hälfte=0.5,2,50 viertel=0.25,4,15 dutzend/mittag=12",
        "mitternacht=0,12,24 kein/keine/keinen=0 jahrzehnt=10 jahrhundert/hunderte=100 anderthalb/eineinhalb=1.5",
    ),
)

WORDS: Mapping[str, NumberWords] = MappingProxyType({"en": _EN, "pt": _PT, "es": _ES, "fr": _FR, "it": _IT, "de": _DE})


def _clear(words: NumberWords) -> Iterable[str]:
    """Returns the words for cardinals from three on.

    Words for one and two may be articles or pronouns, and scales such as `thousands` figures of speech.
    """
    return (word for word, value in words.plain.items() if value >= 3)


# The words of each language that always count something: plain cardinals from three on. If a translation has other ones
# than its source, a number changed.
CLEAR_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {language: frozenset(_clear(words)) for language, words in WORDS.items()}
)
