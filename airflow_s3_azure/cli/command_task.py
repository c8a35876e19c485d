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

    def xcom_pull(self, *, dag_id: str, run_id: str, task_ids: str) -> Any:
        """Return what a task of an Airflow run returned; None if Airflow does not have it.

        Airflow's commands read its database; a machine that cannot reach it gets an error.
        """
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(run_id=run_id, key="return_value", task_ids=task_ids, dag_ids=dag_id)
            row = session.scalars(query).first()
            return None if row is None else XComModel.deserialize_value(row)
