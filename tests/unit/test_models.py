"""The routes through the catalogue."""

from __future__ import annotations

import langcodes

from latimer_server.models.routing import describe_pairs, find_route, list_routes
from tests.fakes import make_entry

ENTRIES = [make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en"), make_entry("es-en", "es", "en")]


def test_a_direct_model_is_taken() -> None:
    route = find_route(ENTRIES, "en", "pt", allow_pivot=True)
    assert route
    assert route.models == ("en-pt",)


def test_near_codes_are_resolved_and_echoed() -> None:
    route = find_route(ENTRIES, "en-GB", "pt-BR", allow_pivot=False)
    assert route
    assert (route.source, route.target) == ("en", "pt")


def test_a_pair_without_a_direct_model_goes_through_a_pivot_unless_forbidden() -> None:
    route = find_route(ENTRIES, "es", "pt", allow_pivot=True)
    assert route
    assert route.models == ("es-en", "en-pt")
    assert route.targets == ("en", "pt")
    assert find_route(ENTRIES, "es", "pt", allow_pivot=False) is None


def test_english_is_preferred_as_a_pivot() -> None:
    entries = [make_entry("es-ca", "es", "ca"), make_entry("ca-pt", "ca", "pt"), *ENTRIES]
    route = find_route(entries, "es", "pt", allow_pivot=True)
    assert route
    assert route.models == ("es-en", "en-pt")


def test_a_pair_that_needs_three_models_is_not_served() -> None:
    entries = [make_entry("a", "es", "fr"), make_entry("b", "fr", "de"), make_entry("c", "de", "pt")]
    assert find_route(entries, "es", "pt", allow_pivot=True) is None


def test_pairs_are_listed_once_and_never_with_themselves() -> None:
    assert describe_pairs(list_routes(ENTRIES)) == "en->pt, es->en, es->pt, pt->en"
    assert describe_pairs([]) == "none"


def test_a_long_list_of_pairs_is_shortened() -> None:
    codes = [a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz"]
    entries = [make_entry(f"en-{code}", "en", code) for code in codes if langcodes.tag_is_valid(code) and code != "en"]
    described = describe_pairs(list_routes(entries[:60]))
    assert "more (see ListLanguagePairs)" in described
    assert described.count("->") == 40
