"""How copies end early: cancellation, an exception in the caller, a defect in a worker, a broken request iterator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.scheduler import Scheduler
from tests.fakes.memory import BLOCK, FakeAzure, FakeS3, content_of, copy, copy_one, start, stored, wait_until_cancelled


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("size", [1, 20 * BLOCK], ids=["small", "large"])
def test_a_cancellation_from_another_thread_ends_the_copy(size: int) -> None:
    """The caller gets Cancelled and no worker is left, while any of them waits for bytes."""
    cancellation, reading = Cancellation(), threading.Event()
    objects = {str(number): stored(content_of(size, number)) for number in range(10)}
    source = FakeS3(objects, wait_until_cancelled(cancellation, reading))

    def cancel() -> None:
        reading.wait(5)
        cancellation.set("SIGTERM")

    other = threading.Thread(target=cancel)
    other.start()

    with pytest.raises(Cancelled, match=r"^SIGTERM; "):
        copy(source, FakeAzure(), cancellation=cancellation)

    other.join()


@pytest.mark.usefixtures("no_thread_left")
def test_a_copy_that_was_cancelled_reads_nothing() -> None:
    """A copy that is cancelled before it begins does not begin."""
    cancellation = Cancellation()
    cancellation.set("SIGTERM")
    source = FakeS3({"key": stored(b"x")})

    with pytest.raises(Cancelled):
        copy(source, FakeAzure(), cancellation=cancellation)

    assert source.reads == []


def test_a_cancellation_commits_nothing_incomplete() -> None:
    """What was staged stays staged for the next try, and no blob is visible."""
    cancellation = Cancellation()

    def cancel(_: str, first: int) -> None:
        if first == 3 * BLOCK:
            cancellation.set("SIGTERM")
            cancellation.check()

    source, container = FakeS3({"key": stored(content_of(9 * BLOCK))}, cancel), FakeAzure()

    with pytest.raises(Cancelled):
        copy_one(source, container, cancellation=cancellation)

    assert container.blobs == {}
    assert len(container.blocks["key"]) in (2, 3)  # the third may have been in flight


def test_a_cancellation_does_not_hide_what_was_copied_before() -> None:
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
    """A caller that takes no more results ends the work."""
    cancellation, reading = Cancellation(), threading.Event()
    wait = wait_until_cancelled(cancellation, reading)
    objects = {"first": stored(b"x"), "second": stored(b"y"), "third": stored(b"z")}
    source = FakeS3(objects, lambda key, first: None if key == "first" else wait(key, first))
    results = start(source, FakeAzure(), threads=2, cancellation=cancellation)
    assert next(results).key == "first"

    results.close()

    assert cancellation.is_set()


@pytest.mark.usefixtures("no_thread_left")
def test_an_exception_at_the_callers_ends_the_workers() -> None:
    """Airflow's timeout is raised in the caller's thread, as any exception may be."""
    cancellation, reading = Cancellation(), threading.Event()
    wait = wait_until_cancelled(cancellation, reading)
    objects = {"first": stored(b"x"), "second": stored(b"y")}
    source = FakeS3(objects, lambda key, first: None if key == "first" else wait(key, first))
    results = start(source, FakeAzure(), threads=2, cancellation=cancellation)
    next(results)

    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())

    assert cancellation.is_set()


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("size", [1, 5 * BLOCK], ids=["small", "large"])
def test_a_defect_in_a_worker_is_raised_to_the_caller(size: int) -> None:
    """An exception that is not a transfer error is no object's result: it ends the copy."""
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


def test_a_broken_request_iterator_is_raised_whichever_worker_exits_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker that finds nothing more to do cannot make the batch look complete."""
    claim, exiting = Scheduler.claim, threading.Event()
    others: list[threading.Thread] = []

    def claim_and_exit_last(scheduler: Scheduler) -> Any:
        try:
            task = claim(scheduler)
        except OSError:
            assert exiting.wait(5)
            others[0].join(5)
            raise
        if task is None:
            others.append(threading.current_thread())
            exiting.set()
        return task

    def read_manifest() -> CopyRequest:
        raise OSError("the manifest broke off")

    monkeypatch.setattr(Scheduler, "claim", claim_and_exit_last)

    with pytest.raises(OSError, match="the manifest broke off"):
        copy(FakeS3({}), FakeAzure(), (read_manifest() for _ in range(2)), threads=2)
