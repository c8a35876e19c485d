"""One batch, tried several times, against the S3 server and Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.errors import BatchFailed, Interrupted, SliceEnded
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, Precondition
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
        self, *, is_retry: bool, interruption: Interruption | None = None, slice_seconds: float | None = None
    ) -> BatchRun:
        """Try the batch."""
        stop = interruption or Interruption()
        source = open_bucket("aws_default", self._names[0], stop, max_concurrency=1).source
        blobs = open_container("wasb_default", self._names[1], stop, max_concurrency=1).blobs
        run = BatchRun(self.reference, self.folder, is_retry=is_retry)
        run.copy(source, blobs, OPTIONS, stop, max_concurrency=1, slice_seconds=slice_seconds)
        return run

    def ledger(self) -> dict[str, tuple[str, int]]:
        """Return what the ledger says of each key: its status and the bytes read."""
        return {row["key"]: (row["status"], row["bytes_read"]) for row in self.folder.read_ledger("00000")}


def test_a_retry_copies_only_what_is_not_done(bucket: Bucket, container: ContainerClient) -> None:
    """What an earlier try copied stays in the ledger as it was; what failed is tried again."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "b": b"b" * 20, "c": b"c" * 2500})
    container.upload_blob("b", b"")
    lease = container.get_blob_client("b").acquire_lease()
    with pytest.raises(BatchFailed, match="1 of 3 objects could not be copied"):
        tries.run(is_retry=False).raise_failures()
    first = tries.ledger()
    lease.release()
    container.delete_blob("b")

    tries.run(is_retry=True).raise_failures()

    assert first == {"a": ("copied", 10), "b": ("failed", 20), "c": ("copied", 2500)}
    assert tries.ledger() == {"a": ("copied", 10), "b": ("copied", 20), "c": ("copied", 2500)}


def test_what_a_killed_try_copied_without_telling_is_found(bucket: Bucket, container: ContainerClient) -> None:
    """A try that died before it wrote the ledger costs one look at each blob, and no byte."""
    tries = Tries(bucket, container, {"a": b"a" * 10, "c": b"c" * 2500})
    tries.run(is_retry=False)
    container.delete_blob("_s3_to_azure/plan/ledger/00000.jsonl")

    tries.run(is_retry=True)

    assert tries.ledger() == {"a": ("unchanged", 0), "c": ("unchanged", 0)}


def test_a_retry_does_not_overwrite_what_someone_else_wrote_since_the_plan(
    bucket: Bucket, container: ContainerClient
) -> None:
    """Looking at the blob first is not a new plan."""
    tries = Tries(bucket, container, {"a": b"a" * 10})
    container.upload_blob("a", b"theirs")

    with pytest.raises(BatchFailed, match="someone else wrote this blob") as caught:
        tries.run(is_retry=True).raise_failures()

    assert not caught.value.retryable
    assert container.download_blob("a").readall() == b"theirs"


def test_an_interrupted_try_has_written_its_ledger(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was copied before the task was killed is in the ledger."""
    tries = Tries(bucket, container, {str(number): b"x" * 10 for number in range(50)})
    stop = Interruption()
    read = tries.folder.read_manifest

    def stop_in_the_middle(index: int) -> Iterator[CopyRequest]:
        for number, request in enumerate(read(index)):
            if number == 20:
                stop.set("the task was killed")
            yield request

    monkeypatch.setattr(tries.folder, "read_manifest", stop_in_the_middle)
    with pytest.raises(Interrupted, match="the task was killed"):
        tries.run(is_retry=False, interruption=stop)

    rows = tries.ledger()
    assert 0 < len(rows) < 50
    assert set(rows.values()) == {("copied", 10)}


def test_slices_add_up_to_the_whole_batch(bucket: Bucket, container: ContainerClient) -> None:
    """Each goes on where the last one stopped; no key is read twice."""
    bodies = {str(number): b"x" * 2500 for number in range(5)}
    tries = Tries(bucket, container, bodies)
    slices = 0
    while True:
        slices += 1
        try:
            tries.run(is_retry=False, slice_seconds=1e-6).raise_failures()
        except SliceEnded:
            continue
        break

    assert slices > 3
    assert {key: status for key, (status, _) in tries.ledger().items()} == dict.fromkeys(bodies, "copied")
    assert {key: container.download_blob(key).readall() for key in bodies} == bodies
