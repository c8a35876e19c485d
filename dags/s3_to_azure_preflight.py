"""Check on the real accounts, from a worker, what copies from S3 to Azure assume."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_s3_azure.operators import S3ToAzurePreflightOperator
from airflow_s3_azure.preflight_form import preflight_form
from airflow_s3_azure.task_retries import retry_arguments

DOC = """
### S3 → Azure, preflight

Checks a bucket and a container as a copy uses them, with the identity and the network of a worker: permissions, TLS,
clocks, reads that are pinned to one version, checksums, conditional commits, tags, tiers, server-side copy and idle
connections. Trigger it before the first night, and after a change of policies, networks or connections.

It takes about a minute and sends less than 12 MiB. What it writes is below a random name in the container, and is removed,
also if the task fails.

#### The result

The tab *Transfer* of the run, the log and the XCom have one row per check:

| result | what it means |
|---|---|
| green | proven |
| amber | a feature is not available; the row says which, and the consequence |
| red | copies would fail; the row has the missing action, the line of the policy and the request ID |
| skipped | not run; the row says why |

The connections are `aws_default` and `wasb_default`. The guardrails that are in force are shown with the result.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `preflight` | runs the checks, and removes what they wrote | a check is red: its row says what to do |
"""

FORM = preflight_form()

with DAG(
    dag_id="s3_to_azure_preflight",
    description="Check on the real accounts what copies from S3 to Azure assume",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    tags=["s3", "azure", "preflight"],
    doc_md=DOC,
    params=FORM.params,
):
    S3ToAzurePreflightOperator(
        task_id="preflight",
        **FORM.arguments,
        **retry_arguments(retries=3, retry_delay=timedelta(minutes=1)),
    )
