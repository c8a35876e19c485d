"""Copy objects to an Azure container soon after they were put into an S3 bucket, as the bucket's events announce them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_s3_azure.forms import events_form
from airflow_s3_azure.operators import S3ToAzureEventsOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.task_retries import retry_arguments

DOC = """
### S3 → Azure, as events arrive

Copies the objects that the events of an S3 bucket announce, within a minute or two. Airflow's triggerer receives the events from
an SQS queue; they start a run that copies their keys.

**Events are hints.** They come at least once and in any order, and some may be lost. So keep `s3_to_azure_nightly` on for the
same bucket: it compares everything, and copies what no event announced.

#### Before you switch it on

1. Let the bucket send its `s3:ObjectCreated:*` events to an SQS queue: directly, through an SNS topic, or through EventBridge.
2. Install `airflow-s3-azure[events]`, and run a triggerer.
3. Set these in the environment of Airflow's DAG processor, scheduler, triggerer and workers:

| variable | field | |
|---|---|---|
| `S3_TO_AZURE_EVENTS_QUEUE` | | needed: the URL of the queue; without it the DAG has no schedule |
| `S3_TO_AZURE_BUCKET` | S3 bucket | needed |
| `S3_TO_AZURE_CONTAINER` | Azure container | needed |
| `S3_TO_AZURE_PREFIX` | S3 prefix | such as `exports/`; other keys are left out |
| `S3_TO_AZURE_BLOB_PREFIX` | Blob prefix | such as `from-s3/` |
| `S3_TO_AZURE_DRY_RUN` | Dry run | `false`; until then every run only reports what it would copy |

The connections are `aws_default`, which may receive and delete the messages of the queue, and `wasb_default`.

#### What happens to a message

It is deleted from the queue when the triggerer has received it, and kept as the asset event that started the run. **If the run
fails, clear it**: it reads the same events again. A message that is not an event of S3 is logged by `read_events` with its ID.
Deletions copy and delete nothing.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `read_events` | returns the keys of the events; its XCom `events` has their numbers | its log names the argument that is wrong |
| `plan` | compares these keys with the container, and lists what to copy in batches | its log names the cause: a name, a permission, a limit |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | clear it to retry; only what is not copied yet is copied |
| `report` | adds up the ledger; its XCom has the totals | it names the failed keys and their errors |
"""

QUEUE = os.environ.get("S3_TO_AZURE_EVENTS_QUEUE")
FORM = events_form()


def _queue_asset(queue: str) -> Asset:
    """Return an asset that is updated whenever messages were received from the queue."""
    # Imported only where there is a queue: it imports boto3.
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    trigger = SqsSensorTrigger(
        sqs_queue=queue,
        aws_conn_id="aws_default",
        # Up to a hundred messages start a run together.
        max_messages=10,
        num_batches=10,
        # Seconds between two looks at an empty queue.
        waiter_delay=30,
    )
    # Not the name of the DAG: that is the asset which its runs update.
    return Asset("s3_to_azure_events_queue", watchers=[AssetWatcher(name="s3_to_azure_events_sqs", trigger=trigger)])


with DAG(
    dag_id="s3_to_azure_events",
    description="Copy objects to an Azure container as the events of an S3 bucket announce them",
    schedule=[_queue_asset(QUEUE)] if QUEUE else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # What arrives while two runs are active starts the next one, together.
    max_active_runs=2,
    tags=["s3", "azure", "sync"],
    doc_md=DOC,
    params=FORM.params,
):
    read_events = S3ToAzureEventsOperator(
        task_id="read_events",
        s3_bucket=FORM.arguments["s3_bucket"],
        **retry_arguments(retries=3, retry_delay=timedelta(minutes=1)),
    )
    s3_to_azure_sync(
        **FORM.arguments,
        keys=read_events.output,
        # A copy of several days becomes executions of an hour, each of which may be killed or run on another worker.
        slice=timedelta(hours=1),
    )
