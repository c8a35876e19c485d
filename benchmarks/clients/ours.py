"""This project: the engine as its operators call it, through Airflow's connections and both real hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.clients import Copy
from benchmarks.job import Job

if TYPE_CHECKING:
    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.engine.cancellation import Cancellation


def open_both(job: Job, cancellation: Cancellation) -> dict[str, tuple[S3Bucket, AzureContainer]]:
    """Open source and destination of a job and of the one to warm up with, by container, as an operator does."""
    from airflow_s3_azure.connections import open_bucket, open_container

    return {
        one.container: (
            open_bucket("aws_default", one.bucket, cancellation, max_concurrency=job.connections),
            open_container("wasb_default", one.container, cancellation),
        )
        for one in (job, job.smallest())
    }


def prepare(job: Job) -> Copy:
    """Open source and destination."""
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.model import CopyRequest, Precondition
    from airflow_s3_azure.engine.options import CopyOptions
    from airflow_s3_azure.engine.pool import copy_objects
    from airflow_s3_azure.sync.listing import list_blobs, list_objects

    cancellation = Cancellation()
    opened = open_both(job, cancellation)

    def copy(one: Job) -> None:
        bucket, container = opened[one.container]
        if one.objects == 1:
            requests = [CopyRequest(key, key) for key in one.keys]
        else:
            # As the plan does it: both endpoints are listed, and what is missing is copied.
            blobs = dict(list_blobs(container.blobs))
            requests = [
                CopyRequest(found.key, found.key, found.size, found.etag, precondition=Precondition(None))
                for found in list_objects(bucket.source)
                if found.key not in blobs
            ]
        options = CopyOptions(block_size=one.block_size, max_concurrency=one.connections)
        results = copy_objects(requests, bucket.source, container.blobs, options, cancellation)
        for result in results:
            if result.error is not None:
                raise result.error
            if result.verified != "crc64nvme":
                raise RuntimeError(f"{result.key} was verified by {result.verified}")

    return copy
