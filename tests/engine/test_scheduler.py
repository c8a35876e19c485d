"""Handing out blocks and objects to workers, in one thread: no copy, no wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from airflow_s3_azure.engine.admission import Admission
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, SourceReadError
from airflow_s3_azure.engine.limiter import Limiter
from airflow_s3_azure.engine.model import Blocks, CopyRequest, CopyResult, Finished
from airflow_s3_azure.engine.scheduler import Scheduler, Task


class SizedCopy:
    """A copy of which the scheduler needs only the size."""

    def __init__(self, request: CopyRequest) -> None:
        self.request = request
        self.size = 20


def scheduler(
    keys: Iterable[str], *, cancellation: Cancellation | None = None, end_of_slice: float | None = None
) -> Scheduler:
    """Return a scheduler of one request per key, whose admission admits up to four reads."""

    def new_copy(request: CopyRequest, on_bytes: object) -> Any:
        del on_bytes
        return SizedCopy(request)

    return Scheduler(
        (CopyRequest(key, key) for key in keys),
        new_copy,
        Admission(4, 10, Limiter(4, is_adaptive=False)),
        cancellation or Cancellation(),
        end_of_slice=end_of_slice,
    )


def claimed(work: Scheduler) -> Task:
    """Claim a task that must be there."""
    task = work.claim()
    assert task is not None
    return task


def blocks(count: int) -> Blocks:
    """Return missing blocks of ten bytes."""
    return Blocks([Block(index, index * 10, index * 10 + 10) for index in range(count)])


def finished(task: Task, status: Any = "copied") -> Finished:
    """Return what a copy that needs no blocks returns."""
    key = task.active.copy.request.key
    return Finished(CopyResult(key, key, status))


def test_blocks_of_an_active_object_come_before_the_next_object() -> None:
    """So an object finishes before many others begin."""
    work = scheduler("ab")
    work.end_begin(claimed(work), blocks(2))

    tasks = [claimed(work) for _ in range(3)]

    assert [(task.active.copy.request.key, task.block and task.block.index) for task in tasks] == [
        ("a", 0),
        ("a", 1),
        ("b", None),
    ]


def test_exactly_the_last_block_of_an_object_is_reported_as_last() -> None:
    """In any order of their ends."""
    work = scheduler("a")
    work.end_begin(claimed(work), blocks(3))
    first, second, third = (claimed(work) for _ in range(3))

    assert [work.end_block(task, None) for task in (second, third, first)] == [False, False, True]


def test_after_a_failed_block_no_other_block_of_its_object_starts() -> None:
    """The first error is the object's; the blocks in flight still end, and the last one is reported."""
    work = scheduler("ab")
    work.end_begin(claimed(work), blocks(4))
    one, other = claimed(work), claimed(work)
    error = SourceReadError("reset")

    assert not work.end_block(one, error)
    assert claimed(work).active.copy.request.key == "b"
    assert work.end_block(other, SourceReadError("later"))
    assert other.active.error is error


def test_a_worker_exits_only_when_nothing_is_left() -> None:
    """While an object is active, its commit may still fail the copy, so its end is waited for."""
    work = scheduler("ab")
    first = claimed(work)
    work.end_begin(first, blocks(1))
    block, second = claimed(work), claimed(work)
    work.end_begin(second, finished(second))
    assert work.end_block(block, None)
    work.remove(block.active)

    assert work.claim() is None


def test_the_total_counts_what_is_copied() -> None:
    """An object that was found unchanged adds nothing."""
    work = scheduler("abc")
    for begun in (blocks(2), "copied", "unchanged"):
        task = claimed_object(work)
        work.end_begin(task, begun if isinstance(begun, Blocks) else finished(task, begun))

    assert work.total == 40


def claimed_object(work: Scheduler) -> Task:
    """Claim tasks up to one that begins an object."""
    return next(task for task in iter(lambda: claimed(work), None) if task.block is None)


def test_a_buffer_is_reused_once_its_task_has_ended() -> None:
    """There are never more buffers than tasks in flight."""
    work = scheduler("ab")
    first = claimed(work)
    work.end_begin(first, finished(first))

    assert claimed(work).buffer is first.buffer


def test_a_slice_yields_at_least_one_task() -> None:
    """A slice that is shorter than a block would repeat forever; after one step it ends."""
    work = scheduler("ab", end_of_slice=0.0)
    first = claimed(work)
    assert not work.slice_ended

    work.end_begin(first, finished(first))

    assert work.claim() is None
    assert work.slice_ended


def test_a_cancelled_copy_yields_nothing() -> None:
    """The reason of the cancellation reaches the worker."""
    cancellation = Cancellation()
    cancellation.set("killed")

    with pytest.raises(Cancelled, match=r"^killed"):
        scheduler("a", cancellation=cancellation).claim()


def test_a_closed_scheduler_yields_nothing() -> None:
    """Its workers exit without an error."""
    work = scheduler("a")
    work.close()

    assert work.claim() is None


def test_requests_are_consumed_one_at_a_time() -> None:
    """A manifest of forty million keys is never in memory."""
    consumed = []

    def keys() -> Iterator[str]:
        for key in "abc":
            consumed.append(key)
            yield key

    claimed(scheduler(keys()))

    assert consumed == ["a"]
