"""The Microsoft provider's ``S3ToAzureBlobStorageOperator``, one instance, its hooks kept between its executions."""

from __future__ import annotations

from benchmarks.clients import Copy
from benchmarks.job import Job
from benchmarks.source import PREFIX


def prepare(job: Job) -> Copy:
    """Make the operator."""
    from airflow.providers.microsoft.azure.transfers.s3_to_wasb import S3ToAzureBlobStorageOperator

    folder = PREFIX.rstrip("/")
    operator = S3ToAzureBlobStorageOperator(
        task_id="copy", s3_bucket=job.bucket, container_name=job.container, replace=True
    )

    def copy(one: Job) -> None:
        operator.s3_bucket, operator.container_name = one.bucket, one.container
        if one.objects == 1:
            operator.s3_key = operator.blob_name = one.keys[0]
            operator.s3_prefix = operator.blob_prefix = None
        else:
            operator.s3_key = operator.blob_name = None
            operator.s3_prefix = operator.blob_prefix = folder
        operator.execute({})

    return copy
