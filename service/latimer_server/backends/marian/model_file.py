"""Reads Marian's binary model file (`*.bin`, version 1) into named, checked arrays.

Source: marian-dev `src/common/binary.cpp` and intgemm's storage in browsermt/marian-dev. The file is untrusted: every
length is compared with the remaining bytes before it is used.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import yaml

from latimer_server.core.errors import ModelFileError

_VERSION = 1
# The type codes of items in the file.
_FLOAT32, _INT8, _INTGEMM8 = 0x404, 0x101, 0x4101
_TYPE_NAMES = {_FLOAT32: "float32", _INT8: "int8", _INTGEMM8: "intgemm8"}
_MAX_ITEMS = 65_536
_MAX_NAME_BYTES = 1_024
_MAX_DIMENSIONS = 8
_MAX_CONFIG_BYTES = 65_536
_CONFIG_ITEM = "special:model.yml"


@dataclass(frozen=True)
class QuantizedMatrix:
    """An int8 matrix in intgemm's format, row-major as in the file. A weight is a value divided by `multiplier`."""

    values: npt.NDArray[np.int8]
    multiplier: float

    def dequantize(self) -> npt.NDArray[np.float32]:
        """Returns the weights as a float32 matrix of the same shape."""
        matrix = self.values.astype(np.float32)
        matrix /= np.float32(self.multiplier)
        return matrix


@dataclass(frozen=True)
class _Item:
    type: int
    shape: tuple[int, ...]
    data: memoryview


class MarianFile:
    """The items of one model file by name. Arrays are views of `data` and copy nothing.

    Raises `ModelFileError` naming `file` if the file is malformed.
    """

    def __init__(self, data: bytes, file: str) -> None:
        self._file = file
        self._items = _parse(memoryview(data), file)
        self.config = self._read_config()

    def __contains__(self, name: str) -> bool:
        return name in self._items

    @property
    def names(self) -> frozenset[str]:
        """The names of all items."""
        return frozenset(self._items)

    def float_vector(self, name: str, size: int) -> npt.NDArray[np.float32]:
        """Returns the float32 item `name` of `size` values as a vector, whatever its dimensions in the file."""
        item = self._item(name, _FLOAT32)
        if math.prod(item.shape) != size:
            raise ModelFileError(self._file, f"{name} has shape {item.shape}, expected {size} values")
        values = np.frombuffer(item.data, dtype="<f4", count=size)
        if not np.isfinite(values).all():
            raise ModelFileError(self._file, f"{name} holds values that are not finite")
        return values

    def matrix(self, name: str, rows: int, columns: int, *, transposed: bool) -> QuantizedMatrix:
        """Returns the int8 item `name`, which must have the shape `rows` x `columns` in its header.

        intgemm stores all matrices but embeddings `transposed`. The result is then [columns, rows].
        """
        item = self._item(name, _INTGEMM8)
        if item.shape != (rows, columns):
            raise ModelFileError(self._file, f"{name} has shape {item.shape}, expected {(rows, columns)}")
        count = rows * columns
        values = np.frombuffer(item.data, dtype=np.int8, count=count)
        (multiplier,) = struct.unpack_from("<f", item.data, count)
        if not math.isfinite(multiplier) or multiplier <= 0:
            raise ModelFileError(self._file, f"{name} has an impossible multiplier {multiplier}")
        shape = (columns, rows) if transposed else (rows, columns)
        return QuantizedMatrix(values.reshape(shape), multiplier)

    def is_quantized(self, name: str) -> bool:
        """True if the file has the item `name` and it is an int8 matrix."""
        return name in self._items and self._items[name].type == _INTGEMM8

    def multiplier(self, name: str) -> float:
        """Returns the factor in the item `name` that maps activations to the range -127..127 before rounding.

        The item is a float32 value, or for embeddings an int8 matrix of one value that has the factor as its own
        multiplier. Raises `ModelFileError` for a factor that is not above 0.

        Source: `--alphas` of browsermt/marian-dev (`src/tensors/cpu/intgemm_interface.h`).
        """
        found = self._items.get(name)
        if found is not None and found.type == _INTGEMM8:
            return self.matrix(name, 1, 1, transposed=False).multiplier
        value = float(self.float_vector(name, 1)[0])
        if value <= 0:
            raise ModelFileError(self._file, f"{name} is {value}; a multiplier must be above 0")
        return value

    def embeddings(self, name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        """Returns an embedding matrix as a new float32 array [rows, columns]. In the file it is int8 or float32."""
        if name in self._items and self._items[name].type == _FLOAT32 and self._items[name].shape == (rows, columns):
            return self.float_vector(name, rows * columns).reshape(rows, columns).copy()
        return self.matrix(name, rows, columns, transposed=False).dequantize()

    def _item(self, name: str, expected_type: int) -> _Item:
        item = self._items.get(name)
        if item is None:
            raise ModelFileError(self._file, f"has no item {name}")
        if item.type != expected_type:
            found = _TYPE_NAMES.get(item.type, hex(item.type))
            raise ModelFileError(self._file, f"{name} is of type {found}; supported is {_TYPE_NAMES[expected_type]}")
        return item

    def _read_config(self) -> dict[str, object]:
        item = self._item(_CONFIG_ITEM, _INT8)
        if len(item.data) > _MAX_CONFIG_BYTES:
            raise ModelFileError(self._file, f"{_CONFIG_ITEM} is larger than {_MAX_CONFIG_BYTES} bytes")
        text = bytes(item.data).split(b"\0", 1)[0]
        try:
            config = yaml.load(text.decode("utf-8"), _PlainLoader)  # noqa: S506 (a SafeLoader)
        except Exception as error:
            raise ModelFileError(self._file, f"{_CONFIG_ITEM} is not YAML") from error
        if not isinstance(config, dict):
            raise ModelFileError(self._file, f"{_CONFIG_ITEM} is not a mapping")
        return config


class _PlainLoader(yaml.SafeLoader):
    """A YAML loader that refuses aliases, with which a few bytes can expand to any size."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Raises `YAMLError` for an alias."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        return super().compose_node(parent, index)


class _Reader:
    """A cursor over the bytes of a model file. Raises `ModelFileError` instead of reading past their end."""

    def __init__(self, data: memoryview, file: str) -> None:
        self._data = data
        self._file = file
        self.position = 0

    def take(self, count: int, what: str) -> memoryview:
        remaining = len(self._data) - self.position
        if count > remaining:
            raise ModelFileError(
                self._file, f"is cut off: {what} needs {count} bytes at {self.position}, {remaining} remain"
            )
        taken = self._data[self.position : self.position + count]
        self.position += count
        return taken

    def u64(self, count: int, what: str) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.take(8 * count, what))


def _parse(data: memoryview, file: str) -> dict[str, _Item]:
    reader = _Reader(data, file)
    (version,) = reader.u64(1, "the version")
    if version != _VERSION:
        raise ModelFileError(file, f"is not a Marian binary model of version {_VERSION}")
    (count,) = reader.u64(1, "the number of items")
    if count > _MAX_ITEMS:
        raise ModelFileError(file, f"claims {count} items; the limit is {_MAX_ITEMS}")
    headers = [reader.u64(4, f"header {index}") for index in range(count)]
    for name_bytes, _, dimensions, _ in headers:
        if not 1 <= name_bytes <= _MAX_NAME_BYTES or dimensions > _MAX_DIMENSIONS:
            raise ModelFileError(file, f"claims a name of {name_bytes} bytes or {dimensions} dimensions")
    names = [_decode_name(reader.take(header[0], "a name"), file) for header in headers]
    shapes = [
        struct.unpack(f"<{header[2]}i", reader.take(4 * header[2], f"the shape of {name}"))
        for header, name in zip(headers, names, strict=True)
    ]
    (padding,) = reader.u64(1, "the padding")
    reader.take(padding, "the padding")
    items: dict[str, _Item] = {}
    for (_, type_, _, size), name, shape in zip(headers, names, shapes, strict=True):
        if name in items:
            raise ModelFileError(file, f"has {name} twice")
        item = _Item(type_, shape, reader.take(size, name))
        _check_size(item, name, file)
        items[name] = item
    return items


def _decode_name(raw: memoryview, file: str) -> str:
    try:
        return bytes(raw).split(b"\0", 1)[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(file, "has an item name that is not UTF-8") from error


def _check_size(item: _Item, name: str, file: str) -> None:
    if any(dimension < 1 for dimension in item.shape):
        raise ModelFileError(file, f"{name} has the impossible shape {item.shape}")
    values = math.prod(item.shape)
    needed = {_FLOAT32: 4 * values, _INTGEMM8: values + 4}.get(item.type, values)
    if needed > len(item.data):
        raise ModelFileError(file, f"{name} of shape {item.shape} needs {needed} bytes and has {len(item.data)}")
