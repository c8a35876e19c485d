"""Audits of a container, run by Airflow, after real syncs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.operators.audit import S3ToAzureAuditOperator
from tests.airflow_runs import Run, run_dag
from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

Audited = Callable[..., "Outcome"]


class Outcome:
    """An audit that has come to its end.

    :ivar errors: of the failed task
    """

    def __init__(self, run: Run, sync: Sync, errors: list[BaseException]) -> None:
        self.state = run.state
        self.totals: dict[str, Any] = run.xcom("audit")
        self.errors = errors
        self._container = sync.container

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The audit's ledger, by blob."""
        name = self.totals["ledger"].removeprefix(f"{self._container.url}/")
        lines = self._container.download_blob(name).readall().splitlines()
        found = {row["blob"]: row for row in map(json.loads, lines)}
        assert len(found) == len(lines)
        return found

    def statuses(self) -> dict[str, str]:
        """Return each blob's status by the audit's ledger."""
        return {name: row["status"] for name, row in self.rows.items()}


@pytest.fixture
def audit(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> Audited:
    """Run an audit of the sync's container, without a connection to S3."""

    def audit(**arguments: Any) -> Outcome:
        monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT", raising=False)
        errors: list[BaseException] = []
        with DAG(f"audit_{sync.container.container_name}") as dag:
            S3ToAzureAuditOperator(
                task_id="audit",
                container_name=sync.container.container_name,
                on_failure_callback=lambda context: errors.append(context["exception"]),
                **arguments,
            )
        return Outcome(run_dag(dag), sync, errors)

    return audit


def test_an_untouched_copy_is_intact(sync: Sync, audit: Audited) -> None:
    """Copied and unchanged keys alike; a blob without a row is only counted."""
    sync.put(*(f"in/k{n}" for n in range(3)))
    sync.night()
    sync.put("in/k3", "empty", body=b"")
    sync.night()
    sync.container.upload_blob("other", b"theirs")

    outcome = audit()

    assert outcome.state == "success"
    assert outcome.statuses() == dict.fromkeys(["empty", *(f"in/k{n}" for n in range(4))], "intact")
    names = ("objects", "intact", "changed", "missing", "unknown", "unrecorded", "run_count")
    assert [outcome.totals[name] for name in names] == [5, 5, 0, 0, 0, 1, 1]
    assert outcome.totals["failures"] == []
