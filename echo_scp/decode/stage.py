"""Which stage of a stress protocol an instance shows (PS3.3 C.8.5.6, US Image Module: Stage Name, Stage Number)."""

from __future__ import annotations

import re

from pydicom import Dataset

from echo_scp.decode import tags

_REST = re.compile(r"\b(REST|RESTING|BASE|BASELINE)\b")
_STRESS = re.compile(
    r"STRESS|EXERCISE|DOBUT|ADENOSIN|DIPYRIDAMOL|TREADMILL|BICYCLE|\bBIKE\b|\bWATTS?\b|\bDOSE\b|\bPEAK\b"
    r"|\bI?POST\b|\bIM+POST\b|RECOVERY|MCG"
)


def stage_of(ds: Dataset) -> str:
    """Return what tells a stage that is not the rest, such as "Stage Name (0008,2120) is Peak dose"; "" at rest."""
    stage = " ".join(tags.words(ds, "StageName"))
    if _REST.search(stage):
        return ""
    if _STRESS.search(stage):
        return tags.told(ds, "StageName")
    for keyword in ("StageNumber", "NumberOfStages"):
        if (tags.number(ds, keyword) or 0) > 1:
            return tags.told(ds, keyword)
    return tags.told(ds, "ImageType") if any("STRESS" in word for word in tags.words(ds, "ImageType")) else ""
