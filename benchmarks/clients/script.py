"""The script that the project began as: a presigned URL, streamed by ``requests`` into ``upload_blob``."""

from __future__ import annotations

from benchmarks.clients import Copy
from benchmarks.job import Job
from benchmarks.source import REGION
from benchmarks.stand_ins import KEY


def prepare(job: Job) -> Copy:
    """Make the two clients."""
    import boto3
    import requests
    from azure.storage.blob import BlobServiceClient

    s3 = boto3.client(
        "s3",
        endpoint_url=job.source,
        region_name=REGION,
        aws_access_key_id="access",
        aws_secret_access_key="secret",
    )
    service = BlobServiceClient(job.sink, credential=KEY)

    def copy(one: Job) -> None:
        keys = one.keys
        if one.objects > 1:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=one.bucket)
            keys = [found["Key"] for page in pages for found in page["Contents"]]
        for key in keys:
            url = s3.generate_presigned_url("get_object", {"Bucket": one.bucket, "Key": key})
            with requests.get(url, stream=True, timeout=60) as response:
                response.raise_for_status()
                length = int(response.headers["Content-Length"])
                service.get_blob_client(one.container, key).upload_blob(response.raw, length=length, overwrite=True)

    return copy
