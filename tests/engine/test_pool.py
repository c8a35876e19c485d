"""Many objects over one bounded set of threads: every result, its bounds, reading ahead, retries and progress."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationWriteError, SourceAccessDenied, SourceNotFound, SourceReadError
from airflow_s3_azure.engine.limiter import Limiter
from airflow_s3_azure.engine.model import CopyRequest, Precondition, StagedBlock
from airflow_s3_azure.engine.progress import Progress
from tests.examples import examples
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    SIZE,
    FakeAzure,
    FakeS3,
    content_of,
    copy,
    copy_one,
    id_of,
    request_for,
    start,
    stored,
    wait_until_cancelled,
)

# Every object


@settings(max_examples=examples(0.4))
@given(
    sizes=st.lists(st.integers(0, 6 * BLOCK), max_size=12),
    bad=st.sets(st.integers(0, 11)),
    threads=st.integers(1, 9),
)
def test_every_request_gets_exactly_one_result(sizes: list[int], bad: set[int], threads: int) -> None:
    """Each key is reported once, for any sizes, failures and threads."""
    objects = {f"{number:02}": stored(content_of(size, number)) for number, size in enumerate(sizes)}
    failing = {f"{number:02}" for number in bad} & objects.keys()

    def refuse_last_block(key: str, first: int) -> None:
        if key in failing and first + BLOCK >= len(objects[key].data):
            raise SourceAccessDenied("no")

    results = list(start(FakeS3(objects, refuse_last_block), FakeAzure(), threads=threads))

    assert sorted((result.key, result.status) for result in results) == [
        (key, "failed" if key in failing else "copied") for key in sorted(objects)
    ]


@settings(max_examples=examples(0.4))
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


def test_an_error_names_source_and_destination() -> None:
    """Whether source or destination failed, the message names both."""
    (result,) = start(FakeS3({}), FakeAzure(), [CopyRequest("a/key", "a/blob")])

    assert str(result.error) == (
        "there is no such object ('s3://bucket/a/key' -> 'https://account.invalid/container/a/blob')"
    )


def test_requests_are_taken_as_they_are_needed() -> None:
    """A batch may be longer than memory: each thread takes one request at a time."""
    cancellation, taken = Cancellation(), []
    wait = wait_until_cancelled(cancellation, threading.Event())
    objects = {str(number): stored(b"x") for number in range(100)}

    def requests() -> Iterator[CopyRequest]:
        for key in objects:
            taken.append(key)
            yield CopyRequest(key, key)

    source = FakeS3(objects, lambda key, first: None if key == "0" else wait(key, first))
    results = start(source, FakeAzure(), requests(), threads=3, cancellation=cancellation)

    first = next(results)

    results.close()
    assert first.key == "0"
    assert len(taken) <= 4


@pytest.mark.slow
def test_fifty_thousand_blocks_are_one_blob() -> None:
    """As many blocks as Azure accepts, each of one byte, in the order of the object; one byte more, and they grow."""
    for size, blocks in ((50_000, 50_000), (50_001, 1)):
        data = content_of(size)
        container = FakeAzure()

        (result,) = start(FakeS3({"key": stored(data)}), container, options=replace(OPTIONS, block_size=1))

        assert (result.error, result.verified, result.blocks) == (None, "crc64nvme", blocks)
        assert container.blobs["key"].data == data


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


# Reading ahead


def test_the_next_block_is_read_while_one_is_in_flight() -> None:
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
    """Where the process computes all the time they are two, and large ones are not held back by it."""
    monkeypatch.setattr(Limiter, "sample", lambda self, **_: None)
    data = content_of(BLOCK)
    found = {f"{number:02}": stored(data) for number in range(20)}
    requests = [request_for(key, one, Precondition(None)) for key, one in found.items()]
    source = FakeS3(found, lambda key, start: time.sleep(0.001))

    assert {result.status for result in start(source, FakeAzure(), requests)} == {"copied"}
    assert source.most_at_once == 2


def test_no_more_blocks_are_in_flight_than_the_load_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is waited for, they are two; and an object whose blocks would only wait is not begun."""
    monkeypatch.setattr(Limiter, "sample", lambda self, **_: None)
    lock = threading.Lock()
    in_flight, most, begun = 0, 0, []

    def take(*_: object) -> None:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        time.sleep(0.001)

    class Azure(FakeAzure):
        def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
            nonlocal in_flight
            super().stage(blob, block_id, data, crc64)
            with lock:
                in_flight -= 1

        def staged(self, blob: str) -> list[StagedBlock]:
            begun.append((blob, len(self.blobs)))
            return super().staged(blob)

    found = {str(number): stored(content_of(8 * BLOCK)) for number in range(5)}

    assert {result.status for result in start(FakeS3(found, take), Azure())} == {"copied"}
    assert most == 2
    # One begins while the last blocks of the one before it are in flight, none sooner.
    assert all(int(blob) - complete <= 1 for blob, complete in begun)


# Retries and progress


def test_a_transient_failure_is_read_again() -> None:
    """One block is requested again; its neighbours are not."""
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
    """A rejected commit is reported as any other failure."""

    def refuse(blob: str) -> None:
        raise DestinationWriteError("no", blob=blob)

    result = copy_one(FakeS3({"key": stored(DATA)}), FakeAzure(before_commit=refuse))

    assert (result.status, type(result.error), result.size) == ("failed", DestinationWriteError, SIZE)


def test_progress_is_reported_while_the_copy_runs() -> None:
    """The caller's thread gets progress without waiting for a result."""
    reported: list[tuple[Progress, threading.Thread]] = []
    is_reported = threading.Event()

    def record(progress: Progress) -> None:
        reported.append((progress, threading.current_thread()))
        if progress.size == 5 * BLOCK:
            is_reported.set()

    def wait(_: str, first: int) -> None:
        if first == 5 * BLOCK:
            assert is_reported.wait(5)

    copy_one(FakeS3({"key": stored(DATA)}, wait), FakeAzure(), on_progress=record, progress_interval=0.001)

    progress, thread = next(one for one in reported if one[0].size == 5 * BLOCK)
    assert (progress.objects, progress.total, thread) == (0, SIZE, threading.current_thread())


def test_staged_blocks_count_as_progress() -> None:
    """A resumed copy does not begin at zero percent."""
    container = FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(5)}
    reported: list[Progress] = []
    is_reported = threading.Event()

    def record(progress: Progress) -> None:
        reported.append(progress)
        if progress.total:
            is_reported.set()

    source = FakeS3({"key": stored(DATA)}, lambda key, first: is_reported.wait(5))

    copy_one(source, container, on_progress=record, progress_interval=0.001)

    assert next((one.size, one.resumed) for one in reported if one.total) == (5 * BLOCK, 5 * BLOCK)
