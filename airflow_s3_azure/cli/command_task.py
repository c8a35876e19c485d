"""Stands in for Airflow's task instance where a command runs an operator."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow_s3_azure.cli.definition import COMMAND

DAG_ID = f"{COMMAND}-cli"
"""In the place of a DAG's ID, in ledgers and metrics."""


class CommandTask:
    """The task instance of one command. Its XComs stay in this process.

    :ivar pushed: the values that the operator pushed, by their keys
    """

    map_index = -1
    dag_id = DAG_ID

    def __init__(self, command: str) -> None:
        self.task_id = command
        self.started = datetime.now(UTC)
        self.run_id = f"cli__{self.started.isoformat()}"
        self.pushed: dict[str, Any] = {}

    def context(self, **more: Any) -> dict[str, Any]:
        """Return the context of the operator's execution."""
        run = SimpleNamespace(conf={}, run_after=self.started, data_interval_end=None)
        return {"ti": self, "dag_run": run, **more}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.pushed[key] = value
