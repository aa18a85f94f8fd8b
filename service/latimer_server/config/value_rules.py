"""Value rules: describe the allowed values of a setting or of a field of a file, and the value that was refused.

pydantic's own messages name its types and neither the bounds of a field nor a cure.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_MOST_SHOWN = 40
_LARGEST_SHOWN = 10**_MOST_SHOWN
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a switch"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (date, "a date"),
    (Mapping, "a table"),
    (list, "a list"),
)


def describe_rule(field: FieldInfo) -> str:
    """Returns what a value of the field must be, such as `a whole number from 1 to 4096`.

    A field says it itself by `rule` in its `json_schema_extra`. Otherwise its type and its bounds say it.
    """
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "rule" in extra:
        return str(extra["rule"])
    return _describe_type(field.annotation, field)


def describe_fault(fault: Mapping[str, Any], field: FieldInfo | None) -> str:
    """Returns the predicate of a sentence about a value that pydantic has refused, given its ErrorDetails.

    The value of a field for text is not shown, since it may be a secret.
    """
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    rule = "is of a wrong kind" if field is None else f"must be {describe_rule(field)}"
    if fault["type"] == "missing":
        return f"is missing; {rule}"
    return f"is {_describe_value(fault.get('input'), field)}; {rule}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean NAME?` if a known name is similar, else nothing."""
    similar = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {similar[0]}?" if similar else ""


def _describe_type(annotation: Any, field: FieldInfo) -> str:  # noqa: ANN401 (the type of a field)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _describe_type(next(each for each in arguments if each is not type(None)), field)
    if origin is Literal:
        return f"one of {', '.join(map(str, filter(None, arguments)))}"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return f"{'a whole number' if annotation is int else 'a number'}{_describe_bounds(field)}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(each.value) for each in annotation)}"
    if annotation is Path:
        return "the path of a file"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    return "a list of texts" if origin in (tuple, frozenset) else "text"


def _describe_bounds(field: FieldInfo) -> str:
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(each, name)
    }
    least, most = bounds.get("ge"), bounds.get("le")
    if least is not None and most is not None:
        return f" from {least:,.12g} to {most:,.12g}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    parts = [f"{words[name]} {bound:,.12g}" for name, bound in sorted(bounds.items())]
    return f" {' and '.join(parts)}" if parts else ""


def _describe_value(value: object, field: FieldInfo | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= _LARGEST_SHOWN:
        return "too large"  # Python refuses to write thousands of digits
    if isinstance(value, (int, float)):
        return f"{value:,}"[:_MOST_SHOWN]
    if isinstance(value, str) and field is not None and _takes_no_text(field.annotation):
        return ascii(value[:_MOST_SHOWN]) if value else "empty"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "of a wrong kind")


def _takes_no_text(annotation: Any) -> bool:  # noqa: ANN401
    """Returns True if a field takes only numbers, switches and choices, whose values are no secrets."""
    if get_origin(annotation) in (Union, types.UnionType):
        return all(map(_takes_no_text, get_args(annotation)))
    is_choice = get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum))
    return is_choice or annotation in (int, float, bool, type(None))
