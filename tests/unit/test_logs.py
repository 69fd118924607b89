"""Logs: one shape for everybody's lines, on stderr, and no patient in them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from echo_scp.logs import drop_identifying_keys, veil_odd_uids


def run(program: str, level: str = "info", format: str = "json") -> subprocess.CompletedProcess[str]:  # noqa: A002
    """Log in a fresh process: configuration is the process's."""
    prologue = (
        "import logging, structlog, warnings\n"
        "from echo_scp.logs import configure\n"
        "ours = structlog.get_logger('echo_scp.receive.store')\n"
        f"configure({level!r}, {format!r})\n"
    )
    return subprocess.run([sys.executable, "-c", prologue + program], capture_output=True, text=True, check=True)


def events(completed: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in completed.stderr.splitlines()]


def test_an_event_is_one_json_line_on_stderr():
    """Name, level, logger, UTC time and what was bound."""
    completed = run("ours.bind(sop_instance_uid='1.2').info('instance.spooled', bytes=3)")

    (event,) = events(completed)
    assert completed.stdout == ""
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "instance.spooled",
        "level": "info",
        "logger": "echo_scp.receive.store",
        "sop_instance_uid": "1.2",
        "bytes": 3,
    }


def test_the_level_is_that_of_our_events():
    """Below it nothing is written."""
    assert events(run("ours.info('instance.spooled')", level="error")) == []


def test_a_later_configuration_counts_for_loggers_in_use():
    """The command's own, before the file is read; then the file's."""
    completed = run("ours.info('begun')\nconfigure('error', 'json')\nours.info('silent')\nours.error('failed')")

    assert [event["event"] for event in events(completed)] == ["begun", "failed"]


@pytest.mark.parametrize("broken", ["sys.stderr.close()", "sys.stderr = open('/dev/full', 'w', buffering=1)"])
def test_a_log_that_cannot_be_written_stops_nothing(broken):
    """A full disk under the log, a reader that has gone: an object is received all the same."""
    completed = run(f"import sys\n{broken}\nours.info('instance.spooled')\nprint('received')\nsys.stderr = None")

    assert completed.stdout == "received\n"


def test_libraries_speak_in_the_same_shape():
    """A line of a library is a JSON line too."""
    (event,) = events(run("logging.getLogger('procrastinate.worker').warning('%s jobs', 3)"))

    assert (event["event"], event["level"], event["logger"]) == ("3 jobs", "warning", "procrastinate.worker")


@pytest.mark.parametrize("library", ["pynetdicom.association", "pydicom", "uvicorn.access", "procrastinate"])
def test_libraries_are_silent_below_warning_even_at_level_debug(library):
    """Their debug lines print data sets."""
    assert events(run(f"logging.getLogger({library!r}).info('PatientName: DOE^JANE')", level="debug")) == []


def test_a_library_that_sets_its_own_level_is_silent_all_the_same():
    """pydicom does so when it is imported."""
    program = "library = logging.getLogger('pynetdicom')\nlibrary.setLevel('DEBUG')\nlibrary.debug('PatientName: DOE')"

    assert events(run(program)) == []


def test_a_warning_of_python_is_a_line_too():
    """Nothing else may write on stderr."""
    (event,) = events(run("warnings.warn('deprecated', DeprecationWarning)"))

    assert "deprecated" in event["event"]


def test_a_value_that_pydicom_finds_odd_is_not_quoted():
    """A birth date that is no date is still a birth date."""
    program = "from pydicom import Dataset\nds = Dataset()\nds.PatientBirthDate = '31 May 1950'\nours.info('done')"

    assert [event["event"] for event in events(run(program))] == ["done"]


def test_an_exception_is_in_the_line():
    """Where it was raised and of what kind."""
    (event,) = events(run("try: 1 / 0\nexcept ZeroDivisionError: ours.exception('instance.failed')"))

    assert 'File "<string>", line 5, in <module>' in event["exception"]
    assert event["exception"].endswith("ZeroDivisionError")


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(
    "program",
    [
        "try: float('DOE' + '^JANE')\nexcept ValueError: ours.exception('e')",
        "try:\n  try: float('DOE' + '^JANE')\n  except ValueError as error:\n"
        "    raise KeyError('DOE' + '^JANE') from error\n"
        "except KeyError: ours.exception('e')",
        "try: float('DOE' + '^JANE')\nexcept ValueError: logging.getLogger('procrastinate').exception('failed')",
        "try: float('DOE' + '^JANE')\nexcept ValueError as error: logging.getLogger('pynetdicom').error(error)",
        "logging.getLogger('pydicom').error('bad value %s', 'DOE' + '^JANE')",
        "warnings.warn('bad value ' + 'DOE' + '^JANE')",
        "from threading import Thread\nthread = Thread(target=float, args=['DOE' + '^JANE'])\n"
        "thread.start()\nthread.join()",
        "import sys\ntry: float('DOE' + '^JANE')\nexcept ValueError as error: sys.excepthook(type(error), error, None)",
    ],
)
def test_what_an_exception_quotes_is_not_logged(program, format):  # noqa: A002
    """Whoever logs it, and also when nobody caught it; that it happened is."""
    completed = run(program, level="debug", format=format)

    assert "DOE^JANE" not in completed.stderr
    assert completed.stderr


def test_what_our_own_errors_say_is_logged():
    """They quote no header."""
    program = (
        "from echo_scp.errors import EngineError\n"
        "try: raise EngineError('no such file')\nexcept EngineError: ours.exception('e')"
    )

    (event,) = events(run(program))

    assert event["exception"].endswith("EngineError: no such file")


def test_a_traceback_on_the_console_shows_no_local_variables():
    """A variable may hold a name."""
    program = (
        "def fail(name): 1 / 0\ntry: fail('DOE' + '^JANE')\nexcept ZeroDivisionError: ours.exception('instance.failed')"
    )
    completed = run(program, format="console")

    assert "ZeroDivisionError" in completed.stderr
    assert "DOE^JANE" not in completed.stderr


@pytest.mark.parametrize("key", ["patient_name", "PatientName", "PatientID", "birth_date", "patient_birth_date"])
def test_identifying_keys_are_dropped(key):
    """However they are spelt."""
    assert drop_identifying_keys(None, "info", {"event": "e", key: "DOE^JANE", "study": "1.2"}) == {
        "event": "e",
        "study": "1.2",
    }


def test_what_is_dropped_is_dropped_from_libraries_and_contexts():
    """Bound in the context or passed with the call: not in the line."""
    program = "structlog.contextvars.bind_contextvars(patient_id='4711')\nours.warning('e', PatientName='DOE^JANE')"

    (event,) = events(run(program))

    assert set(event) == {"event", "level", "logger", "timestamp"}


def test_a_uid_that_is_none_is_not_logged_as_it_is():
    """A machine may put a name there; the same text gives the same hash."""
    event = veil_odd_uids(None, "info", {"study_instance_uid": "DOE^JANE", "sop_instance_uid": "1.2.3"})
    again = veil_odd_uids(None, "info", {"series_instance_uid": "DOE^JANE"})

    assert event["sop_instance_uid"] == "1.2.3"
    assert "DOE" not in event["study_instance_uid"]
    assert event["study_instance_uid"] == again["series_instance_uid"]
