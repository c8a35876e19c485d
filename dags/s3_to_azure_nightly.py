"""Every night, make an Azure container hold what is in an S3 bucket.

The defaults of the form are what scheduled and backfill runs use: set them with the environment variables below, or
copy this file and write your own.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, every night

Lists the bucket and the container, copies every object that is missing or changed, and proves each one by its
checksum before it becomes visible. A second run over an unchanged bucket copies nothing.

| task | what it does |
|---|---|
| `plan` | lists both sides; what is already there ends in the ledger as `unchanged` |
| `copy` | one mapped task per batch; a retry copies only what is not done |
| `report` | adds up the ledger; red if any key failed |

**The day of a run.** Scheduled and backfill runs have a full day as their data interval: the run of midnight has the
day that just ended. A manual run has the last full day before its logical date (without one: the day it was
triggered). With a *day folder* such as `%Y/%m/%d/`, a run looks only at its own day below the prefix; without one it
compares everything.

**Switching it on** starts the run of last night at once, with the defaults of the form: set them first.

**Backfill:** Trigger → Backfill → From, To → Run. Edited fields only count if *Override parameters on existing
runs* is ticked, so set the defaults right instead: `S3_TO_AZURE_BUCKET`, `S3_TO_AZURE_PREFIX`,
`S3_TO_AZURE_DAY_FOLDER`, `S3_TO_AZURE_CONTAINER`, `S3_TO_AZURE_BLOB_PREFIX` in the environment of Airflow.
"""

with DAG(
    dag_id="s3_to_azure_nightly",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    tags=["s3", "azure"],
    doc_md=DOC,
    params={
        "s3_bucket": Param(
            os.environ.get("S3_TO_AZURE_BUCKET", "my-bucket"), type="string", title="S3 bucket", minLength=3
        ),
        "s3_prefix": Param(
            os.environ.get("S3_TO_AZURE_PREFIX"),
            type=["null", "string"],
            title="S3 prefix",
            description_md="Only keys that begin with this, such as `exports/`. Empty: all.",
        ),
        "day_folder": Param(
            os.environ.get("S3_TO_AZURE_DAY_FOLDER"),
            type=["null", "string"],
            title="Day folder",
            description_md="How the run's day follows the prefix, such as `%Y/%m/%d/` or `dt=%Y-%m-%d/`. Empty: every day.",
        ),
        "container_name": Param(
            os.environ.get("S3_TO_AZURE_CONTAINER", "my-container"), type="string", title="Azure container", minLength=3
        ),
        "blob_prefix": Param(
            os.environ.get("S3_TO_AZURE_BLOB_PREFIX"),
            type=["null", "string"],
            title="Blob prefix",
            description_md="Put before each key to make the blob's name.",
        ),
    },
):
    s3_to_azure_sync(
        s3_bucket="{{ params.s3_bucket }}",
        s3_prefix="{{ params.s3_prefix or '' }}"
        "{{ (dag_run.data_interval_start or dag_run.run_after).strftime(params.day_folder or '') }}",
        container_name="{{ params.container_name }}",
        blob_prefix="{{ params.blob_prefix or '' }}",
        create_container=True,
        # A copy that takes days is many tasks of an hour, each of which may be killed or moved to another worker.
        slice=timedelta(hours=1),
    )
