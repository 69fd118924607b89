"""What was found in single clips, kept on disk so that a study's next revision computes only what is new."""

from echo_scp.kept.findings import Finding, Findings
from echo_scp.kept.store import KeptResults

__all__ = ["Finding", "Findings", "KeptResults"]
