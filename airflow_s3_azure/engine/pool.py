"""Copies many objects over one bounded set of threads. All threads of the package are started here.

A worker claims the next block of an object that is being copied. Where no block is left, or none is admitted, it begins
the next object. The worker that copies an object's last block commits it. So one huge object keeps all workers busy, and
so do a million small ones.

What may be claimed is decided by :mod:`airflow_s3_azure.engine.scheduler`. Results reach the caller's thread through one
queue. Invariant: a worker puts a result into the queue before it reports the object to the scheduler, and its exit after
all of its results. So once every worker has exited, every result is in the queue.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass

from airflow_s3_azure.engine.admission import Admission, worker_count
from airflow_s3_azure.engine.adoption import Adoption
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.copy import ObjectCopy
from airflow_s3_azure.engine.errors import SliceEnded, TransferError
from airflow_s3_azure.engine.limiter import Limiter
from airflow_s3_azure.engine.model import Blocks, CopyRequest, CopyResult, Finished
from airflow_s3_azure.engine.modes import block_mover
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.scheduler import ActiveCopy, Scheduler, Task

log = get_logger(__name__)

STOP_SECONDS = 2.0
"""Grace period for workers after their connections are aborted. Airflow kills a task 5 s after SIGTERM."""
HANDOVER_SECONDS = 0.02
"""How often the caller collects results. Waking it for each small object would cost as much as a request."""


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
    slice_seconds: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_interval: float = 10.0,
) -> Generator[CopyResult, None, None]:
    """Copy objects, and yield the result of each as it finishes, in any order.

    A failed object is a result and does not stop the others. Closing the generator, an exception thrown into it, or
    ``cancellation`` stops all workers. Staged blocks stay for the next try.

    :param requests: consumed lazily, by the workers, under a lock
    :param options: at most ``max_concurrency`` objects and blocks are read at once; a few more may be written to Azure
    :param slice_seconds: after this time no more blocks start; those in flight are staged
    :param on_progress: called from the caller's thread, about every ``progress_interval`` seconds
    :raises SliceEnded: if ``slice_seconds`` were over before all were copied
    :raises Cancelled: if ``cancellation`` was set before all were copied
    :raises Exception: any error of a worker that is not a :class:`TransferError`: a defect, or a broken request iterator
    """
    end = None if slice_seconds is None else time.monotonic() + slice_seconds
    mover = block_mover(source, container, options)
    # Without blocks in this process there is nothing to read ahead, and its load is not theirs.
    limiter = Limiter(options.max_concurrency, is_adaptive=mover.fills_buffers)
    scheduler = Scheduler(
        requests,
        lambda request, on_bytes: (
            Adoption(request, source, container, options, cancellation=cancellation, on_bytes=on_bytes)
            if request.adopt
            else ObjectCopy(request, source, container, options, mover, cancellation=cancellation, on_bytes=on_bytes)
        ),
        Admission(options.max_concurrency, options.block_size, limiter),
        cancellation,
        end_of_slice=end,
    )
    pool = _WorkerPool(scheduler, cancellation)
    most = options.max_concurrency
    count = worker_count(most, options.block_size) if mover.fills_buffers else most
    workers = [
        # In the caller's context: a triggerer routes log lines to tasks by it.
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
    """What the workers and the caller's thread share."""

    def __init__(self, scheduler: Scheduler, cancellation: Cancellation) -> None:
        self._scheduler = scheduler
        self._cancellation = cancellation
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
                counts = self._scheduler
                on_progress(Progress(objects, counts.size, counts.total, now - started, counts.resumed))
            if deadline is None and (error is not None or self._cancellation.is_set()):
                # Workers may still hand over what they finished, within the grace period.
                deadline = time.monotonic() + STOP_SECONDS
                self.stop()
        self._raise_if_incomplete(error)

    def stop(self) -> None:
        """Stop all workers: idle ones exit, pending I/O is aborted."""
        self._cancellation.set("the copy was stopped")
        self._scheduler.close()
        self._cancellation.abort()

    def _await_outcomes(self) -> None:
        self._exited.wait(HANDOVER_SECONDS)
        self._exited.clear()
        self._scheduler.sample()

    def _drain_outcomes(self) -> Iterator[CopyResult | _Exit]:
        with suppress(queue.Empty):
            while True:
                yield self._outcomes.get_nowait()

    def _raise_if_incomplete(self, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._cancellation.check()
        if self._scheduler.slice_ended:
            raise SliceEnded("the slice ended before everything was copied; what is staged stays for the next one")

    # The workers' threads

    def work(self) -> None:
        """Copy blocks until none are left. The body of one worker."""
        error: BaseException | None = None
        try:
            while (task := self._scheduler.claim()) is not None:
                if task.block is None:
                    self._begin(task)
                else:
                    self._copy_block(task, task.block)
        except BaseException as caught:  # handed to the caller's thread, which raises it
            error = caught
        self._outcomes.put(_Exit(error))
        self._exited.set()

    def _begin(self, task: Task) -> None:
        begun: Finished | Blocks | CopyRequest
        try:
            begun = task.active.copy.begin(task.buffer)
        except TransferError as error:
            begun = Finished(task.active.copy.failed(error))
        if isinstance(begun, Finished):
            self._report(begun.result)
        self._scheduler.end_begin(task, begun)

    def _copy_block(self, task: Task, block: Block) -> None:
        error: TransferError | None = None
        try:
            task.active.copy.copy_block(block, task.buffer, lambda: self._scheduler.end_read(task.slot))
        except TransferError as caught:
            error = caught
        if self._scheduler.end_block(task, error):
            self._finish(task.active)

    def _finish(self, active: ActiveCopy) -> None:
        try:
            result = active.copy.failed(active.error) if active.error else active.copy.commit()
        except TransferError as error:
            result = active.copy.failed(error)
        if isinstance(result, CopyRequest):
            self._scheduler.restart(active, result)
            return
        self._report(result)
        self._scheduler.remove(active)

    def _report(self, result: CopyResult) -> None:
        log.debug("%r: %s%s", result.key, result.status, f" ({result.reason})" if result.reason else "")
        self._outcomes.put(result)
