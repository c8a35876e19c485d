"""Every night, copy what is new or changed in an S3 bucket to an Azure container.

The defaults of the form are what scheduled and backfill runs use: set them with the environment variables below, or
copy this file and write your own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_s3_azure.forms import nightly_form
from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, every night

Copies every object that is missing in the container or changed since, and verifies its checksum before the blob becomes
visible. A second run over an unchanged bucket copies nothing.

#### Before you switch it on

Until `S3_TO_AZURE_DRY_RUN` is `false`, every run is a **dry run**: it reports what it would copy, and copies nothing.
That is because triggering the DAG also switches it on (unless you untick *Unpause on trigger*), and switching it on
starts the scheduled run of last night at once, with **the defaults of the form**. Backfills use these defaults too. Set
them in the environment of Airflow's DAG processor and workers:

| variable | field | |
|---|---|---|
| `S3_TO_AZURE_BUCKET` | S3 bucket | needed |
| `S3_TO_AZURE_CONTAINER` | Azure container | needed |
| `S3_TO_AZURE_PREFIX` | S3 prefix | such as `exports/` |
| `S3_TO_AZURE_BLOB_PREFIX` | Blob prefix | such as `from-s3/` |
| `S3_TO_AZURE_DAY_FOLDER` | Day folder | such as `%Y/%m/%d/` |
| `S3_TO_AZURE_ONLY_MODIFIED` | Only what the day modified | `true` |
| `S3_TO_AZURE_DRY_RUN` | Dry run | `false`, once a dry run reported what you expect |

The connections are `aws_default` and `wasb_default`. Trigger it once as the form opens: the log of `report` and its
XCom show how many objects and bytes would be copied, with how many requests, and, with a *Price per GiB*, at what price.

#### Which keys a run takes

| set | a run takes | good for |
|---|---|---|
| nothing | all keys: a full compare | buckets whose objects change in place |
| Day folder | the keys in the folder of its own day | exports by day; backfills; millions of older keys, which are then not listed |
| Only what the day modified | the keys last modified on its own day, or in the hours before it | backfills where keys have no date |

The **day of a run** is its data interval, midnight to midnight UTC. The run at midnight has the day that ends
then. A manual run has the last full day before its logical date; without a logical date, the day on which it was
triggered. Runs may be executed in any order and in parallel: what one has copied is `unchanged` for the others.

**Late arrivals**, keys that appear in a day's folder after its run, are not in the next day's run. A full compare copies
them: trigger it with *Day folder* emptied and *Only what the day modified* switched off, or backfill the day again.

#### Backfill

Trigger → Backfill → From, To → Run: one run for each day from the first to the last, in each the keys of its day, up to
four at a time (*Max Active Runs*). Days that already have a run are skipped unless you choose *All Runs*. **Edited
fields count only if *Override parameters on existing runs* is ticked**, for new runs too; so set the defaults above
instead. With neither a day folder nor *Only what the day modified*, each run compares everything: one run is enough
then. To copy a long range at once, with one listing, use `s3_to_azure_history`.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `plan` | compares bucket and container, and lists what to copy in batches | its log names the cause: a name, a permission, a limit |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | clear it to retry; only what is not copied yet is copied |
| `report` | adds up the ledger; its XCom has the totals | it names the failed keys and their errors |

The result of each key is in the ledger, JSON lines under `_s3_to_azure/` in the container; `report` logs its URL.
"""

FORM = nightly_form()

with DAG(
    dag_id="s3_to_azure_nightly",
    description="Every night, copy what is new or changed in an S3 bucket to an Azure container",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Overlapping runs are safe. It is also the maximum in the form of a backfill.
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
