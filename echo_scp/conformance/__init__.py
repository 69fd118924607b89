"""The DICOM conformance statement (PS3.2), written from the configuration in force and the code that negotiates."""

from echo_scp.conformance.rendering import as_html, as_markdown
from echo_scp.conformance.statement import statement

__all__ = ["as_html", "as_markdown", "statement"]
