"""A minimal example: a list of keys, one mapped ``S3ToAzureBlobStreamOperator`` per key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.forms import keys_form
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator, airflow_failures, check_run_conf
from airflow_s3_azure.task_retries import retry_arguments

DOC = """
### S3 → Azure, key by key

Copies the keys typed into the form, or else all keys under the prefix, with one mapped task each. It is a minimal
example: replace `list_keys` by any task that returns keys.

| task | what it does | if it is red |
|---|---|---|
| `list_keys` | returns the keys: those of the form, or those under the prefix | there are more than 1,000, or the bucket cannot be listed |
| `copy` | copies one key; its label is the key, and its XCom has the result | its log has the error; a retry copies only the blocks that are not staged yet |

Airflow maps over at most 1,024 keys, and each task has an overhead of about half a second. For more keys use
`s3_to_azure_nightly` or `s3_to_azure_history`, which map over batches.

The connections are `aws_default` and `wasb_default`. The defaults of the form are `S3_TO_AZURE_BUCKET` and
`S3_TO_AZURE_CONTAINER` in the environment of Airflow's DAG processor.
"""
MAX_KEYS = 1000

FORM = keys_form()

with DAG(
    dag_id="s3_to_azure_keys",
    description="Copy a list of keys from an S3 bucket to an Azure container, one task per key",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=4,
    default_args=retry_arguments(retries=3, retry_delay=timedelta(minutes=1)),
    tags=["s3", "azure", "example"],
    doc_md=DOC,
    params=FORM.params,
):

    @task
    def list_keys(params: dict[str, Any]) -> list[str]:
        """Return the keys of the form, or those under its prefix (without folder placeholders)."""
        with airflow_failures():
            check_run_conf(get_current_context())
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
            raise AirflowFailException(
                f"more than {MAX_KEYS:,} keys under {params['s3_prefix']!r}: use s3_to_azure_nightly"
            )
        return keys

    # expand(), not expand_kwargs(): that would render templates in the keys.
    S3ToAzureBlobStreamOperator.partial(
        task_id="copy",
        **FORM.arguments,
    ).expand(s3_key=list_keys())  # type: ignore[call-arg, misc]  # Airflow passes params
