"""Any text passes exactly through a model that changes nothing, over a real channel, in every format and splitting.

`LATIMER_EXAMPLES=20000 pytest tests/integration/test_round_trip.py` checks more texts.
"""

from __future__ import annotations

import asyncio
import os
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer import AsyncClient
from latimer.options import PlaceholderSyntaxName, SentenceSplittingName, TextFormatName
from tests.fakes import serve_fakes

EXAMPLES = int(os.environ.get("LATIMER_EXAMPLES", "500"))
# Parts of ordinary texts, and unusual ones.
_PARTS = (
    "Hello there.|O preço é R$ 1.234,56!|http://a.b/c?d=e|jane@x.org|{name}|%s|{{x}}|<b>|</b>|&amp;|`code`|🎉|👩‍👩‍👧|中文|"
    "“quoted”|>>por<<|...|1. |- |* |T-1|[1]|_1_|XYZ1|a|É|(|)|$HOME|@user|#tag|v1.2.3|C:\\x|/etc/x|foo_bar|ﬁ|¿Qué?|"
    "ALL CAPS|\u200b|\u00a0|\ufeff|\u2028|\r\n|\n|\n\n|\t|  | |\x00|\ud7ff|\U0010ffff|e\u0301|\x85|"
    "<p>|</p>|<i>|</i>|<br>|<code>|</code>|<!-- x -->|&nbsp;|&#60;|**|_|# |> |[a](b)|\\|~~|-|<|>|<a href=x>|</a>|\ufffc"
)
PARTS = st.sampled_from(_PARTS.split("|"))
TEXTS = st.one_of(st.text(max_size=80), st.lists(PARTS, max_size=14).map("".join))
MODES: tuple[SentenceSplittingName, ...] = ("on", "off", "one_per_line")
FORMATS: tuple[TextFormatName, ...] = ("plain", "html", "xml", "markdown")
SYNTAXES: tuple[list[PlaceholderSyntaxName], ...] = ([], ["printf", "icu", "mustache", "shell", "xliff", "i18next"])


@given(st.lists(TEXTS, min_size=20, max_size=20))
@settings(max_examples=max(1, EXAMPLES // 20), deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_comes_back_unchanged(texts: list[str]) -> None:
    async def run() -> None:
        async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
            for mode, form, syntaxes in product(MODES, FORMATS, SYNTAXES):
                results = await client.translate(
                    texts, target="pt", source="en", sentence_splitting=mode, text_format=form, syntaxes=syntaxes
                )
                for text, result in zip(texts, results, strict=True):
                    assert result.error is None
                    assert result.text == text

    asyncio.run(run())
