"""Checks requests of all services against the rules of the contract.

A refusal names every violated rule, not only the first. `request_bounds` has refused too long lists and strings before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from latimer.v1 import types_pb2
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import InvalidRequest, Unsupported, Violation
from latimer_server.core.languages import normalize_code
from latimer_server.rpc.servicers.limits import (
    DEFAULT_PAGE_SIZE,
    MAX_CONTENTS,
    MAX_PAGE_SIZE,
    MAX_TOTAL_CHARACTERS,
    describe_range,
)

_MAX_OUTPUT_TOKENS = 4_096
_MAX_LENGTH_RATIO = 10.0


class Rules:
    """The checks on one request. Each check records its violations; `enforce` raises all of them together."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def require(self, holds: object, field: str, description: str) -> None:
        """Records a violation of `field` unless `holds` is true."""
        if not holds:
            self._violations.append(Violation(field, description))

    def adopt(self, violations: Iterable[Violation]) -> None:
        """Records violations that another `Rules` collected."""
        self._violations += violations

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The violations recorded so far."""
        return tuple(self._violations)

    def enforce(self) -> None:
        """Raises `InvalidRequest` with all violations, if there are any."""
        if self._violations:
            raise InvalidRequest(*self._violations)

    def contents(self, contents: Sequence[str]) -> None:
        """Checks for at least one text and at most 2,000,000 code points in total."""
        self.require(contents, "contents", f"has 0 items; {describe_range(1, MAX_CONTENTS)} are allowed")
        total = sum(map(len, contents))
        self.require(
            total <= MAX_TOTAL_CHARACTERS,
            "contents",
            f"has {total} code points in total; at most {MAX_TOTAL_CHARACTERS} are allowed",
        )

    def language(self, code: str, field: str, *, optional: bool) -> str:
        """Returns the canonical form of a language code (BCP-47).

        An optional field may be "", which is returned. An invalid code gives "" as well, and a violation.
        """
        if optional and not code:
            return ""
        try:
            return normalize_code(code)
        except ValueError as error:
            self._violations.append(Violation(field, str(error)))
            return ""

    def languages(self, codes: Sequence[str], field: str) -> tuple[str, ...]:
        """Returns the canonical forms of language codes (BCP-47), "" for an invalid one, which is a violation."""
        return tuple(self.language(code, f"{field}[{i}]", optional=False) for i, code in enumerate(codes))

    def page(self, size: int, token: str) -> tuple[int, int]:
        """Returns the index of the first entry of a page, and the size of the page. Size 0 means 100.

        `token` is the page token of a request: "" for the first page, else the index in decimal digits.
        """
        self.require(0 <= size <= MAX_PAGE_SIZE, "page_size", f"is {size}; must be 0 to {MAX_PAGE_SIZE}")
        digits = token.isascii() and token.isdigit() and len(token) <= 9
        self.require(not token or digits, "page_token", "is not valid; use next_page_token of the previous page")
        return int(token) if digits else 0, size or DEFAULT_PAGE_SIZE

    def decoding(self, options: types_pb2.DecodingOptions, field: str) -> DecodingOptions:
        """Converts the protobuf decoding options and records their violations.

        An unset option is None: the model's own default applies.
        """
        beam = self._int(options, field, "beam_size", 1, 8)
        tokens = self._int(options, field, "max_output_tokens", 1, _MAX_OUTPUT_TOKENS)
        ratio = options.max_length_ratio if options.HasField("max_length_ratio") else None
        self.require(
            ratio is None or 0 < ratio <= _MAX_LENGTH_RATIO,
            f"{field}.max_length_ratio",
            f"is {ratio}; must be above 0 and at most {_MAX_LENGTH_RATIO:g}",
        )
        return DecodingOptions(
            max_output_tokens=tokens,
            max_length_ratio=ratio,
            beam_size=beam,
            length_penalty=self._float(options, field, "length_penalty", 0, 4),
            repetition_penalty=self._float(options, field, "repetition_penalty", 1, 4),
            no_repeat_ngram_size=self._int(options, field, "no_repeat_ngram_size", 0, 20),
        )

    def _int(self, options: types_pb2.DecodingOptions, field: str, name: str, low: int, high: int) -> int | None:
        if not options.HasField(name):  # type: ignore[arg-type]  # the stubs expect a literal
            return None
        value: int = getattr(options, name)
        self.require(low <= value <= high, f"{field}.{name}", f"is {value}; must be {low} to {high}")
        return value

    def _float(
        self, options: types_pb2.DecodingOptions, field: str, name: str, low: float, high: float
    ) -> float | None:
        if not options.HasField(name):  # type: ignore[arg-type]
            return None
        value: float = getattr(options, name)
        self.require(low <= value <= high, f"{field}.{name}", f"is {value:g}; must be {low:g} to {high:g}")
        return value


def refuse(condition: object, feature: str) -> None:
    """Raises `Unsupported`, which names `feature`, if the condition is true."""
    if condition:
        raise Unsupported(f"this server does not support {feature}")


def refuse_markup(text_format: types_pb2.TextFormat.ValueType, field: str) -> None:
    """Raises `Unsupported`, which names `field`, for every text format but plain text."""
    plain = (types_pb2.TEXT_FORMAT_UNSPECIFIED, types_pb2.TEXT_FORMAT_PLAIN)
    refuse(text_format not in plain, f"{field} {types_pb2.TextFormat.Name(text_format)}")
