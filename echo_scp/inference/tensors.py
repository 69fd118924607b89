"""Compare an artefact's tensors, and every batch, with the manifest; the same for every runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType

import numpy as np

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest

Shapes = Mapping[str, Sequence[object]]  # tensor -> shape; an axis that is free is no positive int

_INPUT_FIELDS = {  # which field of the manifest each axis after the first comes from
    "NCHW": ("input.channels", "input.size", "input.size"),
    "NHWC": ("input.size", "input.size", "input.channels"),
    "NCTHW": ("input.channels", "sampling.frames", "input.size", "input.size"),
}


def check_tensors(manifest: Manifest, inputs: Shapes, outputs: Shapes) -> None:
    """Raise ManifestError naming the file, the field and what was expected, when they do not fit."""
    path = manifest.folder / MANIFEST_NAME
    if set(inputs) != {manifest.input.tensor}:
        raise ManifestError(path, "input.tensor", f"the artefact's only input, one of {sorted(inputs)}")
    if manifest.output.tensor not in outputs:
        raise ManifestError(path, "output.tensor", f"one of the artefact's outputs {sorted(outputs)}")
    taken, given = inputs[manifest.input.tensor], outputs[manifest.output.tensor]
    if len(taken) != 1 + len(manifest.input_shape):
        raise ManifestError(path, "input.layout", f"one of {len(taken)} axes, as the artefact's input has")
    if _is_fixed(taken[0]):
        raise ManifestError(path, "input.tensor", f"a first axis that takes any batch; the artefact's is {taken[0]}")
    _check_axes(manifest, taken[1:], manifest.input_shape, _INPUT_FIELDS[manifest.input.layout])
    if len(given) != 1 + len(manifest.output_shape):
        raise ManifestError(path, "output.tensor", f"an output of {1 + len(manifest.output_shape)} axes, not {given}")
    _check_axes(manifest, given[1:], manifest.output_shape, _output_fields(manifest))


def check_sides(manifest: Manifest, inputs: Shapes) -> None:
    """Raise ManifestError when the artefact, with the tensors of the manifest, takes fewer sizes than that says."""
    rows, columns = inputs[manifest.input.tensor][-2:]
    if manifest.input.multiple_of is not None and (_is_fixed(rows) or _is_fixed(columns)):
        expected = f"no such number: the artefact takes {rows} x {columns} alone"
        raise ManifestError(manifest.folder / MANIFEST_NAME, "input.multiple_of", expected)


def _check_axes(manifest: Manifest, actual: Sequence[object], stated: Sequence[int], fields: Sequence[str]) -> None:
    for axis, number, field in zip(actual, stated, fields, strict=True):
        if _is_fixed(axis) and axis != number:
            path = manifest.folder / MANIFEST_NAME
            raise ManifestError(path, field, f"what the artefact has, {axis}; the manifest says {number}")


def _output_fields(manifest: Manifest) -> tuple[str, ...]:
    channels = "output.values" if manifest.output.values else "output.labels"
    if manifest.task != "segmentation":
        return (channels,)
    return (
        ("input.size", "input.size", channels) if manifest.input.layout == "NHWC" else (channels, *2 * ["input.size"])
    )


def check_batch(manifest: Manifest, batch: Batch) -> None:
    """Raise EngineError when `batch` is not what the engine takes."""
    if not _takes(manifest, batch.shape[1:]) or batch.dtype != np.float32:
        expected = ", ".join(map(str, manifest.input_shape))
        step = manifest.input.multiple_of
        fewer = "" if step is None else f" or sides of fewer multiples of {step}"
        raise EngineError(f"{manifest.name}: expected float32 (N, {expected}){fewer}, got {batch.dtype} {batch.shape}")


def check_answers(manifest: Manifest, batch: Batch, answers: Batch) -> None:
    """Raise EngineError when `answers` are not one per item of `batch`: outlines have the sides of what was asked."""
    stated = manifest.output_shape
    if manifest.task == "segmentation" and manifest.input.layout == "NCHW":
        stated = (stated[0], *batch.shape[2:])
    if answers.shape != (len(batch), *stated):
        expected = f"{(len(batch), *stated)} for {batch.shape}"
        raise EngineError(f"{manifest.name}: expected answers of shape {expected}, got {answers.shape}")


def smallest_batch(manifest: Manifest) -> Batch:
    """Return one black item of the smallest shape that the engine takes."""
    shape, step = manifest.input_shape, manifest.input.multiple_of
    return np.zeros((1, *(shape if step is None else (shape[0], step, step))), dtype=np.float32)


def has_free_axes(manifest: Manifest, outputs: Shapes) -> bool:
    """Tell whether the shape of an answer shows only when there is one."""
    return not all(map(_is_fixed, outputs[manifest.output.tensor][1:]))


def run_whole(manifest: Manifest, batch: Batch, run: Callable[[Batch], Batch]) -> Batch:
    """Return the answers to `batch` (N, ...) of a `run` that takes the whole input shape alone, as a plan does.

    A smaller canvas is framed with black, and its part of the answer cut out.
    """
    if batch.shape[1:] == manifest.input_shape:
        return run(batch)
    kept = _middle(batch.shape, manifest.input.size)
    whole = np.empty((len(batch), *manifest.input_shape), dtype=np.float32)
    whole[:] = np.reshape(manifest.input.offsets, (-1, 1, 1))
    whole[kept] = batch
    answers = run(whole)
    return answers[kept] if answers.ndim == whole.ndim else answers


def _middle(shape: tuple[int, ...], size: int) -> tuple[EllipsisType | slice, ...]:
    """Return the index of the last two axes that puts (..., H, W) into the middle of (..., size, size)."""
    starts = [(size - side) // 2 for side in shape[-2:]]
    return ..., *(slice(start, start + side) for start, side in zip(starts, shape[-2:], strict=True))


def _takes(manifest: Manifest, item: tuple[int, ...]) -> bool:
    step, whole = manifest.input.multiple_of, manifest.input_shape
    if step is None or len(item) != len(whole):
        return item == whole
    return item[0] == whole[0] and all(side in range(step, manifest.input.size + 1, step) for side in item[1:])


def _is_fixed(axis: object) -> bool:
    return isinstance(axis, int) and axis > 0
