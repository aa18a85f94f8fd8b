"""Agrees the salutation of a Portuguese letter with the title behind it: `Caro Sra. Silva` becomes `Cara Sra. Silva`.

Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import Edit

_SALUTATION = re.compile(
    r"(?:Car|Prezad|Querid|Estimad)(?P<ending>[oa]) (?P<title>(?:Sr|Dr|Prof|Senhor)(?:t?a)?)(?!\w)"
)


def agree_salutation(output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the replacement of the last letter of a salutation with the wrong gender. `target`: BCP-47 code."""
    if output.text[:1] not in ("C", "P", "Q", "E") or primary_subtag(target) != "pt":
        return
    match = _SALUTATION.match(output.text)
    if match is not None and not any(span.start < match.end() for span in output.spans):
        ending = "a" if match["title"].endswith("a") else "o"
        if ending != match["ending"]:
            yield Edit(*match.span("ending"), ending)
