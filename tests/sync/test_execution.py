"""One batch, tried several times, against the S3 server and Azurite."""

from __future__ import annotations

import gc
import gzip
import json
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import airflow_s3_azure
from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    BatchFailed,
    Cancelled,
    DestinationWriteError,
    SliceEnded,
    SourceReadError,
    UntrustedFile,
)
from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition, SourceObject
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.lines_reader import read_lines
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.rows import ledger_row, request_as_json

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

OPTIONS = CopyOptions(block_size=1000)


class Tries:
    """A batch of all keys of a bucket, planned once and tried again and again."""

    def __init__(
        self,
        bucket: Bucket,
        container: ContainerClient,
        bodies: dict[str, bytes],
        path: str = "_s3_to_azure/plan",
        *,
        seen: dict[str, str] | None = None,
    ) -> None:
        etags = {key: bucket.put(key, body) for key, body in bodies.items()}
        self.bodies = bodies
        self.etags = etags
        self._container = container
        self._names = (bucket.name, container.container_name)
        self.folder = PlanFolder(self._container, path)
        manifest = self.folder.new_manifest()
        manifest.write(request_as_json(CopyRequest("of another batch", "x", precondition=Precondition(None))))
        start = manifest.position
        for key, body in self.bodies.items():
            condition = Precondition((seen or {}).get(key))
            request = CopyRequest(key, key, len(body), etags[key], None, condition, reason="missing")
            manifest.write(request_as_json(request))
        stop = manifest.position
        manifest.write(request_as_json(CopyRequest("of another batch", "y", precondition=Precondition(None))))
        manifest.commit()
        size, count = sum(map(len, self.bodies.values())), len(self.bodies)
        ranges = ((stop, count, manifest.read_back([start, stop])[1]),)
        etag = manifest.fingerprint().etag
        self.reference = BatchReference(path, 0, "all", count, size, start, stop, "", etag, ranges)

    def run(
        self,
        *,
        try_number: int,
        cancellation: Cancellation | None = None,
        slice_seconds: float | None = None,
        max_concurrency: int = 1,
        **options: Any,
    ) -> BatchExecution:
        """Try the batch."""
        run = BatchExecution(self.reference, self.folder, try_number=try_number, **options)
        self.copy(run, cancellation, slice_seconds=slice_seconds, max_concurrency=max_concurrency)
        return run

    def copy(
        self,
        run: BatchExecution,
        cancellation: Cancellation | None = None,
        *,
        slice_seconds: float | None = None,
        max_concurrency: int = 1,
    ) -> None:
        """Let a try that has begun copy."""
        stop = cancellation or Cancellation()
        source = open_bucket("aws_default", self._names[0], stop, max_concurrency=max_concurrency).source
        blobs = open_container("wasb_default", self._names[1], stop).blobs
        options = replace(OPTIONS, max_concurrency=max_concurrency)
        run.copy(source, blobs, options, stop, slice_seconds=slice_seconds)

    def rows(self) -> list[dict[str, Any]]:
        """Return the batch's part of the ledger."""
        return list(read_lines(self._container, self.folder.part_name("00000")))

    def ledger(self) -> dict[str, tuple[str, int]]:
        """Return what the ledger says of each key, which it does once: its status and the bytes read."""
        rows = self.rows()
        found = {row["key"]: (row["status"], row["bytes_read"]) for row in rows}
        assert len(found) == len(rows)
        return found


def test_a_retry_copies_only_what_is_not_done(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier try copied stays in the ledger as it was; what failed is tried again."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20, "c": b"c" * 2500})
    read_whole = S3Source.read_whole

    def broken(self: S3Source, key: str, *rest: Any) -> SourceObject:
        if key == "b":
            raise SourceReadError("S3 is broken")
        return read_whole(self, key, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(S3Source, "read_whole", broken)
        with pytest.raises(BatchFailed, match="1 of 3 objects could not be copied"):
            tries.run(try_number=1).raise_failures()
    first = tries.ledger()

    tries.run(try_number=2).raise_failures()

    assert first == {"a": ("copied", 10), "b": ("failed", 0), "c": ("copied", 2500)}
    assert tries.ledger() == {"a": ("copied", 10), "b": ("copied", 20), "c": ("copied", 2500)}


def test_what_a_killed_try_copied_without_a_ledger_is_found(bucket: Bucket, container: ContainerClient) -> None:
    """A try that died before it wrote the ledger costs one HEAD per blob, and no byte."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    tries.run(try_number=1)
    container.delete_blob("_s3_to_azure/plan/ledger/00000.jsonl.gz")

    tries.run(try_number=2)

    assert tries.ledger() == {"a": ("unchanged", 0), "c": ("unchanged", 0)}


def test_a_retry_does_not_overwrite_what_someone_else_wrote_since_the_plan(
    bucket: Bucket, container: ContainerClient
) -> None:
    """The HEAD of the blob is not a new plan."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    container.upload_blob("a", b"theirs")

    with pytest.raises(BatchFailed, match="the blob changed after planning") as caught:
        tries.run(try_number=2).raise_failures()

    assert not caught.value.retryable
    assert container.download_blob("a").readall() == b"theirs"


def test_a_cancelled_try_has_written_its_ledger(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that was copied before the task was killed is in the ledger."""
    tries = Tries(bucket, container, {str(number): b"x" * 10 for number in range(50)})
    stop = Cancellation()
    read_whole, seen = S3Source.read_whole, []

    def stop_in_the_middle(self: S3Source, key: str, *rest: Any) -> SourceObject:
        seen.append(key)
        if len(seen) == 20:
            stop.set("the task was killed")
        return read_whole(self, key, *rest)

    monkeypatch.setattr(S3Source, "read_whole", stop_in_the_middle)
    with pytest.raises(Cancelled, match="the task was killed"):
        tries.run(try_number=1, cancellation=stop)

    rows = tries.ledger()
    assert len(rows) == 19
    assert set(rows.values()) == {("copied", 10)}


def test_a_try_that_hung_leaves_the_ledger_of_the_next_one_alone(bucket: Bucket, container: ContainerClient) -> None:
    """Airflow considered its worker dead. It resumes after the next try has ended, and is killed: the ledger stays."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    hung = BatchExecution(tries.reference, tries.folder, try_number=1)
    tries.run(try_number=2)
    stop = Cancellation()
    stop.set("the task was killed")

    with pytest.raises(Cancelled):
        tries.copy(hung, stop)

    assert tries.ledger() == {"a": ("copied", 10), "c": ("copied", 2500)}


def test_a_try_that_hung_stops_when_it_sees_that_it_was_replaced(bucket: Bucket, container: ContainerClient) -> None:
    """Without a signal; its failure no longer reaches Airflow."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    hung = BatchExecution(tries.reference, tries.folder, try_number=1)
    tries.run(try_number=2)

    with pytest.raises(DestinationWriteError, match="superseded by another attempt of this task"):
        tries.copy(hung)

    assert tries.ledger() == {"a": ("copied", 10), "c": ("copied", 2500)}


def test_a_key_that_failed_for_good_is_not_read_again(bucket: Bucket, container: ContainerClient) -> None:
    """A retry is for those that it can help; what the others ended in stays in the ledger, and in the error."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    container.upload_blob("b", b"")
    lease = container.get_blob_client("b").acquire_lease()
    with pytest.raises(BatchFailed):
        tries.run(try_number=1).raise_failures()
    lease.release()

    with pytest.raises(BatchFailed, match="the blob changed after planning") as caught:
        tries.run(try_number=2).raise_failures()

    assert not caught.value.retryable
    assert tries.ledger() == {"a": ("copied", 10), "b": ("failed", 20)}


def test_a_source_that_changed_since_the_plan_is_copied_by_the_retry(
    bucket: Bucket, container: ContainerClient
) -> None:
    """The plan's version is gone for good; the retry copies the one that there is, whole and in blocks."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    bucket.put("a", b"A" * 11)
    bucket.put("c", b"C" * 2600)
    with pytest.raises(BatchFailed, match="2 of 2 objects could not be copied") as caught:
        tries.run(try_number=1).raise_failures()
    assert caught.value.retryable

    tries.run(try_number=2).raise_failures()

    assert {key: status for key, (status, _) in tries.ledger().items()} == {"a": "copied", "c": "copied"}
    assert container.download_blob("a").readall() == b"A" * 11
    assert container.download_blob("c").readall() == b"C" * 2600


def test_a_key_that_fails_is_not_tried_again_in_every_slice(bucket: Bucket, container: ContainerClient) -> None:
    """Within one try a failure is a failure, however many slices the other keys take."""
    bodies = {str(number): b"x" * 2500 for number in range(4)}
    tries = Tries(bucket, container, bodies)
    bucket.put("0", b"y" * 2500)
    failed = []
    last = None
    while last is None:
        try:
            last = tries.run(try_number=1, slice_seconds=1e-6)
        except SliceEnded:
            failed.append(tries.ledger().get("0"))

    with pytest.raises(BatchFailed) as caught:
        last.raise_failures()
    assert caught.value.retryable
    assert len(failed) > 3
    assert failed[-1] == ("failed", 0)
    assert {status for key, (status, _) in tries.ledger().items() if key != "0"} == {"copied"}


def test_slices_add_up_to_the_whole_batch(bucket: Bucket, container: ContainerClient) -> None:
    """Each goes on where the last one stopped; no key is read twice."""
    bodies = {str(number): b"x" * 2500 for number in range(5)}
    tries = Tries(bucket, container, bodies)
    slices = 0
    while True:
        slices += 1
        try:
            tries.run(try_number=1, slice_seconds=1e-6).raise_failures()
        except SliceEnded:
            continue
        break

    assert slices > 3
    assert {key: status for key, (status, _) in tries.ledger().items()} == dict.fromkeys(bodies, "copied")
    assert {key: container.download_blob(key).readall() for key in bodies} == bodies


def test_the_ledger_has_the_result_of_each_key(bucket: Bucket, container: ContainerClient) -> None:
    """And which task did it, at which try, and why."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})

    tries.run(try_number=1, map_index=7)

    rows = {row["key"]: row for row in tries.rows()}
    assert {
        name: rows["c"][name] for name in ("blob", "status", "size", "blocks", "bytes_read", "batch", "attempts")
    } == {
        "blob": "c",
        "status": "copied",
        "size": 2500,
        "blocks": 3,
        "bytes_read": 2500,
        "batch": 7,
        "attempts": 1,
    }
    assert [(row["reason"], row["error"], row["retryable"]) for row in rows.values()] == [("missing", None, None)] * 2


def test_a_batch_is_summed_up(bucket: Bucket, container: ContainerClient) -> None:
    """For XCom: counts by status, bytes, and the first failures."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20, "c": b"c" * 2500})
    container.upload_blob("b", b"theirs")

    run = tries.run(try_number=1)

    summary = run.summary()
    assert list(tries.folder.read_ledger("00000", Fingerprint.from_json(summary.pop("ledger")))) == tries.rows()
    assert run.has_failures
    assert summary.pop("seconds") > 0
    (failure,) = summary.pop("failures")
    assert (failure["key"], failure["blob"]) == ("b", "b")
    assert "the blob changed after planning and was not overwritten" in failure["error"]
    assert summary == {
        "label": "all (3 objects, 2.5 KiB)",
        "objects": 3,
        "size": 2530,
        "copied": 2,
        "unchanged": 0,
        "skipped": 0,
        "failed": 1,
        "copied_bytes": 2510,
        "bytes_read": 2530,
    }


def test_the_summary_of_a_retry_is_that_of_the_whole_batch(bucket: Bucket, container: ContainerClient) -> None:
    """What earlier tries copied counts, and so do the bytes that they read."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    tries.run(try_number=1)

    summary = tries.run(try_number=2).summary()

    assert (summary["copied"], summary["copied_bytes"], summary["bytes_read"]) == (2, 30, 30)


def test_a_key_that_failed_for_good_is_read_again_once_a_human_cleared_the_task(
    bucket: Bucket, container: ContainerClient
) -> None:
    """A user who clears it has fixed something."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    container.upload_blob("b", b"theirs")
    assert tries.run(try_number=1).has_failures
    assert tries.run(try_number=2).has_failures
    container.delete_blob("b")

    tries.run(try_number=3, cleared_at=3).raise_failures()

    assert tries.ledger() == {"a": ("copied", 10), "b": ("copied", 20)}


def test_a_changed_source_is_copied_by_a_retry_of_many_slices(bucket: Bucket, container: ContainerClient) -> None:
    """Each slice leaves it to the next that the planned version is gone; no other place knows."""
    tries = Tries(bucket, container, {str(number): b"x" * 2500 for number in range(4)})
    for number in range(4):
        bucket.put(str(number), b"y" * 2600)
    assert tries.run(try_number=1).has_failures

    slices = 0
    while True:
        slices += 1
        try:
            tries.run(try_number=2, slice_seconds=1e-6).raise_failures()
        except SliceEnded:
            assert len(tries.ledger()) == 4
            continue
        break

    assert slices > 3
    assert {status for status, _ in tries.ledger().values()} == {"copied"}
    assert {container.download_blob(str(number)).readall() for number in range(4)} == {b"y" * 2600}


def test_a_changed_source_is_copied_after_an_interrupted_retry(bucket: Bucket, container: ContainerClient) -> None:
    """Also a killed try leaves it to the next one."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 10})
    bucket.put("a", b"A" * 11)
    bucket.put("b", b"B" * 11)
    assert tries.run(try_number=1).has_failures
    stop = Cancellation()
    stop.set("the task was killed")
    with pytest.raises(Cancelled):
        tries.run(try_number=2, cancellation=stop)

    tries.run(try_number=3).raise_failures()

    assert {status for status, _ in tries.ledger().values()} == {"copied"}


def test_two_runs_over_the_same_keys_read_little_twice(bucket: Bucket, container: ContainerClient) -> None:
    """Nights may overlap: both end well, each with a whole ledger, and each key was copied by one of them."""
    bodies = {f"{number:03}": bytes([number]) * (100 + 20 * number) for number in range(150)}
    one, other = Tries(bucket, container, bodies), Tries(bucket, container, bodies, "_s3_to_azure/other")
    together = threading.Barrier(2)

    def run(tries: Tries) -> dict[str, Any]:
        together.wait()
        done = tries.run(try_number=1, max_concurrency=2)
        done.raise_failures()
        return done.summary()

    with ThreadPoolExecutor(2) as pool:
        summaries = list(pool.map(run, [one, other]))

    ledgers = [one.ledger(), other.ledger()]
    assert [set(ledger) for ledger in ledgers] == [set(bodies)] * 2
    assert {tuple(sorted(ledger[key][0] for ledger in ledgers)) for key in bodies} == {("copied", "unchanged")}
    assert sum(summary["bytes_read"] for summary in summaries) < 1.5 * sum(map(len, bodies.values()))
    assert {key: container.download_blob(key).readall() for key in bodies} == bodies


def test_a_batch_uses_no_memory_for_finished_objects(bucket: Bucket, container: ContainerClient) -> None:
    """What became of an object is in the ledger, and nowhere else: a batch may have a million."""
    tries = Tries(bucket, container, {f"{number:04}": b"x" for number in range(400)})
    stop = Cancellation()
    source = open_bucket("aws_default", bucket.name, stop, max_concurrency=2).source
    blobs = open_container("wasb_default", container.container_name, stop).blobs
    run = BatchExecution(tries.reference, tries.folder, try_number=1)
    ours = tracemalloc.Filter(inclusive=True, filename_pattern=str(Path(airflow_s3_azure.__file__).parent / "*"))
    tracemalloc.start()
    try:
        run.copy(source, blobs, replace(OPTIONS, max_concurrency=2), stop)
        gc.collect()  # garbage in cycles is not kept
        kept = tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename")
    finally:
        tracemalloc.stop()

    assert run.summary()["copied"] == 400
    assert sum(one.size for one in kept) < 400 * 150


def forge(tries: Tries, container: ContainerClient, *rows: dict[str, Any]) -> None:
    """Write the batch's part of the ledger as anyone could who may write to the container."""
    content = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    container.upload_blob(tries.folder.part_name("00000"), content, overwrite=True)


def claim(key: str, body: bytes, etag: str, **values: Any) -> dict[str, Any]:
    """Return a row that says that a key was copied in an earlier try."""
    result = CopyResult(key, key, "copied", len(body), etag=etag, verified="crc64nvme", bytes_read=len(body))
    return ledger_row(result, batch=0, attempts=1) | values


@pytest.mark.parametrize("try_number", [1, 2])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"status": "unchanged"},
        {"status": "skipped", "reason": "no"},
        {"blob": "other"},
        {"etag": "0" * 32},
        {"status": "failed", "error": "x", "retryable": True, "error_class": "SourceReadError", "attempts": 0},
    ],
    ids=["copied", "unchanged", "skipped", "another blob", "another version", "failed"],
)
def test_a_forged_claim_keeps_no_key_from_being_copied(
    bucket: Bucket, container: ContainerClient, values: dict[str, Any], try_number: int
) -> None:
    """A forged row does not count: only the blob shows that a key is copied."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    other = container.upload_blob("other", b"a" * 10, metadata=SourceRecord(tries.etags["a"], 10).as_metadata())
    etag = other.get_blob_properties().etag
    forge(tries, container, claim("a", b"a" * 10, tries.etags["a"]) | {"blob_etag": etag} | values)

    tries.run(try_number=try_number).raise_failures()

    assert tries.ledger() == {"a": ("copied", 10), "b": ("copied", 20)}
    assert container.download_blob("a").readall() == b"a" * 10


@pytest.mark.parametrize(
    "forged",
    [{"crc64nvme": "AAAAAAAAAAE="}, {"source_checksum": "CRC32:AAAAAQ==", "source_checksum_type": "FULL_OBJECT"}],
)
def test_a_forged_checksum_does_not_enter_the_ledger(
    bucket: Bucket, container: ContainerClient, forged: dict[str, str]
) -> None:
    """An auditor would find a good blob changed, or a changed one good: the row must say what the blob's record says."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    tries.run(try_number=1).raise_failures()
    (genuine,) = tries.rows()
    forge(tries, container, genuine | forged)

    tries.run(try_number=2).raise_failures()

    (row,) = tries.rows()
    columns = ("crc64nvme", "source_checksum", "source_checksum_type")
    assert row["status"] == "unchanged"
    assert [row[name] for name in columns] == [genuine[name] for name in columns]
    assert genuine["crc64nvme"] is not None


@pytest.mark.parametrize("claimed", ["the old version", "the new version"])
def test_a_blob_that_the_plan_saw_confirms_no_claim(bucket: Bucket, container: ContainerClient, claimed: str) -> None:
    """It is a copy, but of what S3 had yesterday."""
    old = container.upload_blob("a", b"old", metadata=SourceRecord("0" * 32, 3).as_metadata())
    tries = Tries(bucket, container, {"a": b"a" * 10}, seen={"a": str(old.get_blob_properties().etag)})
    rows = {"the old version": claim("a", b"old", "0" * 32), "the new version": claim("a", b"a" * 10, tries.etags["a"])}
    forge(tries, container, rows[claimed])

    tries.run(try_number=2).raise_failures()

    assert tries.ledger() == {"a": ("copied", 10)}
    assert container.download_blob("a").readall() == b"a" * 10


def test_an_old_version_that_was_copied_since_the_plan_is_not_done(bucket: Bucket, container: ContainerClient) -> None:
    """By another tool or run: S3 is checked again, and the batch fails as it would without the claim."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    container.upload_blob("a", b"old", metadata=SourceRecord("0" * 32, 3).as_metadata())
    forge(tries, container, claim("a", b"old", "0" * 32))

    with pytest.raises(BatchFailed, match="the blob changed after planning and was not overwritten"):
        tries.run(try_number=2).raise_failures()


def test_a_malformed_ledger_is_ignored(bucket: Bucket, container: ContainerClient) -> None:
    """A row of another key, one row too many, a line that is none: the batch is copied, once, and has its own ledger."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    tries.run(try_number=1).raise_failures()
    genuine = tries.rows()
    strange = claim("hr/salaries.csv", b"x", "0" * 32)

    for rows in ([strange, *genuine], [*genuine, *genuine], [genuine[0], {"status": "copied"}, genuine[1]]):
        forge(tries, container, *rows)
        run = tries.run(try_number=2)
        run.raise_failures()

        assert {key: status for key, (status, _) in tries.ledger().items()}.keys() == {"a", "b"}
        assert run.summary()["objects"] == 2
        assert run.summary()["copied"] + run.summary()["unchanged"] == 2


def test_a_manifest_that_someone_else_wrote_is_not_copied(bucket: Bucket, container: ContainerClient) -> None:
    """No key of it, not even one of the plan's."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    bucket.put("hr/salaries.csv", b"secret")
    name = f"{tries.folder.path}/manifest.jsonl"
    lines = container.download_blob(name).readall()
    container.upload_blob(name, lines, overwrite=True)

    with pytest.raises(UntrustedFile, match="someone else wrote to it since it was written") as caught:
        tries.run(try_number=1)

    assert not caught.value.retryable
    assert [blob.name for blob in container.list_blobs() if not blob.name.startswith("_s3_to_azure/")] == []
