"""Instance -> Clip: what an ultrasound machine sent becomes frames, frame times and a region, or a Reason why not."""

from echo_scp.decode.clip import decode_clip
from echo_scp.decode.header import read_instance

__all__ = ["decode_clip", "read_instance"]
