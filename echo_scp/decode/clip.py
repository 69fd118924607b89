"""Put a clip together: header gate, timing, a few frames, region, pixel gate; the other frames when they are wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from echo_scp.config import AnalysisConfig
from echo_scp.decode.chroma import Colours, coloured_share
from echo_scp.decode.gate import frame_count, refuse_by_header
from echo_scp.decode.pixels import read_pixels
from echo_scp.decode.regions import is_placed_by_header, place_region
from echo_scp.decode.sector import checking_samples, motion_samples
from echo_scp.decode.spread import spread
from echo_scp.decode.stage import stage_of
from echo_scp.decode.timing import Timing, read_timing
from echo_scp.errors import InstanceError
from echo_scp.model import Clip, Instance, Reason, Region

_COLOURED = 0.003  # of the region: an orientation mark is smaller, the flow in a colour box larger


@dataclass(frozen=True, slots=True)
class Cine:
    """An eligible 2D grey-scale tissue cine; its `preview` has a few frames, evenly spread, and their times."""

    preview: Clip
    timing: Timing


def open_cine(instance: Instance, config: AnalysisConfig, preview_frames: int) -> Cine:
    """Decode `preview_frames` frames of an eligible cine, and what else its gate needs to see.

    Memory is bounded by `config.maximum_pixels` before pixels are read. Raises InstanceError with the reason for
    everything that is no 2D grey-scale tissue cine. Damage in frames that are not looked at is found by `decode_all`.
    """
    header = instance.header
    refuse_by_header(header, config)
    timing = read_timing(header, frame_count(header))
    shown = spread(len(timing.frame_times_ms), preview_frames)
    samples = checking_samples if is_placed_by_header(header) else motion_samples
    moving = samples(len(timing.frame_times_ms))
    looked_at = sorted({*shown, *moving})
    pixels = read_pixels(instance, looked_at)
    region, region_notes = place_region(header, pixels.frames[[looked_at.index(index) for index in moving]])
    if pixels.colours is not None:
        _refuse_colour(pixels.colours, region)
    preview = Clip(
        instance=instance,
        frames=pixels.frames[[looked_at.index(index) for index in shown]],
        frame_times_ms=timing.frame_times_ms[list(shown)],
        region=region,
        heart_rate_bpm=timing.heart_rate_bpm,
        r_wave_times_ms=timing.r_wave_times_ms,
        notes=(*region_notes, *timing.notes, *pixels.notes),
        stage=stage_of(header),
    )
    return Cine(preview, timing)


def decode_all(cine: Cine) -> Clip:
    """Return the whole clip; raises InstanceError for pixels that cannot be decoded."""
    frames = read_pixels(cine.preview.instance, in_colour=False).frames
    return replace(cine.preview, frames=frames, frame_times_ms=cine.timing.frame_times_ms)


def decode_clip(instance: Instance, config: AnalysisConfig) -> Clip:
    """Return the frames, times and region of an eligible cine; raises InstanceError with the reason for the rest."""
    return decode_all(open_cine(instance, config, preview_frames=1))


def _refuse_colour(colours: Colours, region: Region) -> None:
    share = coloured_share(colours[:, region.y0 : region.y1, region.x0 : region.x1])
    if share > _COLOURED:
        raise InstanceError(Reason.COLOUR_DOPPLER, f"{100 * share:.1f} % of the 2D region is coloured")
