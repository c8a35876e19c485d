"""A form for single keys: those typed into it, those of a list in a file, or all under a prefix."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_s3_azure.forms import keys_form
from airflow_s3_azure.sync_group import s3_to_azure_sync

DOC = """
### S3 → Azure, key by key

Copies the keys typed into the form, one on each line. One line with a URL, such as `s3://acme-lists/keys.csv`, is that of a list: CSV, JSON
lines (`.jsonl`), also compressed, or the `manifest.json` of an S3 Inventory. Without keys, everything under the prefix is copied.

#### Tasks

| task | what it does | if it is red |
|---|---|---|
| `plan` | looks up the keys, compares them with the container, and lists what to copy in batches | its log names the cause: a line of the list, a name, a permission, a limit |
| `copy` | mapped over the batches; pink (skipped) if there is nothing to copy | clear it to retry; only what is not copied yet is copied |
| `report` | adds up the ledger; its XCom has the totals | it names the failed keys and their errors |

A key that does not exist is `skipped`. The result of each key is in the ledger, JSON lines under `_s3_to_azure/` in the container; `report`
logs its URL. In your own DAG the list may be the output of a task: `keys=find_keys()`.

The connections are `aws_default` and `wasb_default`. The defaults of the form are `S3_TO_AZURE_BUCKET` and
`S3_TO_AZURE_CONTAINER` in the environment of Airflow's DAG processor.
"""

FORM = keys_form()

with DAG(
    dag_id="s3_to_azure_keys",
    description="Copy a list of keys from an S3 bucket to an Azure container",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=4,
    tags=["s3", "azure", "example"],
    doc_md=DOC,
    params=FORM.params,
):
    s3_to_azure_sync(**FORM.arguments)
