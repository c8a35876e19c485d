"""``airflow s3-azure ledger``."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Airflow
    from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.airflow, pytest.mark.servers]


def test_the_totals_and_the_failed_keys_of_a_run_are_shown(airflow: Airflow, sync: Sync) -> None:
    """Of the newest run of a DAG, of one run, or of a URL; as a table, as JSON and as CSV."""
    sync.put("a", "b")
    first = sync.night()
    sync.put("c")
    sync.container.upload_blob("c", b"theirs").acquire_lease()
    second = sync.night()
    dag_id, there = second.run.dag_id, ("--container-name", sync.container.container_name)

    newest = json.loads(airflow("ledger", dag_id, *there, "-o", "json").out)
    one = json.loads(airflow("ledger", f"{dag_id}/{first.run.run_id}", *there, "-o", "json").out)
    by_url = json.loads(airflow("ledger", first.report["ledger"], "-o", "json").out)
    rows = list(csv.DictReader(io.StringIO(airflow("ledger", dag_id, *there, "-o", "csv").out)))
    copied = list(csv.DictReader(io.StringIO(airflow("ledger", by_url["ledger"], "--status=copied", "-o", "csv").out)))
    table = airflow("ledger", dag_id, *there).out

    assert (newest["copied"], newest["unchanged"], newest["failed"]) == (0, 2, 1)
    assert [(row["key"], row["error_class"]) for row in newest["keys"]] == [("c", "DestinationConflict")]
    assert (one["copied"], one["failed"], one["keys"]) == (2, 0, [])
    assert by_url == one
    assert [(row["key"], row["status"], row["attempts"]) for row in rows] == [("c", "failed", "1")]
    assert sorted(row["key"] for row in copied) == ["a", "b"]
    assert f"{dag_id} / {second.run.run_id}" in table
    assert "DestinationConflict" in table


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["some_dag"], 2, "--container-name is missing"),
        (
            ["some_dag", "--container-name", "{container}"],
            2,
            "there is no complete run of a sync under '_s3_to_azure/some_dag/'",
        ),
        (["", "--container-name", "{container}"], 2, "RUN is empty"),
        (["some_dag", "--container-name", "Not_A_Name"], 2, "container_name is 'Not_A_Name'"),
        (["some_dag", "--container-name", "missing-container"], 2, "there is no container 'missing-container'"),
        (["{url}/elsewhere"], 2, "has no _s3_to_azure/ in it"),
        (["{url}/_s3_to_azure/x?sig=SECRET"], 2, "credentials come from the Airflow connections"),
        (["https://other.blob.core.windows.net/c/_s3_to_azure/x"], 2, "leads to http://127.0.0.1"),
        (
            ["some_dag", "--container-name", "{container}", "--wasb-conn-id", "missing"],
            2,
            "no Airflow connection 'missing'",
        ),
        (["some_dag", "--container-name", "{container}", "--status", "lost"], 2, "invalid choice: 'lost'"),
        (["some_dag", "--container-name", "{container}", "--output", "xml"], 2, "invalid choice: 'xml'"),
    ],
)
def test_what_names_no_run_is_refused(
    airflow: Airflow, sync: Sync, arguments: list[str], code: int, message: str
) -> None:
    """With what it takes instead."""
    found = {"container": sync.container.container_name, "url": sync.container.url}

    done = airflow("ledger", *(one.format(**found) for one in arguments))

    assert done.code == code
    assert message in " ".join(done.err.split())
    assert "SECRET" not in done.err


def test_a_summary_that_was_changed_is_not_shown(airflow: Airflow, sync: Sync) -> None:
    """Its list of files has a digest of its own."""
    sync.put("a")
    night = sync.night()
    (name,) = [one for one in sync.container.list_blob_names() if one.endswith("summary.json")]
    summary = json.loads(sync.container.download_blob(name).readall())
    summary["files"][0]["sha256"] = "0" * 64
    sync.container.upload_blob(name, json.dumps(summary), overwrite=True)

    done = airflow("ledger", night.report["ledger"])

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("UntrustedFile: ")


def test_a_run_of_several_syncs_is_not_shown_in_part(airflow: Airflow, sync: Sync) -> None:
    """The one whose plan came last may have copied all, and another one failed."""
    sync.put("a")
    night = sync.night()
    (name,) = [one for one in sync.container.list_blob_names() if one.endswith("summary.json")]
    summary = sync.container.download_blob(name).readall()
    sync.container.upload_blob(name.replace("/s3_to_azure/", "/other/"), summary)
    dag_id, run_id, there = night.run.dag_id, night.run.run_id, ("--container-name", sync.container.container_name)

    refused = [airflow("ledger", run, *there) for run in (dag_id, f"{dag_id}/{run_id}")]
    one = airflow("ledger", f"{dag_id}/{run_id}/s3_to_azure", *there, "-o", "json")

    assert [done.code for done in refused] == [2, 2]
    for done in refused:
        assert f"has 2 syncs, each with a ledger of its own; name one of {dag_id}/{run_id}/other," in done.err
    assert json.loads(one.out)["copied"] == 1
