"""Draw what an engine's answer rests on: the frame in grey, the heat over it, a colour bar with its unit.

Only the 2D region is shown: what lies outside it may be the burned-in name of the patient.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.explain import Explanation
from echo_scp.inference.saliency import Heat
from echo_scp.report.canvas import BACKGROUND, MUTED, TEXT, WARNING, Box, Picture, write

WIDTH, HEIGHT, MARGIN = 1000, 880, 28
IMAGE_BOX = Box(MARGIN, 92, WIDTH - 130, HEIGHT - 84)
BAR_BOX = Box(WIDTH - 106, 92, WIDTH - 80, HEIGHT - 84)
STRONGEST = 0.65  # opacity of the greatest heat: the tissue below must still be seen


def explanation_png(explanation: Explanation, source: str, *, research_use: bool = True) -> bytes:
    """Return the picture as a PNG file."""
    picture = draw_explanation(explanation, source, research_use=research_use)
    ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError("OpenCV could not encode a PNG")
    return bytes(png)


def draw_explanation(explanation: Explanation, source: str, *, research_use: bool = True) -> Picture:
    """Return the picture (880, 1000, 3); `source` says which frame of which instance."""
    picture = np.full((HEIGHT, WIDTH, 3), BACKGROUND, dtype=np.uint8)
    engine = explanation.engine
    write(picture, explanation.answer, (MARGIN, 46), 0.9, TEXT)
    write(picture, f"{engine.name} {engine.version}  |  {source}", (MARGIN, 74), 0.5, MUTED)
    top = max(float(explanation.heat.max()), 0.0)
    _paste(picture, explanation.picture, explanation.heat, top)
    _draw_bar(picture, top)
    write(picture, f"Colour: {explanation.measure}", (MARGIN, HEIGHT - 52), 0.5, MUTED)
    if research_use:
        write(picture, "RESEARCH USE ONLY - not for diagnosis or treatment", (MARGIN, HEIGHT - 20), 0.5, WARNING)
    return picture


def _paste(picture: Picture, image: NDArray[np.uint8], heat: Heat, top: float) -> None:
    """Paste the frame under its heat, as large as the box allows and centred."""
    rows, columns = image.shape
    scale = min(IMAGE_BOX.width / columns, IMAGE_BOX.height / rows)
    size = max(int(columns * scale), 1), max(int(rows * scale), 1)
    grey = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    strength = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR) / (top or 1.0), 0, 1)
    opacity = STRONGEST * np.sqrt(strength)[..., None]
    blended = grey[..., None] * (1 - opacity) + _colours(strength) * opacity
    x0 = IMAGE_BOX.x0 + (IMAGE_BOX.width - size[0]) // 2
    y0 = IMAGE_BOX.y0 + (IMAGE_BOX.height - size[1]) // 2
    picture[y0 : y0 + size[1], x0 : x0 + size[0]] = np.rint(blended).astype(np.uint8)


def _draw_bar(picture: Picture, top: float) -> None:
    ramp = np.linspace(1, 0, BAR_BOX.height, dtype=np.float32)[:, None].repeat(BAR_BOX.width, axis=1)
    picture[BAR_BOX.y0 : BAR_BOX.y1, BAR_BOX.x0 : BAR_BOX.x1] = _colours(ramp)
    for value, y in ((top, BAR_BOX.y0 + 12), (top / 2, (BAR_BOX.y0 + BAR_BOX.y1) // 2 + 5), (0.0, BAR_BOX.y1)):
        write(picture, f"{value:.2g}", (BAR_BOX.x1 + 8, y), 0.45, MUTED)


def _colours(strength: NDArray[np.float32]) -> Picture:
    """Return RGB for values 0 to 1: perceptually even, and readable in grey."""
    levels = np.rint(strength * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))
