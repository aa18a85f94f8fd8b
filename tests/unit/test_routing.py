"""Tests of routes: a direct model, or two through a pivot; codes are matched by BCP-47 and CLDR."""

from __future__ import annotations

import itertools

import langcodes
import pytest

from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.routing import Route, RouteMap
from tests.fakes import make_entry

ENTRIES = [make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en"), make_entry("es-en", "es", "en")]


def make_many(name: str, sources: str, targets: str, *, pivot: bool = True) -> CatalogEntry:
    """Returns a multilingual model; the languages are separated by spaces."""
    languages = {"source_languages": tuple(sources.split()), "target_languages": tuple(targets.split())}
    return make_entry(name, "en", "en", pivot=pivot).model_copy(update=languages)


def find(entries: list[CatalogEntry], source: str, target: str) -> Route:
    """Returns the route and asserts that there is one."""
    route = RouteMap(entries).find(source, target)
    assert route
    return route


def describe(entries: list[CatalogEntry], *, pivoting: bool = True) -> str:
    """Describes all language pairs."""
    return RouteMap(entries, pivoting=pivoting).describe()


def test_a_direct_model_is_taken() -> None:
    assert find(ENTRIES, "en", "pt").models == ("en-pt",)


def test_close_codes_are_resolved_and_reported() -> None:
    route = find(ENTRIES, "en-GB", "pt-BR")
    assert (route.source, route.target) == ("en", "pt")


def test_a_pair_without_a_direct_model_goes_through_a_pivot_unless_forbidden() -> None:
    route = find(ENTRIES, "es", "pt")
    assert route.models == ("es-en", "en-pt")
    assert route.targets == ("en", "pt")
    assert RouteMap(ENTRIES).find("es", "pt", allow_pivot=False) is None
    assert RouteMap(ENTRIES, pivoting=False).find("es", "pt") is None


def test_english_is_preferred_as_a_pivot() -> None:
    entries = [make_entry("es-ca", "es", "ca"), make_entry("ca-pt", "ca", "pt"), *ENTRIES]
    assert find(entries, "es", "pt").models == ("es-en", "en-pt")


def test_another_pivot_is_used_if_english_has_no_route() -> None:
    entries = [make_entry("es-ca", "es", "ca"), make_entry("ca-pt", "ca", "pt")]
    assert find(entries, "es", "pt").models == ("es-ca", "ca-pt")


def test_a_pair_that_needs_three_models_is_not_served() -> None:
    entries = [make_entry("a", "es", "fr"), make_entry("b", "fr", "de"), make_entry("c", "de", "pt")]
    assert RouteMap(entries).find("es", "pt") is None


def test_a_model_that_must_not_pivot_serves_only_its_direct_pairs() -> None:
    entries = [make_entry("es-en", "es", "en", pivot=False), make_entry("en-pt", "en", "pt")]
    assert RouteMap(entries).find("es", "pt") is None
    assert find(entries, "es", "en").models == ("es-en",)
    assert describe(entries) == "en->pt, es->en"


def test_a_model_of_two_languages_wins_over_a_multilingual_one() -> None:
    entries = [make_many("a-hundred", "en es fr", "en es pt"), make_entry("en-pt", "en", "pt")]
    assert find(entries, "en", "pt").models == ("en-pt",)
    assert find(entries, "fr", "pt").models == ("a-hundred",)  # one model still wins over two


def test_a_model_with_the_exact_code_wins_over_a_smaller_one_with_a_close_code() -> None:
    entries = [make_entry("en-pt", "en", "pt"), make_many("big", "en es", "pt pt-BR")]
    assert find(entries, "en", "pt-BR").models == ("big",)
    assert find(entries, "en", "pt-BR").target == "pt-BR"
    assert find(entries, "en", "pt").models == ("en-pt",)


def test_close_codes_match_at_a_pivot_too() -> None:
    entries = [make_entry("ja-zh", "ja", "zh-Hans"), make_entry("zh-pt", "zh", "pt")]
    route = find(entries, "ja", "pt")
    assert (route.sources, route.targets) == (("ja", "zh"), ("zh-Hans", "pt"))


@pytest.mark.parametrize(
    ("served", "wanted", "resolved"),
    [
        ("pt", "pt-BR", "pt"),
        ("pt pt-BR", "pt-PT", "pt"),
        ("pt pt-BR", "pt-BR", "pt-BR"),
        ("pt-BR pt-PT", "pt", "pt-BR"),  # CLDR: Portuguese without a region is that of Brazil
        ("zh-Hans zh-Hant", "zh-TW", "zh-Hant"),
        ("zh-Hans zh-Hant", "zh-HK", "zh-Hant"),
        ("zh-Hans zh-Hant", "zh-CN", "zh-Hans"),
        ("zh-Hans zh-Hant", "zh", "zh-Hans"),
        ("zh", "zh-Hant", None),  # readers of one script may not read the other
        ("nb nn", "no", "nb"),
        ("no", "nb", "no"),
        ("nb", "nn", None),  # Nynorsk is another language
        ("da", "nb", None),
        ("sr-Cyrl sr-Latn", "sr", "sr-Cyrl"),
        ("sr-Latn", "sr", "sr-Latn"),
        ("sr", "sr-Latn", "sr"),  # CLDR: readers of Serbian know both scripts
        ("sr-Latn", "hr", None),
        ("bs", "hr", None),  # CLDR matches them for readers, but a translation must not
        ("de", "lb", None),
        ("he", "iw", "he"),
        ("id", "in", "id"),
        ("fil", "tl", "fil"),
        ("es es-AR", "es-MX", "es-AR"),
        ("fr", "fr-CA", "fr"),
        ("zh-Hans", "yue", None),
        ("ar", "arz", None),
        ("fa", "prs", "fa"),
        ("ku", "ckb", None),
    ],
)
def test_target_codes_are_matched_by_language_script_and_region(served: str, wanted: str, resolved: str | None) -> None:
    route = RouteMap([make_many("model", "en", served)]).find("en", langcodes.standardize_tag(wanted))
    assert (route.target if route else None) == resolved


def test_pairs_are_listed_once_and_have_two_languages() -> None:
    assert describe(ENTRIES) == "en->pt, es->en, es->pt, pt->en"
    assert describe(ENTRIES, pivoting=False) == "en->pt, es->en, pt->en"
    assert describe([]) == "none"


def test_every_listed_pair_has_a_route_and_every_route_is_listed() -> None:
    entries = [
        *ENTRIES,
        make_many("many", "nb sr-Latn zh-Hant es", "no sr pt-BR zh-Hans"),
        make_many("alone", "en de", "cs en", pivot=False),
    ]
    routes = RouteMap(entries)
    codes = {code for entry in entries for code in entry.source_languages + entry.target_languages}
    listed = routes.list_pairs("", "", 0, 1_000)[0]
    assert all(routes.find(*pair) for pair in listed)
    sources = {code for entry in entries for code in entry.source_languages}
    targets = {code for entry in entries for code in entry.target_languages}
    found = {pair for pair in itertools.product(codes, codes) if routes.find(*pair)}
    # A pair of exact codes whose route ends at a close code has a route, but is not listed twice.
    missing = {
        (source, target)
        for source, target in found - set(listed)
        if source in sources and target in targets and (route := routes.find(source, target)) and route.target == target
    }
    assert missing <= {(code, other) for code, other in found if langcodes.tag_distance(code, other) < 10}


def test_the_pages_of_pairs_form_the_whole_list() -> None:
    routes = RouteMap([make_many("many", "en es fr de", "en pt fr it nl"), *ENTRIES])
    whole, more = routes.list_pairs("", "", 0, 1_000)
    assert not more
    pages = []
    for start in range(0, len(whole) + 3, 3):
        page, more = routes.list_pairs("", "", start, 3)
        assert more == (start + 3 < len(whole))
        pages += page
    assert pages == whole == sorted(whole)
    assert routes.list_pairs("es", "", 0, 100)[0] == [pair for pair in whole if pair[0] == "es"]
    assert routes.list_pairs("", "pt-BR", 0, 100)[0] == [pair for pair in whole if pair[1] == "pt"]
    assert routes.list_pairs("es", "pt", 0, 100) == ([("es", "pt")], False)
    assert routes.list_pairs("ja", "", 0, 100) == ([], False)


def test_a_long_list_of_pairs_is_shortened() -> None:
    codes = [a + b for a, b in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=2)]
    entries = [make_entry(f"en-{code}", "en", code) for code in codes if langcodes.tag_is_valid(code) and code != "en"]
    described = describe(entries[:60])
    assert "more (see ListLanguagePairs)" in described
    assert described.count("->") == 40


def test_the_cache_of_codes_from_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latimer_server.models.routing._REMEMBERED_ROUTES", 10)
    routes = RouteMap(ENTRIES)
    for region in itertools.islice(itertools.product("ABCDEFGHIJ", repeat=2), 50):
        routes.find("en", f"pt-{''.join(region)}")
    assert len(routes._routes) <= 10
