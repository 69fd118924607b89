"""Are stored values RGB or YBR, where they cannot be what the header says?

Archives that change the compression convert the pixels and leave the label, or the other way round. Ultrasound is
mostly grey, and a grey that is not a middle one is vivid in the other space: black is (0, 0, 0) or (0, 128, 128).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TINT = 16  # off grey: colour noise of a lossy encoder
_TELLING = 40  # from middle grey, which is the same in both
_MOST = 0.5  # of the picture
_HARDLY = 0.05  # of the picture, where the label is wrong: a mask of zeros, as de-identification leaves it, is no grey


def true_photometric(picture: NDArray[np.integer], label: str) -> str:
    """Return the Photometric Interpretation of decoded, unconverted values (H, W, 3): `label` if that can be true."""
    first, second, third = np.moveaxis(picture.astype(np.int16), -1, 0)
    telling = np.abs(first - 128) > _TELLING
    like_rgb = telling & (np.abs(second - first) <= _TINT) & (np.abs(third - first) <= _TINT)
    like_ybr = telling & (np.abs(second - 128) <= _TINT) & (np.abs(third - 128) <= _TINT)
    if label == "YBR_FULL":
        return "RGB" if like_rgb.mean() > _MOST and like_ybr.mean() < _HARDLY else label
    return "YBR_FULL" if like_ybr.mean() > _MOST else label
