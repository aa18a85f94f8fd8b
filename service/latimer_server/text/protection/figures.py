"""Protects figures of a source, so that the output has them in the notation of the target language.

Used for figures with groups of thousands in every sentence, and for all figures of a sentence after a model got its
numbers wrong. Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# A number in digits with its currency, percent or degree sign, which models change along with it. A range such as 3-5
# is one match.
_FIGURE = re.compile(
    "(?<![\\w.,-])(?:(?:R|US|A|C|NZ|HK|MX)?\\$[ \u00a0]?|[€£¥₹₩₽][ \u00a0]?)?"
    "\\d++(?:[.,:'’ \u00a0\u202f/]\\d++|[-–]\\d++)*+(?:[ \u00a0]?(?:%|[€£¥₹₩₽]|°[CF]?))?(?![\\w.,]*\\w)"
)
# Groups of thousands in a language with this decimal mark: 1,234 and 1.234.567,8. Models seldom convert them.
_GROUPED = {
    ".": re.compile("\\d{1,3}(?:,\\d{3})+(?!\\d)"),
    ",": re.compile("\\d{1,3}(?:\\.\\d{3})+(?!\\d)"),
}
_SWAPPED = str.maketrans(".,", ",.")


def protect_figures(
    guarded: ProtectedText, source_language: str, target_language: str, *, only_grouped: bool = False
) -> ProtectedText:
    """Returns the text with the figures outside its protected spans protected too.

    Their replacement has points and commas swapped if the target language uses the other decimal mark. Languages are
    BCP-47 codes. `only_grouped`: protects only figures with groups of thousands, and only if the marks differ.
    """
    mark = find_decimal_mark(source_language)
    swaps = {mark, find_decimal_mark(target_language)} == {".", ","}
    if only_grouped and not (swaps and _GROUPED[mark].search(guarded.text)):
        return guarded
    pairs: list[tuple[TextSpan, str | None]] = list(
        zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True)
    )
    for part in list_unprotected(guarded):
        for match in _FIGURE.finditer(guarded.text, part.start, part.end):
            figure = match.group()
            if only_grouped and not _GROUPED[mark].search(figure):
                continue
            pairs.append((TextSpan(*match.span()), figure.translate(_SWAPPED) if swaps else figure))
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in pairs), tuple(text for _, text in pairs))
