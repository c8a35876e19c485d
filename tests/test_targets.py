"""Every request goes to its own bucket and container, for keys of any characters.

The request lines are recorded on the socket, because HTTP libraries resolve dot segments after a URL was made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.faults.recorded import Recorded
    from tests.servers import AzureServer

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

MIB = 1024 * 1024
KEYS = [
    "../finance/x",
    "./x",
    "a/../../finance/y",
    "a/..",
    "a/%2e%2e/%2E%2E/finance/z",
    "%2e%2e%2ffinance/z",
    "a//b",
    "//finance/x",
    "a\\..\\..\\finance\\x",
    "a/x?restype=container&comp=list",
    "a/x#y",
    "_s3_to_azure/dag/run/group/now/delete.jsonl",
    "/_S3_to_azure/x",
    "ä/😀+&= %",
]
LARGE = "../finance/large"


def _fill(bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(key, b"x")
    bucket.put(LARGE, b"x" * (2 * MIB + 1))


def _check_s3(to_s3: Recorded, bucket: Bucket, keys: set[str]) -> None:
    """Each request is a listing of the bucket, or names one of the keys exactly as S3 signs it."""
    root = f"/{bucket.name}"
    expected = {f"{root}/{quote(key, safe='/~')}" for key in keys}

    assert {target for target in to_s3.targets if target.rstrip("/") != root} == expected


def _check_azure(to_azure: Recorded, azure_server: AzureServer, container: str, names: set[str], records: str) -> None:
    """Each request is about the container, one of the names, or a record of this very run."""
    root = f"/{azure_server.account}/{container}"
    blobs = {target.removeprefix(f"{root}/") for target in to_azure.targets if target != root}

    assert all(target == root or target.startswith(f"{root}/") for target in to_azure.targets)
    assert not [blob for blob in blobs if re.search(r"(^|/)\.{1,2}(/|$)|\\", unquote(blob))]
    data = {unquote(blob) for blob in blobs if not blob.startswith("_s3_to_azure/")}
    assert data == names
    assert all(unquote(blob).startswith(records) for blob in blobs if blob.startswith("_s3_to_azure/"))


@pytest.mark.parametrize("rename", [False, True], ids=["as they are", "renamed"])
def test_a_sync_sends_no_request_out_of_its_bucket_and_container(
    bucket: Bucket,
    container: ContainerClient,
    azure_server: AzureServer,
    to_s3: Recorded,
    to_azure: Recorded,
    *,
    rename: bool,
) -> None:
    """Listings, blobs, manifest, ledger, deletions and summary: blob calls of ours and of the SDK, and signed reads."""
    _fill(bucket)
    naming = Naming(rename=rename)
    copied = {key: naming.name(key) for key in [*KEYS, LARGE] if rename or not _is_refused(key)}
    copied = {key: name for key, name in copied.items() if "_s3_to_azure" not in name.casefold()}
    with DAG(f"targets_{container.container_name}") as dag:
        options: dict[str, Any] = {"delete": "extra", "approve_delete": False, "max_delete": 100}
        s3_to_azure_sync(
            s3_bucket=bucket.name,
            container_name=container.container_name,
            block_size=MIB,
            rename=rename,
            retries=0,
            **options,
        )

    runs = [run_dag(dag)]
    bucket.client.delete_object(Bucket=bucket.name, Key="a//b")
    runs.append(run_dag(dag))

    assert [run.state for run in runs] == ["success", "success"]
    assert runs[1].xcom("s3_to_azure.report")["deleted"] == 1
    _check_s3(to_s3, bucket, set(copied))
    _check_azure(to_azure, azure_server, container.container_name, set(copied.values()), f"_s3_to_azure/{dag.dag_id}/")


def _is_refused(key: str) -> bool:
    """Return whether Azure cannot hold a blob of this name: the test's own rule."""
    return bool(re.search(r"(^|/)\.{1,2}(/|$)|\\", key))


def test_one_object_is_read_by_its_exact_key_and_written_under_its_exact_name(
    bucket: Bucket, container: ContainerClient, azure_server: AzureServer, to_s3: Recorded, to_azure: Recorded
) -> None:
    """A key with dot segments is read as it is, in one range and in many, once its blob has another name."""
    _fill(bucket)
    names = {"../finance/x": "one", LARGE: "%2e%2e/finance/large"}
    with DAG(f"target_{container.container_name}") as dag:
        for number, (key, name) in enumerate(names.items()):
            S3ToAzureBlobStreamOperator(
                task_id=f"copy_{number}",
                s3_bucket=bucket.name,
                s3_key=key,
                container_name=container.container_name,
                blob_name=name,
                block_size=MIB,
            )

    run = run_dag(dag)

    assert run.state == "success"
    _check_s3(to_s3, bucket, set(names))
    _check_azure(to_azure, azure_server, container.container_name, set(names.values()), "nothing/")
