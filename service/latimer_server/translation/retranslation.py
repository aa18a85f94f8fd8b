"""Retranslation: what repairs share that take a segment through the models again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.segment_output import SegmentOutput

# Takes segments and decoding options. Returns for each segment, in order, its new output or error.
Retranslate = Callable[[Sequence[ProtectedText], DecodingOptions], Awaitable[list[SegmentOutput | Exception]]]


def adds_warning(new: SegmentOutput, old: SegmentOutput) -> bool:
    """Returns True if `new` has a warning among its flags that `old` has not."""
    return bool({flag for flag in new.flags if flag.is_warning} - set(old.flags))


def drop_extra_spans(
    output: SegmentOutput | Exception, translated: ProtectedText, original: ProtectedText
) -> SegmentOutput | Exception:
    """Returns `output` with only those spans in `protected` that belong to a protected span of `original`.

    `translated` is the segment that the model read: `original` with additional protected spans. An error is returned
    unchanged.
    """
    if isinstance(output, Exception) or translated is original:
        return output
    original_spans = frozenset(original.spans)
    pairs = zip(translated.spans, output.protected, strict=True)
    return replace(output, protected=tuple(target for source, target in pairs if source in original_spans))
