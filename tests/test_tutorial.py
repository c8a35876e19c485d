"""The tutorial: its DAGs run unchanged, in its order, with the output that its pages show."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_runs import run_dag
from tests.conftest import ROOT

if TYPE_CHECKING:
    from airflow.sdk import DAG
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

DAY = "exports/2026/11/21/"
FIRST_KEY = f"{DAY}orders-00001.csv.gz"


@pytest.fixture
def tutorial_bucket(bucket: Bucket) -> Bucket:
    """A bucket with the keys that the pages name."""
    for key in (FIRST_KEY, f"{DAY}orders-00002.csv.gz", "exports/2026/11/20/orders-00001.csv.gz", "odd/else.txt"):
        bucket.put(key, bytes(8_600))
    return bucket


def _dag(page: str, bucket: Bucket, container: ContainerClient, folder: Path) -> DAG:
    """Return the DAG of a page, with the reader's own bucket and container."""
    from airflow.dag_processing.dagbag import DagBag

    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tutorial" / page).read_text(), re.DOTALL)
    path = folder / page.replace(".md", ".py")
    path.write_text(
        example.replace('"acme-exports"', f'"{bucket.name}"').replace('"landing"', f'"{container.container_name}"')
    )
    (dag,) = DagBag(str(path), collect_dags=False).process_file(str(path))  # type: ignore[no-untyped-call]
    found: DAG = dag
    return found


def _names(container: ContainerClient) -> list[str]:
    return [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]


def test_the_first_copy_copies_once(
    tutorial_bucket: Bucket, container: ContainerClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the lines of the page: copied and verified, then unchanged."""
    dag = _dag("first-copy.md", tutorial_bucket, container, tmp_path)
    page = (ROOT / "docs/tutorial/first-copy.md").read_text()
    lines = re.findall(r"```text\n(.*)\n```", page)

    runs = [run_dag(dag), run_dag(dag)]

    log = re.sub(r"\b\d:\d\d:\d\d\b", "0:00:00", caplog.text)
    assert [run.xcom("copy")["status"] for run in runs] == ["copied", "unchanged"]
    assert [line for line in lines if line not in log] == []
    assert len(lines) == 2
    assert _names(container) == [FIRST_KEY]


def test_the_first_sync_plans_copies_and_then_copies_what_changed(
    tutorial_bucket: Bucket, container: ContainerClient, tmp_path: Path
) -> None:
    """A dry run, the two commands of the page, and an object that changed in between."""
    dag = _dag("first-sync.md", tutorial_bucket, container, tmp_path)
    reports = [run_dag(dag).xcom("s3_to_azure.report")]
    reports.append(run_dag(dag, conf={"dry_run": False}).xcom("s3_to_azure.report"))
    tutorial_bucket.put(FIRST_KEY, b"changed")
    reports.append(run_dag(dag, conf={"dry_run": False}).xcom("s3_to_azure.report"))

    counted = [(one["dry_run"], one["copied"], one["unchanged"]) for one in reports]
    assert counted == [(True, 0, 0), (False, 2, 0), (False, 1, 1)]
    assert reports[0]["cost"]["objects"] == 2


def test_the_first_backfill_copies_the_day_that_it_names(
    tutorial_bucket: Bucket, container: ContainerClient, tmp_path: Path
) -> None:
    """The date of the page's command is the day after the one whose keys it copies."""
    dag = _dag("first-backfill.md", tutorial_bucket, container, tmp_path)

    page = (ROOT / "docs/tutorial/first-backfill.md").read_text()
    (date,) = re.findall(r"airflow dags test first_backfill (\S+)", page)

    run = run_dag(dag, logical_date=datetime.fromisoformat(date).replace(tzinfo=UTC))

    assert run.state == "success"
    assert _names(container) == [FIRST_KEY, f"{DAY}orders-00002.csv.gz"]
