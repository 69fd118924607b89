"""Random phantom frames for training: every heart and every scanner setting differs, none is the demo's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.model import View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render


def random_frame(view: View, size: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return one frame (size, size) and its labels at a random instant of a random heart."""
    edv_ml = rng.uniform(60, 240)
    heart = Heart(
        view=view,
        edv_ml=edv_ml,
        ef_percent=rng.uniform(15, 75),
        length_mm=82 * (edv_ml / 110) ** (1 / 3) * rng.uniform(0.9, 1.12),
        wall_mm=rng.uniform(7, 13),
        tilt_deg=rng.uniform(-18, 18),
        apex_depth_mm=rng.uniform(12, 32),
        offset_mm=rng.uniform(-8, 8),
        mirrored=bool(rng.random() < 0.2),
    )
    scanner = Scanner(
        rows=320,
        columns=int(rng.integers(400, 480)),
        depth_mm=rng.uniform(135, 190) * (edv_ml / 110) ** 0.2,
        sector_deg=rng.uniform(65, 90),
        dynamic_range_db=rng.uniform(42, 70),
        gain_db=rng.uniform(-8, 6),
        attenuation_db=rng.uniform(0, 16),
        dropout=rng.uniform(0, 1.5),
        clutter=rng.uniform(0, 1.5),
        seed=int(rng.integers(2**31)),
    )
    cine = render(heart, scanner, Rhythm(frame_count=1, first_phase=float(rng.random())))
    side = max(scanner.rows, scanner.columns)
    square = [np.zeros((side, side), dtype=np.uint8) for _ in range(2)]
    top, left = (side - scanner.rows) // 2, (side - scanner.columns) // 2
    for target, drawn in zip(square, (cine.frames[0], cine.label_maps[0]), strict=True):
        target[top : top + scanner.rows, left : left + scanner.columns] = drawn
    frame = cv2.resize(square[0], (size, size), interpolation=cv2.INTER_AREA)
    labels = cv2.resize(square[1], (size, size), interpolation=cv2.INTER_NEAREST)
    return frame, labels
