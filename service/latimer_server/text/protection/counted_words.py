"""Tells from the words around a placeholder whether it stands for a number, as in `You have {1} new messages`.

A placeholder such as `%s` or `{0}` has no name that tells. Before a plural it counts something, behind `page` or `step`
it is a number of an item. English verbs end like plurals (`%s exists`), so the usual ones are listed. Pure functions.
"""

from __future__ import annotations

import re

# A plural behind a placeholder, with up to two adjectives before it. Adjectives of other languages may be plurals too.
_PLURAL = re.compile(
    r"[ \u00a0](?:(?P<adjective>[^\W\d_A-Z]{2,24}) ){0,2}?(?P<noun>[^\W\d_A-Z]{2,24}(?:s|\(e?s\)))(?![\w'’])"
)
# Words behind a number that are no plurals. `mais` and `more` stand before one.
_QUANTITY = re.compile(
    r"[ \u00a0](?:more|others?|total|unread|remaining|[KMGT]i?B|bytes?|px|people|percent|children|mais|restantes?"
    r"|novas?|novos?|por cento|pessoas?|vez|vezes)(?!\w)",
    re.IGNORECASE,
)
# Words before a number.
_NUMBERED = re.compile(
    r"\b(?:page|line|column|row|step|level|part|chapter|section|version|question|slide|episode|attempt|round|season|day"
    r"|at least|at most|página|linha|coluna|passo|etapa|nível|parte|capítulo|seção|versão|questão|pergunta|episódio"
    r"|tentativa|rodada|temporada|dia|pelo menos|no máximo|no mínimo|faltam|restam)s?[ \u00a0]$",
    re.IGNORECASE,
)
# Words in -s that are no plurals of nouns: verbs of software and function words.
_NO_PLURALS = frozenset(
    re.findall(
        r"\w+",
        "is was has does its this as us thus plus minus always perhaps besides afterwards yes"
        " exists contains requires needs supports uses provides returns expects fails starts stops runs conflicts"
        " depends looks seems appears says wants likes follows sends adds owns allows takes gets lacks ends begins"
        " belongs refers means becomes remains causes accepts specifies overrides replaces displays opens closes"
        " creates deletes removes makes gives goes comes works keeps lets sees asks thinks knows finds shows tells"
        " joins leaves invites replies mentions writes reads loads saves sets sounds wins loses plays calls"
        " costs includes hides enables disables changes moves happens occurs exceeds equals differs invites"
        " às mas dos das nos nas pelos pelas aos seus suas meus minhas após através antes depois mais menos os as"
        " ias eles elas nós vós lhes então"
        " três dois duas deles delas atrás quais mês português inglês francês país gás ônibus simples lápis vírus",
    )
)
_NO_PLURAL_ENDINGS = ("ss", "us", "is")
_PORTUGUESE_IS = ("ais", "eis", "óis", "uis")
# What may stand between a number and a plural. `{0} of files` counts nothing.
_NO_ADJECTIVES = frozenset(
    re.findall(
        r"\w+",
        "of in on at to for by with from and or but the an is was are were has had have will can could would should may"
        " must does did do not be been if when that which who says said added sent shared deleted uploaded removed"
        " commented liked joined invited replied mentioned updated created changed moved made edited posted started"
        " opened closed needs wants your my his her their our its this these those all any no into about as"
        " de do da dos das em no na nos nas para por com sem ao aos à às e ou que se não foi é são está"
        " foram tem seu sua seus suas o a os as um uma adicionou enviou compartilhou excluiu removeu comentou"
        " curtiu criou alterou pelo pela pelos pelas sobre entre até",
    )
)


def is_numbered(before: str) -> bool:
    """Returns True if the text directly before a placeholder says that it is a number, such as `page`."""
    return _NUMBERED.search(before) is not None


def is_counted(behind: str) -> bool:
    """Returns True if the text directly behind a placeholder without a name is what it counts."""
    if _QUANTITY.match(behind):
        return True
    match = _PLURAL.match(behind)
    if match is None:
        return False
    *adjectives, noun = match.group().lower().split()
    if noun in _NO_PLURALS or (noun.endswith(_NO_PLURAL_ENDINGS) and not noun.endswith(_PORTUGUESE_IS)):
        return False
    return _NO_ADJECTIVES.isdisjoint(adjectives)
