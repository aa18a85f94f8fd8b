"""The conversion or the name of a placeholder tells what it stands for."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.placeholder_kinds import SpanKind, find_kind


@pytest.mark.parametrize(
    "text",
    [
        *("%d", "%lu", "%ld", "%'d", "%5.2f", "%1$d", "%(count)d", "%(num_items)s", "%d%%", "%d:%02d", "%d/%d", "%i"),
        *("{count}", "{n}", "{num_items}", "{itemCount}", "{0:d}", "{0:,.2f}", "{2,10:P1}", "{count, number}"),
        *("{{ total }}", "${count}", "%{count}", ":count", "[[case.number]]", "{max_length}", "{order_id}"),
    ],
)
def test_numbers(text: str) -> None:
    assert find_kind(text) is SpanKind.NUMBER


@pytest.mark.parametrize("text", ["{name}", "{{ user }}", "${user.name}", "%(author)s", ":username", "{first_name}"])
def test_people(text: str) -> None:
    assert find_kind(text) is SpanKind.PERSON


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{date}", SpanKind.DATE),
        ("%(due_date)s", SpanKind.DATE),
        ("2024-05-17", SpanKind.DATE),
        ("12/05/2023", SpanKind.DATE),
        ("{{ start_time }}", SpanKind.TIME),
        ("{hora1}", SpanKind.TIME),
        ("17h30", SpanKind.TIME),
    ],
)
def test_dates_and_times(text: str, kind: SpanKind) -> None:
    assert find_kind(text) is kind


@pytest.mark.parametrize(
    "text", ["%s", "%1$s", "%@", "{0}", "{}", "{file}", "{file_name}", "$HOME", "%1", "{host}:{port}"]
)
def test_other_words(text: str) -> None:
    assert find_kind(text) is SpanKind.WORD


@pytest.mark.parametrize("text", ["http://a.b", "<b>", "`code`", "🙂", "1.2.3", "%d items", "{n}px", "#tag", ""])
def test_what_is_no_placeholder(text: str) -> None:
    assert find_kind(text) is SpanKind.OTHER


def test_long_spans_are_read_in_linear_time() -> None:
    for sign in ("%d/", "{", "%0", ":a", "{a" * 2):
        find_kind(sign * 50_000)
