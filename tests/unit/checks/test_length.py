"""Tests of the length check: how short or long a translation may be."""

from __future__ import annotations

import pytest

from latimer_server.text.checks.length import has_odd_length

SENTENCE = "The kernel provides a common base to all other programs on the system."
ODD = [
    ("en", "pt", SENTENCE, "O kernel fornece uma base."),
    ("en", "pt", SENTENCE, ""),
    ("en", "pt", SENTENCE, "   "),
    ("en", "pt", SENTENCE, "O kernel fornece uma base comum para todos os outros programas no sistema. " * 2),
    ("en", "zh", SENTENCE, "内核"),
    ("en", "zh", SENTENCE, "The kernel provides a common base to all other programs on the system, in English."),
    ("zh", "en", "内核为系统上的所有其他程序提供了一个共同的基础。", "The kernel."),
    ("en", "pt", "Hi.", "I don't know. I don't know what you mean, and I don't know why you would ask me."),
    ("en", "de", SENTENCE, "Der Kernel bietet."),
]
USUAL = [
    ("en", "pt", SENTENCE, "O kernel fornece uma base comum para todos os outros programas no sistema."),
    ("en", "zh", SENTENCE, "内核为系统上的所有其他程序提供了一个共同的基础。"),
    ("zh", "en", "内核为系统上的所有其他程序提供了一个共同的基础。", SENTENCE),
    ("en", "ja", SENTENCE, "カーネルはシステム上の他のすべてのプログラムに共通の基盤を提供します。"),
    ("en", "ko", SENTENCE, "커널은 시스템의 다른 모든 프로그램에 공통 기반을 제공합니다."),
    ("en", "de", SENTENCE, "Der Kernel stellt eine gemeinsame Basis für alle anderen Programme auf dem System bereit."),
    ("en", "pt", "Yes", "Sim"),
    ("en", "pt", "Thanks!", "Muito obrigado!"),
    ("en", "pt", "No word matters.", "Nenhuma palavra é importante."),
    ("pt", "en", "Pressione qualquer tecla...", "Press any key..."),
    ("en", "zh", "Good morning", "早"),
    ("en", "pt", "", ""),
    ("en", "pt", "!", ""),
]


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), ODD)
def test_missing_or_invented_text_is_found(
    source_language: str, target_language: str, source: str, output: str
) -> None:
    assert has_odd_length(source, output, source_language, target_language)


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), USUAL)
def test_usual_lengths_are_accepted(source_language: str, target_language: str, source: str, output: str) -> None:
    assert not has_odd_length(source, output, source_language, target_language)


def test_a_longer_text_has_narrower_bounds() -> None:
    """The same ratio can be chance in a short text, and is damage in a long one."""
    assert not has_odd_length("a" * 30, "a" * 20, "en", "pt")
    assert has_odd_length("a" * 300, "a" * 200, "en", "pt")
