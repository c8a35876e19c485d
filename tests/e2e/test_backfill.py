"""A backfill of the nightly DAG, and a mirror that waits for a human's approval, on a started Airflow."""

from __future__ import annotations

import random
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.values import SOONEST_SECONDS
from tests.airflow_runs import run_dag
from tests.conftest import ROOT, Bucket, needs_airflow_3_3
from tests.ledgers import ledger_rows
from tests.servers import AirflowServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

NIGHTLY = "s3_to_azure_nightly"
FIRST = datetime(2026, 3, 28, tzinfo=UTC)  # a month's end, and the night on which Europe's clocks go forward
DAYS = [FIRST + timedelta(number) for number in range(7)]
NAMES = ["orders.csv", "a b/{{ 6 * 7 }}.json", "größe 🚀", "empty"]
MIRROR = """
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG("mirror", params={"container_name": "none"}):
    s3_to_azure_sync(
        s3_bucket="mirrored", container_name="{{ params.container_name }}", delete="extra", retries=0
    )
"""


@pytest.fixture(scope="module")
def exports(s3_server: S3Server) -> tuple[Bucket, dict[str, bytes]]:
    """A bucket with seven days of data, a day before and after them and something else; and the objects of the seven days."""
    bucket = Bucket(s3_server, f"exports-{secrets.token_hex(6)}")
    chance = random.Random(5)
    bodies = {
        f"exports/{day:%Y/%m/%d}/{name}": b"" if name == "empty" else chance.randbytes(chance.randrange(1, 9000))
        for day in DAYS
        for name in NAMES
    }
    others = [f"exports/{day:%Y/%m/%d}/orders.csv" for day in (FIRST - timedelta(1), FIRST + timedelta(7))]
    for key, body in {**bodies, **dict.fromkeys([*others, "exports/readme", "2026/03/28/x"], b"x")}.items():
        bucket.put(key, body)
    return bucket, bodies


@pytest.fixture(scope="module")
def container(azure_server: AzureServer) -> ContainerClient:
    """The container of the nightly DAG."""
    return azure_server.container_client(f"landing-{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def airflow(
    exports: tuple[Bucket, dict[str, bytes]],
    container: ContainerClient,
    s3_server: S3Server,
    azure_server: AzureServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowServer]:
    """An Airflow with the nightly DAG, its defaults set as documented, and a mirror."""
    directory = tmp_path_factory.mktemp("backfill")
    folder = directory / "dags"
    folder.mkdir()
    shutil.copy(ROOT / "dags" / f"{NIGHTLY}.py", folder)
    (folder / "mirror.py").write_text(MIRROR)
    connections = {"aws_default": s3_server.airflow_connection(), "wasb_default": azure_server.airflow_connection()}
    config = {
        "S3_TO_AZURE_BUCKET": exports[0].name,
        "S3_TO_AZURE_PREFIX": "exports/",
        "S3_TO_AZURE_DAY_FOLDER": "%Y/%m/%d/",
        "S3_TO_AZURE_CONTAINER": container.container_name,
        "S3_TO_AZURE_DRY_RUN": "false",
        # All runs are the tests' own: once unpaused, last night's would start too.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        # The DAG files do not change, and each parse writes to the database.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
    }
    with AirflowServer(directory, folder, connections, config) as server:
        for dag_id in (NIGHTLY, "mirror"):
            server.wait_for_dag(dag_id)
            server.unpause(dag_id)
        yield server


@pytest.fixture(scope="module")
def mirrored(s3_server: S3Server) -> Bucket:
    """The bucket of the mirror."""
    return Bucket(s3_server, "mirrored")


@pytest.fixture(scope="module")
def backfill(airflow: AirflowServer) -> int:
    """A backfill of the seven days, to its end."""
    return _backfilled(airflow)


def _backfilled(airflow: AirflowServer, **options: Any) -> int:
    number = airflow.backfill(NIGHTLY, DAYS[0], DAYS[-1], **options)
    for run in airflow.runs(NIGHTLY, "backfill"):
        assert airflow.wait_for_run(NIGHTLY, run["dag_run_id"], timeout=200) == "success", run
    return number


def _reports(airflow: AirflowServer) -> dict[str, dict[str, Any]]:
    """Return what the runs report, by their day."""
    return {
        run["logical_date"][:10]: airflow.xcom(NIGHTLY, run["dag_run_id"], "s3_to_azure.report")
        for run in airflow.runs(NIGHTLY, "backfill")
    }


def _rows(container: ContainerClient, ledger: str) -> list[dict[str, Any]]:
    """Return the rows of a ledger, given the URL that the report names."""
    return ledger_rows(container, ledger.removeprefix(f"{container.url}/"))


def _copies(container: ContainerClient) -> dict[str, bytes]:
    names = [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]
    return {name: container.download_blob(name).readall() for name in names}


@pytest.mark.usefixtures("backfill")
def test_a_backfill_copies_each_days_keys_once(
    airflow: AirflowServer, container: ContainerClient, exports: tuple[Bucket, dict[str, bytes]]
) -> None:
    """One run for each day, with the keys of its own day; all blobs are their objects, and nothing else came."""
    _, bodies = exports

    reports = _reports(airflow)

    assert list(reports) == [f"{day:%Y-%m-%d}" for day in DAYS]
    ledgers = {day: _rows(container, report["ledger"]) for day, report in reports.items()}
    assert Counter(row["key"] for rows in ledgers.values() for row in rows) == Counter(bodies.keys())
    assert {row["status"] for rows in ledgers.values() for row in rows} == {"copied"}
    assert {(day, row["key"][8:18].replace("/", "-")) for day, rows in ledgers.items() for row in rows} == {
        (day, day) for day in reports
    }
    assert _copies(container) == bodies
    assert {day: report["data_interval_start"][:10] for day, report in reports.items()} == {day: day for day in reports}


@needs_airflow_3_3  # before, a task that waits for a human is deferred
def test_a_mirror_deletes_what_a_human_approves_and_nothing_else(
    airflow: AirflowServer,
    azure_server: AzureServer,
    mirrored: Bucket,
    connections: None,  # noqa: ARG001 - for the first copy, made in this process
) -> None:
    """Two runs wait for approval; the one that is approved deletes the blob, the other leaves it; both are green."""
    for number in range(12):
        mirrored.put(f"{number:02d}", b"x")
    containers = {
        option: azure_server.container_client(f"{option.lower()}-{secrets.token_hex(6)}")
        for option in ("Approve", "Reject")
    }
    for one in containers.values():
        one.upload_blob("another tool's", b"x")
        with DAG(f"first_{one.container_name}") as first:
            s3_to_azure_sync(s3_bucket=mirrored.name, container_name=one.container_name, retries=0)
        assert run_dag(first).state == "success"
    mirrored.client.delete_object(Bucket=mirrored.name, Key="03")

    runs = {
        option: airflow.trigger("mirror", {"container_name": one.container_name}) for option, one in containers.items()
    }
    task = "s3_to_azure.approve_delete"
    questions = {option: airflow.wait_for_question("mirror", run, task, timeout=90) for option, run in runs.items()}
    before = {option: set(_copies(one)) for option, one in containers.items()}
    # Airflow 3.3.2 fails a task that goes on before its scheduler knows that it waits.
    time.sleep(SOONEST_SECONDS)
    for option, run in runs.items():
        airflow.respond("mirror", run, task, option)
    states = {option: airflow.wait_for_run("mirror", run, timeout=90) for option, run in runs.items()}

    assert states == {"Approve": "success", "Reject": "success"}
    everything = {*(f"{number:02d}" for number in range(12)), "another tool's"}
    assert before == dict.fromkeys(runs, everything)
    assert {option: everything - set(_copies(one)) for option, one in containers.items()} == {
        "Approve": {"03"},
        "Reject": set(),
    }
    assert "**1 blobs**" in questions["Approve"]["body"] or "**1 blob**" in questions["Approve"]["body"]
    reports = {option: airflow.xcom("mirror", run, "s3_to_azure.report") for option, run in runs.items()}
    assert {option: (report["deleted"], report["unchanged"]) for option, report in reports.items()} == {
        "Approve": (1, 11),
        "Reject": (0, 11),
    }
    assert _deleted(_rows(containers["Approve"], reports["Approve"]["ledger"])) == ["03"]
    assert _deleted(_rows(containers["Reject"], reports["Reject"]["ledger"])) == []


@needs_airflow_3_3
@pytest.mark.parametrize("how", ["cleared", "marked as successful"])
def test_a_mirror_deletes_nothing_that_no_human_approved(
    airflow: AirflowServer,
    azure_server: AzureServer,
    mirrored: Bucket,
    connections: None,  # noqa: ARG001 - for the first copy, made in this process
    how: str,
) -> None:
    """Airflow shows the question of the first plan after the run was cleared, and a task can be marked without a response."""
    container = azure_server.container_client(f"unapproved-{secrets.token_hex(6)}")
    for number in range(24):
        mirrored.put(f"{number:02d}", b"x")
    with DAG(f"first_{container.container_name}") as first:
        s3_to_azure_sync(s3_bucket=mirrored.name, container_name=container.container_name, retries=0)
    assert run_dag(first).state == "success"
    mirrored.client.delete_object(Bucket=mirrored.name, Key="03")
    task = "s3_to_azure.approve_delete"

    run = airflow.trigger("mirror", {"container_name": container.container_name})
    airflow.wait_for_question("mirror", run, task, timeout=90)
    time.sleep(SOONEST_SECONDS)
    if how == "cleared":
        mirrored.client.delete_object(Bucket=mirrored.name, Key="04")
        cleared = {"dry_run": False, "dag_run_id": run, "only_failed": False, "reset_dag_runs": True}
        airflow.api("POST", "/dags/mirror/clearTaskInstances", **cleared)
    else:
        airflow.api("PATCH", f"/dags/mirror/dagRuns/{quote(run)}/taskInstances/{task}", new_state="success")
    state = airflow.wait_for_run("mirror", run, timeout=120)

    assert state == "failed"
    assert len(_copies(container)) == 24
    failed, problem = {
        "cleared": (task, "Airflow keeps the question of the first plan"),
        "marked as successful": ("s3_to_azure.delete", "nothing was deleted: "),
    }[how]
    (found,) = [one for one in airflow.task_instances("mirror", run) if one["task_id"] == failed]
    assert found["state"] == "failed"
    assert problem in airflow.logs("mirror", run, failed, found["try_number"])


def _deleted(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["blob"] for row in rows if row["status"] == "deleted"]


def test_the_same_backfill_again_reads_no_byte(
    airflow: AirflowServer, backfill: int, container: ContainerClient, exports: tuple[Bucket, dict[str, bytes]]
) -> None:
    """Reprocessing completed runs finds each key unchanged."""
    _, bodies = exports
    written = {blob.name: blob.last_modified for blob in container.list_blobs(name_starts_with="exports/")}
    airflow.wait_for_backfill(backfill, timeout=90)

    _backfilled(airflow, reprocess_behavior="completed")

    reports = _reports(airflow)
    assert len(reports) == len(DAYS)
    assert {(one["copied"], one["unchanged"], one["bytes_read"]) for one in reports.values()} == {(0, len(NAMES), 0)}
    rows = [row for report in reports.values() for row in _rows(container, report["ledger"])]
    assert Counter(row["key"] for row in rows) == Counter(bodies.keys())
    assert {blob.name: blob.last_modified for blob in container.list_blobs(name_starts_with="exports/")} == written
