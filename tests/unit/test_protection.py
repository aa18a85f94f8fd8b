"""Tests of protected spans: built-in rules, syntaxes, patterns, phrases, glossary terms, and unknown words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.normalization import (
    normalize_text,
)
from latimer_server.text.protection import rules
from latimer_server.text.protection.builtin import find_builtin
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.glossary import GlossaryTerm, compile_glossary, protect_text
from latimer_server.text.protection.masking import ProtectedText, strip_edge_signs
from latimer_server.text.protection.rules import PatternError, ProtectionRules, compile_pattern, compile_phrases
from latimer_server.text.protection.syntaxes import Syntax, find_syntax


def protected(text: str, **rules: object) -> list[str]:
    spans = ProtectionRules(**rules).find(text)  # type: ignore[arg-type]
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://a.org/x_(y)?q=1&r=2#z. Then", ["https://a.org/x_(y)?q=1&r=2#z"]),
        ("(at http://a.b/c), www.d.org; e.org!", ["http://a.b/c", "www.d.org", "e.org"]),
        ("<mailto:x@y.org> or Jane.Doe+z@mail.example.com.", ["<mailto:x@y.org>", "Jane.Doe+z@mail.example.com"]),
        ("a@x.org,b@x.org;c@x.org ✉d@x.org→e@x.org.", ["a@x.org,b@x.org;c@x.org", "✉d@x.org→e@x.org"]),
        ("call +55 (11) 91234-5678 or 800-555-0199", ["+55 (11) 91234-5678", "800-555-0199"]),
        ("2024-05-03T10:00:00Z or 2024-05-03 10:00", ["2024-05-03T10:00:00Z", "2024-05-03 10:00"]),
        ("v1.2 and 10.4.1-rc.2, not 3.5", ["v1.2", "10.4.1-rc.2"]),
        ("10.0.0.1:80, fe80::1 and 2001:db8::7334/64", ["10.0.0.1:80", "fe80::1", "2001:db8::7334/64"]),
        ("cat /etc/x.d/y, ~/z, ./run.sh and src/main.py", ["/etc/x.d/y", "~/z", "./run.sh", "src/main.py"]),
        ("C:\\Program Files\\a b\\c.txt and D:\\x", ["C:\\Program Files\\a b\\c.txt", "D:\\x"]),
        ("`a b` snake_case camelCase f(x) --flag=1 -v", ["`a b`", "snake_case", "camelCase", "f(x)", "--flag=1", "-v"]),
        ("@ana #tag >>por<< <br/>", ["@ana", "#tag", ">>por<<", "<br/>"]),
        ("&amp; AX-47/b 3f2a9bc", ["&amp;", "AX-47/b", "3f2a9bc"]),
        ("pay EUR 50, 20 USD, 30GBP", ["EUR", "USD", "GBP"]),
        ("ok 🎉👩‍👩‍👧 🇧🇷 ❤️ :tada: :-) 4.2e17", ["🎉👩‍👩‍👧", "🇧🇷", "❤️", ":tada:", ":-)", "4.2e17"]),
        ("10 cm², ½ cup, Lego®, 5 µm and ①", ["cm²", "½", "Lego®", "µm", "①"]),
        ("name: ---------- and ....... 7", ["----------", "......."]),
        ("- one\n* two\n• three", ["-", "*", "•"]),
        ("às 7h50 da manhã", ["7h50"]),
        ("see <!-- a note --> now", ["<!-- a note -->"]),
        ("Hi {name}, {0} of {total:,} by {user.name}!", ["{name}", "{0}", "{total:,}", "{user.name}"]),
        ("{{name}}, {{ a.b | c }}, {{{x}}}, {% if y %}", ["{{name}}", "{{ a.b | c }}", "{{{x}}}", "{% if y %}"]),
        ("in ${HOME}, #{name}, %{count}, ${a:-b c}", ["${HOME}", "#{name}", "%{count}", "${a:-b c}"]),
        ("%d%% of %1$s users, 50%%", ["%d%%", "%1$s", "%%"]),
        ("50%% of it", []),
        ("to {host}:{port}, {a} - {b}, %s/%s; x", ["{host}:{port}", "{a}", "{b}", "%s/%s"]),
        ("trees{count}, in{0}: \\textbf{bold} {n}", ["{count}", "{0}", "\\textbf{", "}", "{n}"]),
        ("%s sent %1$s %d, %(name)s %.2f%%", ["%s", "%1$s", "%d", "%(name)s", "%.2f%%"]),
        ("%lu of %ld bytes, %zu %5.1f%% in %ds, x%sy", ["%lu", "%ld", "%zu", "%5.1f%%", "%ds", "x%sy"]),
        ("file %1 of %2, %n of them, %count% %path.name%", ["%1", "%2", "%n", "%count%", "%path.name%"]),
        ("on {2,10:P1}, {0:dd MMM yyyy}, {} and {:>10}", ["{2,10:P1}", "{0:dd MMM yyyy}", "{}", "{:>10}"]),
        ("{n, number} of {d, date, short} in { name }", ["{n, number}", "{d, date, short}", "{ name }"]),
        ("in {dir}\\{file} for {$user} and {list[0]}", ["{dir}\\{file}", "{$user}", "{list[0]}"]),
        ("the :attribute of \":other\" (:min)", [":attribute", ":other", ":min"]),
        ("case [[case.number]], a [[b c]]", ["[[case.number]]"]),
        ("see $t(menu.file) in $HOME or $name", ["$t(menu.file)", "$HOME", "$name"]),
        ("Hi <%= name %>, <?php echo $x->y ?>!", ["<%= name %>", "<?php echo $x->y ?>"]),
        ("a <3>word</3> and <0/> I <3 you", ["<3>", "</3>", "<0/>", "<3"]),
        ("%(value)r is the {}th of {0}st", ["%(value)r", "{}th", "{0}st"]),
        ("as YYYY-MM-DD or dd/mm/yyyy HH:MM[:ss[.uuuuuu]]", ["YYYY-MM-DD", "dd/mm/yyyy", "HH:MM[:ss[.uuuuuu]]"]),
        (".. note::\n  see :py:func:`a b` of it", [".. note::", ":py:func:`a b`"]),
        ("at 38°41′29″ N and 27″", ["38°41′29″", "27″"]),
        ("Run this:\n$ sudo apt install tree\nThen go", ["$ sudo apt install tree"]),
        ("say <|im_start|>user", ["<|im_start|>"]),
        ("see [the docs](#anchor) or [it](a/b.md)", ["](#anchor)", "](a/b.md)"]),
        ('"menu.title": "The menu" and "open" = "Open it";', ['"menu.title":', '"open" =']),
        ("the sum $x$ of $a_1 + b$ and $$y = z$$", ["$x$", "$a_1 + b$", "$$y = z$$"]),
        ("\\section{The end} of \\cite{a:b}, \\item x", ["\\section{", "}", "\\cite{a:b}", "\\item"]),
        ("(a) the buyer; (ii) the seller", ["(a)", "(ii)"]),
        ("``a`` and ``b c`` of `d`", ["``a``", "``b c``", "`d`"]),
        ("open #a,#b and a.pdf,b.pdf|word", ["#a,#b", "a.pdf,b.pdf"]),
        ("the house¹ and toy™, 5 km² of Lego™ CO₂", ["¹", "™", "km²", "Lego™", "CO₂"]),
        ("the file(s) and address(es)", ["(s)", "(es)"]),
        ("press Ctrl+Shift+S or Alt+F4", ["Ctrl+Shift+S", "Alt+F4"]),
        ("use f(x), printf(3) or exp(a)", ["f(x)", "printf(3)", "exp(a)"]),
        ("gcc -Wall -O2 and -name", ["-Wall", "-O2", "-name"]),
        ("app.title=Welcome to it\nerror.name = The page", ["app.title=", "error.name = "]),
        ("menu.file=File\nmenu.edit=Edit", ["menu.file=", "menu.edit="]),
        ("set mode=fast or DEBUG=True", ["mode=fast", "DEBUG=True"]),
    ],
)  # fmt: skip
def test_text_that_is_no_prose_is_protected(text: str, found: list[str]) -> None:
    assert protected(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "well-known and/or e.g. U.S. self-driving, 3.14 and 1,000.50 at 10:30 on 3/5, O'Neil said: no!",
        "The cat (a big one) sat... Really?! 24/7 - yes; 50% of it. Mr. Dr. etc. I/O",
        "Ela disse: não! R$ 1.234,56 às 10h.",
        "O valor foi 1.234.567 reais.",
        "the set {red, green} or {a b}, 100%s of it, 5 % dos, 20%-30% e 50% do, { } {-}",
        "Escolha o aluno(a) e os usuários(as).",
        "-The old line\n--Yes, it is\n-I know. -Why not? -the end",
        "_Open",
        "Save _As",
        "a _very_ good 5-Star Hotel and 24-Hour service",
        "It costs $5 here and $10 there, US$ 5 or A$ 7; $20,000 (US$30)",
        "GNU `words' and `more words' or TeX's ``quoted words'' and ``others''",
        "He asked: why? Note : this",
        "ThE cHeEsE tAbLeS",
        "He was here.Then he left.",
        "#",
        "@ # < > { } & % $ ` ~ ^ | \\",
        "",
    ],
)
def test_prose_is_not_protected(text: str) -> None:
    assert protected(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The seller (a) delivers, and (iv) waits.", ["(a)", "(iv)"]),
        ("Write the date as dd-mm-yyyy.", ["dd-mm-yyyy"]),
        ("Preencha no formato dd-aaaa.", ["dd-aaaa"]),
        ("Fine ;) thanks", [";)"]),
        ("Wait.... then go", ["...."]),
        ("See example.com now", ["example.com"]),
        ("The word camelCase stays", ["camelCase"]),
        ("Call print() now", ["print()"]),
        ("It costs 50 EUR or EUR 20", ["EUR", "EUR"]),
        ("Starts at 10h30, as usual", ["10h30"]),
        ("Run SELECT * FROM orders WHERE total > 10 to see them.", ["SELECT * FROM orders WHERE total > 10"]),
        (
            "SELECT name, COUNT(*) FROM users WHERE id = 5 AND name LIKE 'A%' ORDER BY name",
            ["SELECT name, COUNT(*) FROM users WHERE id = 5 AND name LIKE 'A%' ORDER BY name"],
        ),
        ("UPDATE users SET name = 'x' WHERE id = 3 sets it", ["UPDATE users SET name = 'x' WHERE id = 3"]),
        ("INSERT INTO t (a, b) VALUES (1, 2) adds one", ["INSERT INTO t (a, b) VALUES (1, 2)"]),
        ("SELECT a seat FROM the list", []),
        ("See :ref:`the guide <guide>` now", [":ref:`", " <guide>`"]),
        ("See `the guide <guide>` now", ["`the guide <guide>`"]),
        ("%'d files", ["%'d"]),
        ("The line */5 * * * * runs it", ["*/5 * * * *"]),
        ("at 0 4 1,15 * 1 daily, 1 2 3 4 5 times", ["0 4 1,15 * 1"]),
        ("It is ||the butler|| in the end", ["||", "||"]),
    ],
)
def test_a_span_in_a_text_that_is_prose_otherwise_is_found(text: str, found: list[str]) -> None:
    assert protected(text) == found


@given(st.text(alphabet="aA1.-_/\\@#:<>`&()[]{}+*=!?~ \n🎉é中½", max_size=80))
def test_spans_of_any_text_are_ascending(text: str) -> None:
    spans = ProtectionRules(syntaxes=tuple(Syntax)).find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end < b.start or a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "boundaries", "found"),
    [
        ("the trees{city}", [9], ["{city}"]),
        ("city %swas %1$dx", [7, 15], ["%s", "%1$d"]),
        ("{city}", [1, 5], ["{city}"]),
        ("%(house)snow {{a}}b", [9, 18], ["%(house)s", "{{a}}"]),
        ("to bob@example.com\ufffc or \ufffcx.org\ufffcnow", [], ["bob@example.com", "x.org"]),
        ("see http://a.b/c\ufffcnow {n}\ufffc", [], ["http://a.b/c", "{n}"]),
        ("\ufffc-style \ufffc/or pre-built", [23], []),
    ],
)
def test_tags_and_objects_divide_words(text: str, boundaries: list[int], found: list[str]) -> None:
    spans = ProtectionRules().find(text, boundaries)
    assert [text[span.start : span.end] for span in spans] == found


_UNITS = (
    '\\a{ \\ $a $ [[ ]( ``a ` $$ <% <%= (a) :a a" %a% {a, a=a a( a(s) a¹ ¹ -A a,#a'
    " a a- a. a/ 1. a@ ( _ :: { {a {{ {% ${ % %( %1 +1 http:// \\\\a ) x) (x A1: &a <a ` ²a -- :a:"
)


@pytest.mark.parametrize("unit", _UNITS.split(" "))
def test_a_hostile_text_needs_at_most_one_match_per_character(unit: str) -> None:
    text = unit * (200_000 // len(unit))  # quadratic work takes minutes
    assert sum(1 for _ in find_builtin(text)) <= len(text)


@pytest.mark.parametrize(
    ("syntax", "text", "found"),
    [
        (Syntax.PRINTF, "100% sure %s %1$d %(name)s 50%% %-5.2f %dpx", ["%s", "%1$d", "%(name)s", "%%", "%-5.2f"]),
        (Syntax.ICU, "a {b} {n, plural, other {# y}} } { {c}", ["{b}", "{n, plural, other {#", "}}", "{c}"]),
        (Syntax.ICU, "it's '{a}' and {b}", ["'{a}'", "{b}"]),
        (Syntax.MUSTACHE, "{{a}} {{{b}}} {{#c}} {d}", ["{{a}}", "{{{b}}}", "{{#c}}"]),
        (Syntax.SHELL, "$HOME ${A:-b} $(pwd) $1 $5.00 US$ 5", ["$HOME", "${A:-b}", "$(pwd)", "$1", "$5"]),
        (Syntax.XLIFF, "<x id='1'/> <bpt id='1'>&lt;</bpt> <b>", ["<x id='1'/>", "<bpt id='1'>&lt;</bpt>"]),
        (Syntax.I18NEXT, "{{a}} $t(b.c, {d}) {e}", ["{{a}}", "$t(b.c, {d})"]),
    ],
)  # fmt: skip
def test_the_placeholders_of_each_syntax_are_found(syntax: Syntax, text: str, found: list[str]) -> None:
    assert [text[span.start : span.end] for span in find_syntax(text, syntax)] == found


def test_patterns_are_re2_and_phrases_match_whole_words() -> None:
    assert protected("ab-12 x", builtin=False, patterns=(compile_pattern(r"[a-z]+-\d+"),)) == ["ab-12"]
    phrases = compile_phrases(["Blue", "Blue Sky", "C++", "São Paulo"])
    text = "Blue Sky, Blue Skyline, C++, São  Paulo, Bluebird, éBlue"
    assert protected(text, builtin=False, phrases=phrases) == ["Blue Sky", "Blue", "C++", "São  Paulo"]
    for pattern in ("(a", "(?=x)", "((a{100}){100}){100}", r"[^a\pL]" * 24):
        with pytest.raises(PatternError):
            compile_pattern(pattern)


def test_the_longer_of_overlapping_terms_wins_and_protected_spans_contain_no_terms() -> None:
    glossary = compile_glossary(
        [GlossaryTerm("network", "rede"), GlossaryTerm("network card", "placa"), GlossaryTerm("IT", "TI", True)]
    )
    guarded = protect_text("The Network card of it and IT at network.org", ProtectionRules(), glossary)
    found = [guarded.text[span.start : span.end] for span in guarded.spans]
    assert list(zip(found, guarded.wanted, strict=True)) == [
        ("Network card", "Placa"),
        ("IT", "TI"),
        ("network.org", "network.org"),
    ]


def test_a_term_wins_over_protection_by_form_but_not_over_what_the_caller_protects() -> None:
    terms = [GlossaryTerm(term, "T") for term in ("iPhone", "Node.js", "path", "red house")]
    glossary = compile_glossary(terms)
    text = "iPhone, Node.js, http://a.b/path, red\vhouse, red\ufffchouse, red house"
    guarded = protect_text(text, ProtectionRules(), glossary)
    found = [guarded.text[span.start : span.end] for span in guarded.spans]
    assert list(zip(found, guarded.wanted, strict=True)) == [
        ("iPhone", "T"), ("Node.js", "T"), ("http://a.b/path", "http://a.b/path"), ("red house", "T"),
    ]  # fmt: skip
    kept = protect_text("iPhone", ProtectionRules(phrases=compile_phrases(["iPhone"])), glossary)
    assert kept.wanted == ["iPhone"]


def test_a_term_is_found_beside_a_mark_and_in_any_form_of_unicode() -> None:
    glossary = compile_glossary([GlossaryTerm("house", "T"), GlossaryTerm("caf\u00e9 bar", "T")])
    text = "House®, house¹, the cafe\u0301 bar and {house}"
    guarded = protect_text(text, ProtectionRules(), glossary)
    assert guarded.wanted == ["T", "®", "T", "¹", "T", "{house}"]


@pytest.mark.parametrize(
    ("text", "languages", "written"),
    [
        ("it cost $1,234.50 in 2019", ("en", "pt"), ["$1.234,50", "2019"]),
        ("custou R$ 1.234,50 em 2019", ("pt", "en"), ["R$ 1,234.50", "2019"]),
        ("1,234.5 or 5-7%", ("en", "ja"), ["1,234.5", "5-7%"]),
        # Only what is a figure in the notation of the source is converted.
        ("R$6.450,90 or 3.5.2024 in Python 3.11", ("en", "pt"), ["R$6.450,90", "3.5.2024", "3.11"]),
        ("COVID-19 and H2O", ("en", "pt"), []),
    ],
)
def test_figures_get_the_notation_of_the_target_language(
    text: str, languages: tuple[str, str], written: list[str]
) -> None:
    assert protect_figures(ProtectedText(text), *languages).wanted == written


def test_only_the_named_figures_are_protected() -> None:
    text = "1,234 of 3.5 and $12"
    guarded = protect_figures(ProtectedText(text), "en", "pt", [TextSpan(9, 12), TextSpan(18, 20)])
    assert guarded.wanted == ["3,5", "$12"]


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("go 🙂{🚀} has 1,234 dogs", ["🙂{🚀}", "1.234"]),
        ("🙂[http://x.yz/a] has 1,234 dogs", ["🙂[http://x.yz/a]", "1.234"]),
        ("put {1,234} in", ["{", "1.234", "}"]),
    ],
)
def test_unknown_signs_beside_a_replaced_span_are_protected_too(text: str, core: list[str]) -> None:
    guarded = protect_figures(protect_text(text, ProtectionRules()), "en", "pt")
    normalized = normalize_text(guarded, lambda character: character.isascii() and character not in "{}[]")
    assert normalized.guarded.wanted == core


_WORDS = ["a", "1,234", "🙂", "{", "}", "[", "http://x.yz", "é", " ", "%", "\u2011", "中"]


@given(st.lists(st.sampled_from(_WORDS), max_size=14), st.booleans())
def test_model_input_has_ascending_spans_that_contain_every_protected_one(words: list[str], terms: bool) -> None:
    glossary = compile_glossary([GlossaryTerm("%", "por cento"), GlossaryTerm("a", "b")]) if terms else None
    guarded = protect_text("".join(words), ProtectionRules(), glossary)
    guarded = protect_figures(guarded, "en", "pt")
    normalized = normalize_text(guarded, lambda character: character.isascii() and character not in "{}[]%")
    spans = normalized.guarded.spans
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert len(normalized.spans) == len(guarded.spans)
    for span in normalized.spans:
        assert sum(one.start <= span.start and span.end <= one.end for one in spans) == 1
    place, core = strip_edge_signs(normalized.guarded)
    kept = zip(core.spans, core.replacements or (None,) * len(core.spans), strict=True)
    assert sum(new is not None for _, new in kept) == sum(new is not None for new in normalized.guarded.replacements)
    assert core.text == normalized.guarded.text[place.start : place.end]


def test_a_long_unknown_word_is_read_in_linear_time() -> None:
    text = "ж" * 100_000  # quadratic work takes a quarter of an hour
    assert normalize_text(ProtectedText(text), str.isascii).guarded.spans == (TextSpan(0, len(text)),)
    assert protect_figures(ProtectedText("1,234 and " + "1" * 200_000 + "a"), "en", "pt").wanted == ["1.234"]
    assert (
        strip_edge_signs(ProtectedText("🙂 " * 50_000, tuple(TextSpan(2 * i, 2 * i + 1) for i in range(50_000))))[
            1
        ].text
        == ""
    )


def test_unknown_words_with_combining_marks_are_protected_as_a_whole() -> None:
    text = "the word नमस्ते दुनिया means hello"
    guarded = normalize_text(ProtectedText(text), str.isascii).guarded
    assert guarded.text == text
    assert guarded.wanted == ["नमस्ते", "दुनिया"]


def test_a_space_in_a_phrase_matches_any_white_space() -> None:
    phrases = compile_phrases(["Acme\u00a0Corp"])
    assert protected("the Acme\u00a0Corp and Acme Corp", builtin=False, phrases=phrases) == [
        "Acme\u00a0Corp",
        "Acme Corp",
    ]


def test_a_pattern_that_exceeds_its_time_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_MAX_SECONDS", -1.0)
    with pytest.raises(PatternError, match="pattern 0 and those before it take more than"):
        ProtectionRules(patterns=(compile_pattern("a[^b]*b|a"),)).find("aaaaaaaa")


def test_a_pattern_that_takes_many_steps_for_each_character_is_stopped() -> None:
    text = "ab ba aab " * 60_000  # takes about 8 seconds without a limit
    with pytest.raises(PatternError, match=r"take more than 1\.2 seconds on this text"):
        ProtectionRules(patterns=(compile_pattern("(?:a|b|ab| |ba|aab|bba){1,300}c"),) * 32).find(text)


def test_a_large_pattern_is_found_in_all_parts_of_a_long_text() -> None:
    pattern = compile_pattern("x[ab]{900}y|key-[0-9]+")
    text = "".join(f"word key-{number} " for number in range(20_000))
    assert len(ProtectionRules(builtin=False, patterns=(pattern,)).find(text)) == 20_000


def test_a_thousand_phrases_are_sought_in_linear_time() -> None:
    phrases = compile_phrases(["a " * (126 - number % 10) + str(number) for number in range(1_000)])
    text = "a " * 50_000 + "7"  # took minutes with one pattern of all phrases
    (span,) = ProtectionRules(builtin=False, phrases=phrases).find(text)
    assert text[span.start : span.end] == "a " * 119 + "7"


def test_of_overlapping_phrases_the_first_and_longest_is_found() -> None:
    phrases = compile_phrases(["a b", "b c d", "c d", "c", "d e f"])
    assert protected("a b c d e f", builtin=False, phrases=phrases) == ["a b", "c d"]
    assert protected("b c d e f_c", builtin=False, phrases=phrases) == ["b c d"]
