"""Draw the phantom's heart as an ultrasound machine would: speckle in the beam's own coordinates, then a sector.

The picture is made per frame in polar coordinates (depth x angle). Scatterers are complex noise fixed to the tissue, so
speckle moves with the wall; blurring along the angle makes it coarser with depth, as real beams do. Envelope, log
compression and scan conversion follow. Deterministic from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.model import Frames, LabelMaps, View
from echo_scp.phantom.heart import TRUNCATION, Cavity, Heart, cavity_at

BACKGROUND, LV_CAVITY, LV_MYOCARDIUM, LEFT_ATRIUM = range(4)
Field = NDArray[np.float32]
TEXTURE_MM = 0.5  # pitch of the scatterer texture
TEXTURE_SIZE = 800
TRABECULAE_MM = 1.0  # the endocardium is not a clean edge
DEPTHS, ANGLES = 320, 144  # polar samples of one frame

# Echogenicity (amplitude) of what the beam meets.
BLOOD, TISSUE, MYOCARDIUM, VALVE, PERICARDIUM = 0.015, 0.16, 0.34, 0.75, 1.0


@dataclass(frozen=True, slots=True)
class Scanner:
    """How the machine looks at the heart. The sector's apex is at the top centre of the (rows, columns) picture."""

    rows: int = 400
    columns: int = 520
    depth_mm: float = 160.0
    sector_deg: float = 80.0
    dynamic_range_db: float = 55.0
    gain_db: float = 0.0
    attenuation_db: float = 8.0
    dropout: float = 0.5
    clutter: float = 0.5
    decorrelation: float = 0.0  # share of the speckle that is new on each frame
    seed: int = 0

    @property
    def mm_per_px(self) -> float:
        """Square pixels: the sector's depth fills the picture's height."""
        return self.depth_mm / self.rows


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When frames are taken. The clip begins at `first_phase` of the cycle (0 is end-diastole)."""

    heart_rate_bpm: float = 66.0
    frame_rate_hz: float = 40.0
    frame_count: int = 90
    first_phase: float = 0.0

    def phases(self) -> tuple[float, ...]:
        """Return the position in the cycle of every frame; it grows by 1 per beat."""
        step = self.heart_rate_bpm / 60 / self.frame_rate_hz
        return tuple(self.first_phase + index * step for index in range(self.frame_count))


@dataclass(frozen=True, slots=True)
class Cine:
    """Frames (T, rows, columns) and their true labels: 0 background, 1 LV, 2 myocardium, 3 left atrium."""

    frames: Frames
    label_maps: LabelMaps


def render(heart: Heart, scanner: Scanner, rhythm: Rhythm) -> Cine:
    """Draw every frame of a clip."""
    beam = _Beam(scanner)
    reference = cavity_at(heart, 0.0)
    drawn = [beam.draw(heart, cavity_at(heart, phase), reference) for phase in rhythm.phases()]
    return Cine(np.stack([frame for frame, _ in drawn]), np.stack([labels for _, labels in drawn]))


class _Beam:
    """The grids of one scanner, made once and used for every frame."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        rng = np.random.default_rng(scanner.seed)
        self._half_angle = np.radians(scanner.sector_deg) / 2
        depth = np.linspace(0.5, scanner.depth_mm, DEPTHS, dtype=np.float32)[:, None]
        angle = np.linspace(-self._half_angle, self._half_angle, ANGLES, dtype=np.float32)[None, :]
        self._depth = depth
        self._polar = (depth * np.sin(angle), depth * np.cos(angle))
        self._texture = rng.standard_normal((2, TEXTURE_SIZE, TEXTURE_SIZE)).astype(np.float32)
        self._fresh = np.random.default_rng((scanner.seed, 1))
        self._shadow = _smooth_columns(rng, scanner.dropout)
        self._haze = _smooth_field(rng) * scanner.clutter
        self._picture, self._inside, self._to_polar = self._scan_conversion()

    def draw(self, heart: Heart, cavity: Cavity, reference: Cavity) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return one frame and its labels, each (rows, columns)."""
        anatomy = _Anatomy(heart, cavity)
        amplitude = anatomy.echogenicity(*self._polar)
        self._decorrelate()
        re, im = (self._scatter(part, anatomy, reference) * amplitude for part in self._texture)
        envelope = np.hypot(_blur(re), _blur(im)) * self._shadow
        envelope += self._haze * 0.05 * np.exp(-self._depth / 30)
        frame = cv2.remap(self._compress(envelope), *self._to_polar, cv2.INTER_LINEAR, borderValue=0)
        labels = anatomy.labels(*self._picture)
        labels[~self._inside] = BACKGROUND
        return np.where(self._inside, frame, 0).astype(np.uint8), labels

    def _decorrelate(self) -> None:
        """Replace a share of the scatterers' power, as blood and motion out of the plane do."""
        share = np.float32(self._scanner.decorrelation)
        if share > 0:
            fresh = self._fresh.standard_normal(self._texture.shape, dtype=np.float32)
            self._texture = np.sqrt(1 - share) * self._texture + np.sqrt(share) * fresh

    def _scatter(self, texture: Field, anatomy: _Anatomy, reference: Cavity) -> Field:
        x, y = anatomy.material(*self._polar, reference)
        pitch = np.float32(1 / TEXTURE_MM)
        columns, rows = x * pitch + TEXTURE_SIZE / 2, y * pitch + 40
        moved = cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(moved, dtype=np.float32)

    def _compress(self, envelope: Field) -> NDArray[np.uint8]:
        scanner = self._scanner
        decibel = 20 * np.log10(envelope + 1e-6) + 4 + scanner.gain_db
        decibel -= scanner.attenuation_db * self._depth / scanner.depth_mm
        grey = (decibel / scanner.dynamic_range_db + 1) * 255
        return np.asarray(np.clip(grey, 0, 255), dtype=np.uint8)

    def _scan_conversion(self) -> tuple[tuple[Field, Field], NDArray[np.bool_], tuple[Field, Field]]:
        scanner = self._scanner
        rows, columns = np.mgrid[0 : scanner.rows, 0 : scanner.columns].astype(np.float32)
        x = (columns + 0.5 - scanner.columns / 2) * scanner.mm_per_px
        y = (rows + 0.5) * scanner.mm_per_px
        radius, angle = np.hypot(x, y), np.arctan2(x, y)
        inside = (np.abs(angle) <= self._half_angle) & (radius <= scanner.depth_mm) & (radius > 3)
        column = (angle / self._half_angle + 1) / 2 * (ANGLES - 1)
        row = radius / scanner.depth_mm * (DEPTHS - 1)
        return (x, y), inside, (column.astype(np.float32), row.astype(np.float32))


class _Anatomy:
    """What lies where at one instant; positions are (x lateral, y depth) in mm."""

    def __init__(self, heart: Heart, cavity: Cavity) -> None:
        self._heart = heart
        self._cavity = cavity
        tilt = np.radians(heart.tilt_deg + (78.0 if heart.view is View.PLAX else 0.0))
        self._cos, self._sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))

    def _heart_frame(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Return (across, along): the apex stays still, the annulus moves."""
        heart, a = self._heart, self._cavity.a_mm
        x = (-x if heart.mirrored else x) - np.float32(heart.offset_mm)
        y = y - np.float32(heart.apex_depth_mm)
        if heart.view is View.PLAX:
            x, y = x + np.float32(heart.length_mm * 0.55), y - np.float32(heart.length_mm * 0.35)
        across = x * self._cos - y * self._sin
        along = x * self._sin + y * self._cos - np.float32(a)
        return across, along

    def _parts(self, x: Field, y: Field) -> tuple[Field, Field, Field, Field]:
        """Return across, along, and the level sets of the endocardium and epicardium (< 1 is inside)."""
        cavity = self._cavity
        across, along = self._heart_frame(x, y)
        endo = (across / cavity.b_mm) ** 2 + (along / cavity.a_mm) ** 2
        outer_a, outer_b = cavity.a_mm + 0.75 * cavity.wall_mm, cavity.b_mm + cavity.wall_mm
        epi = (across / outer_b) ** 2 + (along / outer_a) ** 2
        return across, along, endo, epi

    def _atrium(self, across: Field, along: Field) -> Field:
        """Return the LA's level set: an ellipse that the annulus plane cuts, so that LV and LA share a border."""
        radius = self._cavity.atrium_radius_mm
        centre = TRUNCATION * self._cavity.a_mm + 0.72 * radius
        return (across / (1.12 * radius)) ** 2 + ((along - centre) / (1.08 * radius)) ** 2

    def labels(self, x: Field, y: Field) -> NDArray[np.uint8]:
        """Return the true label of each position."""
        across, along, endo, epi = self._parts(x, y)
        above = along < TRUNCATION * self._cavity.a_mm
        labels = np.zeros(x.shape, dtype=np.uint8)
        labels[(self._atrium(across, along) < 1) & ~above] = LEFT_ATRIUM
        labels[(epi < 1) & above] = LV_MYOCARDIUM
        labels[(endo < 1) & above] = LV_CAVITY
        return labels

    def echogenicity(self, x: Field, y: Field) -> Field:
        """Return the scattering amplitude of each position."""
        across, along, endo, epi = self._parts(x, y)
        labels = self.labels(x, y)
        amplitude = np.full(x.shape, TISSUE, dtype=np.float32)
        amplitude[(epi > 1.0) & (epi < 1.16) & (across > 0)] = PERICARDIUM * 0.6
        self._right_heart(amplitude, across, along, epi)
        amplitude[(np.abs(self._atrium(across, along) - 1.06) < 0.12) & (labels == BACKGROUND)] = MYOCARDIUM
        amplitude[labels == LV_MYOCARDIUM] = MYOCARDIUM
        amplitude[(labels == LEFT_ATRIUM) | (labels == LV_CAVITY)] = BLOOD
        amplitude[self._valve(across, along, labels)] = VALVE
        rim = np.sqrt(endo) > 1 - TRABECULAE_MM / self._cavity.b_mm
        amplitude[(labels == LV_CAVITY) & rim] = MYOCARDIUM * 0.5
        return amplitude

    def _right_heart(self, amplitude: Field, across: Field, along: Field, epi: Field) -> None:
        """Draw the RV and RA of A4C beside the septum, the RV outflow and the aorta of PLAX, nothing in A2C."""
        cavity, view = self._cavity, self._heart.view
        base = TRUNCATION * cavity.a_mm
        outer = cavity.b_mm + cavity.wall_mm
        if view is View.A4C:
            ventricle = ((across + outer + 13) / 17) ** 2 + ((along - 0.05 * cavity.a_mm) / (0.72 * cavity.a_mm)) ** 2
            atrium = ((across + outer + 10) / 19) ** 2 + ((along - base - 24) / 19) ** 2
            amplitude[(ventricle < 1) & (epi > 1) & (along < base)] = BLOOD
            amplitude[(atrium < 1) & (along > base + 1.5)] = BLOOD
        elif view is View.PLAX:
            ventricle = ((across - outer - 9) / 12) ** 2 + ((along - 0.2 * cavity.a_mm) / (0.9 * cavity.a_mm)) ** 2
            aorta = (np.abs(across - 0.55 * cavity.b_mm - 4) < 12) & (along > base)
            amplitude[(ventricle < 1) & (epi > 1)] = BLOOD
            amplitude[aorta] = BLOOD
            amplitude[aorta & (np.abs(across - 0.55 * cavity.b_mm - 4) > 10.5)] = VALVE

    def _valve(self, across: Field, along: Field, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return the mitral leaflets: two thin lines from the annulus ends that bend into the LV."""
        base = TRUNCATION * self._cavity.a_mm
        half_width = self._cavity.b_mm * np.sqrt(1 - TRUNCATION**2)
        inward = np.clip(1 - np.abs(across) / half_width, 0, 1)
        line = base - 9 * inward * (1 - 0.25 * inward)
        near = (np.abs(along - line) < 1.3) & (np.abs(across) < half_width)
        return np.asarray(near & (labels != LV_MYOCARDIUM))

    def material(self, x: Field, y: Field, reference: Cavity) -> tuple[Field, Field]:
        """Return where each position was at end-diastole, so that scatterers travel with the wall."""
        across, along, _, epi = self._parts(x, y)
        near = np.exp(-np.clip(epi - 1, 0, None) * 0.8)
        stretch_across = 1 + (reference.b_mm / self._cavity.b_mm - 1) * near * np.exp(-np.clip(epi - 0.8, 0, None))
        stretch_along = 1 + (reference.a_mm / self._cavity.a_mm - 1) * near
        return (across * stretch_across).astype(np.float32), (along * stretch_along + 80).astype(np.float32)


def _blur(field: Field) -> Field:
    """Apply the point-spread function: about 1 mm axial, 1.4 degrees lateral."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigmaX=1.5, sigmaY=1.1), dtype=np.float32)


def _smooth_columns(rng: np.random.Generator, strength: float) -> Field:
    """Return (1, ANGLES) factors: some beams pass ribs or lung and come back weaker."""
    noise = cv2.GaussianBlur(rng.standard_normal((1, ANGLES)).astype(np.float32), (0, 0), sigmaX=9, sigmaY=1)
    noise = noise / (np.abs(noise).max() + 1e-6)
    return np.asarray(np.exp(-1.2 * strength * np.clip(noise, 0, 1)), dtype=np.float32)


def _smooth_field(rng: np.random.Generator) -> Field:
    noise = cv2.GaussianBlur(rng.standard_normal((DEPTHS, ANGLES)).astype(np.float32), (0, 0), 5)
    return np.asarray(np.abs(noise) / (np.abs(noise).max() + 1e-6), dtype=np.float32)
