"""One batch, tried several times, against the S3 server and Azurite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.errors import BatchFailed, Interrupted, SliceEnded, SourceReadError
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, Precondition, SourceObject
from airflow_s3_azure.stream.source import S3Source
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.plan import BatchReference
from airflow_s3_azure.sync.run import BatchRun

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

OPTIONS = CopyOptions(block_size=1000)


class Tries:
    """A batch of all keys of a bucket, planned once and tried again and again."""

    def __init__(self, bucket: Bucket, container: ContainerClient, bodies: dict[str, bytes]) -> None:
        etags = {key: bucket.put(key, body) for key, body in bodies.items()}
        self.folder = PlanFolder(container, "_s3_to_azure/plan")
        requests = [CopyRequest(key, key, len(bodies[key]), etags[key], None, Precondition(None)) for key in bodies]
        self.folder.write_manifest(0, requests)
        self.reference = BatchReference(self.folder.path, 0, "all", len(requests), sum(map(len, bodies.values())))
        self._names = (bucket.name, container.container_name)

    def run(
        self, *, try_number: int, interruption: Interruption | None = None, slice_seconds: float | None = None
    ) -> BatchRun:
        """Try the batch."""
        stop = interruption or Interruption()
        source = open_bucket("aws_default", self._names[0], stop, max_concurrency=1).source
        blobs = open_container("wasb_default", self._names[1], stop, max_concurrency=1).blobs
        run = BatchRun(self.reference, self.folder, try_number=try_number)
        run.copy(source, blobs, OPTIONS, stop, max_concurrency=1, slice_seconds=slice_seconds)
        return run

    def ledger(self) -> dict[str, tuple[str, int]]:
        """Return what the ledger says of each key: its status and the bytes read."""
        return {row["key"]: (row["status"], row["bytes_read"]) for row in self.folder.read_ledger("00000")}


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


def test_what_a_killed_try_copied_without_telling_is_found(bucket: Bucket, container: ContainerClient) -> None:
    """A try that died before it wrote the ledger costs one look at each blob, and no byte."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    tries.run(try_number=1)
    container.delete_blob("_s3_to_azure/plan/ledger/00000.jsonl")

    tries.run(try_number=2)

    assert tries.ledger() == {"a": ("unchanged", 0), "c": ("unchanged", 0)}


def test_a_retry_does_not_overwrite_what_someone_else_wrote_since_the_plan(
    bucket: Bucket, container: ContainerClient
) -> None:
    """Looking at the blob first is not a new plan."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    container.upload_blob("a", b"theirs")

    with pytest.raises(BatchFailed, match="someone else wrote this blob") as caught:
        tries.run(try_number=2).raise_failures()

    assert not caught.value.retryable
    assert container.download_blob("a").readall() == b"theirs"


def test_an_interrupted_try_has_written_its_ledger(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was copied before the task was killed is in the ledger."""
    tries = Tries(bucket, container, {str(number): b"x" * 10 for number in range(50)})
    stop = Interruption()
    read_whole, seen = S3Source.read_whole, []

    def stop_in_the_middle(self: S3Source, key: str, *rest: Any) -> SourceObject:
        seen.append(key)
        if len(seen) == 20:
            stop.set("the task was killed")
        return read_whole(self, key, *rest)

    monkeypatch.setattr(S3Source, "read_whole", stop_in_the_middle)
    with pytest.raises(Interrupted, match="the task was killed"):
        tries.run(try_number=1, interruption=stop)

    rows = tries.ledger()
    assert len(rows) == 19
    assert set(rows.values()) == {("copied", 10)}


def test_a_key_that_failed_for_good_is_not_read_again(bucket: Bucket, container: ContainerClient) -> None:
    """A retry is for those that it can help; what the others ended in stays in the ledger, and in the error."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20})
    container.upload_blob("b", b"")
    lease = container.get_blob_client("b").acquire_lease()
    with pytest.raises(BatchFailed):
        tries.run(try_number=1).raise_failures()
    lease.release()

    with pytest.raises(BatchFailed, match="someone else wrote this blob") as caught:
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
