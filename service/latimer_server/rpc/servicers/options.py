"""Converts the protobuf TranslateOptions to the `TranslateOptions` of the use case.

Compiles patterns, phrases and glossary terms. `request_bounds` has refused too long lists and strings before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from latimer.v1 import translation_pb2 as pb
from latimer.v1 import types_pb2
from latimer_server.core.errors import Violation
from latimer_server.core.flags import TRANSLATION_FLAGS, Flag
from latimer_server.rpc.servicers.limits import MAX_TERM_CHARACTERS, describe_range
from latimer_server.rpc.servicers.validation import Rules, refuse
from latimer_server.text.markup import TextFormat
from latimer_server.text.protection.glossary import Glossary, GlossaryTerm, compile_glossary
from latimer_server.text.protection.rules import (
    CompiledPattern,
    PatternError,
    ProtectionRules,
    compile_pattern,
    compile_phrases,
)
from latimer_server.text.protection.syntaxes import Syntax
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.requests import TranslateOptions

_SPLITTING = {
    pb.SENTENCE_SPLITTING_UNSPECIFIED: Splitting.SENTENCES,
    pb.SENTENCE_SPLITTING_ON: Splitting.SENTENCES,
    pb.SENTENCE_SPLITTING_OFF: Splitting.NONE,
    pb.SENTENCE_SPLITTING_NO_NEWLINES: Splitting.SENTENCES_ACROSS_LINES,
    pb.SENTENCE_SPLITTING_ONE_PER_LINE: Splitting.LINES,
}
_SYNTAXES = {
    pb.PLACEHOLDER_SYNTAX_PRINTF: Syntax.PRINTF,
    pb.PLACEHOLDER_SYNTAX_ICU: Syntax.ICU,
    pb.PLACEHOLDER_SYNTAX_MUSTACHE: Syntax.MUSTACHE,
    pb.PLACEHOLDER_SYNTAX_SHELL: Syntax.SHELL,
    pb.PLACEHOLDER_SYNTAX_XLIFF: Syntax.XLIFF,
    pb.PLACEHOLDER_SYNTAX_I18NEXT: Syntax.I18NEXT,
}
_FORMATS = {
    types_pb2.TEXT_FORMAT_HTML: TextFormat.HTML,
    types_pb2.TEXT_FORMAT_MARKDOWN: TextFormat.MARKDOWN,
    types_pb2.TEXT_FORMAT_XML: TextFormat.XML,
}
_MAX_ALTERNATIVES = 8
# The bounds of the caches in `read_options`: entries, and bytes of the serialized options of one entry. An entry with
# compiled patterns, phrases and terms may take 160 MiB.
_SMALL_ENTRIES, _SMALL_BYTES = 256, 256
_COMPILED_ENTRIES, _COMPILED_BYTES = 4, 256 << 10


def read_options(options: pb.TranslateOptions, rules: Rules) -> TranslateOptions:
    """Returns the `TranslateOptions` of the use case, and records violations in `rules`.

    Callers send the same options with every call, so conversions are cached: many small ones, and few of those that
    have patterns, phrases or glossary terms, which take memory. A thousand terms take 10 ms to compile. Very long
    options are not cached. May be called from any thread.
    """
    size = options.ByteSize()
    if options.patterns or options.phrases or options.glossary_terms:
        if size > _COMPILED_BYTES:
            return _read_options(options, rules)
        converted, violations = _read_compiled(options.SerializeToString(deterministic=True))
    elif size > _SMALL_BYTES:
        return _read_options(options, rules)
    else:
        converted, violations = _read_small(options.SerializeToString())
    rules.adopt(violations)
    return converted


@lru_cache(_SMALL_ENTRIES)
def _read_small(message: bytes) -> tuple[TranslateOptions, tuple[Violation, ...]]:
    return _read_serialized(message)


@lru_cache(_COMPILED_ENTRIES)
def _read_compiled(message: bytes) -> tuple[TranslateOptions, tuple[Violation, ...]]:
    return _read_serialized(message)


def _read_serialized(message: bytes) -> tuple[TranslateOptions, tuple[Violation, ...]]:
    """Converts a serialized TranslateOptions. Returns the options and their violations."""
    rules = Rules()
    return _read_options(pb.TranslateOptions.FromString(message), rules), rules.violations


def _read_options(options: pb.TranslateOptions, rules: Rules) -> TranslateOptions:
    rules.require(
        options.text_format in types_pb2.TextFormat.values(), "options.text_format", "is not a value of TextFormat"
    )
    rules.require(
        options.sentence_splitting in _SPLITTING,
        "options.sentence_splitting",
        "is not a value of SentenceSplitting",
    )
    rules.require(
        options.overlong_policy in pb.OverlongPolicy.values(),
        "options.overlong_policy",
        "is not a value of OverlongPolicy",
    )
    alternatives = options.alternative_count
    rules.require(
        0 <= alternatives <= _MAX_ALTERNATIVES,
        "options.alternative_count",
        f"is {alternatives}; must be 0 to {_MAX_ALTERNATIVES}",
    )
    return TranslateOptions(
        splitting=_SPLITTING.get(options.sentence_splitting, Splitting.SENTENCES),
        reject_overlong=options.overlong_policy == pb.OVERLONG_POLICY_REJECT,
        decoding=rules.decoding(options.decoding, "options.decoding"),
        alternative_count=max(0, alternatives),
        disable_pivot=options.disable_pivot,
        candidates=rules.languages(options.candidate_language_codes, "options.candidate_language_codes"),
        fallback=rules.language(options.fallback_language_code, "options.fallback_language_code", optional=True),
        error_flags=_read_flags(options, rules),
        include_segments=options.include_segments,
        protection=_read_protection(options, rules),
        glossary=_read_glossary(options, rules),
        text_format=_FORMATS.get(options.text_format),
        ignore_tags=tuple(_read_texts(options.ignore_tags, "options.ignore_tags", rules)),
        include_alignment=options.include_alignment,
        translate_attributes=options.translate_attributes,
    )


def refuse_unserved(options: pb.TranslateOptions) -> None:
    """Raises `Unsupported`, which becomes UNIMPLEMENTED, for a flag that translations never raise."""
    for flag in options.error_flags:
        name = types_pb2.Flag.Name(flag)
        refuse(Flag[name.removeprefix("FLAG_")] not in TRANSLATION_FLAGS, f"options.error_flags {name}")


def _read_flags(options: pb.TranslateOptions, rules: Rules) -> frozenset[Flag]:
    known = set(types_pb2.Flag.values()) - {types_pb2.FLAG_UNSPECIFIED}
    for index, flag in enumerate(options.error_flags):
        rules.require(flag in known, f"options.error_flags[{index}]", "is not a valid value of Flag")
    return frozenset(
        Flag[types_pb2.Flag.Name(flag).removeprefix("FLAG_")] for flag in options.error_flags if flag in known
    )


def _read_protection(options: pb.TranslateOptions, rules: Rules) -> ProtectionRules:
    for index, syntax in enumerate(options.syntaxes):
        rules.require(syntax in _SYNTAXES, f"options.syntaxes[{index}]", "is not a valid value of PlaceholderSyntax")
    patterns = [
        compiled
        for index, pattern in enumerate(_read_texts(options.patterns, "options.patterns", rules))
        if (compiled := _compile(pattern, f"options.patterns[{index}]", rules)) is not None
    ]
    phrases = _read_texts(options.phrases, "options.phrases", rules)
    return ProtectionRules(
        builtin=not options.disable_builtin_protection,
        syntaxes=tuple(dict.fromkeys(_SYNTAXES[syntax] for syntax in options.syntaxes if syntax in _SYNTAXES)),
        patterns=tuple(patterns),
        phrases=compile_phrases(phrases),
    )


def _compile(pattern: str, field: str, rules: Rules) -> CompiledPattern | None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError as error:
        rules.require(None, field, f"is not a valid RE2 pattern: {error}")
        return None
    return compiled


def _read_glossary(options: pb.TranslateOptions, rules: Rules) -> Glossary | None:
    for index, term in enumerate(options.glossary_terms):
        for name in ("source_text", "target_text"):
            _require_text(getattr(term, name), f"options.glossary_terms[{index}].{name}", rules)
    return compile_glossary(
        [
            GlossaryTerm(term.source_text, term.target_text, term.case_sensitive)
            for term in options.glossary_terms
            if term.source_text
        ]
    )


def _read_texts(texts: Sequence[str], field: str, rules: Rules) -> Sequence[str]:
    """Returns the texts, and records a violation for each empty one."""
    for index, text in enumerate(texts):
        _require_text(text, f"{field}[{index}]", rules)
    return texts


def _require_text(text: str, field: str, rules: Rules) -> None:
    rules.require(text, field, f"has 0 code points; {describe_range(1, MAX_TERM_CHARACTERS)} are allowed")
