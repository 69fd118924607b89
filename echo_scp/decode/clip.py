"""Put a clip together: header gate, timing, pixels, region, pixel gate."""

from __future__ import annotations

from echo_scp.config import AnalysisConfig
from echo_scp.decode.chroma import Colours, coloured_share
from echo_scp.decode.gate import frame_count, refuse_by_header
from echo_scp.decode.pixels import read_pixels
from echo_scp.decode.regions import place_region
from echo_scp.decode.timing import read_timing
from echo_scp.errors import InstanceError
from echo_scp.model import Clip, Instance, Reason, Region

_COLOURED = 0.003  # of the region: an orientation mark is smaller, the flow in a colour box larger


def decode_clip(instance: Instance, config: AnalysisConfig) -> Clip:
    """Return the frames, times and region of an eligible 2D grey-scale tissue cine.

    Memory is bounded by `config.maximum_pixels` before pixels are read. Raises InstanceError with the reason for
    everything else.
    """
    header = instance.header
    refuse_by_header(header, config)
    timing = read_timing(header, frame_count(header))
    pixels = read_pixels(instance)
    region, region_notes = place_region(header, pixels.frames)
    if pixels.colours is not None:
        _refuse_colour(pixels.colours, region)
    return Clip(
        instance=instance,
        frames=pixels.frames,
        frame_times_ms=timing.frame_times_ms,
        region=region,
        heart_rate_bpm=timing.heart_rate_bpm,
        r_wave_times_ms=timing.r_wave_times_ms,
        notes=(*region_notes, *timing.notes, *pixels.notes),
    )


def _refuse_colour(colours: Colours, region: Region) -> None:
    share = coloured_share(colours[:, region.y0 : region.y1, region.x0 : region.x1])
    if share > _COLOURED:
        raise InstanceError(Reason.COLOUR_DOPPLER, f"{100 * share:.1f} % of the 2D region is coloured")
