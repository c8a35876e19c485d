"""The planning operator: which blobs a mirror takes for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.operators import S3ToAzurePlanOperator
from tests.airflow_runs import run_dag

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow]

OURS = SourceRecord("etag", 1).as_metadata()


def planner(**arguments: Any) -> S3ToAzurePlanOperator:
    """Return the operator of a mirror."""
    return S3ToAzurePlanOperator(
        **{
            "task_id": "plan",
            "s3_bucket": "bucket",
            "container_name": "container",
            "delete": "extra",
            "max_delete": 100,
            "batch_objects": 1000,
            "batch_size": 1000,
            **arguments,
        }
    )


@pytest.mark.parametrize("template", ["landing/{name}", "{last_modified:%Y}/{key}", "x"])
def test_a_mirror_refuses_a_template_that_mixes_prefixes(template: str) -> None:
    """Blobs of keys under other prefixes have names like its own, and would be deleted."""
    with pytest.raises(AirflowFailException, match=r"blobs of keys outside .*'a/' could be deleted"):
        planner(s3_prefix="a/", blob_template=template).execute({})


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("s3_prefix", "naming", "extra"),
    [
        ("a/b", {}, ["a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone"]),
        ("a/b/", {}, ["a/b/gone"]),
        ("a/b", {"rename": True}, ["a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone"]),
        ("a/b/", {"rename": True}, ["a/b/gone", "a/b%2F"]),
        ("a/b/", {"blob_template": "{folder}{name}"}, ["a/b/gone"]),
    ],
)
def test_a_mirror_looks_no_further_than_its_prefix(
    bucket: Bucket, container: ContainerClient, s3_prefix: str, naming: dict[str, Any], extra: list[str]
) -> None:
    """However the names are made: the neighbours were copied by this package too, by other syncs."""
    bucket.put("a/b/x", b"x")
    for name in ("a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone", "a/c/gone", "gone"):
        container.upload_blob(name, b"x", metadata=OURS)
    with DAG("mirror", schedule=None) as dag:
        planner(s3_bucket=bucket.name, container_name=container.container_name, s3_prefix=s3_prefix, **naming)

    run = run_dag(dag)

    folder = run.xcom("plan", "plan")["folder"]
    lines = container.download_blob(f"{folder}/delete.jsonl").readall().decode().splitlines()
    assert sorted(line.split('"')[3] for line in lines) == sorted(extra)
