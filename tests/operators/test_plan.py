"""The planning operator: which blobs a mirror takes for its own, and which folder a plan owns."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.operators import S3ToAzureBatchesOperator, S3ToAzurePlanOperator
from airflow_s3_azure.operators import plan as plan_module
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.lines_reader import read_lines
from airflow_s3_azure.sync.references import BatchReference
from tests.airflow_runs import run_dag

if TYPE_CHECKING:
    from airflow.sdk import Context
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow]


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
    ("s3_prefix", "naming", "orphaned"),
    [
        ("a/b", {}, ["a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone"]),
        ("a/b/", {}, ["a/b/gone"]),
        ("a/b", {"rename": True}, ["a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone"]),
        ("a/b/", {"rename": True}, ["a/b/gone", "a/b%2F"]),
        ("a/b/", {"blob_template": "{folder}{name}"}, ["a/b/gone"]),
    ],
)
def test_a_mirror_lists_only_its_prefix(
    bucket: Bucket, container: ContainerClient, s3_prefix: str, naming: dict[str, Any], orphaned: list[str]
) -> None:
    """However the names are made: the neighbours were copied by this package too, by other syncs."""
    bucket.put("a/b/x", b"x")
    for name in ("a/b.gone", "a/b/gone", "a/b%2F", "a/bc/gone", "a/c/gone", "gone"):
        key = unquote(name) if "rename" in naming else name
        record = SourceRecord("etag", 1, identity=str(CopyIdentity(bucket.name, key, name)))
        container.upload_blob(name, b"x", metadata=record.as_metadata())
    with DAG("mirror", schedule=None) as dag:
        planner(s3_bucket=bucket.name, container_name=container.container_name, s3_prefix=s3_prefix, **naming)

    run = run_dag(dag)

    folder = run.xcom("plan", "plan")["folder"]
    lines = container.download_blob(f"{folder}/delete.jsonl").readall().decode().splitlines()
    assert sorted(json.loads(line)["blob"] for line in lines) == sorted(orphaned)


class FrozenClock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> FrozenClock:
        """Return the one time there is."""
        return cls(2026, 11, 1, 2, 0, 0, tzinfo=tz)


def planned(bucket: Bucket, container: ContainerClient, **arguments: Any) -> dict[str, Any]:
    """Make a plan as the task of a run whose names every deployment gives alike; return its totals."""
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="nightly",
        run_id="scheduled__2026-11-01",
        task_id="s3_to_azure.plan",
        map_index=-1,
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    operator = planner(s3_bucket=bucket.name, container_name=container.container_name, delete=None, **arguments)
    context: Any = {"ti": ti}
    operator.execute(context)
    return dict(pushed["plan"])


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
def test_two_plans_of_one_dag_run_and_second_own_a_folder_each(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deployments run one DAG on one schedule: the manifest of neither replaces the other's."""
    for prefix in ("a/", "b/"):
        bucket.put(f"{prefix}1", b"x")
    monkeypatch.setattr(plan_module, "datetime", FrozenClock)

    plans = [planned(bucket, container, s3_prefix=prefix) for prefix in ("a/", "b/")]

    folders = [PlanFolder(container, plan["folder"]) for plan in plans]
    keys = [[row["key"] for row in read_lines(container, f"{one.path}/manifest.jsonl")] for one in folders]
    assert keys == [["a/1"], ["b/1"]]
    assert all(plan["folder"].rpartition("/")[2].startswith("20261101T020000Z-") for plan in plans)
    assert len({one.write_summary({}) for one in folders}) == 2


class PlansOfARun:
    """The task instance of the task that combines plans, with the XComs of three plans; the third is of an earlier try."""

    dag_id, run_id = "dag", "run"

    def __init__(self) -> None:
        self.reads: list[Any] = []
        self.pushed: dict[str, Any] = {}

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        """Return the states of the two mapped tasks that the run has now."""
        return {"run": {"sync.plan_0": "success", "sync.plan_1": "success"}}

    def xcom_pull(self, task_ids: list[str], key: str = "return_value") -> list[Any]:
        """Return the values of all map indexes, as Airflow does for a list of tasks."""
        self.reads.append((task_ids, key))
        folders = [f"_s3_to_azure/dag/run/sync/20261101T020000Z-{'0' * 16}-0000{index}" for index in range(3)]
        if key == "return_value":
            ranges = ((9, 1, "digest"),)
            return [
                [BatchReference(folder, 0, "k", 1, 5, 0, 9, "", '"etag"', ranges).as_json("_s3_to_azure/dag/run")]
                for folder in folders
            ]
        totals = {"counts": {"copy": 1, "unchanged": 0, "skipped": 0}, "size": 5}
        return [
            {"folder": folder, "s3_prefix": f"{folder[-1]}/", "destination": f"https://acme.example/c/{folder[-1]}/"}
            | totals
            for folder in folders
        ]

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self.pushed[key] = value


def test_the_plans_of_all_prefixes_are_read_in_two_requests() -> None:
    """However many there are; what an earlier try of the run left in XCom is not part of them."""
    ti = PlansOfARun()
    context = cast("Context", {"ti": ti})

    batches = S3ToAzureBatchesOperator(task_id="batches", plan_task_id="sync.plan").execute(context)

    assert ti.reads == [(["sync.plan"], "plan"), (["sync.plan"], "return_value")]
    assert [one["plan"][-1] for one in batches] == ["0", "1"]
    assert [plan["s3_prefix"] for plan in ti.pushed["plan"]["plans"]] == ["0/", "1/"]
