"""A form for one-off copies of historical files: which keys, from when to when, where to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_s3_azure.forms import history_form
from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, history at once

Copies a range of days, or everything, from an S3 bucket to an Azure container: one run and **one listing**, however
long the range. What is in the container already is not copied again, so a run that was stopped is simply triggered
again.

#### How to

1. **Trigger** it with **Dry run** ticked. The log of `report` and its XCom say how many objects and bytes would be
   copied, with how many requests, and, with a *Price per GiB*, for how much. Nothing is copied.
2. Trigger it again without. *Max objects* and *Max bytes* stop a run that is larger than you expect.

The fields begin with what the environment of Airflow's DAG processor says: `S3_TO_AZURE_BUCKET`,
`S3_TO_AZURE_PREFIX`, `S3_TO_AZURE_DAY_FOLDER`, `S3_TO_AZURE_CONTAINER`, `S3_TO_AZURE_BLOB_PREFIX`. The connections are
`aws_default` and `wasb_default`.

#### What *First day* and *Last day* mean

Both days are included, in UTC. Without one of them the range has no such end; without both, all keys are selected.

| Day folder | a key is in the range by | what is listed |
|---|---|---|
| empty | when it was **last modified** | everything under the prefix |
| such as `%Y/%m/%d/` | the **day in it**, after the prefix | what all folders of the range have in common: of two days in November, `exports/2026/11/` |

Objects that were copied within S3 are as new as their copy: a day folder is the safer choice where there is one.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `plan` | lists both sides and writes down what to copy, in batches | its log says what to change: a name, a permission, a limit |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | a retry copies only what is not done; clear it to try again |
| `report` | adds up the ledger; its XCom has the totals | it names the keys that failed, and why |

What became of each key is in the ledger, JSON lines below `_s3_to_azure/` in the container; `report` logs where. For
tens of millions of keys, write a DAG with a list of prefixes: they are planned side by side.
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
        # A copy that takes days is many tasks of an hour, each of which may be killed or moved to another worker.
        slice=timedelta(hours=1),
    )
