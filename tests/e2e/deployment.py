"""An Airflow of its own, whose DAG ``nightly`` syncs one prefix: `python -m tests.e2e.deployment BUCKET PREFIX CONTAINER PORT RUNS`.

Its home and its database are in AIRFLOW_HOME. Before each plan a task connects to PORT, and waits until it is let
go on. The state of each run is printed as a line of JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag

FIRST = datetime(2026, 11, 1, tzinfo=UTC)


def main(bucket: str, prefix: str, container: str, port: int, runs: int) -> None:
    """Run the DAG for one day after another, with the run IDs that every deployment gives them."""
    with DAG("nightly", schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"), start_date=FIRST) as dag:

        @task
        def meet() -> None:
            with socket.create_connection(("127.0.0.1", port)) as gate:
                gate.recv(1)

        group = s3_to_azure_sync(s3_bucket=bucket, s3_prefix=prefix, container_name=container, retries=0)
        meet() >> group

    for number in range(runs):
        day = FIRST + timedelta(days=number)
        print(json.dumps(run_dag(dag, logical_date=day, run_after=day).state), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
