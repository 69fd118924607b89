"""Two ways to ask a network what its answer rests on, from its answers alone: every runtime can do them.

Both give one value per cell of a grid over the 2D region of a picture. Progress is told as the share that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

from echo_scp.model import Frames, Region

CELLS = 20  # along the longer side of the region
NOISE = 0.2  # of the local brightness, as standard deviation

Heat = NDArray[np.float32]  # (rows, columns) of cells over the region
Variants = NDArray[np.uint8]  # (N, T, H, W): the frames that a network sees together, changed in N ways
Answers = Callable[[Variants], NDArray[np.float64]]  # one number for each variant (N,)
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Cells that tile the region."""

    region: Region
    rows: int
    columns: int

    @classmethod
    def over(cls, region: Region) -> _Grid:
        height, width = region.y1 - region.y0, region.x1 - region.x0
        cell = max(height, width) / CELLS
        return cls(region, max(1, round(height / cell)), max(1, round(width / cell)))

    def spots(self) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Yield row, column and the pixels of each cell with half a cell around it."""
        region = self.region
        across = tuple(_around(region.x0, region.x1, self.columns))
        for row, down in enumerate(_around(region.y0, region.y1, self.rows)):
            for column, pixels in enumerate(across):
                yield row, column, (down, pixels)

    def enlarge(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the region's pixels (height, width) for values (rows, columns)."""
        size = self.region.x1 - self.region.x0, self.region.y1 - self.region.y0
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def occlude(frames: Frames, region: Region, changes: Answers, batch: int, progress: Progress) -> Heat:
    """Return the change of the answer when a spot of two by two cells is hidden (Zeiler and Fergus, ECCV 2014).

    It is blurred away on all frames, which takes its structure and leaves its brightness: a black hole in an echo would
    be a new structure. Spots without structure stay 0.
    """
    grid = _Grid.over(region)
    blur = (region.y1 - region.y0) / grid.rows
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in frames])
    heat = np.zeros((grid.rows, grid.columns), dtype=np.float32)
    spots = [spot for spot in grid.spots() if not np.array_equal(frames[:, *spot[2]], blurred[:, *spot[2]])]
    for start in range(0, len(spots), batch):
        some = spots[start : start + batch]
        variants = np.repeat(frames[None], len(some), axis=0)
        for variant, (_, _, pixels) in zip(variants, some, strict=True):
            variant[:, *pixels] = blurred[:, *pixels]
        for (row, column, _), change in zip(some, changes(variants), strict=True):
            heat[row, column] = change
        progress((start + len(some)) / len(spots))
    return heat


def smooth_gradient(frames: Frames, region: Region, scores: Answers, batch: int, progress: Progress) -> Heat:
    """Return the gradient of the score by the logarithm of each cell's brightness, averaged over noise.

    That is SmoothGrad (Smilkov et al., 2017) times the input, on cells. The runtimes give no gradients; those of a
    function averaged over noise follow from its values alone (Stein's identity). The noise comes in pairs of opposite
    sign and in orthogonal columns, so that a linear score gives its exact gradient.
    """
    grid = _Grid.over(region)
    cells = grid.rows * grid.columns
    noise = hadamard(1 << (cells - 1).bit_length())[:, :cells].astype(np.float32)
    noise *= np.random.default_rng(0).choice(np.array([-NOISE, NOISE], dtype=np.float32), size=cells)
    gradient = np.zeros(cells)
    pairs = max(1, batch // 2)
    for start in range(0, len(noise), pairs):
        some = noise[start : start + pairs]
        noisy = np.stack([_brighten(frames, grid, sign * shares) for shares in some for sign in (1, -1)])
        values = scores(noisy).reshape(-1, 2)
        gradient += (values[:, 0] - values[:, 1]) @ some / (2 * NOISE**2)
        progress((start + len(some)) / len(noise))
    return np.asarray(gradient / len(noise), dtype=np.float32).reshape(grid.rows, grid.columns)


def _brighten(frames: Frames, grid: _Grid, shares: NDArray[np.float32]) -> Frames:
    """Change the brightness of each cell by a share of itself; what is black, outside the sector, stays black."""
    region, changed = grid.region, frames.copy()
    pixels = slice(region.y0, region.y1), slice(region.x0, region.x1)
    factor = 1 + grid.enlarge(shares.reshape(grid.rows, grid.columns))
    changed[:, *pixels] = np.clip(np.rint(frames[:, *pixels] * factor), 0, 255)
    return changed


def _around(start: int, stop: int, count: int) -> Iterator[slice]:
    cell = (stop - start) / count
    for index in range(count):
        first, last = start + (index - 0.5) * cell, start + (index + 1.5) * cell
        yield slice(max(start, round(first)), min(stop, round(last)))
