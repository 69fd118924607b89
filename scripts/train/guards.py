"""What the product asks of a picture beside its view before it measures it: do the outlines look like a heart?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echo_scp.evaluate.still import clip_of
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.measure.anatomy import refuse_other_views
from echo_scp.segment import segment_keeping
from echo_scp.trust import asked_again, judge


def pass_guards(pictures: Iterable[NDArray[np.uint8]], engine_folder: Path) -> NDArray[np.bool_]:
    """Tell of each grey picture (H, W) whether the checks of anatomy and of trust let its outlines pass.

    A clip has more frames to be refused by: on single ones the checks are at their weakest.
    """
    engine = OnnxRuntimeEngine(read_manifest(engine_folder))
    passed = []
    for number, picture in enumerate(pictures):
        clip = clip_of(picture[None], str(number), Path(), None, 40.0)
        outlined, answers = segment_keeping(asked_again(1), clip, engine, 1)
        trust = judge(clip, outlined, engine, answers)
        trusted = trust is None or trust.not_assessed is None
        passed.append(trusted and refuse_other_views(clip, outlined) is None)
    return np.array(passed, dtype=np.bool_)
