"""Many objects over one bounded set of threads. All concurrency of the package is here.

A worker claims the next block of an object that is being copied. Where no block is left, or none is admitted, it begins
the next object. The worker that finishes an object's last block commits it. So one huge object keeps all workers busy,
and so do a million small ones.

:mod:`airflow_s3_azure.engine.admission` decides what may start. When a block is nearly read, the next one may start, so
that S3 is never idle while blocks are written to Azure. The workers share one lock (a condition, which guards admission,
the objects that are being copied and the requests) and one queue, through which results reach the caller's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field

from airflow_s3_azure.engine.admission import Admission, Slot, worker_count
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import Buffer
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.copy import ObjectCopy
from airflow_s3_azure.engine.errors import SliceEnded, TransferError
from airflow_s3_azure.engine.limiter import Limiter
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.modes import block_mover
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.source import S3Source

log = get_logger(__name__)

STOP_SECONDS = 2.0
"""Grace period for workers after their connections are aborted. Airflow kills a task 5 s after SIGTERM."""
POLL_SECONDS = 0.5
"""Cancellation poll interval of idle workers."""
HANDOVER_SECONDS = 0.02
"""How often the caller collects results. To wake it for each small object would cost as much as a request."""


@dataclass(slots=True)
class _ActiveCopy:
    """An object that is being copied: its unclaimed blocks, and how many are in flight."""

    copy: ObjectCopy
    unclaimed: deque[Block] = field(default_factory=deque)
    in_flight: int = 0
    error: TransferError | None = None


@dataclass(slots=True)
class _Task:
    """What a worker claimed: a block to copy, or an object to begin (without a block)."""

    active: _ActiveCopy
    block: Block | None
    slot: Slot
    buffer: Buffer


@dataclass(frozen=True, slots=True)
class _Exit:
    """A worker has exited.

    :param error: a defect, or a broken request iterator; None if the worker had nothing left to do
    """

    error: BaseException | None


def copy_objects(
    requests: Iterable[CopyRequest],
    source: S3Source,
    container: BlobContainer,
    options: CopyOptions,
    cancellation: Cancellation,
    *,
    max_concurrency: int,
    slice_seconds: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_interval: float = 10.0,
) -> Generator[CopyResult, None, None]:
    """Copy objects, and yield the result of each as soon as it is there, in any order.

    A failed object is a result and does not stop the others. Closing the generator, an exception thrown into it, or
    ``cancellation`` stops all workers. Staged blocks stay for the next try.

    :param requests: consumed lazily, by the workers, under a lock
    :param max_concurrency: objects and blocks that are read at once at most; a few more may be written to Azure
    :param slice_seconds: after this time no more blocks start; those in flight are staged
    :param on_progress: called from the caller's thread, about every ``progress_interval`` seconds
    :raises SliceEnded: if ``slice_seconds`` were over before all were copied
    :raises Cancelled: if ``cancellation`` was set before all were copied
    :raises Exception: whatever a worker met that is not a :class:`TransferError`: a defect, or a broken request iterator
    """
    end = None if slice_seconds is None else time.monotonic() + slice_seconds
    mover = block_mover(source, container, options)
    # Where blocks do not pass through this process there is nothing to read ahead, and the load is that of other work.
    limiter = Limiter(max_concurrency, is_adaptive=mover.fills_buffers)
    pool = _WorkerPool(
        requests,
        lambda request, on_bytes: ObjectCopy(
            request, source, container, options, mover, cancellation=cancellation, on_bytes=on_bytes
        ),
        Admission(max_concurrency, options.block_size, limiter),
        cancellation,
        end_of_slice=end,
    )
    count = worker_count(max_concurrency, options.block_size) if mover.fills_buffers else max_concurrency
    workers = [
        # In the caller's context, by which a triggerer knows which task's log a line belongs to.
        threading.Thread(target=copy_context().run, args=(pool.work,), name=f"s3-to-azure-{number}", daemon=True)
        for number in range(count)
    ]
    try:
        for worker in workers:
            worker.start()
        yield from pool.results(len(workers), on_progress, progress_interval)
    except SliceEnded:
        raise
    except BaseException:
        # Also Airflow's timeout, which is a BaseException, and GeneratorExit.
        pool.stop()
        raise
    finally:
        deadline = time.monotonic() + STOP_SECONDS
        for worker in workers:
            if worker.ident is not None:
                worker.join(max(0.0, deadline - time.monotonic()))


class _WorkerPool:
    """What the workers share.

    Invariant: an object is in ``_active`` from the end of its beginning until its result is in the queue, and is counted
    in ``_beginning`` before that. So once the requests are exhausted and both are empty, every result is in the queue.
    """

    def __init__(
        self,
        requests: Iterable[CopyRequest],
        new_copy: Callable[[CopyRequest, Callable[[int], None]], ObjectCopy],
        admission: Admission,
        cancellation: Cancellation,
        *,
        end_of_slice: float | None,
    ) -> None:
        self._requests = iter(requests)
        self._new_copy = new_copy
        self._admission = admission
        self._cancellation = cancellation
        self._end_of_slice = end_of_slice
        self._slice_ended = False
        self._steps = 0
        self._changed = threading.Condition()
        self._active: list[_ActiveCopy] = []
        self._next_request: CopyRequest | None = None
        self._beginning = 0
        self._exhausted = False
        self._closed = False
        self._free_buffers: list[Buffer] = []
        self._size = 0
        self._total = 0
        self._outcomes: queue.SimpleQueue[CopyResult | _Exit] = queue.SimpleQueue()
        self._exited = threading.Event()

    # The caller's thread

    def results(
        self, workers: int, on_progress: Callable[[Progress], None] | None, interval: float
    ) -> Iterator[CopyResult]:
        """Yield results until every worker has exited, and report progress in between."""
        started = reported = time.monotonic()
        objects = 0
        error: BaseException | None = None
        deadline: float | None = None
        while workers and (deadline is None or time.monotonic() < deadline):
            self._await_outcomes()
            for outcome in self._drain_outcomes():
                if isinstance(outcome, _Exit):
                    workers -= 1
                    error = error or outcome.error
                else:
                    objects += 1
                    yield outcome
            if on_progress is not None and (now := time.monotonic()) >= reported + interval:
                reported = now
                on_progress(Progress(objects, self._size, self._total, now - started))
            if deadline is None and (error is not None or self._cancellation.is_set()):
                # Workers may still hand over what they finished, within the grace period.
                deadline = time.monotonic() + STOP_SECONDS
                self.stop()
        self._raise_if_incomplete(error)

    def stop(self) -> None:
        """Stop all workers: idle ones exit, pending I/O is aborted."""
        self._cancellation.set("the copy was stopped")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._cancellation.abort()

    def _await_outcomes(self) -> None:
        self._exited.wait(HANDOVER_SECONDS)
        self._exited.clear()
        with self._changed:
            if self._admission.sample():
                self._changed.notify_all()

    def _drain_outcomes(self) -> Iterator[CopyResult | _Exit]:
        with suppress(queue.Empty):
            while True:
                yield self._outcomes.get_nowait()

    def _raise_if_incomplete(self, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._cancellation.check()
        if self._slice_ended:
            raise SliceEnded("the slice ended before everything was copied; what is staged stays for the next one")

    # The workers' threads

    def work(self) -> None:
        """Copy blocks until none are left. The body of one worker."""
        error: BaseException | None = None
        try:
            while (task := self._claim()) is not None:
                if task.block is None:
                    self._begin(task)
                else:
                    self._copy_block(task, task.block)
        except BaseException as caught:  # handed to the caller's thread, which raises it
            error = caught
        self._outcomes.put(_Exit(error))
        self._exited.set()

    def _claim(self) -> _Task | None:
        """Return what to do next; wait for it if need be. None: exit."""
        with self._changed:
            while not self._closed:
                self._cancellation.check()
                task = self._next_block() or self._next_object()
                if task is not None and self._is_slice_over():
                    # The claim is dropped. The next slice finds the work again: in the requests, or not staged.
                    self._slice_ended = self._closed = True
                elif task is not None:
                    return task
                elif self._exhausted and not self._active and not self._beginning:
                    break
                else:
                    # Notified when something may start or an object ends. The timeout is for the cancellation.
                    self._changed.wait(timeout=POLL_SECONDS)
            self._changed.notify_all()
            return None

    def _next_block(self) -> _Task | None:
        for active in self._active:
            if active.unclaimed and (slot := self._admission.admit_block(active.unclaimed[0].size)):
                active.in_flight += 1
                return _Task(active, active.unclaimed.popleft(), slot, self._take_buffer())
        return None

    def _next_object(self) -> _Task | None:
        if self._next_request is None and not self._exhausted:
            self._next_request = next(self._requests, None)
        request = self._next_request
        if request is None:
            self._exhausted = True
            return None
        slot = self._admission.admit_object(request.size)
        if slot is None:
            return None
        self._next_request = None
        self._beginning += 1
        return _Task(_ActiveCopy(self._new_copy(request, self._count)), None, slot, self._take_buffer())

    def _take_buffer(self) -> Buffer:
        return self._free_buffers.pop() if self._free_buffers else Buffer()

    def _is_slice_over(self) -> bool:
        # At least one step per slice: a slice that is shorter than a block would repeat forever.
        return self._end_of_slice is not None and self._steps > 0 and time.monotonic() >= self._end_of_slice

    def _begin(self, task: _Task) -> None:
        active = task.active
        begun: CopyResult | list[Block]
        try:
            begun = active.copy.begin(task.buffer)
        except TransferError as error:
            begun = active.copy.failed(error)
        if isinstance(begun, CopyResult):
            self._report(begun)
        with self._changed:
            self._beginning -= 1
            self._release(task)
            if isinstance(begun, list) or begun.status == "copied":
                self._total += active.copy.size
            if isinstance(begun, CopyResult):
                self._steps += 1  # this worker claims the next one; nobody else can do more than before
            else:
                active.unclaimed.extend(begun)
                self._active.append(active)
                self._changed.notify_all()
        if begun == []:
            self._finish(active)  # all blocks were staged already

    def _copy_block(self, task: _Task, block: Block) -> None:
        active = task.active
        error: TransferError | None = None

        def end_read() -> None:
            with self._changed:
                if self._admission.end_read(task.slot):
                    self._changed.notify()

        try:
            active.copy.copy_block(block, task.buffer, end_read)
        except TransferError as caught:
            error = caught
        end_read()
        with self._changed:
            active.in_flight -= 1
            self._steps += 1
            self._release(task)
            if error is not None:
                active.error = active.error or error
                active.unclaimed.clear()
            is_last = not active.in_flight and not active.unclaimed
        if is_last:
            self._finish(active)

    def _release(self, task: _Task) -> None:
        self._admission.finish(task.slot)
        self._free_buffers.append(task.buffer)

    def _finish(self, active: _ActiveCopy) -> None:
        try:
            result = active.copy.failed(active.error) if active.error else active.copy.commit()
        except TransferError as error:
            result = active.copy.failed(error)
        self._report(result)
        with self._changed:
            self._active.remove(active)
            self._changed.notify_all()

    def _report(self, result: CopyResult) -> None:
        log.debug("%r: %s%s", result.key, result.status, f" ({result.reason})" if result.reason else "")
        self._outcomes.put(result)

    def _count(self, size: int) -> None:
        with self._changed:
            self._size += size
