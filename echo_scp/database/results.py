"""Write a study's values into plain columns."""

from __future__ import annotations

from echo_scp.database.connection import Transaction
from echo_scp.model import ClipAnalysis, NotAssessed, StudyAnalysis, StudyMeasurement


def store_analysis(transaction: Transaction, run_id: int, study: StudyAnalysis) -> None:
    """Store the headline, the engines, the grades and every clip of a run, and mark the run finished."""
    for engine in study.engines:
        transaction.execute(
            "insert_run_engine", run_id=run_id, name=engine.name, version=engine.version, sha256=engine.sha256
        )
    for grade in study.assessment.grades if study.assessment is not None else ():
        transaction.execute("insert_grade", run_id=run_id, scale=grade.scale, grade=grade.grade)
    for clip in study.clips:
        _store_clip(transaction, run_id, clip)
    transaction.execute("finish_run", run_id=run_id, **_headline(study.result))


def _headline(result: StudyMeasurement | NotAssessed) -> dict[str, object]:
    columns = ("view", "method", "beat_count", "ef_percent", "edv_ml", "esv_ml", "reason", "detail")
    return {column: getattr(result, column, None) for column in columns}


def _store_clip(transaction: Transaction, run_id: int, clip: ClipAnalysis) -> None:
    uid = clip.instance.sop_instance_uid
    columns = ("calibrated", "heart_rate_bpm", "ef_percent", "ef_sd_percent", "edv_ml", "esv_ml")
    transaction.execute(
        "insert_clip",
        run_id=run_id,
        sop_instance_uid=uid,
        view=clip.view and clip.view.view,
        confidence=clip.view and clip.view.confidence,
        reason=clip.not_assessed and clip.not_assessed.reason,
        detail=clip.not_assessed and clip.not_assessed.detail,
        flags=[str(note.flag) for note in clip.notes],
        **{column: getattr(clip.measurement, column, None) for column in columns},
    )
    for number, beat in enumerate(clip.measurement.beats if clip.measurement is not None else (), start=1):
        transaction.execute(
            "insert_measurement",
            run_id=run_id,
            sop_instance_uid=uid,
            beat_number=number,
            ed_frame_number=beat.end_diastole.frame_index + 1,
            es_frame_number=beat.end_systole.frame_index + 1,
            ef_percent=beat.ef_percent,
            edv_ml=beat.end_diastole.disks_ml,
            esv_ml=beat.end_systole.disks_ml,
        )
