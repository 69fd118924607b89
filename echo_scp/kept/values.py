"""Trees of frozen dataclasses <-> bytes: a SHA-256, then a ZIP with `value.json` and one .npy per array.

Floats keep every bit; arrays keep type and shape. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from io import BytesIO
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_VALUE = "value.json"
_LEVEL = 1  # label maps are long runs: more effort gains little
_DIGEST_BYTES = 32


class UnreadableValueError(Exception):
    """The bytes are damaged, or hold a value of another shape."""


def write_value(value: object, leave_out: type) -> bytes:
    """Return the bytes of a dataclass; fields that hold a `leave_out` are for the reader to supply."""
    arrays: list[NDArray[Any]] = []
    plain = json.dumps(_plain(value, leave_out, arrays))
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.writestr(_VALUE, plain)
        for number, array in enumerate(arrays):
            with archive.open(f"{number}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return hashlib.sha256(content.getbuffer()).digest() + content.getvalue()


def read_value(kind: type[T], content: bytes, supplied: object) -> T:
    """Return a `kind` from its bytes, `supplied` where one of its type was left out; raises UnreadableValueError."""
    digest, archived = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(archived).digest() != digest:
        raise UnreadableValueError("the file is damaged")
    try:
        with zipfile.ZipFile(BytesIO(archived)) as archive:
            plain = json.loads(archive.read(_VALUE))
            value: T = _build(kind, plain, _Reader(archive, supplied))
            return value
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # written for other classes
        raise UnreadableValueError(f"{type(error).__name__}: {error}") from error


class _Reader:
    """The arrays of an archive, and the value that is not in it."""

    def __init__(self, archive: zipfile.ZipFile, supplied: object) -> None:
        self._archive = archive
        self.supplied = supplied

    def array(self, number: int) -> NDArray[Any]:
        with self._archive.open(f"{number}.npy") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array


def _plain(value: Any, leave_out: type, arrays: list[NDArray[Any]]) -> Any:  # noqa: ANN401, PLR0911 - a case per type
    match value:
        case None | bool() | int():
            return value
        case float():
            return float(value)
        case str():
            return str(value)
        case bytes():
            return _plain(np.frombuffer(value, dtype=np.uint8), leave_out, arrays)
        case tuple():
            return [_plain(item, leave_out, arrays) for item in value]
        case np.ndarray():
            arrays.append(value)
            return len(arrays) - 1
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a {type(value).__name__} cannot be kept")
    named = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: _plain(item, leave_out, arrays) for name, item in named if not isinstance(item, leave_out)}


def _build(kind: Any, plain: Any, reader: _Reader) -> Any:  # noqa: ANN401, PLR0911 - a case per type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        (wanted,) = (argument for argument in arguments if argument is not type(None))
        return None if plain is None else _build(wanted, plain, reader)
    if origin is tuple:
        return _build_tuple(arguments, plain, reader)
    if origin is np.ndarray:
        return reader.array(plain)
    if kind is bytes:
        return reader.array(plain).tobytes()
    if is_dataclass(kind):
        return _build_dataclass(kind, plain, reader)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(plain)
    if type(plain) is not kind:
        raise TypeError(f"a {type(plain).__name__} is no {kind.__name__}")
    return plain


def _build_tuple(arguments: tuple[Any, ...], plain: list[Any], reader: _Reader) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_build(arguments[0], item, reader) for item in plain)
    return tuple(_build(argument, item, reader) for argument, item in zip(arguments, plain, strict=True))


def _build_dataclass(kind: Any, plain: Mapping[str, Any], reader: _Reader) -> Any:  # noqa: ANN401
    hints = get_type_hints(kind)
    left_out = {name for name, hint in hints.items() if hint is type(reader.supplied)}
    if set(plain) != set(hints) - left_out:
        raise ValueError(f"{kind.__name__} has other fields")
    built = {name: _build(hints[name], item, reader) for name, item in plain.items()}
    return kind(**built, **dict.fromkeys(left_out, reader.supplied))
