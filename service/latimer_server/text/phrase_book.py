"""Fixed translations of what letters and forms have alone on a line, between English and Portuguese.

A student was trained on sentences. It translates formulas word by word (`Yours sincerely,` becomes `Seu sinceramente,`)
and invents text around lone words of forms (`sim` becomes `Yes, yes`). A phrase counts only if it is the whole segment.
Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

# Formulas of letters, with a formula of equal politeness.
_LETTERS_EN = """
    Best regards=Atenciosamente; Kind regards=Atenciosamente; Regards=Atenciosamente; Warm regards=Cordialmente
    Kindest regards=Atenciosamente; With kind regards=Atenciosamente; With best regards=Atenciosamente
    Yours sincerely=Atenciosamente; Yours faithfully=Atenciosamente; Yours truly=Atenciosamente
    Sincerely yours=Atenciosamente; Sincerely=Atenciosamente; Respectfully=Respeitosamente; Best wishes=Abraços
    Best=Abraços; All the best=Tudo de bom; Cheers=Abraços; Many thanks=Muito obrigado; Thanks=Obrigado
    Thank you=Obrigado; Love=Com amor; With love=Com amor; Lots of love=Com muito amor; Take care=Cuide-se
    Dear all=Prezados; Hi all=Olá a todos; Hello all=Olá a todos; Hi everyone=Olá a todos; Hello everyone=Olá a todos
    Hi there=Olá; Hi team=Olá, equipe; Dear team=Prezada equipe; Dear Sir or Madam=Prezado senhor ou senhora
    Dear Sir=Prezado senhor; Dear Madam=Prezada senhora; Dear customer=Prezado cliente; Dear friend=Caro amigo
    To whom it may concern=A quem possa interessar; See you soon=Até breve; See you=Até mais; Good luck=Boa sorte
"""
_LETTERS_PT = """
    Atenciosamente=Sincerely; Att=Regards; Atte=Sincerely; Cordialmente=Kind regards; Respeitosamente=Respectfully
    Cumprimentos=Regards; Com os melhores cumprimentos=Kind regards; Melhores cumprimentos=Kind regards
    Os melhores cumprimentos=Kind regards; Com os meus cumprimentos=Kind regards; Saudações=Regards
    Saudações cordiais=Kind regards; Abraço=Best; Abraços=Best; Um abraço=Best; Grande abraço=All the best
    Beijos=Love; Beijo=Love; Um beijo=Love; Beijinhos=Love; Grato=Thank you; Grata=Thank you; Obrigado=Thank you
    Obrigada=Thank you; Muito obrigado=Thank you very much; Muito obrigada=Thank you very much; Com amor=With love
    Com carinho=With love; Sem mais=Sincerely; Prezados=Dear all; Prezados senhores=Dear Sirs; Caros=Dear all
    Caros colegas=Dear colleagues; Prezado senhor=Dear Sir; Prezada senhora=Dear Madam; Exmos. Senhores=Dear Sirs
    Exmos. Srs=Dear Sirs; Prezado cliente=Dear customer; Prezado(a) cliente=Dear customer; Até breve=See you soon
    Caro cliente=Dear customer; Boa tarde a todos=Good afternoon, everyone; Bom dia a todos=Good morning, everyone
    Até logo=See you later; Até mais=See you; Boa sorte=Good luck
"""
# Words and answers of forms.
_FORMS_EN = """
    yes=sim; no=não; maybe=talvez; other=outro; others=outros; none=nenhum; male=masculino; female=feminino
    single=solteiro(a); married=casado(a); divorced=divorciado(a); widowed=viúvo(a); separated=separado(a)
    date of birth=data de nascimento; place of birth=local de nascimento; marital status=estado civil; gender=gênero
    first name=nome; last name=sobrenome; surname=sobrenome; full name=nome completo; address=endereço; city=cidade
    postal code=código postal; zip code=CEP; phone=telefone; phone number=número de telefone; signature=assinatura
    required=obrigatório; optional=opcional; in stock=em estoque; sold out=esgotado; out of stock=fora de estoque
    read only=somente leitura; read-only=somente leitura; each=cada; quantity=quantidade
    tax=imposto; tip=gorjeta; discount=desconto; shipping=frete; free shipping=frete grátis; due date=vencimento
"""
_FORMS_PT = """
    sim=yes; não=no; talvez=maybe; outro=other; outra=other; outros=others; nenhum=none; nenhuma=none
    masculino=male; feminino=female; solteiro=single; solteira=single; solteiro(a)=single; casado=married
    casada=married; casado(a)=married; divorciado=divorced; divorciada=divorced; divorciado(a)=divorced; viúvo=widower
    viúva=widow; viúvo(a)=widowed; separado(a)=separated; estado civil=marital status; data de nascimento=date of birth
    local de nascimento=place of birth; naturalidade=birthplace; nacionalidade=nationality; sexo=sex; nome=name
    nome completo=full name; sobrenome=last name; apelido=last name; endereço=address; morada=address; cidade=city
    código postal=postal code; telefone=phone; celular=mobile phone; telemóvel=mobile phone; assinatura=signature
    obrigatório=required; opcional=optional; em estoque=in stock; esgotado=sold out; fora de estoque=out of stock
    somente leitura=read-only; só leitura=read-only; cada=each; quantidade=quantity
    imposto=tax; desconto=discount; frete=shipping; frete grátis=free shipping; vencimento=due date
    profissão=occupation
"""
_TEXTS = {("en", "pt"): _LETTERS_EN + _FORMS_EN, ("pt", "en"): _LETTERS_PT + _FORMS_PT}
_ROW = re.compile(r"\s*([^=;\n]+)=([^=;\n]+)(?:;|\n|$)")
_LONGEST = 40
# A box to tick before the phrase and the punctuation behind it are kept.
_FRAME = re.compile(r"(?P<box>(?:\( ?[xX]?\)|\[[ xX]?\])\s)?(?P<phrase>\S.*?\S)(?P<end>\s?\*|[,.!:*]{0,2})")


def find_phrase(text: str, languages: tuple[str, str]) -> str | None:
    """Returns the fixed translation of a segment, with its capitals and punctuation; None without one.

    `languages`: BCP-47 codes of source and target.
    """
    if len(text) > _LONGEST:
        return None
    table = _read_table(languages[0].split("-", 1)[0].lower(), languages[1].split("-", 1)[0].lower())
    match = _FRAME.fullmatch(text) if table else None
    if match is None:
        return None
    phrase = match["phrase"]
    found = table.get(phrase.lower())
    if found is None:
        return None
    if phrase.isupper() and len(phrase) > 1:
        found = found.upper()
    elif phrase[0].isupper():
        found = found[0].upper() + found[1:]
    else:
        found = found[0].lower() + found[1:] if found not in ("CEP",) else found
    return (match["box"] or "") + found + match["end"]


@cache
def _read_table(source: str, target: str) -> Mapping[str, str]:
    text = _TEXTS.get((source, target), "")
    return {match[1].strip().lower(): match[2].strip() for match in _ROW.finditer(text)}
