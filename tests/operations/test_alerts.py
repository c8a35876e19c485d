"""Metrics, mapping, rules, alerts and dashboard fit together: from what a task sends to what a panel shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from airflow_s3_azure.engine.errors import RUNBOOK, S3ToAzureError
from airflow_s3_azure.metrics import CopyMetrics, send_counts, send_freshness
from tests.operations.exporter import Exporter
from tests.servers.debian import libraries, program
from tests.servers.process import ServerProcess, child_environment, free_port
from tests.test_docs import _first_cells

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
RULES = FOLDER / "prometheus-rules.yaml"
EXPRESSIONS = {
    f"{panel['title']} {target['refId']}": target["expr"].replace("$dag_id", ".*")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}


def _found(name: str) -> bool:
    try:
        program(name)
    except FileNotFoundError:
        return False
    return True


needs_prometheus = pytest.mark.skipif(
    not _found("promtool"), reason="needs Prometheus: run `python3 -m tests.servers.debian`"
)


class Lines:
    """Stands in for Airflow's ``Stats``: formats what is sent as the StatsD client does with InfluxDB tags."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str]) -> None:
        """Format a count."""
        self._send(stat, tags, f"{count}|c")

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        """Format a gauge."""
        self._send(stat, tags, f"{value}|g")

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> None:
        """Format a time."""
        self._send(stat, tags, f"{1000 * dt.total_seconds():.6f}|ms")

    def _send(self, stat: str, tags: dict[str, str], value: str) -> None:
        self.sent.append(f"airflow.{stat},{','.join(f'{name}={text}' for name, text in tags.items())}:{value}")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tasks of two runs send: one good, one with a failed object."""
    stats = Lines()
    monkeypatch.setattr("airflow.sdk.observability.stats.Stats", stats)
    statuses = ("copied", "unchanged", "skipped", "deleted")
    good = {f"objects.{status}": 3 for status in statuses} | {"bytes.read": 300, "bytes.copied": 200, "retries": 1}
    for dag_id, counts in (("good", good), ("bad", {"objects.failed": 2})):
        ti = SimpleNamespace(dag_id=dag_id, task_id="s3_to_azure.copy")
        with CopyMetrics(ti):
            send_counts(ti, counts)
    report = SimpleNamespace(dag_id="good", task_id="s3_to_azure.report")
    send_freshness(report, datetime.now(UTC) - timedelta(hours=1), None)
    return stats.sent


@pytest.fixture
def exporter(lines: list[str]) -> Exporter:
    """An exporter with the shipped mapping, which received what was sent."""
    found = Exporter(yaml.safe_load((FOLDER / "statsd-mapping.yaml").read_text()))
    for line in lines:
        found.receive(line)
    return found


def test_every_metric_has_a_mapping(exporter: Exporter, lines: list[str]) -> None:
    """All documented names are sent here, and each has a name of its own with unit and labels."""
    documented = set()
    for first, *more in _first_cells("monitoring.md"):
        documented |= {first, *(first.rpartition(".")[0] + name for name in more)}

    assert {line.partition(",")[0] for line in lines} == {f"airflow.{name}" for name in documented}
    assert {name for name, _ in exporter.values} == {
        "s3_to_azure_objects_total",
        "s3_to_azure_bytes_read_total",
        "s3_to_azure_bytes_copied_total",
        "s3_to_azure_retries_total",
        "s3_to_azure_copy_duration_seconds_sum",
        "s3_to_azure_copy_duration_seconds_count",
        "s3_to_azure_fresh_until_seconds",
    }
    labels = (("dag_id", "bad"), ("status", "failed"), ("task_id", "s3_to_azure.copy"))
    assert exporter.values["s3_to_azure_objects_total", labels] == 2


def test_the_dashboard_is_what_grafana_reads() -> None:
    """Grafana's own schema, as its Foundation SDK has it, knows every field and value."""
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))

    assert _unknown(DASHBOARD, read, "") == []
    boxes = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(box["x"] + box["w"] <= 24 for box in boxes)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(boxes)


def _unknown(written: Any, read: Any, path: str) -> list[str]:
    """Return the paths of what differs after reading."""
    found: list[str] = []
    if isinstance(written, dict) and isinstance(read, dict):
        for name in written:
            found += _unknown(written[name], read.get(name, ...), f"{path}.{name}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number in range(len(written)):
            found += _unknown(written[number], read[number], f"{path}[{number}]")
    elif written != read:
        found.append(path)
    return found


@needs_prometheus
def test_promtool_accepts_the_rules_and_their_unit_tests(tmp_path: Path) -> None:
    """Each alert fires when it must, and is silent when it must not: tests/operations/rules_test.yaml."""
    for path in (RULES, Path(__file__).with_name("rules_test.yaml")):
        shutil.copy(path, tmp_path)
    promtool = str(program("promtool"))

    for command in (["check", "rules", RULES.name], ["test", "rules", "rules_test.yaml"]):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False, env=child_environment()
        )
        assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr


def test_every_alert_has_a_unit_test_and_leads_to_the_runbook() -> None:
    """An alert that nobody saw fire is no alert."""
    alerts = {
        rule["alert"]: rule
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    tests = yaml.safe_load(Path(__file__).with_name("rules_test.yaml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    classes = {kind.__name__.lower() for kind in _subclasses(S3ToAzureError)}

    assert fired == set(alerts)
    for rule in alerts.values():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == RUNBOOK
        assert not anchor or anchor in classes


def _subclasses(kind: type[S3ToAzureError]) -> Iterator[type[S3ToAzureError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


@needs_prometheus
@pytest.mark.slow
def test_every_panel_shows_what_the_tasks_sent(exporter: Exporter, tmp_path: Path) -> None:
    """Through a real Prometheus with the shipped rules; only their interval is shorter."""
    text = exporter.exposition().encode()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    (tmp_path / "rules.yaml").write_text(RULES.read_text().replace("interval: 1m", "interval: 1s"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": "airflow", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    prometheus = ServerProcess(
        "Prometheus",
        [
            str(program("prometheus")),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        directory=tmp_path,
        environment=child_environment(**libraries()),
        log=tmp_path / "prometheus.log",
    )
    prometheus.start(lambda: _is_ready(port), within=60)
    try:
        shown = _shown(port)
    finally:
        prometheus.stop()
        server.shutdown()
        server.server_close()

    assert [title for title, result in shown.items() if not result] == []
    assert _values(shown["Objects per hour A"], "status") == {
        "copied": 3,
        "unchanged": 3,
        "skipped": 3,
        "deleted": 3,
        "failed": 2,
    }
    assert _values(shown["Bytes per day A"], "dag_id") == {"": 300}
    assert _values(shown["Bytes per day B"], "dag_id") == {"": 200}
    assert _values(shown["Failed objects, last hour A"], "dag_id") == {"good": 0, "bad": 2}
    assert 3600 <= _values(shown["Time since the copy was complete A"], "dag_id")["good"] < 4200
    alerts = {(one["metric"]["alertname"], one["metric"]["dag_id"]) for one in shown["Alerts that fire A"]}
    assert alerts == {("S3ToAzureObjectsFailed", "bad")}


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def _shown(port: int) -> dict[str, list[dict[str, Any]]]:
    """Return the result of each query of the dashboard, once none is empty, or after a minute."""
    deadline = time.monotonic() + 60
    while True:
        shown = {title: _query(port, expression) for title, expression in EXPRESSIONS.items()}
        if all(shown.values()) or time.monotonic() > deadline:
            return shown
        time.sleep(0.5)


def _query(port: int, expression: str) -> list[dict[str, Any]]:
    response = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, timeout=30).json()
    assert response["status"] == "success", response
    found: list[dict[str, Any]] = response["data"]["result"]
    return found


def _values(result: list[dict[str, Any]], label: str) -> dict[str, float]:
    return {one["metric"].get(label, ""): float(one["value"][1]) for one in result}


def test_the_guide_names_every_file() -> None:
    """And every alert."""
    guide = (FOLDER / "alerts.md").read_text()
    files = {path.name for path in FOLDER.iterdir() if path.suffix != ".md"}

    assert files <= set(re.findall(r"\]\(([\w.-]+)\)", guide))
    assert set(re.findall("alert: (S3ToAzure\\w+)", RULES.read_text())) == set(
        re.findall("`(S3ToAzure[A-Z]\\w+)`", guide)
    )
