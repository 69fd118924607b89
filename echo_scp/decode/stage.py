"""Which stage of a stress protocol an instance shows (PS3.3 C.8.5.6, US Image Module: Stage Name, Stage Number)."""

from __future__ import annotations

import re

from pydicom import Dataset

from echo_scp.decode import tags

_EXERTION = r"(STRESS|EXERCISE|BELASTUNG|EFFORT|ESFUERZO|ESFOR[CÇ]O|SFORZO)"
_REST = re.compile(
    r"\b(REST|RESTING|BASE|BASELINE|RUHE|REPOS|REPOSO|REPOUSO|RIPOSO)\b"
    rf"|\b(PR[EÉ]|VOR|AVANT|ANTES|PRIMA)[- ]?(DER |L'|DEL? |DO |DELLO )?{_EXERTION}"
)
_STRESS = re.compile(
    rf"{_EXERTION}|DOBUT|ADENOSIN|DIPYRIDAMOL|TREADMILL|BICYCLE|\bBIKE\b|\bWATTS?\b|\bDOSE\b|\bPEAK\b"
    r"|\bI?POST\b|\bIM+POST\b|RECOVERY|MCG|ERHOLUNG"
)
_BASAL = re.compile(r"\bBASALE?\b")  # rest; beside a word of stress a level of the heart


def stage_of(ds: Dataset) -> str:
    """Return what tells a stage that is not the rest, such as "Stage Name (0008,2120) is Peak dose"; "" at rest."""
    stages = {"StageName": " ".join(tags.words(ds, "StageName")), "StageCodeSequence": _coded_stage(ds)}
    if any(map(_REST.search, stages.values())):
        return ""
    for keyword, stage in stages.items():
        if _STRESS.search(stage):
            return tags.told(ds, keyword) if keyword == "StageName" else f"{tags.name(keyword)} is {stage}"
    if any(map(_BASAL.search, stages.values())):
        return ""
    for keyword in ("StageNumber", "NumberOfStages"):
        if (tags.number(ds, keyword) or 0) > 1:
            return tags.told(ds, keyword)
    return tags.told(ds, "ImageType") if any("STRESS" in word for word in tags.words(ds, "ImageType")) else ""


def _coded_stage(ds: Dataset) -> str:
    """Return the meanings of PS3.16 CID 12002, such as "PEAK CARDIAC STRESS STATE"."""
    return " ".join(word for item in tags.items(ds, "StageCodeSequence") for word in tags.words(item, "CodeMeaning"))
