"""Turn published networks into engine folders: one importer per kind of file, and a download with a checksum.

Only the conversion needs torch; it is loaded when a kind that needs it runs. The node itself never imports this part.
"""

from echo_scp.imports.kinds import KINDS, import_engine
from echo_scp.imports.options import ImportOptions

__all__ = ["KINDS", "ImportOptions", "import_engine"]
