"""Copies one key as a process of its own, through the Airflow connections `aws_default` and `wasb_default`.

`python -m tests.faults.copy_process BUCKET KEY CONTAINER BLOB` prints the result as a line of JSON, and ends with 0 if
the blob is there, with 1 if the copy failed. The connections come from AIRFLOW_CONN_… variables.
"""

from __future__ import annotations

import argparse
import json
import sys

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects


def main() -> int:
    """Copy the key of the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bucket", "key", "container", "blob"):
        parser.add_argument(name)
    parser.add_argument("--block-size", type=int, required=True, help="bytes")
    parser.add_argument("--max-concurrency", type=int, required=True)
    given = parser.parse_args()
    cancellation = Cancellation()
    bucket = open_bucket("aws_default", given.bucket, cancellation, max_concurrency=given.max_concurrency)
    container = open_container("wasb_default", given.container, cancellation)
    (result,) = copy_objects(
        [CopyRequest(given.key, given.blob)],
        bucket.source,
        container.blobs,
        CopyOptions(block_size=given.block_size, max_concurrency=given.max_concurrency),
        cancellation,
    )
    print(json.dumps(result.as_json()), flush=True)  # noqa: T201
    return 1 if result.error else 0


if __name__ == "__main__":
    sys.exit(main())
