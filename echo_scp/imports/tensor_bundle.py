"""Read the variables of a TensorFlow checkpoint without TensorFlow.

Format V2, which TensorFlow writes since 0.12: `NAME.index`, a sorted table of LevelDB's kind that says where each
variable lies, and `NAME.data-*-of-*`, the raw values. What else exists (format V1, compressed tables, partitioned
variables) is converted where TensorFlow is at hand (scripts/convert/tensorflow_to_npz.py) and read as `.npz`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from echo_scp.errors import EngineError

Variables = Mapping[str, NDArray[np.float32]]

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_DTYPES: Mapping[int, np.dtype[np.floating]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    19: np.dtype("<f2"),
}  # DataType of tensorflow/types.proto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_CONVERT = "convert it with scripts/convert/tensorflow_to_npz.py"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a variable lies (BundleEntryProto)."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


def read_variables(path: Path) -> Variables:
    """Return the floating-point variables of `NAME.index` (or NAME, or its data file) or of an `.npz`, by name.

    They are mapped, not loaded. Raises EngineError naming the file and what was expected.
    """
    if path.suffix == ".npz":
        return _read_npz(path)
    prefix = _prefix(path)
    index = prefix.with_name(f"{prefix.name}.index")
    try:
        entries = dict(_table_entries(index.read_bytes()))
        shards = _shards(entries.pop(b"", b""))
        # The parts of partitioned variables have keys that are no text.
        found = {key.decode(errors="replace"): _entry(value) for key, value in entries.items()}
    except OSError as error:
        expected = f"the index of a TensorFlow checkpoint ({error.strerror}); format V1 has none: {_CONVERT}"
        raise EngineError(f"{index}: expected {expected}") from error
    except (IndexError, ValueError) as error:
        raise EngineError(f"{index}: expected the index of a TensorFlow checkpoint, format V2: {error}") from error
    return {name: _map(prefix, shards, name, entry) for name, entry in found.items() if entry.dtype in _DTYPES}


def checkpoint_files(path: Path) -> tuple[Path, ...]:
    """Return the files that `read_variables` reads for `path`."""
    if path.suffix == ".npz":
        return (path,)
    prefix = _prefix(path)
    return prefix.with_name(f"{prefix.name}.index"), *sorted(prefix.parent.glob(f"{prefix.name}.data-*"))


def _prefix(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".index").partition(".data-")[0])


def _read_npz(path: Path) -> Variables:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name], dtype=np.float32) for name in archive.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise EngineError(f"{path}: expected an .npz with one array per variable: {error}") from error


def _map(prefix: Path, shards: int, name: str, entry: _Entry) -> NDArray[np.float32]:
    path = prefix.with_name(f"{prefix.name}.data-{entry.shard:05d}-of-{shards:05d}")
    if entry.sliced:
        raise EngineError(f"{path}: variable {name} is partitioned; {_CONVERT}")
    dtype = _DTYPES[entry.dtype]
    if entry.size != dtype.itemsize * int(np.prod(entry.shape)):
        raise EngineError(f"{path}: expected {entry.shape} values for {name}, the index says {entry.size} bytes")
    try:
        values = np.memmap(path, dtype=dtype, mode="r", offset=entry.offset, shape=entry.shape)
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: expected {name} at byte {entry.offset}, {entry.size} bytes: {error}") from error
    return np.asarray(values, dtype=np.float32)


def _table_entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a LevelDB table: blocks, a block of their places, a footer."""
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("its last bytes are not a table's")
    position = 0
    for _ in range(2):  # the place of a block that nothing uses
        _, position = _varint(footer, position)
    for _, handle in _block_entries(table, *_handle(footer, position)):
        yield from _block_entries(table, *_handle(handle, 0))


def _handle(data: bytes, position: int) -> tuple[int, int]:
    offset, position = _varint(data, position)
    size, _ = _varint(data, position)
    return offset, size


def _block_entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key repeats only what differs from the one before."""
    block = table[offset : offset + size]
    if table[offset + size] != 0:
        raise ValueError(f"it is compressed; {_CONVERT}")
    restarts = int.from_bytes(block[-4:], "little")
    key, position, end = b"", 0, len(block) - 4 * (1 + restarts)
    while position < end:
        shared, position = _varint(block, position)
        added, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + added]
        position += added
        yield key, block[position : position + length]
        position += length


def _shards(header: bytes) -> int:
    """Return the number of data files (BundleHeaderProto)."""
    return next((value for number, value in _fields(header) if number == 1 and isinstance(value, int)), 1)


def _entry(message: bytes) -> _Entry:
    fields = list(_fields(message))
    shape = next((value for number, value in fields if number == 2 and isinstance(value, bytes)), b"")
    numbers = {number: value for number, value in fields if isinstance(value, int)}
    return _Entry(
        dtype=numbers.get(1, 0),
        shape=tuple(_size(dimension) for _, dimension in _fields(shape) if isinstance(dimension, bytes)),
        shard=numbers.get(3, 0),
        offset=numbers.get(4, 0),
        size=numbers.get(5, 0),
        sliced=any(number == 7 for number, _ in fields),
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: number and value."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field of wire type {wire}")
        yield number, message[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _size(dimension: bytes) -> int:
    """Return the length of an axis (TensorShapeProto.Dim); an axis of none has no field."""
    return next((value for number, value in _fields(dimension) if number == 1 and isinstance(value, int)), 0)
