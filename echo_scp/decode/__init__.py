"""Instance -> Clip: what an ultrasound machine sent becomes frames, frame times and a region, or a Reason why not."""

from echo_scp.decode.clip import Cine, decode_all, decode_clip, open_cine
from echo_scp.decode.gate import decoded_pixels
from echo_scp.decode.header import read_instance

__all__ = ["Cine", "decode_all", "decode_clip", "decoded_pixels", "open_cine", "read_instance"]
