"""Counts the fields of a serialized message before it is parsed.

A message of 4 MB may hold two million empty items. Parsing them takes the interpreter's lock for 0.1 s, so that ten
such calls a second would stop the event loop. Counting ends at the first item beyond its bound. Format:
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections import Counter

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from latimer_server.core.errors import InvalidRequest, Violation
from latimer_server.rpc.servicers.limits import describe_range
from latimer_server.rpc.servicers.request_bounds import BOUNDS, Bound

# Shorter messages are parsed at once: their items take a few milliseconds.
_SHORT_BYTES = 32 << 10
# Fields of one message altogether, with unknown ones and repeated single ones. No valid request has as many.
_MOST_FIELDS = 20_000
# The most bytes of a value in a packed list (a varint of 64 bits).
_VALUE_BYTES = 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GROUPS = (3, 4)


def check_field_counts(data: bytes, descriptor: Descriptor) -> None:
    """Raises `InvalidRequest` that names the first list with more items than its bound, or a message with too many
    fields. Bytes that are no message pass: the parser refuses them."""
    if len(data) > _SHORT_BYTES:
        _check(data, 0, len(data), descriptor, "")


def _check(data: bytes, position: int, end: int, descriptor: Descriptor, prefix: str) -> None:
    bounds = BOUNDS.get(descriptor.full_name, {})
    fields = descriptor.fields_by_number
    counts: Counter[int] = Counter()
    lists = {number: bound for number, field in fields.items() if (bound := bounds.get(field.name)) and bound.items}
    total = 0
    while position < end:
        tag, position = _read_varint(data, position, end)
        number, kind = tag >> 3, tag & 7
        total += 1
        counts[number] += 1
        if total > _MOST_FIELDS:
            raise InvalidRequest(Violation(prefix.removesuffix("."), f"has more than {_MOST_FIELDS} fields"))
        if number in lists and counts[number] > (lists[number].items or 0):
            raise _too_many(f"{prefix}{fields[number].name}", lists[number])
        if kind == _BYTES:
            size, position = _read_varint(data, position, end)
            field = fields.get(number)
            if field is not None and size > _SHORT_BYTES:
                _check_value(data, position, min(position + size, end), field, prefix, lists.get(number))
            position += size
        elif kind == _VARINT:
            _, position = _read_varint(data, position, end)
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        elif kind not in _GROUPS:
            return


def _check_value(data: bytes, start: int, end: int, field: FieldDescriptor, prefix: str, bound: Bound | None) -> None:
    """Checks a value of many bytes: a message, or a packed list."""
    if field.message_type:
        _check(data, start, end, field.message_type, f"{prefix}{field.name}.")
    elif field.is_packed and bound and bound.items and end - start > bound.items * _VALUE_BYTES:
        raise _too_many(f"{prefix}{field.name}", bound)


def _too_many(field: str, bound: Bound) -> InvalidRequest:
    most = bound.items or 0
    allowed = describe_range(bound.least, most)
    return InvalidRequest(Violation(field, f"has more than {most} items; {allowed} are allowed"))


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Returns the varint at a position and the position after it. A cut one ends the message."""
    value = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            break
    return value, end
