"""Peak memory and disk writes of a copy, which do not depend on the object's size: a bound, not an average.

`python -m benchmarks.memory` copies one object through the engine, as the operators do, and ends with 1 if the peak
over the imports is more than max_concurrency x block_size + 40 MiB, or if a byte was written to disk. The object and
the blob are two stand-ins in processes of their own, so that their memory does not count: a source that makes up its
bytes as they are asked for, and a sink that checks each block's CRC and drops it. Linux only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import boto3
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from botocore.config import Config

from airflow_s3_azure.stream.blocks import MIB
from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.http import pooled_session
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, CopyResult
from airflow_s3_azure.stream.pool import copy_objects
from airflow_s3_azure.stream.sink import BlobContainer, ContainerAddress
from airflow_s3_azure.stream.source import S3Source
from benchmarks.measure import measure
from benchmarks.source import REGION, bucket_name, key_name
from benchmarks.stand_ins import KEY, StandIns, stand_ins

GIB = 1024 * MIB
OVERHEAD = 40 * MIB
"""Bytes of memory beside the blocks."""
CONTAINER = "container"


def copy(servers: StandIns, size: int, *, max_concurrency: int, block_size: int) -> CopyResult:
    """Copy the one object through the engine: URLs signed by boto3, requests signed with a shared key."""
    bucket = bucket_name(1, size)
    interruption = Interruption()
    signer = boto3.session.Session().client(
        "s3",
        endpoint_url=servers.source,
        region_name=REGION,
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4"),
    )

    def presign(operation: str, params: Mapping[str, str | int]) -> str:
        return str(signer.generate_presigned_url(operation, {"Bucket": bucket, **params}))

    container = ContainerClient(servers.sink, CONTAINER, credential=KEY)
    transport = RequestsTransport(session=pooled_session(max_concurrency, interruption))
    pipeline: Pipeline[Any, Any] = Pipeline(transport, [container.credential])
    (result,) = copy_objects(
        [CopyRequest(key_name(0), "blob")],
        S3Source(bucket, presign, pooled_session(max_concurrency, interruption), interruption),
        BlobContainer(ContainerAddress(container.url), pipeline, interruption),
        CopyOptions(block_size=block_size, verify="require"),
        interruption,
        max_concurrency=max_concurrency,
    )
    if result.error is not None:
        raise result.error
    return result


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Memory and disk of a copy.")
    parser.add_argument("--size-gib", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--block-mib", type=int, default=8)
    given = parser.parse_args()
    size, blocks = int(given.size_gib * GIB), given.concurrency * given.block_mib * MIB
    with stand_ins(check=True) as servers:
        servers.create_container(CONTAINER)
        cost = measure(lambda: copy(servers, size, max_concurrency=given.concurrency, block_size=given.block_mib * MIB))
    holds = cost.memory <= blocks + OVERHEAD and cost.written == 0
    report = (
        f"copied {size / GIB:g} GiB, {given.concurrency} blocks of {given.block_mib} MiB at a time: "
        f"{size / MIB / cost.seconds:,.0f} MiB/s, {cost.cpu / size * GIB:.2f} CPU-seconds per GiB\n"
        f"peak memory over the imports: {cost.memory / MIB:.1f} MiB; allowed: {(blocks + OVERHEAD) / MIB:.1f} MiB\n"
        f"written to disk: {cost.written:,} bytes; allowed: 0\n"
        f"{'both bounds hold' if holds else 'A BOUND IS BROKEN'}\n"
    )
    sys.stdout.write(report)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
