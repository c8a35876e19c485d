"""A form for one-off copies of historical files: which keys, from when to when, where to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, history at once

Copies a range of days, or everything, from an S3 bucket to an Azure container: one run and **one listing**, however
long the range. What is in the container already is not copied again, so a run that was stopped is simply triggered
again.

#### How to

1. **Trigger** it, with **Dry run** switched on. The log of `plan` says how many objects and bytes would be copied, with
   how many requests, and, with a *Price per GiB*, for how much. Nothing is copied.
2. Trigger it again, without it. *At most so many bytes* and *objects* stop a run that is larger than you expect.

The fields begin with what the environment of Airflow's DAG processor says: `S3_TO_AZURE_BUCKET`,
`S3_TO_AZURE_PREFIX`, `S3_TO_AZURE_DAY_FOLDER`, `S3_TO_AZURE_CONTAINER`, `S3_TO_AZURE_BLOB_PREFIX`. The connections are
`aws_default` and `wasb_default`.

#### What *From* and *To* mean

Both days are taken too, in UTC. Without the one or the other the range has no such end; without both, all keys are
taken.

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

with DAG(
    dag_id="s3_to_azure_history",
    description="Copy historical files from an S3 bucket to an Azure container, once",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
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
        "from_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="From",
            description_md="The first day, in UTC. Empty: from the beginning.",
        ),
        "to_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="To",
            description_md="The last day, itself included. Empty: to the end.",
        ),
        "day_folder": Param(
            os.environ.get("S3_TO_AZURE_DAY_FOLDER"),
            type=["null", "string"],
            title="Day folder",
            description_md="How a day follows the prefix, such as `%Y/%m/%d/` or `dt=%Y-%m-%d/`: *From* and *To* mean the "
            "day in the key. Empty: they mean when it was last modified.",
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
        "include": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Include",
            description_md="Globs over the whole key, one on each line, such as `**/*.parquet`; one must match. Empty: all "
            "do.",
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
        day_folder="{{ (params.day_folder or '') if params.from_date or params.to_date else '' }}",
        first_day="{{ (params.from_date or '') if params.day_folder else '' }}",
        last_day="{{ (params.to_date or '') if params.day_folder else '' }}",
        include="{{ (params.include or []) | join('\n') }}",
        exclude="{{ (params.exclude or []) | join('\n') }}",
        modified_since="{% if params.from_date and not params.day_folder %}{{ params.from_date }}T00:00Z{% endif %}",
        modified_before="{% if params.to_date and not params.day_folder %}"
        "{{ macros.ds_add(params.to_date, 1) }}T00:00Z{% endif %}",
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
