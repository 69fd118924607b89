"""The picture of an explanation shows the frame, the heat where it is, and what it means."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from echo_scp.inference.explain import Explanation
from echo_scp.model import EngineIdentity
from echo_scp.report.saliency import HEIGHT, IMAGE_BOX, WIDTH, draw_explanation, explanation_png


def make_explanation(heat, level=100):
    picture = np.full((150, 200), level, dtype=np.uint8)
    return Explanation(EngineIdentity("view", "1.0.0", "0" * 64), "view A4C, 0.97", "fall", picture, heat)


def make_heat(*hot):
    heat = np.zeros((15, 20), dtype=np.float32)
    for cell in hot:
        heat[cell] = 2.0
    return heat


def colourfulness(picture):
    image = picture[IMAGE_BOX.y0 : IMAGE_BOX.y1, IMAGE_BOX.x0 : IMAGE_BOX.x1].astype(int)
    return image.max(axis=-1) - image.min(axis=-1)


def test_colour_lies_where_the_heat_is():
    """Left above the middle, and nowhere else."""
    picture = draw_explanation(make_explanation(make_heat((4, 3))), "frame 1")

    rows, columns = np.nonzero(colourfulness(picture) > 20)

    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert columns.max() < 0.3 * IMAGE_BOX.width
    assert rows.max() < 0.5 * IMAGE_BOX.height


@pytest.mark.parametrize("heat", [make_heat(), -make_heat((4, 3))], ids=["nothing", "only the other way"])
def test_without_heat_the_frame_stays_grey(heat):
    """A spot that speaks against the answer is not drawn as one that speaks for it."""
    picture = draw_explanation(make_explanation(heat), "frame 1")

    image = picture[IMAGE_BOX.y0 + 100 : IMAGE_BOX.y1 - 100, IMAGE_BOX.x0 + 100 : IMAGE_BOX.x1 - 100]
    assert (image == 100).all()


def test_research_use_is_said_unless_the_site_says_otherwise():
    """The last line of the picture."""
    explanation = make_explanation(make_heat((4, 3)))

    said = draw_explanation(explanation, "frame 1")
    unsaid = draw_explanation(explanation, "frame 1", research_use=False)

    different = np.nonzero((said != unsaid).any(axis=(1, 2)))[0]
    assert different.min() > HEIGHT - 50


def test_the_file_is_a_png_of_the_picture():
    """Colours in the right order."""
    explanation = make_explanation(make_heat((4, 3)))

    decoded = cv2.imdecode(np.frombuffer(explanation_png(explanation, "frame 1"), np.uint8), cv2.IMREAD_COLOR)

    assert np.array_equal(decoded[..., ::-1], draw_explanation(explanation, "frame 1"))
