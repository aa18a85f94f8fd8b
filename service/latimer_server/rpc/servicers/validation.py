"""The limits of the contract, checked alike for all services. Every broken rule is named, not only the first.

Knows the messages' fields and limits; nothing of what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from latimer.v1 import types_pb2
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import InvalidRequest, Unsupported, Violation
from latimer_server.core.languages import normalize_code

MAX_CONTENTS = 1_024
MAX_CONTENT_CHARACTERS = 1_000_000
MAX_TOTAL_CHARACTERS = 2_000_000
MAX_TARGETS = 16
MAX_ITEM_ID = 256
MAX_CANDIDATES = 100
MAX_MODEL_NAME = 100
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
_MAX_OUTPUT_TOKENS = 4_096
_MAX_LENGTH_RATIO = 10.0


class Rules:
    """Collects what is wrong with a request; `enforce` raises all of it at once."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def require(self, holds: object, field: str, description: str) -> None:
        """Notes a violation of `field` unless `holds`."""
        if not holds:
            self._violations.append(Violation(field, description))

    def adopt(self, violations: Iterable[Violation]) -> None:
        """Notes what was found elsewhere."""
        self._violations += violations

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What was noted so far."""
        return tuple(self._violations)

    def enforce(self) -> None:
        """Raises `InvalidRequest` if anything was noted."""
        if self._violations:
            raise InvalidRequest(*self._violations)

    def contents(self, contents: Sequence[str]) -> None:
        """1 to 1,024 texts of at most 1,000,000 code points, 2,000,000 together."""
        self.require(1 <= len(contents) <= MAX_CONTENTS, "contents", f"has {len(contents)} items; 1 to {MAX_CONTENTS}")
        sizes = list(map(len, contents))
        for index, size in enumerate(sizes):
            if size > MAX_CONTENT_CHARACTERS:
                rule = f"has {size} code points; at most {MAX_CONTENT_CHARACTERS}"
                self._violations.append(Violation(f"contents[{index}]", rule))
        total = sum(sizes)
        self.require(
            total <= MAX_TOTAL_CHARACTERS,
            "contents",
            f"have {total} code points together; at most {MAX_TOTAL_CHARACTERS}",
        )

    def language(self, code: str, field: str, *, optional: bool) -> str:
        """The canonical code; "" stays "" where the field is optional."""
        if optional and not code:
            return ""
        try:
            return normalize_code(code)
        except ValueError as error:
            self._violations.append(Violation(field, str(error)))
            return ""

    def languages(self, codes: Sequence[str], field: str, *, least: int, most: int) -> tuple[str, ...]:
        """The canonical codes of a list of `least` to `most`."""
        self.require(least <= len(codes) <= most, field, f"has {len(codes)} items; {least} to {most}")
        return tuple(self.language(code, f"{field}[{i}]", optional=False) for i, code in enumerate(codes[: most + 1]))

    def model_name(self, name: str, field: str = "model") -> None:
        """At most 100 code points."""
        self.require(len(name) <= MAX_MODEL_NAME, field, f"has {len(name)} code points; at most {MAX_MODEL_NAME}")

    def page(self, size: int, token: str) -> tuple[int, int]:
        """The page's first index and its size."""
        self.require(0 <= size <= MAX_PAGE_SIZE, "page_size", f"is {size}; 0 to {MAX_PAGE_SIZE}")
        digits = token.isascii() and token.isdigit() and len(token) <= 9
        self.require(not token or digits, "page_token", "is not a token that this server gave")
        return int(token) if digits else 0, size or DEFAULT_PAGE_SIZE

    def decoding(self, options: types_pb2.DecodingOptions, field: str) -> DecodingOptions:
        """The decoding options that are set; None where the model's own default holds."""
        beam = self._int(options, field, "beam_size", 1, 8)
        tokens = self._int(options, field, "max_output_tokens", 1, _MAX_OUTPUT_TOKENS)
        ratio = options.max_length_ratio if options.HasField("max_length_ratio") else None
        self.require(
            ratio is None or 0 < ratio <= _MAX_LENGTH_RATIO,
            f"{field}.max_length_ratio",
            f"is {ratio}; above 0, at most {_MAX_LENGTH_RATIO:g}",
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
        if not options.HasField(name):  # type: ignore[arg-type]  # the stubs want a literal
            return None
        value: int = getattr(options, name)
        self.require(low <= value <= high, f"{field}.{name}", f"is {value}; {low} to {high}")
        return value

    def _float(
        self, options: types_pb2.DecodingOptions, field: str, name: str, low: float, high: float
    ) -> float | None:
        if not options.HasField(name):  # type: ignore[arg-type]
            return None
        value: float = getattr(options, name)
        self.require(low <= value <= high, f"{field}.{name}", f"is {value:g}; {low:g} to {high:g}")
        return value


def refuse(condition: object, what: str) -> None:
    """Raises `Unsupported` naming `what` if the condition holds."""
    if condition:
        raise Unsupported(f"{what} is not served by this server")


def refuse_markup(text_format: types_pb2.TextFormat.ValueType, field: str) -> None:
    """Raises `Unsupported` for every format but plain text."""
    plain = (types_pb2.TEXT_FORMAT_UNSPECIFIED, types_pb2.TEXT_FORMAT_PLAIN)
    refuse(text_format not in plain, f"{field} {types_pb2.TextFormat.Name(text_format)}")
