"""A plan's folder, in Azurite."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceRequestError

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, DestinationWriteError, PlanError, UntrustedFile
from airflow_s3_azure.engine.model import BlobState, CopyResult
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.ledger import PlanFolder, folder_name
from airflow_s3_azure.sync.lines_writer import LinesWriter
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.rows import ledger_row
from tests.fakes.memory_container import MemoryContainer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

NOON = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
ODD = "a\n\u2028/é😀%2F{{ ds }}"


@pytest.mark.parametrize(
    "path",
    [
        "_s3_to_azure/dag/../other/run",
        "_s3_to_azure/dag/..",
        "_s3_to_azure/dag/a\\b",
        "_s3_to_azure",
        "data/x",
        "x" * 9,
    ],
)
def test_a_plan_has_no_folder_outside_its_own_place(path: str) -> None:
    """A run ID such as ``..`` would lead to the records of another DAG."""
    with pytest.raises(PlanError, match=r"cannot be the folder of a plan: .*; trigger the run with another run ID"):
        PlanFolder(MemoryContainer().as_client(), path)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: folder.new_manifest().commit(),
        lambda folder: folder.new_deletions().commit(),
        lambda folder: folder.new_ledger("00000").commit(),
        lambda folder: folder.continue_ledger("00001").commit(),
        lambda folder: folder.source_spool().write(0, []),
        lambda folder: folder.destination_spool().write(0, []),
    ],
    ids=["manifest", "deletions", "ledger", "earlier ledger", "source spool", "destination spool"],
)
def test_a_cancelled_task_waits_for_no_retry_of_a_write(
    write: Callable[[PlanFolder], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of the folder is written under the task's cancellation."""
    client = MemoryContainer().as_client()
    PlanFolder(client, "_s3_to_azure/plan").new_ledger("00001").commit()
    cancellation = Cancellation()
    cancellation.set("the task was killed")

    def fail(*_: Any, **__: Any) -> None:
        raise ServiceRequestError("lost")

    monkeypatch.setattr("tests.fakes.memory_container.MemoryBlob.commit_block_list", fail)

    with pytest.raises(Cancelled, match="the task was killed"):
        write(PlanFolder(client, "_s3_to_azure/plan", cancellation))


@pytest.mark.servers
def test_sorted_runs_come_back_as_they_were(container: ContainerClient) -> None:
    """Each with all that a plan needs to know, and gone when they are dropped, which may be done twice."""
    folder = PlanFolder(container, "_s3_to_azure/plan")
    objects = [(ODD, ListedObject(ODD + "key", 5, "etag", NOON, "GLACIER")), ("b", ListedObject("b", 0, "e", NOON))]
    blobs = [
        (ODD, BlobState('"0x1"', 5, NOON, SourceRecord("etag", 5))),
        ("a", BlobState('"0x4"', 5, NOON, SourceRecord("e", 5, "v", None, "CRC32:AAAAAA==", "b/k/n", "AAAAAAAAAAA="))),
        ("b", BlobState('"0x2"', 0, NOON)),
        ("c", BlobState('"0x3"', 0, conflict="archived")),
    ]
    one, other = folder.source_spool(), folder.destination_spool()
    one.write(0, objects)
    other.write(0, blobs)

    assert list(one.read(0)) == objects
    assert list(other.read(0)) == blobs
    for _ in range(2):
        one.drop(0)
        other.drop(0)
    assert list(container.list_blobs()) == []


@pytest.mark.servers
def test_a_sorted_run_that_someone_else_wrote_is_not_read(container: ContainerClient) -> None:
    """It would decide what is copied and deleted; the plan fails before it commits anything."""
    spool = PlanFolder(container, "_s3_to_azure/plan").source_spool()
    spool.write(0, [("a", ListedObject("a", 5, "etag", NOON))])
    (name,) = container.list_blob_names()
    container.upload_blob(name, container.download_blob(name).readall().replace(b'"a"', b'"b"'), overwrite=True)

    with pytest.raises(UntrustedFile, match="someone else wrote to it since it was written"):
        list(spool.read(0))


@pytest.mark.servers
def test_the_summary_lies_in_the_plans_folder(container: ContainerClient) -> None:
    """A report that runs again replaces it; other plans, of this run or of another deployment, have their own."""
    folder = PlanFolder(container, "_s3_to_azure/dag/run/group/1")
    for copied in (5, 6):
        url = folder.write_summary({"copied": copied})

    assert url.endswith("/_s3_to_azure/dag/run/group/1/summary.json")
    assert json.loads(container.download_blob("_s3_to_azure/dag/run/group/1/summary.json").readall()) == {"copied": 6}


@pytest.mark.servers
@pytest.mark.parametrize("name", ["manifest.jsonl", "delete.jsonl", "ledger/plan.jsonl.gz"])
def test_a_plan_never_replaces_a_file(container: ContainerClient, name: str) -> None:
    """The first owner keeps it: the plan fails, and its retry takes another folder."""
    container.upload_blob(f"_s3_to_azure/plan/{name}", b"theirs")
    folder = PlanFolder(container, "_s3_to_azure/plan")
    writers = {"manifest.jsonl": folder.new_manifest, "delete.jsonl": folder.new_deletions}
    writer = writers.get(name, lambda: folder.new_ledger("plan"))()

    with pytest.raises(DestinationWriteError) as caught:
        writer.commit()

    assert caught.value.retryable
    assert container.download_blob(f"_s3_to_azure/plan/{name}").readall() == b"theirs"


def part_of_an_earlier_version(container: ContainerClient) -> tuple[PlanFolder, LinesWriter, dict[str, Any]]:
    """Return a plan's folder, and the writer and the row of an uncompressed part of its ledger."""
    row = ledger_row(CopyResult("a", "a", "unchanged", 5), attempts=1)
    writer = LinesWriter(container, "_s3_to_azure/plan/ledger/00000.jsonl")
    writer.write(row)
    writer.commit()
    return PlanFolder(container, "_s3_to_azure/plan"), writer, row


@pytest.mark.servers
def test_a_part_of_an_earlier_version_is_read_and_continued_as_it_is(container: ContainerClient) -> None:
    """A run during which the package is upgraded has each key in its ledger once."""
    folder, writer, row = part_of_an_earlier_version(container)

    assert list(folder.read_ledger("00000", writer.fingerprint())) == [row]
    assert list(folder.read_unconfirmed_ledger("00000", 1)) == [row]
    continued = folder.continue_ledger("00000")
    assert continued is not None
    assert continued.name == writer.name
    continued.write(row | {"attempts": 2})
    continued.commit()
    assert list(folder.read_ledger("00000", continued.fingerprint())) == [row | {"attempts": 2}]
    assert list(container.list_blob_names()) == [writer.name]


def test_a_part_that_was_never_written_has_no_rows() -> None:
    """Neither under its name nor under that of earlier versions."""
    folder = PlanFolder(MemoryContainer().as_client(), "_s3_to_azure/plan")

    assert folder.continue_ledger("00000") is None
    assert list(folder.read_unconfirmed_ledger("00000", 1)) == []
    with pytest.raises(DestinationWriteError, match="it is gone"):
        list(folder.read_ledger("00000", Fingerprint('"1"', "x" * 32, 1)))


def test_folder_names_are_never_equal() -> None:
    """Of one second, and of one mapped task."""
    started = datetime(2026, 11, 1, 2, tzinfo=UTC)

    names = {folder_name(started, index) for index in (None, -1, 7) for _ in range(100)}

    assert len(names) == 300
    assert all(name.startswith("20261101T020000Z-") for name in names)
    assert sum(name.endswith("-00007") for name in names) >= 100
