"""Every night, compare an Azure container with the ledgers of its syncs. S3 is not needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_s3_azure.audit_form import audit_form
from airflow_s3_azure.operators import S3ToAzureAuditOperator
from airflow_s3_azure.task_retries import retry_arguments

DOC = """
### S3 → Azure, audit

Compares a container with what its syncs recorded: every blob must exist with the size, the ETag and the record of its
copy. With *Deep*, blobs are read back, and the CRC-64 of their content must be the one that was recorded when they were
copied. S3 is not needed: the bucket may be empty, or gone. Nothing in the container is changed, except that the audit
writes its own ledger.

#### Before you switch it on

Scheduled runs use the defaults of the form. Set them in the environment of Airflow's DAG processor and workers:

| variable | field | |
|---|---|---|
| `S3_TO_AZURE_CONTAINER` | Azure container | needed |
| `S3_TO_AZURE_AUDIT_LEDGER` | Ledger | such as `s3_to_azure_nightly` |
| `S3_TO_AZURE_AUDIT_RUNS` | Runs | `all`, if each run copies another day |
| `S3_TO_AZURE_AUDIT_DEEP` | Deep | `true` |
| `S3_TO_AZURE_AUDIT_SAMPLE` | Sample | such as `0.01` |
| `S3_TO_AZURE_AUDIT_NIGHTS` | Nights | such as `30` |
| `S3_TO_AZURE_AUDIT_MAX_BANDWIDTH` | Max bandwidth | such as `50 MB` |

The connection is `wasb_default`. It must read and list the container, and write below `_s3_to_azure/`.

#### How deep

| set | what is read each night |
|---|---|
| nothing | no blob: the listing alone |
| Deep | all blobs |
| Deep, Sample `0.01` | one blob in a hundred, each night others |
| Deep, Nights `30` | a thirtieth of the blobs, so that all are read in thirty nights |

Run it when no sync writes to the container: a blob that was copied again since the newest complete run is `changed`.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `audit` | compares the container, and writes the audit's ledger | blobs are changed or missing: its error and its XCom name the first of them, the ledger has all |

The result of each blob is in `audit.jsonl`, JSON lines under `_s3_to_azure/` in the container: `intact`, `changed`,
`missing`, or `unknown`, such as a blob in the archive tier.
"""

FORM = audit_form()

with DAG(
    dag_id="s3_to_azure_audit",
    description="Every night, compare an Azure container with the ledgers of its syncs",
    # Some hours after s3_to_azure_nightly.
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    tags=["s3", "azure", "audit"],
    doc_md=DOC,
    params=FORM.params,
):
    S3ToAzureAuditOperator(
        task_id="audit",
        **FORM.arguments,
        # An audit of several days becomes executions of an hour, each of which may be killed or run on another worker.
        slice=timedelta(hours=1),
        **retry_arguments(retries=3, retry_delay=timedelta(minutes=1)),
    )
