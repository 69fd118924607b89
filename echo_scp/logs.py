"""Structured logs on stderr: one renderer for our own events and for the libraries', no patient identity in either."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Never logged, whoever binds them. In snake case and as DICOM keywords.
IDENTIFYING_KEYS = frozenset(
    {
        "patient",
        "patient_name",
        "patient_id",
        "patient_birth_date",
        "patient_address",
        "patient_telephone_numbers",
        "birth_date",
        "other_patient_ids",
        "accession_number",
        "referring_physician_name",
        "institution_name",
        "dataset",
        "data_set",
        "header",
    }
)
# The lowest level at which a library is heard; WARNING for those not named. pydicom's warnings quote the values of a
# data set. On our handler and not on the libraries' loggers: pydicom sets its own level when it is imported.
_LIBRARY_LEVELS = {"echo_scp": logging.NOTSET, "pydicom": logging.ERROR}
_COMPARABLE_KEYS = frozenset(key.replace("_", "") for key in IDENTIFYING_KEYS)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["json", "console"] = "json",  # noqa: A002
) -> None:
    """Send every log line of the process to stderr, with UTC times; `level` is that of our own events.

    Libraries speak at WARNING and above only, also at level debug: pynetdicom would print what it receives.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_identifying_keys,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_heard)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=_rendering(format), foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("echo_scp").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    warnings.filterwarnings("ignore", module=r"pydicom\.")  # they quote the values that they find odd


def drop_identifying_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove keys that may identify a patient, however they are spelt."""
    for key in [key for key in event if key.replace("_", "").lower() in _COMPARABLE_KEYS]:
        del event[key]
    return event


def _rendering(format: Literal["json", "console"]) -> list[Processor]:  # noqa: A002
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if format == "json":
        return [remove_meta, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Its default traceback shows local variables, and those may hold a patient's name.
    plain = structlog.dev.plain_traceback
    return [remove_meta, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _is_heard(record: logging.LogRecord) -> bool:
    return record.levelno >= _LIBRARY_LEVELS.get(record.name.partition(".")[0], logging.WARNING)
