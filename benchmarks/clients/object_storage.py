"""Airflow's ``ObjectStoragePath.copy``, from s3fs to adlfs, one path after the other, as ``FileTransferOperator`` does."""

from __future__ import annotations

from benchmarks.clients import Copy
from benchmarks.job import Job


def prepare(job: Job) -> Copy:
    """Attach both file systems."""
    del job
    from airflow.sdk import ObjectStoragePath

    def copy(one: Job) -> None:
        source = ObjectStoragePath(f"s3://aws_default@{one.bucket}/")
        sink = ObjectStoragePath(f"abfs://adlfs_default@{one.container}/")
        paths = [source / one.keys[0]] if one.objects == 1 else sorted((source / "data").iterdir(), key=str)
        for path in paths:
            path.copy(sink / "data" / path.name)

    return copy
