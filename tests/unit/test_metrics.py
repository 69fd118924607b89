"""Metrics: one table, one value for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from echo_scp import metrics


def run(program: str, **environment: str) -> str:
    """Run a program in a fresh process, where prometheus_client is not imported yet; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if name != metrics.FOLDER_VARIABLE}
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_every_metric_has_a_name_of_ours_and_a_help_text():
    """The table is what an operator reads."""
    names = [metric.name for metric in metrics.ALL]

    assert len(set(names)) == len(names)
    assert all(name.startswith("echo_scp_") for name in names)
    assert all(metric.help.endswith(".") for metric in metrics.ALL)


def test_every_metric_of_the_module_is_in_the_table():
    """A metric outside the table could not be recorded."""
    defined = [
        value
        for value in vars(metrics).values()
        if isinstance(value, metrics.Counter | metrics.Gauge | metrics.Histogram)
    ]

    assert set(defined) == set(metrics.ALL)


def test_a_single_process_needs_no_folder():
    """`analyse` and the tests record and render without any setting."""
    text = run(
        "from echo_scp import metrics\n"
        "metrics.INSTANCES_RECEIVED.add(outcome='stored')\n"
        "metrics.STUDIES.set(3, state='complete')\n"
        "with metrics.STAGE_DURATION.time(stage='decode'): pass\n"
        "print(metrics.render().decode())"
    )

    assert 'echo_scp_instances_received_total{outcome="stored"} 1.0' in text
    assert 'echo_scp_studies{state="complete"} 3.0' in text
    assert 'echo_scp_stage_duration_seconds_count{stage="decode"} 1.0' in text
    assert "# HELP echo_scp_received_bytes_total Data set bytes stored." in text
    assert "echo_scp_received_bytes_total 0.0" in text


def test_the_values_of_a_child_process_are_rendered(tmp_path):
    """Counters and histograms add up over processes; a gauge has the value that was set last."""
    child = (
        "from echo_scp import metrics\n"
        "metrics.RECEIVED_BYTES.add(5)\n"
        "metrics.SPOOL_BACKLOG.set(7)\n"
        "metrics.STAGE_DURATION.observe(0.2, stage='segment')\n"
    )
    text = run(
        "import pathlib, subprocess, sys\n"
        "from echo_scp import metrics\n"
        f"metrics.prepare(pathlib.Path({str(tmp_path)!r}))\n"
        "metrics.RECEIVED_BYTES.add(2)\n"
        "metrics.SPOOL_BACKLOG.set(1)\n"
        "metrics.STAGE_DURATION.observe(0.2, stage='segment')\n"
        f"for _ in range(2): subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
        "print(metrics.render().decode())"
    )

    assert "echo_scp_received_bytes_total 12.0" in text
    assert "echo_scp_spool_backlog_files 7.0" in text
    assert 'echo_scp_stage_duration_seconds_count{stage="segment"} 3.0' in text
    assert "# HELP echo_scp_received_bytes_total Data set bytes stored." in text


def test_prepare_forgets_an_earlier_run(tmp_path):
    """A restart begins at zero: rate() understands that, and not a counter of a dead process id."""
    program = (
        "import pathlib\n"
        "from echo_scp import metrics\n"
        f"metrics.prepare(pathlib.Path({str(tmp_path)!r}))\n"
        "metrics.RECEIVED_BYTES.add(2)\n"
        "print(metrics.render().decode())"
    )
    run(program)

    text = run(program)

    assert "echo_scp_received_bytes_total 2.0" in text


def test_prepare_in_a_child_keeps_what_its_parent_recorded(tmp_path):
    """The worker runs the same composition root as the node that started it."""
    (tmp_path / "counter_1.db").touch()

    run(
        "import pathlib; from echo_scp import metrics\n" + f"metrics.prepare(pathlib.Path({str(tmp_path)!r}))",
        **{metrics.FOLDER_VARIABLE: str(tmp_path)},
    )

    assert (tmp_path / "counter_1.db").exists()


def test_prepare_after_the_first_value_is_an_error(tmp_path):
    """Values recorded before would be lost in silence."""
    out = run(
        "import pathlib; from echo_scp import metrics\n"
        "metrics.RECEIVED_BYTES.add(2)\n"
        f"try: metrics.prepare(pathlib.Path({str(tmp_path)!r}))\n"
        "except RuntimeError as error: print(error)"
    )

    assert "prometheus_client" in out


def test_threads_may_record_the_first_value_together():
    """The table is built once, whoever comes first."""
    text = run(
        "import threading; from echo_scp import metrics\n"
        "barrier = threading.Barrier(16)\n"
        "def record(): barrier.wait(); metrics.RECEIVED_BYTES.add(1)\n"
        "threads = [threading.Thread(target=record) for _ in range(16)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(metrics.render().decode())"
    )

    assert "echo_scp_received_bytes_total 16.0" in text


def test_a_wrong_label_is_an_error():
    """A misspelt label would be a series that nobody sees."""
    with pytest.raises(ValueError, match="label"):
        metrics.INSTANCES_RECEIVED.add(result="stored")


def test_importing_the_table_does_not_import_prometheus():
    """Else `prepare` could never come early enough."""
    out = run("import sys; from echo_scp import metrics; print('prometheus_client' in sys.modules)")

    assert out == "False\n"


def test_prepare_makes_the_folder(tmp_path):
    """A fresh data folder has none."""
    folder = Path(tmp_path) / "a" / "b"

    run(f"import pathlib; from echo_scp import metrics; metrics.prepare(pathlib.Path({str(folder)!r}))")

    assert folder.is_dir()


def test_series_that_are_known_beforehand_show_their_zero():
    """An alert on an increase sees the first event too."""
    text = run(
        "from echo_scp import metrics\nmetrics.announce_destinations(['pacs'])\nprint(metrics.render().decode())"
    )

    assert 'echo_scp_instances_received_total{outcome="refused"} 0.0' in text
    assert 'echo_scp_clips_total{outcome="not_assessed",reason="m_mode"} 0.0' in text
    assert 'echo_scp_deliveries_total{destination="pacs",outcome="unreachable"} 0.0' in text
    assert 'echo_scp_delivery_latency_seconds_count{destination="pacs"} 0.0' in text
    assert 'echo_scp_stage_duration_seconds_count{stage="segment"} 0.0' in text


def test_the_values_of_all_roles_are_rendered_by_one(tmp_path):
    """Each role has a folder of its own, which it alone empties."""
    receive = (
        f"import pathlib; from echo_scp import metrics; metrics.prepare(pathlib.Path({str(tmp_path)!r}), 'receive')"
    )
    run(f"{receive}; metrics.RECEIVED_BYTES.add(5)")
    text = run(
        "import pathlib\n"
        "from echo_scp import metrics\n"
        f"metrics.prepare(pathlib.Path({str(tmp_path)!r}), 'web')\n"
        "metrics.SPOOL_BACKLOG.set(7)\n"
        "print(metrics.render().decode())"
    )

    assert "echo_scp_received_bytes_total 5.0" in text
    assert "echo_scp_spool_backlog_files 7.0" in text
