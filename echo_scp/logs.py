"""Structured logs on stderr: one renderer for our own events and for the libraries', no patient identity in either."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from echo_scp.errors import EchoScpError

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
# pydicom warns in this category, and quotes the values that it finds odd.
_QUOTING_WARNING = re.compile(r"(^.*?:\d+: UserWarning):.*", re.DOTALL)
_LEVELS = logging.getLevelNamesMapping()
_PROCESSORS: list[Processor] = []  # one list for ever: loggers in use keep it
_UID = re.compile(r"[0-9.]*")
_COMPARABLE_KEYS = frozenset(key.replace("_", "") for key in IDENTIFYING_KEYS)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["json", "console"] = "json",  # noqa: A002
) -> None:
    """Send every log line of the process to stderr, with UTC times; `level` is that of our own events.

    Libraries speak at WARNING and above only, also at level debug: pynetdicom would print what it receives.
    """
    rendering = _rendering(format)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_identifying_keys,
        veil_odd_uids,
    ]
    _PROCESSORS[:] = [_from(level), *shared, *rendering]
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=_StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    # Of each line the standard library would ask anew which thread and process it is of, and nothing here shows it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_heard)
    handler.addFilter(_without_values)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[remove_meta, *rendering], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    warnings.filterwarnings("ignore", module=r"pydicom\.")  # they quote the values that they find odd
    sys.excepthook = lambda kind, error, trace: _log_uncaught(error)
    threading.excepthook = lambda arguments: _log_uncaught(arguments.exc_value)


def _from(level: str) -> Processor:
    """Drop events below `level`."""
    wanted = {name.lower() for name, number in _LEVELS.items() if number >= _LEVELS[level.upper()]}

    def drop_others(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method not in wanted:
            raise structlog.DropEvent
        return event

    return drop_others


class _StderrLogger:
    """Writes the lines of our own events: the standard library would take longer for one than all else does."""

    def __init__(self, name: str = "echo_scp") -> None:
        self.name = name  # structlog.stdlib.add_logger_name reads it

    def write(self, line: str) -> None:
        """Write a line in one piece; a log that cannot be written stops nothing."""
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = write


def drop_identifying_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove keys that may identify a patient, however they are spelt."""
    for key in [key for key in event if _is_identifying(key)]:
        del event[key]
    return event


@lru_cache(1024)
def _is_identifying(key: str) -> bool:
    return key.replace("_", "").lower() in _COMPARABLE_KEYS


def veil_odd_uids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what stands where a UID should and is none by a hash: it may be anything, a name too."""
    for key, value in event.items():
        if key.endswith("_uid") and isinstance(value, str) and not _UID.fullmatch(value):
            event[key] = "x" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return event


def _rendering(format: Literal["json", "console"]) -> list[Processor]:  # noqa: A002
    if format == "json":
        return [_format_exception, structlog.processors.JSONRenderer()]
    return [_format_exception, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _format_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put an exception into the event as where it was raised and of what kind, without what it says.

    What it says may quote a header: "could not convert string to float: 'DOE^JANE'". Ours quote none.
    """
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else sys.exception()
    if info and error is not None:
        event["exception"] = "\n".join(_lines(error))
    return event


def _lines(error: BaseException) -> list[str]:
    """Return the traceback of an error, after that of the error that it was raised from."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [*_lines(cause), "the cause of:"] if cause is not None else []
    frames = traceback.extract_tb(error.__traceback__)
    lines += [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames]
    return [*lines, _kind(error)]


def _kind(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, EchoScpError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {error.strerror}"
    return name


def _log_uncaught(error: BaseException | None) -> None:
    if isinstance(error, KeyboardInterrupt) or error is None:
        return
    structlog.get_logger(__name__).critical("process.failed", exc_info=error)


def _is_heard(record: logging.LogRecord) -> bool:
    return record.levelno >= _LIBRARY_LEVELS.get(record.name.partition(".")[0], logging.WARNING)


def _without_values(record: logging.LogRecord) -> bool:
    """Let pass every line, but no text that may quote what a peer sent or a file holds."""
    if isinstance(record.msg, BaseException):
        record.msg, record.args = _kind(record.msg), None
    if record.name.partition(".")[0] == "pydicom":
        record.msg, record.args = f"an error in {record.filename}, line {record.lineno}", None
    if record.name == "py.warnings":
        record.msg, record.args = _QUOTING_WARNING.sub(r"\1", record.getMessage()), None
    return True
