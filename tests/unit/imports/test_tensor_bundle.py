"""Checkpoints that TensorFlow 2.21 wrote are read without it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from echo_scp.errors import EngineError
from echo_scp.imports.tensor_bundle import checkpoint_files, read_variables

CHECKPOINTS = Path(__file__).parent / "checkpoints"
TINY = "tiny.ckpt-9"


def copy(folder: Path, name: str = TINY) -> Path:
    for file in CHECKPOINTS.glob(f"{name}.*"):
        shutil.copy(file, folder)
    return folder / f"{name}.index"


def test_floating_point_variables_have_their_names_shapes_and_values():
    """Half and double become float32; counters and words are no weights."""
    variables = read_variables(CHECKPOINTS / f"{TINY}.index")

    assert set(variables) == {"network/conv1_1/" + name for name in ("W", "b", "W/Adam")} | {
        "network/double",
        "network/half",
        "network/scalar",
    }
    assert np.array_equal(variables["network/conv1_1/W"], np.arange(12).reshape(2, 2, 1, 3) / 8)
    assert variables["network/conv1_1/b"].tolist() == [1, -2, 0.5]
    assert variables["network/double"].tolist() == [[1.5, 2.25]]
    assert variables["network/half"].tolist() == [0.5]
    assert variables["network/scalar"] == 3
    assert {value.dtype for value in variables.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_a_checkpoint_may_be_named_by_any_of_its_files(suffix):
    """People paste what they see, or the prefix that TensorFlow speaks of."""
    path = CHECKPOINTS / f"{TINY}{suffix}"

    assert "network/half" in read_variables(path)
    assert [file.name for file in checkpoint_files(path)] == [f"{TINY}.index", f"{TINY}.data-00000-of-00001"]


def test_an_npz_is_read_too(tmp_path):
    """What scripts/convert/tensorflow_to_npz.py writes."""
    np.savez(tmp_path / "converted.npz", **{"network/conv1_1/W": np.ones((2, 2), dtype=np.float64)})

    variables = read_variables(tmp_path / "converted.npz")

    assert variables["network/conv1_1/W"].dtype == np.float32
    assert checkpoint_files(tmp_path / "converted.npz") == (tmp_path / "converted.npz",)


def test_a_partitioned_variable_is_refused():
    """Half a kernel is no kernel."""
    with pytest.raises(EngineError, match=r"parts/W is partitioned; convert it"):
        read_variables(CHECKPOINTS / "partitioned.ckpt-1.index")


def test_format_v1_is_named_with_the_way_out(tmp_path):
    """It is one file without an index."""
    (tmp_path / "model.ckpt").write_bytes(b"weights")

    with pytest.raises(EngineError, match=r"model\.ckpt\.index: .* V1 has none: convert it with scripts/convert"):
        read_variables(tmp_path / "model.ckpt")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: table[:-10], "not a table's"),
        (lambda table: b"", "not a table's"),
        (lambda table: b"\xff" * (len(table) - 8) + table[-8:], "format V2"),
    ],
)
def test_a_damaged_index_is_named(tmp_path, damage, message):
    """Not a traceback out of the depths of a format."""
    index = copy(tmp_path)
    index.write_bytes(damage(index.read_bytes()))

    with pytest.raises(EngineError, match=message) as raised:
        read_variables(index)

    assert str(raised.value).startswith(str(index))


def test_a_compressed_index_is_refused(tmp_path):
    """TensorFlow 1.1 could write one."""
    index = copy(tmp_path)
    table = bytearray(index.read_bytes())
    first_block_ends = table.index(b"\x00\x00\x00\x00\x01\x00\x00\x00") + 8
    table[first_block_ends] = 1
    index.write_bytes(bytes(table))

    with pytest.raises(EngineError, match="it is compressed; convert it"):
        read_variables(index)


def test_missing_and_cut_values_are_named(tmp_path):
    """A data file that did not come along, or not whole."""
    index = copy(tmp_path)
    data = tmp_path / f"{TINY}.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:20])

    with pytest.raises(EngineError, match=r"data-00000-of-00001: expected network/conv1_1/W at byte"):
        read_variables(index)
    data.unlink()
    with pytest.raises(EngineError, match=r"data-00000-of-00001: expected network/conv1_1/W at byte"):
        read_variables(index)


def test_an_npz_with_code_in_it_is_refused(tmp_path):
    """Object arrays are pickles."""
    np.savez(tmp_path / "code.npz", W=np.array([{}], dtype=object))

    with pytest.raises(EngineError, match=r"code\.npz"):
        read_variables(tmp_path / "code.npz")


def test_a_damaged_npz_is_named(tmp_path):
    """A download that broke off."""
    np.savez(tmp_path / "cut.npz", W=np.zeros(1000))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:500])

    with pytest.raises(EngineError, match=r"cut\.npz: expected an \.npz"):
        read_variables(tmp_path / "cut.npz")
