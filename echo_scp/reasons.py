"""Why something was not measured, and what a reader should know of what was.

Apart from model.py because receivers, which count them in metrics, do without numpy.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a clip or a study has no number. Stable: stored, counted and shown. Explained in docs/reasons.md."""

    NOT_AN_IMAGE = "not_an_image"
    OWN_RESULT = "own_result"
    NOT_ULTRASOUND = "not_ultrasound"
    NO_PIXEL_DATA = "no_pixel_data"
    ZERO_FRAMES = "zero_frames"
    TOO_FEW_FRAMES = "too_few_frames"
    BAD_DIMENSIONS = "bad_dimensions"
    UNSUPPORTED_PIXEL_FORMAT = "unsupported_pixel_format"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    TRUNCATED_PIXEL_DATA = "truncated_pixel_data"
    UNDECODABLE = "undecodable"
    NO_2D_REGION = "no_2d_region"
    TWO_REGIONS = "two_regions"
    COLOUR_DOPPLER = "colour_doppler"
    M_MODE = "m_mode"
    SPECTRAL_DOPPLER = "spectral_doppler"
    VOLUME_3D = "volume_3d"
    CONTRAST = "contrast"
    STRESS = "stress"
    NO_FRAME_TIME = "no_frame_time"
    SHORTER_THAN_A_BEAT = "shorter_than_a_beat"
    VIEW_NOT_MEASURED = "view_not_measured"
    NO_VENTRICLE = "no_ventricle"
    NOT_APICAL = "not_apical"
    UNTRUSTED_SEGMENTATION = "untrusted_segmentation"
    UNSTABLE_SEGMENTATION = "unstable_segmentation"
    NO_BEAT = "no_beat"
    NO_ELIGIBLE_CLIP = "no_eligible_clip"
    SEVERAL_PATIENTS = "several_patients"
    FILE_LOST = "file_lost"
    INTERNAL_ERROR = "internal_error"


class Flag(StrEnum):
    """What a reader of a number should know. Stable, like Reason; explained in docs/reasons.md."""

    NO_REGIONS = "no_regions"
    REGION_OUTSIDE_IMAGE = "region_outside_image"
    WRONG_SPACING_UNITS = "wrong_spacing_units"
    NO_CALIBRATION = "no_calibration"
    FRAME_TIME_DISAGREES = "frame_time_disagrees"
    HEART_RATE_ESTIMATED = "heart_rate_estimated"
    BITS_REDUCED = "bits_reduced"
    EF_OUT_OF_RANGE = "ef_out_of_range"
    IRREGULAR_RHYTHM = "irregular_rhythm"
    SINGLE_BEAT = "single_beat"
    DOUBTFUL_SEGMENTATION = "doubtful_segmentation"
    FEW_BEATS = "few_beats"
    HEART_RATE_DISAGREES = "heart_rate_disagrees"
    BEAT_OUT_OF_RANGE = "beat_out_of_range"
    FORESHORTENED = "foreshortened"
    FRAGMENTED_OUTLINE = "fragmented_outline"
    OUTLINE_AT_SECTOR_EDGE = "outline_at_sector_edge"
    ATRIUM_CUT_OFF = "atrium_cut_off"
    APEX_DOWN = "apex_down"
    LOW_QUALITY = "low_quality"
    BODY_SIZE_REFUSED = "body_size_refused"
    EF_DISAGREES = "ef_disagrees"
    NOT_AN_ADULT = "not_an_adult"
    STRESS_STAGE = "stress_stage"
