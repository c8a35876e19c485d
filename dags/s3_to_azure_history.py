"""A form for one-off copies of historical files: which keys, which days, which container."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_s3_azure.forms import history_form
from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, history at once

Copies a range of days, or everything, from an S3 bucket to an Azure container: one run and **one listing** for
the whole range. What is already in the container is not copied again: trigger a stopped run again to resume it.

#### How to

1. **Trigger** it with **Dry run** ticked. The log of `report` and its XCom show how many objects and bytes would be
   copied, with how many requests, and, with a *Price per GiB*, at what price. Nothing is copied.
2. Trigger it again without. *Max objects* and *Max bytes* stop a run that is larger than you expect.

The defaults of the fields come from the environment of Airflow's DAG processor: `S3_TO_AZURE_BUCKET`,
`S3_TO_AZURE_PREFIX`, `S3_TO_AZURE_DAY_FOLDER`, `S3_TO_AZURE_CONTAINER`, `S3_TO_AZURE_BLOB_PREFIX`. The connections are
`aws_default` and `wasb_default`.

#### What *First day* and *Last day* mean

Both days are included, in UTC. Without one of them the range is open; without both, all keys are selected.

| Day folder | a key is in the range by | what is listed |
|---|---|---|
| empty | the time it was **last modified** | everything under the prefix |
| such as `%Y/%m/%d/` | the **day in the key**, after the prefix | the common prefix of the range: for two days in November, `exports/2026/11/` |

A copy within S3 sets a new modification time, so a day folder is the safer choice if there is one.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `plan` | compares bucket and container, and lists what to copy in batches | its log names the cause: a name, a permission, a limit |
| `approve_restore` | waits for an approval, if *Archived objects* is *restore* and there are any | its log names the cause |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | clear it to retry; only what is not copied yet is copied |
| `report` | adds up the ledger; its XCom has the totals | it names the failed keys and their errors |

The result of each key is in the ledger, JSON lines under `_s3_to_azure/` in the container; `report` logs its URL. For
tens of millions of keys, write a DAG with a list of prefixes, which are planned in parallel.
"""

FORM = history_form()

with DAG(
    dag_id="s3_to_azure_history",
    description="Copy historical files from an S3 bucket to an Azure container, once",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=4,
    tags=["s3", "azure", "sync"],
    doc_md=DOC,
    params=FORM.params,
):
    s3_to_azure_sync(
        **FORM.arguments,
        # A copy of several days becomes executions of an hour, each of which may be killed or run on another worker.
        slice=timedelta(hours=1),
    )
