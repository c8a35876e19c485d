"""Many objects over one bounded set of threads, between a bucket and a container in memory."""

from __future__ import annotations

import gc
import hashlib
import itertools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.block_mover import Buffer
from airflow_s3_azure.engine.blocks import Block, BlockId, fingerprint
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import (
    Algorithm,
    BlockChecksums,
    StoredChecksum,
    Verified,
    checksum_block,
    compute,
)
from airflow_s3_azure.engine.errors import (
    Cancelled,
    DestinationConflict,
    DestinationWriteError,
    IntegrityError,
    SliceEnded,
    SourceAccessDenied,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
)
from airflow_s3_azure.engine.limiter import Limiter
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
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.properties import CopyIdentity, PreservedProperties, SourceRecord
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
    :param checksum: as S3 would show it; the data's own CRC-64 unless told otherwise
    """

    data: bytes
    etag: str = ""
    version_id: str | None = None
    checksum: StoredChecksum | None = None
    kept: PreservedProperties = field(default_factory=PreservedProperties)

    def describe(self, key: str) -> SourceObject:
        """Return what a HEAD says."""
        return SourceObject(
            key, len(self.data), self.etag, self.version_id, UPLOADED, checksum=self.checksum, preserved=self.kept
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
        on_ending: Callable[[], None],
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
            raise SourceNotFound("there is no such object", key=self.url(key)) from None

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

    @property
    def state(self) -> BlobState:
        """What a HEAD says of it."""
        return BlobState(self.etag, len(self.data), UPLOADED, SourceRecord.from_metadata(self.content.metadata))


class FakeAzure:
    """A container in memory, with what a copy uses of :class:`BlobContainer`.

    :param before_commit: called with the blob's name before a put or a commit is held against its condition
    """

    def __init__(self, before_commit: Callable[[str], object] = lambda blob: None) -> None:
        self.blobs: dict[str, Blob] = {}
        self.blocks: dict[str, dict[bytes, bytes]] = {}
        self.before_commit = before_commit
        self.writes: list[tuple[str, str]] = []
        self._etags = itertools.count(1)
        self._lock = threading.Lock()

    def blob_url(self, blob: str) -> str:
        """Return a blob's URL."""
        return f"https://account.invalid/container/{blob}"

    def head(self, blob: str) -> BlobState | None:
        """Describe a committed blob."""
        found = self.blobs.get(blob)
        return found.state if found else None

    def put(self, blob: str, data: memoryview, crc64: int, content: BlobContent, condition: Precondition) -> str:
        """Create or replace a blob."""
        assert compute("CRC64NVME", data) == crc64
        return self._write("put", blob, lambda: bytes(data), content, condition)

    def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
        """Stage one block."""
        assert compute("CRC64NVME", data) == crc64
        with self._lock:
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

    def add(self, blob: str, data: bytes, metadata: Mapping[str, str] | None = None) -> Blob:
        """Let somebody else write a blob."""
        self.blobs[blob] = Blob(data, BlobContent({}, dict(metadata or {})), f'"other-{next(self._etags)}"')
        return self.blobs[blob]

    def _write(
        self, how: str, blob: str, data: Callable[[], bytes], content: BlobContent, condition: Precondition
    ) -> str:
        self.before_commit(blob)
        with self._lock:
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
    """Begin to copy; every object of the bucket to a blob of its name unless told otherwise."""
    return copy_objects(
        [CopyRequest(key, key) for key in source.objects] if requests is None else requests,
        cast("S3Source", source),
        cast("BlobContainer", container),
        options,
        cancellation or Cancellation(),
        max_concurrency=threads,
        **settings,
    )


def copy(source: FakeS3, container: FakeAzure, *args: Any, **settings: Any) -> dict[str, CopyResult]:
    """Copy to the end; return the results by key."""
    return {result.key: result for result in start(source, container, *args, **settings)}


def copy_one(source: FakeS3, container: FakeAzure, **settings: Any) -> CopyResult:
    """Copy the only object of the bucket with one thread, block after block."""
    (result,) = start(source, container, threads=1, **settings)
    return result


def test_fifty_thousand_blocks_are_one_blob() -> None:
    """As many blocks as Azure takes, each of one byte, in the order of the object; one byte more, and they grow."""
    for size, blocks in ((50_000, 50_000), (50_001, 1)):
        data = content_of(size)
        container = FakeAzure()

        (result,) = start(FakeS3({"key": stored(data)}), container, options=replace(OPTIONS, block_size=1))

        assert (result.error, result.verified, result.blocks) == (None, "crc64nvme", blocks)
        assert container.blobs["key"].data == data


def request_for(key: str, found: StoredObject, precondition: Precondition) -> CopyRequest:
    """Return the request of a plan that listed both sides."""
    return CopyRequest(key, key, size=len(found.data), etag=found.etag, precondition=precondition)


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Check that the test leaves no thread alive that it did not find."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()


def wait_for_interruption(cancellation: Cancellation, reading: threading.Event) -> Callable[[str, int], None]:
    """Return a read that never gets a byte, but looks at the cancellation as a real one does."""

    def wait(key: str, first: int) -> None:
        del key, first
        reading.set()
        cancellation.sleep(60)

    return wait


# Every object


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 6 * BLOCK), max_size=12),
    bad=st.sets(st.integers(0, 11)),
    threads=st.integers(1, 9),
)
def test_every_request_gets_exactly_one_result(sizes: list[int], bad: set[int], threads: int) -> None:
    """Whatever the sizes, the failures and the threads, each key is told of once, as what became of it."""
    objects = {f"{number:02}": stored(content_of(size, number)) for number, size in enumerate(sizes)}
    failing = {f"{number:02}" for number in bad} & objects.keys()

    def refuse_last_block(key: str, first: int) -> None:
        if key in failing and first + BLOCK >= len(objects[key].data):
            raise SourceAccessDenied("no")

    results = list(start(FakeS3(objects, refuse_last_block), FakeAzure(), threads=threads))

    assert sorted((result.key, result.status) for result in results) == [
        (key, "failed" if key in failing else "copied") for key in sorted(objects)
    ]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 6 * BLOCK), max_size=12), threads=st.integers(1, 9))
def test_every_blob_is_its_object(sizes: list[int], threads: int) -> None:
    """The bytes arrive whole and in order, however the blocks were shared among the threads."""
    objects = {f"{number:02}": stored(content_of(size, number)) for number, size in enumerate(sizes)}
    container = FakeAzure()

    copy(FakeS3(objects), container, threads=threads)

    assert {name: blob.data for name, blob in container.blobs.items()} == {
        key: found.data for key, found in objects.items()
    }


def test_no_requests_have_no_results() -> None:
    """An empty batch ends at once."""
    assert list(start(FakeS3({}), FakeAzure())) == []


def test_a_failure_does_not_stop_the_others() -> None:
    """One missing key is a result among results, with its error."""
    objects = {str(number): stored(content_of(20, number)) for number in range(5)}
    requests = [CopyRequest(key, key) for key in ("0", "1", "gone", "2", "3", "4")]

    results = copy(FakeS3(objects), FakeAzure(), requests)

    assert {key: result.status for key, result in results.items()} == dict.fromkeys("01234", "copied") | {
        "gone": "failed"
    }
    assert isinstance(results["gone"].error, SourceNotFound)


def test_an_error_names_both_sides() -> None:
    """Whichever side failed, the message says what was copied to where."""
    (result,) = start(FakeS3({}), FakeAzure(), [CopyRequest("a/key", "a/blob")])

    assert str(result.error) == (
        "there is no such object ('s3://bucket/a/key' -> 'https://account.invalid/container/a/blob')"
    )


def test_requests_are_taken_as_they_are_needed() -> None:
    """A batch may be longer than memory: each thread takes one request at a time."""
    cancellation, taken = Cancellation(), []
    hang = wait_for_interruption(cancellation, threading.Event())
    objects = {str(number): stored(b"x") for number in range(100)}

    def requests() -> Iterator[CopyRequest]:
        for key in objects:
            taken.append(key)
            yield CopyRequest(key, key)

    source = FakeS3(objects, lambda key, first: None if key == "0" else hang(key, first))
    results = start(source, FakeAzure(), requests(), threads=3, cancellation=cancellation)

    first = next(results)

    results.close()
    assert first.key == "0"
    assert len(taken) <= 4


# Bounds


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_no_more_blocks_are_in_flight_than_allowed(threads: int) -> None:
    """Small objects and large ones together never have more readers than threads."""
    objects = {str(number): stored(content_of(number * 5, number)) for number in range(20)}
    source = FakeS3(objects)

    copy(source, FakeAzure(), threads=threads)

    assert source.most_at_once <= threads


def test_one_object_keeps_all_threads_busy() -> None:
    """The blocks of one large object are read by all threads at once."""
    together = threading.Barrier(4, timeout=5)
    source = FakeS3({"key": stored(content_of(8 * BLOCK))}, lambda key, first: together.wait())

    copy(source, FakeAzure(), threads=4)

    assert source.most_at_once == 4


def test_small_objects_keep_all_threads_busy() -> None:
    """Each thread has an object of its own where no object has two blocks."""
    together = threading.Barrier(4, timeout=5)
    objects = {str(number): stored(content_of(BLOCK, number)) for number in range(8)}
    source = FakeS3(objects, lambda key, first: together.wait())

    copy(source, FakeAzure(), threads=4)

    assert source.most_at_once == 4


@pytest.mark.parametrize("threads", [1, 3])
def test_each_thread_reads_into_one_buffer(threads: int) -> None:
    """Memory is bounded by threads times blocks, however many blocks there are."""
    buffers: dict[int, bytearray] = {}
    source = FakeS3({str(number): stored(content_of(10 * BLOCK, number)) for number in range(5)})

    def keep(key: str, first: int) -> None:
        del key, first
        for view in [found() for found in source.views]:
            if view is not None:  # kept, so that no two that follow each other share an id
                buffers[id(view.obj)] = cast("bytearray", view.obj)

    source.before_read = keep

    copy(source, FakeAzure(), threads=threads)

    assert len(source.reads) == 50
    assert sum(map(len, buffers.values())) <= threads * BLOCK


def test_a_buffer_gives_the_same_bytes_again() -> None:
    """A block that is not larger than the last one costs no memory."""
    buffer = Buffer()
    first = buffer.view(10)

    second = buffer.view(4)

    assert second.obj is first.obj
    assert len(second) == 4


def test_a_buffer_grows_without_keeping_the_old_bytes() -> None:
    """A larger block gets new memory, and the old is given back as soon as nobody reads it."""
    buffer = Buffer()
    old = weakref.ref(buffer.view(10))

    new = buffer.view(20)

    assert old() is None
    assert len(new) == len(cast("bytearray", new.obj)) == 20


def test_failures_do_not_keep_buffers() -> None:
    """The errors that a batch collects for its report hold no memory of the blocks they happened at."""
    objects = {f"{number}": stored(content_of(number)) for number in range(1, BLOCK + 1)}

    def refuse(_key: str, _first: int) -> None:
        raise SourceAccessDenied("no")

    source = FakeS3(objects, refuse)
    requests = [request_for(key, found, Precondition(None)) for key, found in objects.items()]

    errors = [result.error for result in start(source, FakeAzure(), requests, threads=1)]

    gc.collect()
    assert len(errors) == BLOCK
    assert source.live_buffers() <= BLOCK


# Stopping


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("size", [1, 20 * BLOCK], ids=["small", "large"])
def test_an_interruption_from_another_thread_ends_the_copy(size: int) -> None:
    """Whatever waits for bytes, the caller gets Cancelled soon, and no worker lives on."""
    cancellation, reading = Cancellation(), threading.Event()
    objects = {str(number): stored(content_of(size, number)) for number in range(10)}
    source = FakeS3(objects, wait_for_interruption(cancellation, reading))

    def interrupt() -> None:
        reading.wait(5)
        cancellation.set("SIGTERM")

    other = threading.Thread(target=interrupt)
    other.start()
    started = time.monotonic()

    with pytest.raises(Cancelled, match=r"^SIGTERM; "):
        copy(source, FakeAzure(), cancellation=cancellation)

    other.join()
    assert time.monotonic() - started < 3


@pytest.mark.usefixtures("no_thread_left")
def test_an_interruption_from_before_reads_nothing() -> None:
    """A copy that is told to stop before it began does not begin."""
    cancellation = Cancellation()
    cancellation.set("SIGTERM")
    source = FakeS3({"key": stored(b"x")})

    with pytest.raises(Cancelled):
        copy(source, FakeAzure(), cancellation=cancellation)

    assert source.reads == []


def test_an_interruption_commits_nothing_half_done() -> None:
    """What was staged stays staged for the next try, and no blob is visible."""
    cancellation = Cancellation()

    def interrupt(_: str, first: int) -> None:
        if first == 3 * BLOCK:
            cancellation.set("SIGTERM")
            cancellation.check()

    source, container = FakeS3({"key": stored(content_of(9 * BLOCK))}, interrupt), FakeAzure()

    with pytest.raises(Cancelled):
        copy_one(source, container, cancellation=cancellation)

    assert container.blobs == {}
    assert len(container.blocks["key"]) in (2, 3)  # the third may have been on its way


def test_an_interruption_does_not_hide_what_was_copied_before() -> None:
    """An object that is copied when the copy is stopped still has its result, which the ledger needs."""
    cancellation = Cancellation()
    container = FakeAzure(before_commit=lambda _: cancellation.set("SIGTERM"))
    source = FakeS3({"first": stored(b"x"), "second": stored(b"y")})
    results: list[str] = []

    with pytest.raises(Cancelled):
        results.extend(result.key for result in start(source, container, threads=1, cancellation=cancellation))

    assert results == list(container.blobs) == ["first"]


@pytest.mark.usefixtures("no_thread_left")
def test_closing_early_ends_the_workers() -> None:
    """Whoever takes no more results gets no more work done."""
    cancellation, reading = Cancellation(), threading.Event()
    hang = wait_for_interruption(cancellation, reading)
    objects = {"first": stored(b"x"), "second": stored(b"y"), "third": stored(b"z")}
    source = FakeS3(objects, lambda key, first: None if key == "first" else hang(key, first))
    results = start(source, FakeAzure(), threads=2, cancellation=cancellation)
    assert next(results).key == "first"

    results.close()

    assert cancellation.is_set()


@pytest.mark.usefixtures("no_thread_left")
def test_an_exception_at_the_callers_ends_the_workers() -> None:
    """Airflow's timeout is raised in the caller's thread, as any exception may be."""
    cancellation, reading = Cancellation(), threading.Event()
    hang = wait_for_interruption(cancellation, reading)
    objects = {"first": stored(b"x"), "second": stored(b"y")}
    source = FakeS3(objects, lambda key, first: None if key == "first" else hang(key, first))
    results = start(source, FakeAzure(), threads=2, cancellation=cancellation)
    next(results)

    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())

    assert cancellation.is_set()


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("size", [1, 5 * BLOCK], ids=["small", "large"])
def test_a_defect_in_a_worker_is_raised_to_the_caller(size: int) -> None:
    """What is not a transfer's error is nobody's result: it ends the copy."""
    defect = RuntimeError("a defect")

    def break_down(key: str, _: int) -> None:
        if key == "2":
            raise defect

    objects = {str(number): stored(content_of(size, number)) for number in range(5)}

    with pytest.raises(RuntimeError) as caught:
        copy(FakeS3(objects, break_down), FakeAzure())

    assert caught.value is defect


@pytest.mark.usefixtures("no_thread_left")
def test_a_broken_request_iterator_is_raised_to_the_caller() -> None:
    """A manifest that cannot be read to its end is no shorter batch."""

    def break_off() -> Iterator[CopyRequest]:
        yield CopyRequest("key", "blob")
        raise OSError("the manifest broke off")

    with pytest.raises(OSError, match="the manifest broke off"):
        copy(FakeS3({"key": stored(b"x")}), FakeAzure(), break_off(), threads=1)


class BrokenRequests(Iterator[CopyRequest]):
    """Fails once and is then exhausted, as a generator is; holds the worker that it failed in, while it reports.

    The worker goes on when another one has asked too and has ended, or soon if none asks.
    """

    def __init__(self) -> None:
        self._other: threading.Thread | None = None
        self._asked_again = threading.Event()
        self._failed = False

    def __next__(self) -> CopyRequest:
        """Fail, or end."""
        if self._failed:
            self._other = threading.current_thread()
            self._asked_again.set()
            raise StopIteration
        self._failed = True
        sys.setprofile(self._hold)
        raise OSError("the manifest broke off")

    def _hold(self, frame: FrameType, event: str, argument: Any) -> None:
        del frame
        if event == "c_call" and argument.__name__ == "put":
            sys.setprofile(None)
            self._asked_again.wait(0.05)
            if self._other is not None:
                self._other.join(5)


def test_a_broken_request_iterator_is_raised_whoever_reports_first() -> None:
    """Another worker that finds nothing more to do cannot make the batch look complete."""
    with pytest.raises(OSError, match="the manifest broke off"):
        copy(FakeS3({}), FakeAzure(), BrokenRequests(), threads=2)


# Resuming

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


def test_a_block_is_staged_under_its_own_id() -> None:
    """The ID is the checkpoint that these tests prepare by hand."""
    source, container = FakeS3({"key": stored(DATA)}, break_off_at(2)), FakeAzure()

    copy_one(source, container)

    assert container.blocks == {"key": {id_of(0): DATA[:8], id_of(1): DATA[8:16]}}


def test_a_next_try_reads_only_what_is_not_staged() -> None:
    """A copy that broke off goes on where it was."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", 4), ("key", 5)]
    assert (result.status, result.verified, result.blocks, result.resumed_blocks, result.bytes_read) == (
        "copied",
        "crc64nvme",
        6,
        4,
        11,
    )
    assert container.blobs["key"].data == DATA


def test_a_next_try_may_have_nothing_to_do_but_commit() -> None:
    """Where all blocks are staged, no byte is read again."""
    container = FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(6)}
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert (source.reads, result.status, result.resumed_blocks) == ([], "copied", 6)
    assert container.blobs["key"].data == DATA


def test_staged_blocks_are_part_of_the_verification() -> None:
    """A staged block whose CRC does not fit the object's is found before the commit, not believed."""
    container = FakeAzure()
    wrong = b"!" * SIZE
    container.blocks["key"] = {id_of(1, wrong): wrong[8:16]}

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert isinstance(result.error, IntegrityError)
    assert container.blobs == {}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C"])
def test_a_resumed_copy_is_verified_by_32_bits_too(algorithm: Algorithm) -> None:
    """The IDs keep what the object's stored checksum needs."""
    container = FakeAzure()
    found = stored(DATA, checksum=checksum_of(DATA, algorithm))
    copy_one(FakeS3({"key": found}, break_off_at(4)), container)

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.verified, result.resumed_blocks) == ("copied", algorithm.lower(), 4)


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param({id_of(1, etag="other"): DATA[8:16]}, id="another ETag"),
        pytest.param({id_of(1, version_id="v2"): DATA[8:16]}, id="another version"),
        pytest.param({id_of(1, size=SIZE + 1): DATA[8:16]}, id="another size"),
        pytest.param({id_of(1, block_size=16): DATA[8:16]}, id="another cut"),
        pytest.param({id_of(1, generation=1): DATA[8:16]}, id="another generation"),
        pytest.param({id_of(1): DATA[8:15]}, id="a shorter block"),
        pytest.param({id_of(1): DATA[8:17]}, id="a longer block"),
        pytest.param({id_of(6): b""}, id="a block behind the end"),
        pytest.param({bytes(46): DATA[8:16], b"s2" + id_of(1)[2:]: DATA[8:16]}, id="other tools' names"),
    ],
)
def test_staged_blocks_of_something_else_are_not_used(blocks: dict[bytes, bytes]) -> None:
    """Only a block of this version, this cut and the right size is taken over."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    container.blocks["key"] = dict(blocks)

    result = copy_one(source, container)

    assert source.reads == [("key", index) for index in range(6)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, DATA)


@pytest.mark.parametrize("wrongs", [1, 2])
def test_contradicting_staged_blocks_are_all_ignored(wrongs: int) -> None:
    """Of several contents for one block at most one is right, so it is read again; the other blocks are not."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(6)}
    for number in range(wrongs):
        wrong = b"%d" % number * SIZE
        container.blocks["key"][id_of(1, wrong)] = wrong[8:16]

    result = copy_one(source, container)

    assert source.reads == [("key", 1)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 5, DATA)


def test_a_changed_object_is_copied_from_its_beginning() -> None:
    """Blocks of the old version are of no use to the new one, and none of them is mixed in."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    new = content_of(SIZE, seed=1)

    result = copy_one(FakeS3({"key": stored(new)}), container)

    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, new)


# Slices of time


def slices(source: FakeS3, container: FakeAzure, *, most: int, **settings: Any) -> list[CopyResult]:
    """Copy in slices that are over as soon as they may be, each with what the last one left; give up after ``most``."""
    results: list[CopyResult] = []
    for _ in range(most):
        done = {result.key for result in results}
        requests = [CopyRequest(key, key) for key in source.objects if key not in done]
        try:
            results += start(source, container, requests, slice_seconds=0, **settings)
        except SliceEnded:
            continue
        break
    return results


def test_a_slice_that_is_long_enough_copies_everything() -> None:
    """Nothing is told of its end."""
    objects = {str(number): stored(content_of(20, number)) for number in range(5)}

    results = copy(FakeS3(objects), FakeAzure(), slice_seconds=60)

    assert {result.status for result in results.values()} == {"copied"}


@pytest.mark.usefixtures("no_thread_left")
def test_a_slice_that_ends_commits_nothing_half_done() -> None:
    """The blocks that are staged wait for the next slice."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    with pytest.raises(SliceEnded):
        copy(source, container, threads=1, slice_seconds=0)

    assert container.blobs == {}


@pytest.mark.parametrize("threads", [1, 3])
def test_slices_copy_many_objects_together(threads: int) -> None:
    """However short they are, each copies at least one small object, and none is lost between two."""
    objects = {str(number): stored(content_of(BLOCK, number)) for number in range(10)}
    container = FakeAzure()

    slices(FakeS3(objects), container, most=11, threads=threads)

    assert {name: blob.data for name, blob in container.blobs.items()} == {
        key: found.data for key, found in objects.items()
    }


def test_slices_copy_a_large_object_together() -> None:
    """However short they are, each stages at least one block, and the last one commits."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    slices(source, container, most=8, threads=1)

    assert [blob.data for blob in container.blobs.values()] == [DATA]


def test_the_end_of_a_slice_is_no_interruption() -> None:
    """Whoever goes on with the next slice was not told to stop."""
    cancellation = Cancellation()

    with pytest.raises(SliceEnded):
        copy(FakeS3({"key": stored(DATA)}), FakeAzure(), cancellation=cancellation, slice_seconds=0)

    assert not cancellation.is_set()


# Verifying


@pytest.mark.parametrize("size", [0, BLOCK, SIZE], ids=["empty", "one block", "blocks"])
@pytest.mark.parametrize(
    ("algorithm", "verified"),
    [("CRC64NVME", "crc64nvme"), ("CRC32", "crc32"), ("CRC32C", "crc32c"), (None, "blocks")],
)
def test_a_result_says_what_verified_it(size: int, algorithm: Algorithm | None, verified: Verified) -> None:
    """It is the checksum that S3 stored, or else only that of each block."""
    data = content_of(size)
    found = stored(data, checksum=algorithm and checksum_of(data, algorithm))

    assert copy_one(FakeS3({"key": found}), FakeAzure()).verified == verified


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C"])
@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["whole", "blocks"])
def test_a_mismatch_commits_nothing(algorithm: Algorithm, size: int) -> None:
    """Bytes that are not those S3 once received never become a blob; a small object was already read twice."""
    data = content_of(size)
    source = FakeS3({"key": stored(data, checksum=checksum_of(b"other", algorithm))})
    container = FakeAzure()

    result = copy_one(source, container)

    assert isinstance(result.error, IntegrityError)
    assert result.error.retryable == (size == SIZE)
    assert container.blobs == {}
    assert [how for how, _ in container.writes if how != "stage"] == []


def test_a_mismatch_leaves_an_existing_blob_as_it_is() -> None:
    """What was there before is still there."""
    container = FakeAzure()
    existing = container.add("key", b"before")

    copy_one(FakeS3({"key": stored(DATA, checksum=checksum_of(b"other"))}), container)

    assert container.blobs == {"key": existing}


def test_the_try_after_a_mismatch_starts_from_scratch() -> None:
    """Blocks that were found to be wrong are not resumed: all are read again, and a good read is committed."""
    container = FakeAzure()
    damaged = stored(DATA[:-1] + b"!", etag=etag_of(DATA), checksum=checksum_of(DATA))
    copy_one(FakeS3({"key": damaged}), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", index) for index in range(6)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, DATA)


def test_the_try_after_a_mismatch_can_be_resumed_itself() -> None:
    """The second generation's blocks are as good a checkpoint as the first one's."""
    container = FakeAzure()
    damaged = stored(DATA[:-1] + b"!", etag=etag_of(DATA), checksum=checksum_of(DATA))
    copy_one(FakeS3({"key": damaged}), container)
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", 4), ("key", 5)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 4, DATA)


def test_a_second_mismatch_is_final() -> None:
    """Twice the same contradiction is S3's own, and no further try helps."""
    container = FakeAzure()
    source = FakeS3({"key": stored(DATA, checksum=checksum_of(b"other"))})
    copy_one(source, container)

    result = copy_one(source, container)

    assert isinstance(result.error, IntegrityError)
    assert not result.error.retryable
    assert source.reads == [("key", index) for index in range(6)] * 2


@pytest.mark.parametrize("size", [0, BLOCK, SIZE], ids=["empty", "one block", "blocks"])
def test_required_verification_refuses_an_object_without_a_checksum(size: int) -> None:
    """Nothing is read or written that could not be verified."""
    source, container = FakeS3({"key": stored(content_of(size), checksum=None)}), FakeAzure()

    result = copy_one(source, container, options=replace(OPTIONS, verify="require"))

    assert isinstance(result.error, IntegrityError)
    assert (source.reads, container.writes) == ([], [])


def test_required_verification_is_not_tried_again_without_a_checksum() -> None:
    """No later try can find what S3 does not store."""
    source = FakeS3({"key": stored(DATA, checksum=None)})

    result = copy_one(source, FakeAzure(), options=replace(OPTIONS, verify="require"))

    assert result.error is not None
    assert not result.error.retryable


# The destination


def test_a_second_copy_moves_nothing() -> None:
    """The record on the blob says that it is the same content."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert (source.reads, result.status, result.blob_etag) == ([], "unchanged", container.blobs["key"].etag)


def test_another_blob_is_replaced() -> None:
    """A blob that is not a copy of this version gives way, all at once."""
    container = FakeAzure()
    container.add("key", b"before")

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert (result.status, container.blobs["key"].data) == ("copied", DATA)


def test_another_blob_is_left_alone_without_overwrite() -> None:
    """It is skipped, with the reason."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    existing = container.add("key", b"before")

    result = copy_one(source, container, options=replace(OPTIONS, overwrite=False))

    assert (result.status, result.reason) == ("skipped", "the blob exists and overwrite is off")
    assert (source.reads, container.blobs) == ([], {"key": existing})


def test_a_blob_carries_headers_metadata_and_record() -> None:
    """What S3 keeps beside the bytes arrives with them."""
    kept = PreservedProperties({"content-type": "text/csv"}, {"team": "etl"})
    container = FakeAzure()

    copy_one(FakeS3({"key": stored(DATA, kept=kept, version_id="v1")}), container)

    content = container.blobs["key"].content
    assert content.headers == {"content-type": "text/csv"}
    assert content.metadata["team"] == "etl"
    assert SourceRecord.from_metadata(content.metadata) == SourceRecord(
        etag_of(DATA), SIZE, "v1", UPLOADED, identity=str(CopyIdentity("bucket", "key", "key"))
    )


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["put", "commit"])
def test_a_twin_that_was_faster_leaves_nothing_to_do(size: int) -> None:
    """The precondition fails, and the blob that is there is a copy of the same source."""
    found = stored(content_of(size))
    record = SourceRecord(found.etag, size).as_metadata()
    container = FakeAzure()
    container.before_commit = lambda blob: container.add(blob, found.data, record)

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.error, result.blob_etag) == ("unchanged", None, container.blobs["key"].etag)


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["put", "commit"])
@pytest.mark.parametrize(
    "metadata",
    [{}, SourceRecord("other", SIZE).as_metadata(), SourceRecord(etag_of(DATA), SIZE + 1).as_metadata()],
    ids=["another tool's", "another version's", "another size's"],
)
def test_someone_elses_blob_is_a_conflict(size: int, metadata: dict[str, str]) -> None:
    """What was written meanwhile and is not a copy of the same source is not overwritten."""
    container = FakeAzure()
    container.before_commit = lambda blob: container.add(blob, b"theirs", metadata)

    result = copy_one(FakeS3({"key": stored(content_of(size))}), container)

    assert (result.status, container.blobs["key"].data) == ("failed", b"theirs")
    assert isinstance(result.error, DestinationConflict)


def test_a_blob_that_was_deleted_meanwhile_is_a_conflict() -> None:
    """The plan saw a blob to replace; now there is none."""
    container = FakeAzure()
    container.add("key", b"before")
    container.before_commit = lambda blob: container.blobs.clear()

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert isinstance(result.error, DestinationConflict)
    assert container.blobs == {}


def test_two_copies_of_one_object_end_in_one_blob() -> None:
    """A redelivered task and its twin, in one pool even, harm nobody."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    results = list(start(source, container, [CopyRequest("key", "blob")] * 2, threads=2))

    assert container.blobs["blob"].data == DATA
    assert "copied" in [result.status for result in results]
    assert {result.status for result in results} <= {"copied", "unchanged"}


# What a plan knows


def test_a_planned_small_object_costs_one_get_and_one_put() -> None:
    """Where the listings said everything, nobody asks again."""
    found = stored(b"x" * BLOCK)
    source, container = FakeS3({"key": found}), FakeAzure()

    copy(source, container, [request_for("key", found, Precondition(None))])

    assert (source.heads, source.reads, container.writes) == ([], [("key", 0)], [("put", "key")])


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["small", "large"])
@pytest.mark.parametrize("change", [{"etag": "other"}, {"size": 1}], ids=["ETag", "size"])
def test_an_object_that_changed_since_the_plan_is_not_copied(size: int, change: dict[str, Any]) -> None:
    """The next plan will take the new version."""
    found = stored(content_of(size))
    container = FakeAzure()
    request = replace(request_for("key", found, Precondition(None)), **change)

    results = copy(FakeS3({"key": found}), container, [request])

    assert isinstance(results["key"].error, SourceChanged)
    assert container.writes == []


def test_an_object_that_changes_under_the_copy_is_not_committed() -> None:
    """Blocks of two versions never meet in one blob."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    def change(key: str, first: int) -> None:
        if first == 2 * BLOCK:
            source.objects[key] = stored(content_of(SIZE, seed=1))

    source.before_read = change

    result = copy_one(source, container)

    assert isinstance(result.error, SourceChanged)
    assert container.blobs == {}


# Retries and progress


def test_a_transient_failure_is_read_again() -> None:
    """One block is asked for again; its neighbours are not."""
    failures = iter([SourceReadError("busy", transient=True)])

    def fail_once(_: str, first: int) -> None:
        if first == BLOCK and (error := next(failures, None)) is not None:
            raise error

    source = FakeS3({"key": stored(DATA)}, fail_once)

    result = copy_one(source, FakeAzure())

    assert [index for _, index in source.reads] == [0, 1, 1, 2, 3, 4, 5]
    assert (result.status, result.retries) == ("copied", 1)


def test_a_lasting_failure_ends_the_object() -> None:
    """After the attempts of one request, the object has failed, with what is staged left for the next try."""

    def fail(_: str, first: int) -> None:
        if first == BLOCK:
            raise SourceReadError("busy", transient=True)

    source, container = FakeS3({"key": stored(DATA)}, fail), FakeAzure()

    result = copy_one(source, container)

    assert [index for _, index in source.reads] == [0, 1, 1, 1]
    assert (result.status, result.retries, len(container.blocks["key"])) == ("failed", 2, 1)


def test_a_failed_commit_is_a_result() -> None:
    """Azure's refusal of the last act is told as any other."""

    def refuse(blob: str) -> None:
        raise DestinationWriteError("no", blob=blob)

    result = copy_one(FakeS3({"key": stored(DATA)}), FakeAzure(before_commit=refuse))

    assert (result.status, type(result.error), result.size) == ("failed", DestinationWriteError, SIZE)


def test_progress_is_told_while_the_copy_runs() -> None:
    """The caller's thread hears how far it is, without waiting for a result."""
    told: list[tuple[Progress, threading.Thread]] = []
    heard = threading.Event()

    def note(progress: Progress) -> None:
        told.append((progress, threading.current_thread()))
        if progress.size == 5 * BLOCK:
            heard.set()

    def wait(_: str, first: int) -> None:
        if first == 5 * BLOCK:
            assert heard.wait(5)

    copy_one(FakeS3({"key": stored(DATA)}, wait), FakeAzure(), on_progress=note, progress_interval=0.001)

    progress, thread = next(one for one in told if one[0].size == 5 * BLOCK)
    assert (progress.objects, progress.total, thread) == (0, SIZE, threading.current_thread())


def test_staged_blocks_count_as_progress() -> None:
    """A resumed copy does not begin at zero percent."""
    container = FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(5)}
    told: list[Progress] = []
    heard = threading.Event()

    def note(progress: Progress) -> None:
        told.append(progress)
        if progress.total:
            heard.set()

    source = FakeS3({"key": stored(DATA)}, lambda key, first: heard.wait(5))

    copy_one(source, container, on_progress=note, progress_interval=0.001)

    assert next(progress.size for progress in told if progress.total) == 5 * BLOCK


# Reading ahead


def test_the_next_block_is_read_while_one_is_on_its_way() -> None:
    """One connection to S3 is not idle while Azure takes its time."""
    second = threading.Event()
    source = FakeS3({"key": stored(content_of(2 * BLOCK))}, lambda key, start: second.set() if start else None)
    waited: list[bool] = []

    class SlowAzure(FakeAzure):
        def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
            waited.append(second.wait(timeout=20))
            super().stage(blob, block_id, data, crc64)

    assert copy_one(source, SlowAzure()).status == "copied"
    assert waited == [True, True]
    assert source.most_at_once == 1


def test_no_more_small_objects_are_begun_at_once_than_the_load_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process computes all the time it is one after the other, and large ones are not held back by it."""
    monkeypatch.setattr(Limiter, "sample", lambda self, **_: None)
    data = content_of(BLOCK)
    found = {f"{number:02}": stored(data) for number in range(20)}
    requests = [request_for(key, one, Precondition(None)) for key, one in found.items()]
    source = FakeS3(found, lambda key, start: time.sleep(0.001))

    assert {result.status for result in start(source, FakeAzure(), requests)} == {"copied"}
    assert source.most_at_once == 1


def test_no_more_blocks_are_in_hand_than_the_load_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is waited for, they are two; and an object whose blocks would only wait is not begun."""
    monkeypatch.setattr(Limiter, "sample", lambda self, **_: None)
    lock = threading.Lock()
    in_hand, most, begun = 0, 0, []

    def take(*_: object) -> None:
        nonlocal in_hand, most
        with lock:
            in_hand += 1
            most = max(most, in_hand)
        time.sleep(0.001)

    class Azure(FakeAzure):
        def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
            nonlocal in_hand
            super().stage(blob, block_id, data, crc64)
            with lock:
                in_hand -= 1

        def staged(self, blob: str) -> list[StagedBlock]:
            begun.append((blob, len(self.blobs)))
            return super().staged(blob)

    found = {str(number): stored(content_of(8 * BLOCK)) for number in range(5)}

    assert {result.status for result in start(FakeS3(found, take), Azure())} == {"copied"}
    assert most == 2
    # One is begun while the last blocks of the one before it are in hand, none sooner.
    assert all(int(blob) - complete <= 1 for blob, complete in begun)
