"""``s3_to_azure_sync``: plan → copy → report, as a task group for any DAG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow.sdk import TaskGroup, TriggerRule

from airflow_s3_azure.operators import S3ToAzureCopyBatchOperator, S3ToAzurePlanOperator, S3ToAzureReportOperator
from airflow_s3_azure.operators.connected import DEFAULT_CONCURRENCY
from airflow_s3_azure.stream.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.sync.batch import DEFAULT_BATCH_OBJECTS, DEFAULT_BATCH_SIZE


def s3_to_azure_sync(
    group_id: str = "s3_to_azure",
    *,
    s3_bucket: str,
    container_name: str,
    s3_prefix: str = "",
    blob_prefix: str = "",
    strip_prefix: str = "",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    modified_since: datetime | str | None = None,
    modified_before: datetime | str | None = None,
    aws_conn_id: str | None = "aws_default",
    wasb_conn_id: str = "wasb_default",
    overwrite: bool = True,
    verify: Literal["auto", "require"] = "auto",
    create_container: bool = False,
    requester_pays: bool = False,
    copy_tags: bool = False,
    access_tier: Literal["Hot", "Cool", "Cold", "Archive"] | None = None,
    discard_foreign_blocks: bool = False,
    slice: timedelta | None = None,  # noqa: A002 - the word for it
    block_size: int = DEFAULT_BLOCK_SIZE,
    max_concurrency: int = DEFAULT_CONCURRENCY,
    batch_objects: int = DEFAULT_BATCH_OBJECTS,
    batch_size: int = DEFAULT_BATCH_SIZE,
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=1),
    pool: str | None = None,
    max_active_tis_per_dagrun: int | None = None,
) -> TaskGroup:
    """Add a task group that makes a container hold what is under an S3 prefix, and return it.

    ``plan`` lists both sides and cuts what differs into batches; ``copy`` is mapped over the batches, on as many
    workers as Airflow has; ``report`` adds up the ledger and fails the run if any key failed. A second run over an
    unchanged source costs two listings. Every selected key is in the ledger exactly once, under
    ``_s3_to_azure/<dag_id>/<run_id>/`` in the container.

    :param group_id: name of the group; give another to each sync in a DAG
    :param s3_bucket: bucket to copy from (templated)
    :param container_name: container to copy to (templated)
    :param s3_prefix: keys to copy begin with it, such as ``exports/{{ ds }}/``; empty: all (templated)
    :param blob_prefix: text to put before each key to make the blob's name (templated)
    :param strip_prefix: text to cut off the front of each key before that (templated)
    :param include: globs over the whole key (``**`` crosses ``/``), one of which must match; empty: all do (templated)
    :param exclude: globs over the whole key, none of which may match (templated)
    :param modified_since: only objects last modified at this time or later, such as ``{{ data_interval_start }}``
        (templated)
    :param modified_before: only objects last modified before this time (templated)
    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage (templated)
    :param overwrite: replace blobs that differ; False: leave every existing blob alone
    :param verify: ``"auto"`` or ``"require"``, see :class:`~airflow_s3_azure.operators.S3ToAzureBlobStreamOperator`
    :param create_container: create the container if it is missing
    :param requester_pays: agree to pay for a requester-pays bucket
    :param copy_tags: copy each object's tags as blob index tags; one more request per object
    :param access_tier: of the new blobs; None: the account's default
    :param discard_foreign_blocks: drop blocks that another tool left staged where they keep ours out and no blob exists
    :param slice: a copy task stops cleanly after this time and goes on in a later execution of the same try
    :param block_size: bytes in a block
    :param max_concurrency: threads of each copy task, each with a buffer of ``block_size``
    :param batch_objects: objects to aim at in one copy task
    :param batch_size: bytes to aim at in one copy task
    :param retries: of each task
    :param retry_delay: before the first retry; doubled for each further one
    :param pool: Airflow pool of the copy tasks
    :param max_active_tis_per_dagrun: copy tasks of one run at a time
    """
    sides: dict[str, Any] = {
        "s3_bucket": s3_bucket,
        "container_name": container_name,
        "aws_conn_id": aws_conn_id,
        "wasb_conn_id": wasb_conn_id,
        "requester_pays": requester_pays,
        "retries": retries,
        "retry_delay": retry_delay,
        "retry_exponential_backoff": 2.0,
    }
    with TaskGroup(group_id) as group:
        plan = S3ToAzurePlanOperator(
            task_id="plan",
            s3_prefix=s3_prefix,
            blob_prefix=blob_prefix,
            strip_prefix=strip_prefix,
            include=include,
            exclude=exclude,
            modified_since=modified_since,
            modified_before=modified_before,
            overwrite=overwrite,
            create_container=create_container,
            batch_objects=batch_objects,
            batch_size=batch_size,
            **sides,
        )
        # expand(), not expand_kwargs(): that would render templates in the labels, which are made of keys.
        copy = S3ToAzureCopyBatchOperator.partial(
            task_id="copy",
            block_size=block_size,
            max_concurrency=max_concurrency,
            overwrite=overwrite,
            verify=verify,
            copy_tags=copy_tags,
            access_tier=access_tier,
            discard_foreign_blocks=discard_foreign_blocks,
            slice=slice,
            map_index_template="{{ task.batch['label'] | default(task.task_id) }}",
            max_active_tis_per_dagrun=max_active_tis_per_dagrun,
            **({"pool": pool} if pool else {}),
            **sides,
        ).expand(batch=plan.output)
        report = S3ToAzureReportOperator(
            task_id="report",
            plan_task_id=plan.task_id,
            trigger_rule=TriggerRule.ALL_DONE,  # it must tell of failed batches, and it decides the run's colour
            **sides,
        )
        plan >> copy >> report
    return group
