"""Write a synthetic echo study as a machine would send it, and say for each instance what is true of it.

The study holds what an analysis must measure (A4C and A2C cines of one heart) and what it must leave alone, each in
another transfer syntax. All values, UIDs and pixels follow from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from pydicom import Dataset

from echo_scp.model import Frames, Reason, View
from echo_scp.phantom import instance, screen
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.instance import Area, Patient, Picture
from echo_scp.phantom.scene import Cine, Rhythm, Scanner, render
from echo_scp.phantom.screen import LEFT_PX, TOP_PX, TRACE_COLUMNS, TRACE_ROWS, Flow

_FLOW = Flow(200, 130, 420, 400)
_CINES = 2  # the first contents
_SHORT_CLIP = 24  # frames of the clips that nobody measures
_TRACE_SECONDS = 3.0
_M_MODE_DEPTH_CM = 15.0
_VELOCITY_SPAN_CM_PER_S = 160.0


@dataclass(frozen=True, slots=True)
class PhantomInstance:
    """One written file and the truth about it; `not_assessed` is why it must not be measured, None if it must be."""

    path: Path
    sop_instance_uid: str
    view: View
    edv_ml: float | None
    esv_ml: float | None
    ef_percent: float | None
    not_assessed: Reason | None


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """What the study shows. A clip has `frame_count` frames: two and a half beats at the defaults."""

    seed: int = 0
    edv_ml: float = 112.0
    ef_percent: float = 58.0
    heart_rate_bpm: float = 68.0
    frame_rate_hz: float = 40.0
    frame_count: int = 90
    patient: Patient = field(default_factory=Patient)

    def heart(self, view: View, tilt_deg: float = 0.0) -> Heart:
        """Return the one heart of the study; larger hearts are longer in proportion."""
        length_mm = 82.0 * (self.edv_ml / 110.0) ** (1 / 3)
        return Heart(view, self.edv_ml, self.ef_percent, length_mm, tilt_deg=tilt_deg)

    def scanner(self, salt: int) -> Scanner:
        """Return the machine's setting for the clip named by `salt`: deeper for a large heart, its own speckle."""
        depth_mm = 155.0 * max(1.0, self.edv_ml / 140.0) ** (1 / 3)
        return Scanner(rows=480, columns=640, depth_mm=depth_mm, seed=100 * self.seed + salt)

    def rhythm(self, frame_count: int) -> Rhythm:
        """Return frame instants that begin in late diastole, so that the first end-diastole is inside the clip."""
        return Rhythm(self.heart_rate_bpm, self.frame_rate_hz, frame_count, first_phase=0.85)


@dataclass(frozen=True, slots=True)
class _Content:
    picture: Picture
    encode: Callable[[Dataset, Picture], None]
    view: View
    not_assessed: Reason | None


@dataclass(frozen=True, slots=True)
class _Mode:
    """What the banner calls the mode, and value 4 of Image Type (PS3.3 C.8.5.6.1.1)."""

    banner: str
    image_type: str


_TWO_D, _COLOUR = _Mode("2D", "0001"), _Mode("2D + colour", "0011")
_M_MODE, _PULSED = _Mode("M-mode", "0002"), _Mode("PW", "0008")


def write_study(
    folder: Path,
    *,
    seed: int = 0,
    edv_ml: float = 112.0,
    ef_percent: float = 58.0,
    frame_count: int = 90,
    patient: Patient | None = None,
) -> tuple[PhantomInstance, ...]:
    """Write eight instances into `folder` (made if missing) and return the truth about each, in file order."""
    patient = patient or Patient(name=f"Phantom^Echo{seed}", patient_id=f"PHANTOM-{seed}")
    study = PhantomStudy(seed, edv_ml, ef_percent, frame_count=frame_count, patient=patient)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write(folder, study, number, content) for number, content in enumerate(_contents(study), start=1))


def write_cines(folder: Path, study: PhantomStudy) -> tuple[PhantomInstance, ...]:
    """Write the study's A4C and A2C cines alone into `folder` (made if missing): what an analysis must measure."""
    folder.mkdir(parents=True, exist_ok=True)
    cines = islice(_contents(study), _CINES)
    return tuple(_write(folder, study, number, content) for number, content in enumerate(cines, start=1))


def _write(folder: Path, study: PhantomStudy, number: int, content: _Content) -> PhantomInstance:
    ds = instance.build(content.picture, study.patient, study.seed, number, content.encode)
    path = folder / f"{number:02d}-{content.picture.label}.dcm"
    instance.save(ds, path)
    heart = study.heart(content.view)
    measured = content.not_assessed is None
    return PhantomInstance(
        path=path,
        sop_instance_uid=ds.SOPInstanceUID,
        view=content.view,
        edv_ml=heart.edv_ml if measured else None,
        esv_ml=heart.esv_ml if measured else None,
        ef_percent=heart.ef_percent if measured else None,
        not_assessed=content.not_assessed,
    )


def _contents(study: PhantomStudy) -> Iterator[_Content]:
    four = _cine(study, View.A4C, 1, study.frame_count)
    yield _Content(_sector(study, "a4c", 1, four.frames), instance.jpeg_baseline, View.A4C, None)
    two = _cine(study, View.A2C, 2, study.frame_count, tilt_deg=-8.0)
    grey = _grey(_sector(study, "a2c", 2, two.frames))
    yield _Content(grey, instance.explicit_little_endian, View.A2C, None)
    plax = _cine(study, View.PLAX, 3, _SHORT_CLIP)
    yield _Content(
        _grey(_sector(study, "plax", 3, plax.frames)), instance.run_length, View.PLAX, Reason.VIEW_NOT_MEASURED
    )
    yield _Content(_colour(study, four), instance.jpeg_baseline, View.A4C, Reason.COLOUR_DOPPLER)
    yield _Content(_m_mode(study, four), instance.jpeg_baseline, View.OTHER, Reason.M_MODE)
    yield _Content(_spectral(study), instance.jpeg_baseline, View.OTHER, Reason.SPECTRAL_DOPPLER)
    still = _grey(_sector(study, "still", 1, four.frames[:1]))
    yield _Content(still, instance.jpeg_2000, View.A4C, Reason.TOO_FEW_FRAMES)
    yield _Content(_sector(study, "still", 2, two.frames[:1]), instance.jpeg_ls, View.A2C, Reason.TOO_FEW_FRAMES)


def _cine(study: PhantomStudy, view: View, salt: int, frame_count: int, tilt_deg: float = 0.0) -> Cine:
    return render(study.heart(view, tilt_deg), study.scanner(salt), study.rhythm(frame_count))


def _banner(study: PhantomStudy, mode: str) -> tuple[str, ...]:
    patient = study.patient
    return (f"{patient.name}  {patient.patient_id}  SYNTHETIC", f"{mode}  {study.heart_rate_bpm:.0f} bpm  MI 1.1")


def _picture(
    study: PhantomStudy, label: str, mode: _Mode, pixels: Frames | screen.Colour, areas: tuple[Area, ...]
) -> Picture:
    phases = study.rhythm(len(pixels)).phases()
    composed = screen.compose(pixels, _banner(study, mode.banner), phases)
    return Picture(label, composed, areas, mode.image_type, 1000 / study.frame_rate_hz, study.heart_rate_bpm)


def _sector(study: PhantomStudy, label: str, salt: int, frames: Frames) -> Picture:
    return _picture(study, label, _TWO_D, frames, (_tissue(study, salt),))


def _grey(picture: Picture) -> Picture:
    """Return the picture in one channel, as machines without colour overlays store it."""
    luminance = (picture.pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)).round().astype(np.uint8)
    return replace(picture, pixels=luminance)


def _tissue(study: PhantomStudy, salt: int) -> Area:
    scanner = study.scanner(salt)
    delta_cm = scanner.mm_per_px / 10
    return Area(LEFT_PX, TOP_PX, LEFT_PX + scanner.columns, TOP_PX + scanner.rows, 1, 1, delta_cm, delta_cm)


def _colour(study: PhantomStudy, cine: Cine) -> Picture:
    count = min(_SHORT_CLIP, len(cine.frames))
    phases = study.rhythm(count).phases()
    pixels = screen.colour_flow(cine.frames[:count], cine.label_maps[:count], phases, _FLOW, study.seed)
    tissue = _tissue(study, 1)
    box = replace(
        tissue,
        x0=LEFT_PX + _FLOW.x0,
        y0=TOP_PX + _FLOW.y0,
        x1=LEFT_PX + _FLOW.x1,
        y1=TOP_PX + _FLOW.y1,
        data_type=2,
    )
    return _picture(study, "a4c-colour", _COLOUR, pixels, (tissue, box))


def _m_mode(study: PhantomStudy, cine: Cine) -> Picture:
    pixels = screen.m_mode(cine.frames, _SHORT_CLIP)
    area = _trace_area(2, 1, _M_MODE_DEPTH_CM / TRACE_ROWS)
    return _picture(study, "m-mode", _M_MODE, pixels, (area,))


def _spectral(study: PhantomStudy) -> Picture:
    beats = study.heart_rate_bpm / 60 * _TRACE_SECONDS
    pixels = screen.spectral((0.0, beats), _SHORT_CLIP, study.seed)
    area = _trace_area(3, 3, -_VELOCITY_SPAN_CM_PER_S / TRACE_ROWS)
    return _picture(study, "pw-doppler", _PULSED, pixels, (area,))


def _trace_area(spatial_format: int, data_type: int, delta_y: float) -> Area:
    delta_x = _TRACE_SECONDS / TRACE_COLUMNS
    right, bottom = LEFT_PX + TRACE_COLUMNS, TOP_PX + TRACE_ROWS
    return Area(LEFT_PX, TOP_PX, right, bottom, spatial_format, data_type, delta_x, delta_y)
