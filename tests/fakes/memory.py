"""A bucket and a container in memory, with what the engine uses of S3Source and BlobContainer, and copies between them."""

from __future__ import annotations

import hashlib
import itertools
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import BlobArchived, PreconditionFailed
from airflow_s3_azure.engine.blocks import Block, BlockId, fingerprint
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import (
    Algorithm,
    BlockChecksums,
    RunningChecksums,
    StoredChecksum,
    checksum_block,
    compute,
)
from airflow_s3_azure.engine.conflicts import Conflict
from airflow_s3_azure.engine.errors import SourceChanged, SourceNotFound, SourceReadError
from airflow_s3_azure.engine.model import (
    BlobContent,
    BlobState,
    CopyRequest,
    CopyResult,
    Precondition,
    SourceObject,
    StagedBlock,
)
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.properties import PreservedProperties, SourceRecord
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source

BLOCK = 8
"""Bytes in a block of these tests."""
OPTIONS = CopyOptions(block_size=BLOCK, retry=RetryPolicy(attempts=3, first_wait=0.0, max_wait=0.0))
UPLOADED = datetime(2026, 11, 1, tzinfo=UTC)


def checksum_of(data: bytes, algorithm: Algorithm = "CRC64NVME") -> StoredChecksum:
    """Return the checksum that S3 would store for these bytes."""
    return StoredChecksum(algorithm, compute(algorithm, memoryview(data)))


def etag_of(data: bytes) -> str:
    """Return the ETag that S3 would give these bytes."""
    return hashlib.md5(data).hexdigest()


def content_of(size: int, seed: int = 0) -> bytes:
    """Return bytes of which no two blocks are the same."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, number)).digest()[:BLOCK] for number in range(size // BLOCK + 1))[
        :size
    ]


@dataclass
class StoredObject:
    """What the bucket holds under a key.

    :param data: the bytes that a GET brings
    :param checksum: as S3 would show it; the data's own CRC-64 by default
    """

    data: bytes
    etag: str = ""
    version_id: str | None = None
    checksum: StoredChecksum | None = None
    kept: PreservedProperties = field(default_factory=PreservedProperties)

    def describe(self, key: str) -> SourceObject:
        """Return what a HEAD says."""
        return SourceObject(
            key,
            len(self.data),
            self.etag,
            self.version_id,
            UPLOADED,
            checksum=self.checksum,
            preserved=self.kept,
            stored_checksum=None if self.checksum is None else str(self.checksum),
        )


def stored(data: bytes, **changes: Any) -> StoredObject:
    """Return an object as S3 stores it today: with its MD5 as the ETag and a CRC-64."""
    return replace(StoredObject(data, etag_of(data), checksum=checksum_of(data)), **changes)


class FakeS3:
    """A bucket in memory, with what a copy uses of :class:`S3Source`.

    :param before_read: called before each GET with the key and the first byte; may raise, or wait
    """

    def __init__(
        self,
        objects: Mapping[str, StoredObject],
        before_read: Callable[[str, int], object] = lambda key, start: None,
    ) -> None:
        self.objects = dict(objects)
        self.before_read = before_read
        self.heads: list[str] = []
        self.reads: list[tuple[str, int]] = []
        self.most_at_once = 0
        self.views: list[weakref.ref[memoryview]] = []
        self._at_once = 0
        self._lock = threading.Lock()
        self.bucket = "bucket"

    def spend_bandwidth(self, size: int) -> None:
        """Let any number of bytes pass."""

    def url(self, key: str) -> str:
        """Return the ``s3://`` name of a key."""
        return f"s3://bucket/{key}"

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Describe an object."""
        del version_id
        self.heads.append(key)
        return self._object(key).describe(key)

    def read(
        self,
        source: SourceObject,
        block: Block,
        into: memoryview,
        count: Callable[[int], None],
        on_ending: Callable[[], None] = lambda: None,
    ) -> BlockChecksums:
        """Read one block, and return its checksums."""
        found = self._object(source.key)
        if found.etag != source.etag:
            raise SourceChanged("it changed", key=self.url(source.key))
        self._fill(source.key, block.start, found.data[block.start : block.stop], into, count)
        on_ending()
        return checksum_block(into, source.checksum)

    def read_whole(
        self, key: str, etag: str, version_id: str | None, into: memoryview, count: Callable[[int], None]
    ) -> SourceObject:
        """Read an object in one request."""
        del version_id
        found = self._object(key)
        if found.etag != etag or len(found.data) != len(into):
            raise SourceChanged("it changed", key=self.url(key))
        self._fill(key, 0, found.data, into, count)
        return found.describe(key)

    def live_buffers(self) -> int:
        """Return the bytes of all buffers that something still holds a view of."""
        views = [view for view in (found() for found in self.views) if view is not None]
        return sum({id(view.obj): len(cast("bytearray", view.obj)) for view in views}.values())

    def _object(self, key: str) -> StoredObject:
        try:
            return self.objects[key]
        except KeyError:
            raise SourceNotFound("there is no such object", bucket_exists=True, key=self.url(key)) from None

    def _fill(self, key: str, start: int, data: bytes, into: memoryview, count: Callable[[int], None]) -> None:
        with self._counted(key, start, into):
            self.before_read(key, start)
            into[:] = data
            count(len(data))

    @contextmanager
    def _counted(self, key: str, start: int, into: memoryview) -> Iterator[None]:
        with self._lock:
            self.reads.append((key, start // BLOCK))
            self.views.append(weakref.ref(into))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


@dataclass(frozen=True)
class Blob:
    """A committed blob."""

    data: bytes
    content: BlobContent
    etag: str
    conflict: Conflict | None = None

    @property
    def state(self) -> BlobState:
        """What a HEAD says of it."""
        record = SourceRecord.from_metadata(self.content.metadata)
        return BlobState(self.etag, len(self.data), UPLOADED, record, self.conflict)


class FakeAzure:
    """A container in memory, with what a copy uses of :class:`BlobContainer`.

    :param before_commit: called with the blob's name before a put or a commit is compared with its condition
    :ivar before_delete: the same of a deletion
    """

    def __init__(self, before_commit: Callable[[str], object] = lambda blob: None) -> None:
        self.blobs: dict[str, Blob] = {}
        self.blocks: dict[str, dict[bytes, bytes]] = {}
        self.before_commit = before_commit
        self.before_delete: Callable[[str], object] = lambda blob: None
        self.writes: list[tuple[str, str]] = []
        self.reads: list[tuple[int, int]] = []
        self.before_read: Callable[[str, int], object] = lambda blob, start: None
        self._etags = itertools.count(1)
        self._lock = threading.Lock()

    def blob_url(self, blob: str) -> str:
        """Return a blob's URL."""
        return f"https://account.invalid/container/{blob}"

    def head(self, blob: str) -> BlobState | None:
        """Describe a committed blob."""
        found = self.blobs.get(blob)
        return found.state if found else None

    def head_with_metadata(self, blob: str) -> tuple[BlobState, dict[str, str]] | None:
        """Describe a committed blob, with all of its metadata."""
        found = self.blobs.get(blob)
        return (found.state, dict(found.content.metadata)) if found else None

    def read(self, blob: str, start: int, stop: int, etag: str, on_piece: Callable[[memoryview], None]) -> None:
        """Read a range of a committed blob."""
        self.before_read(blob, start)
        found = self.blobs[blob]
        if found.etag != etag:
            raise PreconditionFailed("someone else wrote this blob", blob=self.blob_url(blob))
        with self._lock:
            self.reads.append((start, stop))
        on_piece(memoryview(found.data)[start:stop])

    def checksums(
        self, blob: str, start: int, stop: int, etag: str, *, stored: StoredChecksum | None = None
    ) -> BlockChecksums:
        """Return the checksums of a range of a committed blob."""
        checksums = RunningChecksums(stored)
        self.read(blob, start, stop, etag, checksums.add)
        return checksums.of_block()

    def set_metadata(self, blob: str, metadata: Mapping[str, str], etag: str) -> str:
        """Replace the metadata of a blob."""
        self.before_commit(blob)
        with self._lock:
            found = self.blobs[blob]
            if found.etag != etag:
                raise PreconditionFailed("someone else wrote this blob", blob=self.blob_url(blob))
            self.writes.append(("metadata", blob))
            content = replace(found.content, metadata=dict(metadata))
            self.blobs[blob] = Blob(found.data, content, f'"{next(self._etags)}"')
            return self.blobs[blob].etag

    def put(self, blob: str, data: memoryview, crc64: int, content: BlobContent, condition: Precondition) -> str:
        """Create or replace a blob."""
        assert compute("CRC64NVME", data) == crc64
        return self._write("put", blob, lambda: bytes(data), content, condition)

    def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
        """Stage one block."""
        assert compute("CRC64NVME", data) == crc64
        with self._lock:
            self._check_not_archived(blob)
            self.writes.append(("stage", blob))
            self.blocks.setdefault(blob, {})[block_id.encode("ascii")] = bytes(data)

    def staged(self, blob: str) -> list[StagedBlock]:
        """Return the uncommitted blocks."""
        return [StagedBlock(name, len(data)) for name, data in self.blocks.get(blob, {}).items()]

    def commit(self, blob: str, block_ids: Iterable[str], content: BlobContent, condition: Precondition) -> str:
        """Make staged blocks the blob."""
        names = [block_id.encode("ascii") for block_id in block_ids]
        return self._write(
            "commit", blob, lambda: b"".join(self.blocks[blob][name] for name in names), content, condition
        )

    def delete(self, blob: str, etag: str) -> None:
        """Delete a blob that has this ETag, if it exists."""
        self.before_delete(blob)
        with self._lock:
            self.writes.append(("delete", blob))
            if blob in self.blobs and self.blobs[blob].etag != etag:
                raise PreconditionFailed("someone else wrote this blob", blob=self.blob_url(blob))
            self.blobs.pop(blob, None)

    def add(
        self, blob: str, data: bytes, metadata: Mapping[str, str] | None = None, *, conflict: Conflict | None = None
    ) -> Blob:
        """Write a blob as a concurrent writer."""
        content = BlobContent({}, dict(metadata or {}))
        self.blobs[blob] = Blob(data, content, f'"other-{next(self._etags)}"', conflict)
        return self.blobs[blob]

    def _check_not_archived(self, blob: str) -> None:
        if blob in self.blobs and self.blobs[blob].conflict == "archived":
            raise BlobArchived("Azure returned 409 BlobArchived", blob=self.blob_url(blob))

    def _write(
        self, how: str, blob: str, data: Callable[[], bytes], content: BlobContent, condition: Precondition
    ) -> str:
        self.before_commit(blob)
        with self._lock:
            self._check_not_archived(blob)
            self.writes.append((how, blob))
            existing = self.blobs.get(blob)
            if (existing.etag if existing else None) != condition.etag:
                raise PreconditionFailed("someone else wrote this blob", blob=self.blob_url(blob))
            self.blobs[blob] = Blob(data(), content, f'"{next(self._etags)}"')
            self.blocks.pop(blob, None)
            return self.blobs[blob].etag


def start(
    source: FakeS3,
    container: FakeAzure,
    requests: Iterable[CopyRequest] | None = None,
    *,
    threads: int = 4,
    options: CopyOptions = OPTIONS,
    cancellation: Cancellation | None = None,
    **settings: Any,
) -> Generator[CopyResult, None, None]:
    """Begin to copy; by default every object of the bucket to a blob of its name."""
    return copy_objects(
        [CopyRequest(key, key) for key in source.objects] if requests is None else requests,
        cast("S3Source", source),
        cast("BlobContainer", container),
        replace(options, max_concurrency=threads),
        cancellation or Cancellation(),
        **settings,
    )


def copy(source: FakeS3, container: FakeAzure, *args: Any, **settings: Any) -> dict[str, CopyResult]:
    """Copy to the end; return the results by key."""
    return {result.key: result for result in start(source, container, *args, **settings)}


def copy_one(source: FakeS3, container: FakeAzure, **settings: Any) -> CopyResult:
    """Copy the only object of the bucket with one thread, block after block."""
    (result,) = start(source, container, threads=1, **settings)
    return result


def request_for(key: str, found: StoredObject, precondition: Precondition) -> CopyRequest:
    """Return the request of a plan that listed source and destination."""
    return CopyRequest(key, key, size=len(found.data), etag=found.etag, precondition=precondition)


def wait_until_cancelled(cancellation: Cancellation, reading: threading.Event) -> Callable[[str, int], None]:
    """Return a read that never gets a byte, and checks the cancellation as a real one does."""

    def wait(key: str, first: int) -> None:
        del key, first
        reading.set()
        cancellation.sleep(60)

    return wait


DATA = content_of(5 * BLOCK + 3)
SIZE = len(DATA)


def break_off_at(block: int) -> Callable[[str, int], None]:
    """Return a read that fails for good at one block."""

    def fail(_: str, first: int) -> None:
        if first == block * BLOCK:
            raise SourceReadError("the connection was closed")

    return fail


def id_of(index: int, data: bytes = DATA, **changes: Any) -> bytes:
    """Return the ID under which a block of ``DATA`` is staged, or of another version of it."""
    version = {"etag": etag_of(DATA), "version_id": None, "size": SIZE, "block_size": BLOCK} | changes
    block = memoryview(data)[index * BLOCK : (index + 1) * BLOCK]
    return BlockId(index, fingerprint(**version), compute("CRC64NVME", block)).encode().encode("ascii")
