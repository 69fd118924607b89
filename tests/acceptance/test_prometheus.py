"""A Prometheus scrapes a node: every panel's and every rule's query has an answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from echo_scp.config import DeliverConfig
from echo_scp.outbox import retry_wait_s
from tests.acceptance.running import Node, pick_port, wait_for

CONFIG = Path(__file__).parents[2] / "config"
DASHBOARD = CONFIG / "grafana-dashboard.json"
RULES = CONFIG / "alerts.yml"
NEEDS_PROMETHEUS = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Prometheus is not installed: apt-get install prometheus",
)
SCRAPE = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: echo-scp
    static_configs: [{{targets: ["127.0.0.1:{web_port}"]}}]
"""


def panel_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def rule_queries() -> list[str]:
    """What each rule looks at, without its threshold: a healthy node exceeds none."""
    found = re.findall(r"^ +expr: (.+)$", RULES.read_text(), re.MULTILINE)
    return [re.sub(r" (==|>|<) [0-9.]+$", "", query) for query in found]


class Prometheus:
    """A server that scrapes one node every second."""

    def __init__(self, folder: Path, node: Node) -> None:
        self._port = pick_port()
        folder.mkdir()
        config = folder / "prometheus.yml"
        config.write_text(SCRAPE.format(web_port=node.web_port))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, query: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self._port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return list(json.load(answer)["data"]["result"])
        except urllib.error.HTTPError as error:
            error.close()
            raise
        except OSError:  # not up yet
            return []

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def prometheus(node: Node, tmp_path: Path) -> Iterator[Prometheus]:
    node.start()
    server = Prometheus(tmp_path / "prometheus", node)
    yield server
    server.stop()


@NEEDS_PROMETHEUS
def test_the_rules_are_sound():
    """promtool reads each expression."""
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 rules found" in done.stdout


OUTAGE = """\
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: echo_scp_destination_resting{{destination="pacs"}}
        values: 0 1x300
      - series: echo_scp_deliveries_total{{destination="pacs", outcome="unreachable"}}
        values: {attempts}
      - series: echo_scp_delivery_oldest_age_seconds{{destination="pacs"}}
        values: 0+60x300
    promql_expr_test:
      - eval_time: 20m
        expr: count by (alertname) (ALERTS{{alertstate="firing"}})
        exp_samples: [{{labels: '{{alertname="EchoScpDestinationAway"}}', value: 1}}]
      - eval_time: 5h
        expr: count by (alertname) (ALERTS{{alertstate="firing"}})
        exp_samples:
          - {{labels: '{{alertname="EchoScpDestinationAway"}}', value: 1}}
          - {{labels: '{{alertname="EchoScpResultsWait"}}', value: 1}}
"""


@NEEDS_PROMETHEUS
def test_a_destination_that_is_away_rings_though_it_is_called_ever_more_seldom(tmp_path):
    """After eight attempts in half an hour there is one in an hour."""
    config = DeliverConfig()
    due_s, attempts = 60.0, []
    for minute in range(301):
        count = attempts[-1] if attempts else 0
        while due_s <= 60 * minute:
            count += 1
            due_s += retry_wait_s(config.first_retry_s, config.maximum_retry_s, count)
        attempts.append(count)
    test = tmp_path / "outage.yml"
    test.write_text(OUTAGE.format(rules=RULES, attempts=" ".join(map(str, attempts))))

    done = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMETHEUS
def test_every_query_of_dashboard_and_rules_has_an_answer(node, pacs, make_study, prometheus):
    """After one study, scraped before and after; the scrape itself has no fault in promtool's eyes."""
    queries = [*panel_queries(), *rule_queries()]
    assert len(queries) > 20
    study = make_study(0, 4)
    wait_for(lambda: prometheus.ask('echo_scp_instances_received_total{outcome="stored"}'))
    for path in study.files:
        node.send(path)
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(2,)])
    latency = 'increase(echo_scp_delivery_latency_seconds_count{destination="pacs"}[5m])'
    wait_for(lambda: [each for each in prometheus.ask(latency) if float(each["value"][1]) > 0], 30)

    silent = [query for query in queries if not prometheus.ask(query)]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=node.get("/metrics"), capture_output=True, text=True, check=False
    )

    assert silent == []
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_metric_that_panels_and_rules_name_exists():
    """Also where no Prometheus is installed."""
    from echo_scp import metrics

    known = {metric.name for metric in metrics.ALL}
    named = set(re.findall(r"\becho_scp_\w+", " ".join([*panel_queries(), *rule_queries()])))

    assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} <= known
