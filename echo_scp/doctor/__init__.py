"""Try everything that the node needs, before it is needed; each failure comes with its fix."""

from echo_scp.doctor.examination import examine
from echo_scp.doctor.finding import Finding, Outcome

__all__ = ["Finding", "Outcome", "examine"]
