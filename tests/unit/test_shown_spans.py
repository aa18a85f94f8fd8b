"""A model reads paths and identifiers as they are, and masks take their place if it does not copy them."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText, show_spans, unmask_spans


def protect(text: str, *names: str) -> ProtectedText:
    return ProtectedText(text, tuple(TextSpan(text.index(name), text.index(name) + len(name)) for name in names))


@pytest.mark.parametrize("name", ["/etc/hosts", "~/.config/app-1/x.conf", "mt_count", "foo_setup()", "LC_COLLATE"])
def test_paths_and_identifiers_reach_the_model_as_they_are(name: str) -> None:
    guarded = protect(f"Read {name} first.", name)
    shown = show_spans(guarded)
    assert shown is not None
    assert shown.text == guarded.text
    restored = unmask_spans(f"Leia {name} primeiro.", shown)
    assert restored is not None
    assert restored.guarded.text == f"Leia {name} primeiro."
    assert restored.guarded.spans == (TextSpan(5, 5 + len(name)),)


@pytest.mark.parametrize("name", ["-r", "%s", "{name}", "https://example.org/a", "sRGB", "30s", "//", "/dev/st*", "_a"])
def test_other_spans_are_masked(name: str) -> None:
    assert show_spans(protect(f"Read {name} first.", name)) is None


def test_a_segment_is_shown_only_with_all_of_its_spans_once_and_apart_from_letters() -> None:
    assert show_spans(protect("Read /a of it.", "/a", "of")) is None
    assert show_spans(ProtectedText("/a or /a", (TextSpan(0, 2), TextSpan(6, 8)))) is None
    assert show_spans(protect("Read mt_countpx first.", "mt_count")) is None
    assert show_spans(ProtectedText("Read /a", (TextSpan(5, 7),), ("/b",))) is None
    assert show_spans(ProtectedText("Read it.")) is None


@pytest.mark.parametrize(
    "output",
    [
        "Leia primeiro.",
        "Leia /etc/hosts e /etc/hosts primeiro.",
        "Leia /etc/hosts.old primeiro.",
        "Leia root/etc/hosts primeiro.",
        "Leia /etc/hostsx primeiro.",
        "Leia /Etc/hosts primeiro.",
    ],
)
def test_an_output_without_the_same_name_once_has_not_copied_it(output: str) -> None:
    shown = show_spans(protect("Read /etc/hosts first.", "/etc/hosts"))
    assert shown is not None
    assert unmask_spans(output, shown) is None


def test_a_path_inside_another_one_is_found_in_its_own_place() -> None:
    guarded = ProtectedText("/var/opt is for /opt.", (TextSpan(0, 8), TextSpan(16, 20)))
    shown = show_spans(guarded)
    assert shown is not None
    restored = unmask_spans("Para /opt é /var/opt.", shown)
    assert restored is not None
    assert restored.guarded.spans == (TextSpan(12, 20), TextSpan(5, 9))
