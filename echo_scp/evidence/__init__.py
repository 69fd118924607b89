"""What a header says of the view, and how much that counts beside the network."""

from echo_scp.evidence.header import read_evidence
from echo_scp.evidence.weigh import weigh

__all__ = ["read_evidence", "weigh"]
