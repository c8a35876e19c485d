"""The DAGs in dags/ and the examples in the README, run as they stand."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from tests.airflow_runs import run_dag
from tests.conftest import ROOT

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]


def _dags(path: Path) -> dict[str, DAG]:
    """Return the DAGs of a file as Airflow finds them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(path), collect_dags=False)
    dags = bag.process_file(str(path))  # type: ignore[no-untyped-call]
    assert bag.import_errors == {}
    return {dag.dag_id: dag for dag in dags}


def _dag(name: str) -> DAG:
    return _dags(ROOT / "dags" / f"{name}.py")[name]


@pytest.fixture
def sides(bucket: Bucket, container: ContainerClient) -> dict[str, Any]:
    """What the form of both DAGs asks for."""
    return {"s3_bucket": bucket.name, "container_name": container.container_name}


def _names(container: ContainerClient) -> list[str]:
    return [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]


@pytest.mark.parametrize(
    ("day_folder", "expected"),
    [(None, ["in/2026/11/20/a", "in/2026/11/21/b"]), ("%Y/%m/%d/", ["in/2026/11/21/b"])],
)
def test_nightly_copies_everything_or_its_own_day(
    bucket: Bucket, container: ContainerClient, sides: dict[str, Any], day_folder: str | None, expected: list[str]
) -> None:
    """The data interval of a manual run is the day before its logical date, as of a scheduled one."""
    for key in ("in/2026/11/20/a", "in/2026/11/21/b", "out/c"):
        bucket.put(key, b"x")

    run = run_dag(
        _dag("s3_to_azure_nightly"),
        conf=sides | {"s3_prefix": "in/", "day_folder": day_folder},
        logical_date=datetime(2026, 11, 22, tzinfo=UTC),
    )

    assert run.state == "success"
    assert _names(container) == expected
    assert run.xcom("s3_to_azure.report")["copied"] == len(expected)


def test_nightly_runs_without_a_logical_date(bucket: Bucket, container: ContainerClient, sides: dict[str, Any]) -> None:
    """A run that is triggered without a date has no data interval; it takes the day it was triggered."""
    today = datetime.now(UTC)
    bucket.put(today.strftime("%Y-%m-%d/a"), b"x")

    run = run_dag(_dag("s3_to_azure_nightly"), conf=sides | {"day_folder": "%Y-%m-%d/"}, logical_date=None)

    assert run.state == "success"
    assert _names(container) == [today.strftime("%Y-%m-%d/a")]


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"s3_keys": ["{{ 6 * 7 }}", "b/2"]}, ["b/2", "{{ 6 * 7 }}"]),
        ({"s3_prefix": "b/"}, ["b/1", "b/2"]),
        ({"s3_prefix": "nothing/"}, []),
    ],
)
def test_keys_copies_what_was_typed_or_what_is_under_the_prefix(
    bucket: Bucket, container: ContainerClient, sides: dict[str, Any], conf: dict[str, Any], expected: list[str]
) -> None:
    """One mapped task per key, labelled by it."""
    for key in ("{{ 6 * 7 }}", "b/1", "b/2"):
        bucket.put(key, b"x")
    bucket.put("b/", b"")

    run = run_dag(_dag("s3_to_azure_keys"), conf=sides | conf)

    assert run.state == "success"
    assert _names(container) == expected
    if expected:
        assert sorted(run.labels("copy")) == expected


@pytest.mark.parametrize("name", ["s3_to_azure_nightly", "s3_to_azure_keys"])
def test_a_form_asks_only_for_what_is_needed(name: str) -> None:
    """A field that may be empty must allow null, or the UI refuses the whole form until it is filled."""
    params = _dag(name).params

    needed = [key for key in params if "null" not in params.get_param(key).schema["type"]]

    assert needed == ["s3_bucket", "container_name"]
    assert {key for key in params if params[key] is None} == set(params) - set(needed)


def _readme_examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readmes_examples_run(s3_server: S3Server, azure_server: AzureServer, tmp_path: Path) -> None:
    """Both DAGs of the README copy what they say, unchanged but for their bucket's contents."""
    client = s3_server.client()
    client.create_bucket(Bucket="acme-exports", CreateBucketConfiguration={"LocationConstraint": s3_server.region})
    for key in ("exports/2026-11-21/orders.parquet", "exports/2025-12-31/a.csv"):
        client.put_object(Bucket="acme-exports", Key=key, Body=key.encode())
    container = azure_server.container_client("landing")

    examples = _readme_examples()
    states = []
    for number, example in enumerate(examples):
        path = tmp_path / f"example_{number}.py"
        path.write_text(example)
        (dag,) = _dags(path).values()
        states.append(run_dag(dag, logical_date=datetime(2026, 1, 1, tzinfo=UTC)).state)

    assert states == ["success", "success"]
    assert _names(container) == ["exports/2025-12-31/a.csv", "s3/exports/2026-11-21/orders.parquet"]
