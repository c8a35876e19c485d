"""The smallest example: a list of keys, one mapped ``S3ToAzureBlobStreamOperator`` per key."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator

DOC = """
### S3 → Azure, key by key

Copies the keys typed into the form, or else all keys under the prefix, with one mapped task each. Airflow maps over
at most 1,024 keys and each task costs it about half a second: for more keys use `s3_to_azure_nightly`, which maps
over batches.
"""
MAX_KEYS = 1000

with DAG(
    dag_id="s3_to_azure_keys",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["s3", "azure", "example"],
    doc_md=DOC,
    params={
        "s3_bucket": Param(
            os.environ.get("S3_TO_AZURE_BUCKET", "my-bucket"), type="string", title="S3 bucket", minLength=3
        ),
        "s3_keys": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Keys",
            description_md="One key a line. Empty: all keys under the prefix.",
        ),
        "s3_prefix": Param(
            None,
            type=["null", "string"],
            title="S3 prefix",
            description_md="Used if no keys are given. Empty: all keys.",
        ),
        "container_name": Param(
            os.environ.get("S3_TO_AZURE_CONTAINER", "my-container"), type="string", title="Azure container", minLength=3
        ),
    },
):

    @task
    def list_keys(params: dict[str, Any]) -> list[str]:
        """Return the keys of the form, or those under its prefix (without keys that only stand for a folder)."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        if params["s3_keys"]:
            return list(params["s3_keys"])
        found = S3Hook("aws_default").iter_file_metadata(
            prefix=params["s3_prefix"] or "", bucket_name=params["s3_bucket"]
        )
        keys = list(
            islice((item["Key"] for item in found if item["Size"] or not item["Key"].endswith("/")), MAX_KEYS + 1)
        )
        if len(keys) > MAX_KEYS:
            raise ValueError(f"more than {MAX_KEYS:,} keys under {params['s3_prefix']!r}: use s3_to_azure_nightly")
        return keys

    S3ToAzureBlobStreamOperator.partial(
        task_id="copy",
        s3_bucket="{{ params.s3_bucket }}",
        container_name="{{ params.container_name }}",
        create_container=True,
        retries=3,
        map_index_template="{{ (task.s3_key | default(task.task_id))[-250:] }}",
    ).expand(s3_key=list_keys())  # type: ignore[call-arg, misc]  # Airflow passes params
