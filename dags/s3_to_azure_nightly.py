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

Copies every object that is missing in the container or changed since, and proves each one by its checksum before it
becomes visible. A second run over an unchanged bucket copies nothing.

#### Before you switch it on

Switching it on starts the run of last night at once, with **the defaults of the form**, and so does every backfill.
Set them first, in the environment of Airflow's DAG processor and workers:

| variable | field | |
|---|---|---|
| `S3_TO_AZURE_BUCKET` | S3 bucket | needed |
| `S3_TO_AZURE_CONTAINER` | Azure container | needed; created if it is missing |
| `S3_TO_AZURE_PREFIX` | S3 prefix | such as `exports/` |
| `S3_TO_AZURE_BLOB_PREFIX` | Blob prefix | such as `from-s3/` |
| `S3_TO_AZURE_DAY_FOLDER` | Day folder | such as `%Y/%m/%d/` |
| `S3_TO_AZURE_ONLY_MODIFIED` | Only what the day modified | `true` |

The connections are `aws_default` and `wasb_default`. Trigger it once with **Dry run** switched on: the log of `report`
says what would be copied, and `plan`'s at what cost.

#### Which keys a run takes

| set | a run takes | good for |
|---|---|---|
| nothing | all keys: a full compare | buckets whose objects change in place |
| Day folder | the keys in the folder of its own day | exports by day; backfills; millions of older keys, which are then not even listed |
| Only what the day modified | the keys last modified on its own day, or in the hours before it | backfills where keys have no date |

The **day of a run** is its data interval, midnight to midnight UTC. The run of tonight's midnight has the day that ends
then. A manual run has the last full day before its logical date; without a logical date, the day on which it was
triggered. Runs may come in any order and several at once: what one has copied is `unchanged` for the others.

**Late arrivals**, keys that came to a day's folder after its run, are not in the next day's run. A full compare takes
them: trigger it with *Day folder* emptied and *Only what the day modified* switched off, or backfill the day again.

#### Backfill

Trigger → Backfill → From, To → Run: one run for each day from the first to the last, in each the keys of its day, up to
four at a time (*Max Active Runs*). Days that have a run already are left out unless you choose *All Runs*. **Edited
fields count only if *Override parameters on existing runs* is ticked**, for new runs too; so set the defaults above
instead. With neither a day folder nor *Only what the day modified*, each run compares everything: one run is enough
then. To copy a long range at once, with one listing, use `s3_to_azure_history`.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `plan` | lists both sides and writes down what to copy, in batches | its log says what to change: a name, a permission, a limit |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | a retry copies only what is not done; clear it to try again |
| `report` | adds up the ledger; its XCom has the totals | it names the keys that failed, and why |

What became of each key is in the ledger, JSON lines below `_s3_to_azure/` in the container; `report` logs where.
"""

# A run without a logical date has no data interval: its day is the one on which it was triggered.
DAY = (
    "{% set day = dag_run.data_interval_start"
    " or dag_run.run_after.replace(hour=0, minute=0, second=0, microsecond=0) %}"
)

with DAG(
    dag_id="s3_to_azure_nightly",
    description="Every night, copy what is new or changed in an S3 bucket to an Azure container",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Nights that overlap do no harm. It is also the most that the form of a backfill offers.
    max_active_runs=4,
    tags=["s3", "azure", "sync"],
    doc_md=DOC,
    params={
        "s3_bucket": Param(
            os.environ.get("S3_TO_AZURE_BUCKET", "my-bucket"),
            type="string",
            minLength=3,
            title="S3 bucket",
            description_md="Bucket to copy from.",
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
            description_md="How the run's day follows the prefix, such as `%Y/%m/%d/` or `dt=%Y-%m-%d/`: only its keys. "
            "Empty: any day's.",
        ),
        "only_modified": Param(
            os.environ.get("S3_TO_AZURE_ONLY_MODIFIED", "").lower() == "true",
            type="boolean",
            title="Only what the day modified",
            description_md="Only keys last modified on the run's day, or in the hours before it (*Look back*, below).",
        ),
        "container_name": Param(
            os.environ.get("S3_TO_AZURE_CONTAINER", "my-container"),
            type="string",
            minLength=3,
            title="Azure container",
            description_md="Container to copy to. It is created if it is missing.",
        ),
        "blob_prefix": Param(
            os.environ.get("S3_TO_AZURE_BLOB_PREFIX"),
            type=["null", "string"],
            title="Blob prefix",
            description_md="Put before each key to make the blob's name, such as `from-s3/`. Empty: the key is the name.",
        ),
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Dry run",
            description_md="Only tell what would be copied, and what it would cost.",
        ),
        "lookback_hours": Param(
            24,
            type="number",
            minimum=0,
            title="Look back (hours)",
            description_md="Together with *Only what the day modified*: take keys from so long before the day too. S3 "
            "dates an upload in parts by when it began, so that one over midnight would be in no day.",
            section="More",
        ),
        "include": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Include",
            description_md="Globs over the whole key, one on each line, such as `**/*.parquet`; one must match. Empty: "
            "all do.",
            section="More",
        ),
        "exclude": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Exclude",
            description_md="Globs over the whole key, one on each line, such as `**/_temporary/**`; none may match.",
            section="More",
        ),
        "compare": Param(
            "etag",
            type="string",
            enum=["etag", "size", "always"],
            values_display={
                "etag": "etag: the object's ETag and size, as recorded on the blob",
                "size": "size: the blob has the object's size",
                "always": "always: copy everything again",
            },
            title="Compare by",
            description_md="What makes a blob count as `unchanged`.",
            section="More",
        ),
        "overwrite": Param(
            default=True,
            type="boolean",
            title="Overwrite",
            description_md="Replace blobs that differ. Off: a blob that exists is left alone, and its key is `skipped`.",
            section="More",
        ),
        "mode": Param(
            "stream",
            type="string",
            enum=["stream", "server_side"],
            values_display={
                "stream": "stream: through the workers",
                "server_side": "server_side: Azure reads from S3 by itself",
            },
            title="Who moves the bytes",
            description_md="`server_side` needs an S3 that Azure can reach, and proves only what S3 stores a CRC64NVME of.",
            section="More",
        ),
        "egress_price_per_gib": Param(
            None,
            type=["null", "number"],
            minimum=0,
            title="Price per GiB",
            description_md="What a GiB out of S3 costs you, in any currency, for the price that `plan` tells.",
            section="More",
        ),
        "max_objects": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="At most so many objects",
            description_md="Copy nothing, and fail, if there are more to copy. Empty: any number.",
            section="More",
        ),
        "max_bytes": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="At most so many bytes",
            description_md="Copy nothing, and fail, if there are more to copy. Empty: any number.",
            section="More",
        ),
    },
):
    s3_to_azure_sync(
        s3_bucket="{{ params.s3_bucket }}",
        s3_prefix="{{ params.s3_prefix or '' }}",
        day_folder="{{ params.day_folder or '' }}",
        first_day=DAY + "{% if params.day_folder %}{{ day | ds }}{% endif %}",
        last_day=DAY + "{% if params.day_folder %}{{ day | ds }}{% endif %}",
        include="{{ (params.include or []) | join('\n') }}",
        exclude="{{ (params.exclude or []) | join('\n') }}",
        modified_since=DAY
        + "{% if params.only_modified %}{{ day - macros.timedelta(hours=params.lookback_hours) }}{% endif %}",
        modified_before=DAY
        + "{% if params.only_modified %}{{ dag_run.data_interval_end or day + macros.timedelta(days=1) }}{% endif %}",
        container_name="{{ params.container_name }}",
        blob_prefix="{{ params.blob_prefix or '' }}",
        create_container=True,
        compare="{{ params.compare }}",
        overwrite="{{ params.overwrite }}",
        mode="{{ params.mode }}",
        dry_run="{{ params.dry_run }}",
        egress_price_per_gib="{{ params.egress_price_per_gib }}",
        max_objects="{{ params.max_objects }}",
        max_bytes="{{ params.max_bytes }}",
        # A copy that takes days is many tasks of an hour, each of which may be killed or moved to another worker.
        slice=timedelta(hours=1),
    )
