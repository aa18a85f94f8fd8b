"""The options of the calls as typed keywords, with the names and defaults of the contract's fields.

They are TypedDicts, for `**options` and for dictionaries of options that a program keeps. None is the same as leaving
the option out. A test compares them with the contract's descriptors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from latimer.enums import Flag, ModelState, ModelTask, SummaryMode

TextFormatName = Literal["plain", "html", "markdown", "xml"]
SentenceSplittingName = Literal["on", "off", "no_newlines", "one_per_line"]
OverlongPolicyName = Literal["split", "reject"]
PlaceholderSyntaxName = Literal["printf", "icu", "mustache", "shell", "xliff", "i18next"]
FlagName = Literal[
    "passthrough",
    "pivoted",
    "segment_split",
    "repetition_repaired",
    "markup_repaired",
    "cached",
    "output_truncated",
    "repetition",
    "copied_source",
    "wrong_output_language",
    "length_ratio",
    "placeholder_mismatch",
    "number_mismatch",
    "glossary_miss",
    "unknown_tokens",
    "low_language_confidence",
    "unsupported_claim",
    "missing_text",
    "unknown_word",
]
SummaryModeName = Literal["extractive", "abstractive", "hybrid"]
SummaryLengthName = Literal["short", "medium", "long"]
ModelStateName = Literal["not_fetched", "available", "loading", "ready", "failed", "draining"]
ModelTaskName = Literal["translation", "summarization"]


class _RequiredTerm(TypedDict):
    source_text: str
    target_text: str


class GlossaryTerm(_RequiredTerm, total=False):
    """A glossary term and its translation. `case_sensitive`: False by default."""

    case_sensitive: bool


class DecodingOptions(TypedDict, total=False):
    """Options of a model's decoder; the defaults are the model's own.

    `beam_size`: 1 to 8. `max_output_tokens`: for one piece of text, 1 to 4,096. `max_length_ratio`: output tokens for
    each input token, above 0 and at most 10. `length_penalty`: 0 to 4. `repetition_penalty`: 1 to 4.
    `no_repeat_ngram_size`: 0 to 20.
    """

    beam_size: int | None
    max_output_tokens: int | None
    max_length_ratio: float | None
    length_penalty: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None


class TranslateOptions(DecodingOptions, total=False):
    """Options of `translate` and `translate_many`.

    `model`: the name of a model; the server chooses by default. `text_format`: the markup of the texts, "plain" by
    default. `sentence_splitting`: "on" by default; "no_newlines" for hard-wrapped text, "one_per_line" for lists.
    `overlong_policy`: what happens to a segment that is too long for the model, "split" by default.
    `disable_builtin_protection`: translates URLs and placeholders like other text. `syntaxes`: placeholder syntaxes to
    protect. `patterns`: at most 32 regular expressions (RE2) of spans to protect. `phrases`: at most 1,000 phrases to
    protect. `ignore_tags`: HTML or XML elements whose content stays. `glossary_terms`: at most 1,000.
    `alternative_count`: 0 to 8 other translations of each segment. `disable_pivot`: refuses a pair that needs two
    models. `candidate_language_codes`: the languages from which detection chooses. `fallback_language_code`: the source
    language if detection is not reliable. `error_flags`: flags that make a text an error. `include_segments` and
    `include_alignment`: returns them. `disable_cache`: translates every segment anew. `translate_attributes`:
    translates `alt`, `title` and similar attributes.
    """

    model: str | None
    text_format: TextFormatName | None
    sentence_splitting: SentenceSplittingName | None
    overlong_policy: OverlongPolicyName | None
    disable_builtin_protection: bool | None
    syntaxes: Sequence[PlaceholderSyntaxName] | None
    patterns: Sequence[str] | None
    phrases: Sequence[str] | None
    ignore_tags: Sequence[str] | None
    glossary_terms: Sequence[GlossaryTerm] | None
    alternative_count: int | None
    disable_pivot: bool | None
    candidate_language_codes: Sequence[str] | None
    fallback_language_code: str | None
    error_flags: Sequence[Flag | FlagName] | None
    include_segments: bool | None
    include_alignment: bool | None
    disable_cache: bool | None
    translate_attributes: bool | None


class SummarizeOptions(DecodingOptions, total=False):
    """Options of `summarize` without arguments of their own.

    `max_words` (1 to 100,000) and `ratio` (above 0 and below 1) limit the length. `model`: the name of a model; the
    server chooses by `mode`. `text_format`: "plain" only. `fallback_language_code`: the language of the text if
    detection is not reliable.
    """

    max_words: int | None
    ratio: float | None
    model: str | None
    text_format: TextFormatName | None
    fallback_language_code: str | None


class DetectOptions(TypedDict, total=False):
    """Options of `detect`. `candidate_language_codes`: the languages from which detection chooses; all by default."""

    candidate_language_codes: Sequence[str] | None


class ModelFilters(TypedDict, total=False):
    """Filters of `models`: by task, by state, and by a language that a model reads or writes."""

    task: ModelTask | ModelTaskName | None
    state: ModelState | ModelStateName | None
    source_language_code: str | None
    target_language_code: str | None


# The modes and lengths of `summarize`, as constants or names.
Mode = SummaryMode | SummaryModeName
