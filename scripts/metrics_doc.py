"""Write docs/metrics.md from the table of metrics in the code: python -m scripts.metrics_doc"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from echo_scp import metrics
from echo_scp.reasons import Reason

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"

HEAD = """\
# Metrics

At `http://<web.address>:<web.port>/metrics`, of the node and its worker together. Times are seconds, sizes bytes. This
page is written by `python -m scripts.metrics_doc` from the table in `echo_scp/metrics.py`.

| metric | kind | labels | what |
|---|---|---|---|
"""

BUCKETS = """
## Buckets of the histograms

Upper bounds in seconds; `+Inf` follows.

| histogram | bounds |
|---|---|
"""

NOTES = """
Counters with a fixed set of labels show their zeros from the start, those of destinations with the configured names.
Patients, studies and senders are no labels: the number of series is bounded by the configuration.

`config/alerts.yml` has alert rules and `config/grafana-dashboard.json` a dashboard (Grafana: Dashboards, Import; choose
the Prometheus data source). A test runs every query of both against a scraped node.
"""


def page() -> str:
    """Return the document."""
    rows = "".join(_row(metric) for metric in metrics.ALL)
    bounds = "".join(
        f"| `{metric.name}` | {', '.join(f'{bound:g}' for bound in metric.buckets)} |\n"
        for metric in metrics.ALL
        if isinstance(metric, metrics.Histogram)
    )
    return HEAD + rows + NOTES + BUCKETS + bounds


def _row(metric: metrics.Counter | metrics.Gauge | metrics.Histogram) -> str:
    kind = type(metric).__name__.lower()
    return f"| `{metric.name}` | {kind} | {'; '.join(_labels(metric))} | {metric.help} |\n"


def _labels(metric: metrics.Counter | metrics.Gauge | metrics.Histogram) -> Iterator[str]:
    """Yield each label with the values that it is known to take."""
    series = () if isinstance(metric, metrics.Gauge) else metric.series
    for position, label in enumerate(metric.labels):
        values = list(dict.fromkeys(values[position] for values in series if values[position]))
        if set(values) == set(Reason):
            yield f"`{label}`: see [reasons](reasons.md)"
        else:
            yield f"`{label}`: {', '.join(values)}" if values else f"`{label}`"


if __name__ == "__main__":
    DOCUMENT.write_text(page(), encoding="utf-8")
