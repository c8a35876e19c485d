"""The two vendors' SDKs with threads: boto3's ``get_object`` of one range, ``stage_block``, ``commit_block_list``."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

from benchmarks.clients import Copy
from benchmarks.job import Job
from benchmarks.source import REGION
from benchmarks.stand_ins import KEY


def prepare(job: Job) -> Copy:
    """Make the two clients."""
    import boto3
    from azure.storage.blob import BlobBlock, BlobClient, BlobServiceClient
    from botocore.config import Config

    s3 = boto3.client(
        "s3",
        endpoint_url=job.source,
        region_name=REGION,
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(max_pool_connections=job.connections),
    )
    service = BlobServiceClient(job.sink, credential=KEY)

    def copy_small(one: Job, key: str) -> None:
        body = s3.get_object(Bucket=one.bucket, Key=key)["Body"].read()
        service.get_blob_client(one.container, key).upload_blob(body, overwrite=True)

    def copy_block(one: Job, key: str, blob: BlobClient, start: int) -> BlobBlock:
        stop = min(start + one.block_size, one.size)
        body = s3.get_object(Bucket=one.bucket, Key=key, Range=f"bytes={start}-{stop - 1}")["Body"].read()
        name = base64.b64encode(b"%012d" % start).decode()
        blob.stage_block(name, body, length=len(body))
        return BlobBlock(name)

    def copy(one: Job) -> None:
        keys = one.keys
        if one.objects > 1:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=one.bucket)
            keys = [found["Key"] for page in pages for found in page["Contents"]]
        with ThreadPoolExecutor(one.connections) as pool:
            if one.size <= one.block_size:
                list(pool.map(lambda key: copy_small(one, key), keys))
                return
            for key in keys:
                blob = service.get_blob_client(one.container, key)
                starts = range(0, one.size, one.block_size)
                blob.commit_block_list(list(pool.map(lambda start: copy_block(one, key, blob, start), starts)))  # noqa: B023 - used before the next key

    return copy
