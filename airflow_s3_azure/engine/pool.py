"""Many objects over one bounded set of threads. All concurrency of the package is here.

Up to ``max_concurrency`` blocks are read at once, as many as the way calls for (:mod:`airflow_s3_azure.engine.limiter`). A
worker takes the next block of an object that is being copied; where there is none left to take, it begins the next
object; the worker that finishes an object's last block commits it. So one huge object keeps all workers busy, and so do a
million small ones. When a block is nearly read, another worker may ask for the next one, so that S3 is never idle while
blocks are on their way to Azure. For that there are a few more workers than blocks that are read. Each block in hand has
a buffer of its own, so memory is bounded by ``max_concurrency`` blocks and :data:`READ_AHEAD`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.blocks import MIB, Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.copy import Buffer, CopyOptions, ObjectCopy
from airflow_s3_azure.engine.errors import SliceEnded, TransferError
from airflow_s3_azure.engine.limiter import Limiter
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.server_side.mover import ServerSideCopy

log = logging.getLogger(__name__)

READ_AHEAD = 32 * MIB
"""Bytes of blocks that may be on their way to Azure, beside a block for each connection to S3."""
SMALL = MIB
"""Bytes of the largest object whose requests take more Python than anything else."""
STOP_SECONDS = 2.0
"""How long the caller waits for workers whose connections were cut; Airflow kills a task 5 s after SIGTERM."""
LOOK_SECONDS = 0.5
"""How often a worker that waits for a task looks whether the copy was stopped."""
HANDOVER_SECONDS = 0.02
"""How often the caller takes what was finished. To be woken for each small object would cost as much as a request."""


@dataclass(slots=True)
class _Open:
    """An object that is being copied: the blocks nobody took yet, and how many are in somebody's hands."""

    copy: ObjectCopy
    waiting: deque[Block] = field(default_factory=deque)
    in_hand: int = 0
    error: TransferError | None = None


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
    """Copy objects, and yield each one's result as it is there; the order is theirs, not the requests'.

    A failed object is a result and does not stop the others. Closing the generator, an exception thrown into it, or
    ``cancellation`` stops all workers; staged blocks stay for the next try.

    :param requests: consumed lazily, by the workers, under a lock
    :param max_concurrency: objects and blocks that are read at once at most; a few more may be on their way to Azure
    :param slice_seconds: after this time no more blocks are begun; those in hand are staged
    :param on_progress: called from the caller's thread, about every ``progress_interval`` seconds
    :raises SliceEnded: if ``slice_seconds`` were over before all were copied
    :raises Cancelled: if ``cancellation`` was set before all were copied
    :raises Exception: whatever a worker met that is not a :class:`TransferError`: a defect, or a broken request iterator
    """
    end = None if slice_seconds is None else time.monotonic() + slice_seconds
    pool = _WorkerPool(
        requests, source, container, options, cancellation=cancellation, connections=max_concurrency, end_of_slice=end
    )
    # Nothing is read ahead where nothing is read here.
    count = max_concurrency if options.mode == "server_side" else worker_count(max_concurrency, options.block_size)
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
        cancellation.set("the copy was stopped")
        pool.close()
        cancellation.abort()
        raise
    finally:
        deadline = time.monotonic() + STOP_SECONDS
        for worker in workers:
            if worker.ident is not None:
                worker.join(max(0.0, deadline - time.monotonic()))


def worker_count(max_concurrency: int, block_size: int) -> int:
    """Return how many threads read ``max_concurrency`` blocks of this size at once, without a pause."""
    return max_concurrency + min(max_concurrency, READ_AHEAD // block_size)


class _WorkerPool:
    """What the workers share."""

    def __init__(
        self,
        requests: Iterable[CopyRequest],
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        *,
        cancellation: Cancellation,
        connections: int,
        end_of_slice: float | None,
    ) -> None:
        self._requests = iter(requests)
        self._source = source
        self._container = container
        self._options = options
        self._cancellation = cancellation
        self._connections = connections
        self._end_of_slice = end_of_slice
        self._slice_ended = False
        self._steps = 0
        self._changed = threading.Condition()
        self._open: list[_Open] = []
        self._next_request: CopyRequest | None = None
        self._beginning = 0
        self._small = 0
        # Azure's waiting takes no processor, and in a triggerer the load is that of others.
        self._limiter = Limiter(connections, is_on=options.mode == "stream")
        self._reading = 0
        self._buffers: list[Buffer] = []
        self._held = 0
        self._exhausted = False
        self._closed = False
        self._size = 0
        self._total = 0
        self._outcomes: queue.SimpleQueue[CopyResult | BaseException | None] = queue.SimpleQueue()
        self._exited = threading.Event()

    def work(self) -> None:
        """Copy blocks until there are none left. The body of one worker."""
        outcome: BaseException | None = None
        try:
            while (task := self._take()) is not None:
                opened, block, buffer = task
                if block is None:
                    self._begin(opened, buffer)
                else:
                    self._copy_block(opened, block, buffer)
        except BaseException as error:  # handed to the caller's thread, which raises it
            outcome = error
        self._outcomes.put(outcome)
        self._exited.set()

    def results(
        self, workers: int, on_progress: Callable[[Progress], None] | None, interval: float
    ) -> Iterator[CopyResult]:
        """Yield results until every worker went home, telling the progress in between."""
        started = last = time.monotonic()
        objects = 0
        error: BaseException | None = None
        deadline: float | None = None
        while workers and (deadline is None or time.monotonic() < deadline):
            self._exited.wait(HANDOVER_SECONDS)
            self._exited.clear()
            if self._limiter.adjust():
                self._wake_all()
            for outcome in self._finished():
                if isinstance(outcome, CopyResult):
                    objects += 1
                    yield outcome
                else:
                    workers -= 1
                    error = error or outcome
            if (now := time.monotonic()) >= last + interval:
                last = now
                if on_progress is not None:
                    on_progress(Progress(objects, self._size, self._total, now - started))
            if deadline is None and (error is not None or self._cancellation.is_set()):
                # Workers may still hand over what they finished, but not for long.
                deadline = time.monotonic() + STOP_SECONDS
                self._cancellation.set("the copy was stopped")
                self.close()
                self._cancellation.abort()
        if error is not None:
            raise error
        self._cancellation.check()
        if self._slice_ended:
            raise SliceEnded("the slice ended before everything was copied; what is staged stays for the next one")

    def _finished(self) -> Iterator[CopyResult | BaseException | None]:
        with suppress(queue.Empty):
            while True:
                yield self._outcomes.get_nowait()

    def _wake_all(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let workers that wait for a task go home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> tuple[_Open, Block | None, Buffer] | None:
        """Return the next block to copy, or an object to begin (without a block), or None when all is done."""
        with self._changed:
            while not self._closed:
                self._cancellation.check()
                task = self._next()
                if task is not None and self._is_slice_over():
                    # What was taken is dropped: the next slice finds it again, in the requests or not staged.
                    self._slice_ended = self._closed = True
                    break
                if task is not None:
                    self._held += 1
                    return *task, self._buffers.pop() if self._buffers else Buffer()
                if self._exhausted and not self._open and not self._beginning:
                    break
                # Woken when there is something to do or an object ends; the timeout is for the cancellation.
                self._changed.wait(timeout=LOOK_SECONDS)
            self._changed.notify_all()
            return None

    def _next(self) -> tuple[_Open, Block | None] | None:
        if self._reading + self._beginning >= self._connections:
            return None
        for opened in self._open:
            if opened.waiting and self._has_room(opened.waiting[0].size):
                opened.in_hand += 1
                self._reading += 1
                return opened, opened.waiting.popleft()
        return self._next_object()

    def _next_object(self) -> tuple[_Open, None] | None:
        request = self._next_request
        if request is None and not self._exhausted:
            request = self._next_request = next(self._requests, None)
        if request is None:
            self._exhausted = True
            return None
        if _is_small(request):
            if self._small >= self._limiter.objects:
                return None
            self._small += 1
        elif not self._has_room(min(request.size or self._options.block_size, self._options.block_size)):
            return None  # its blocks would only wait
        self._next_request = None
        self._beginning += 1
        return self._start(request), None

    def _has_room(self, size: int) -> bool:
        return self._held < worker_count(self._connections, size) and self._limiter.has_room(self._held)

    def _is_slice_over(self) -> bool:
        # Never before something was done: a slice that is shorter than a block would be repeated for ever.
        return self._end_of_slice is not None and self._steps > 0 and time.monotonic() >= self._end_of_slice

    def _start(self, request: CopyRequest) -> _Open:
        kind = ServerSideCopy if self._options.mode == "server_side" else ObjectCopy
        return _Open(
            kind(
                request,
                self._source,
                self._container,
                self._options,
                cancellation=self._cancellation,
                on_bytes=self._count,
            )
        )

    def _begin(self, opened: _Open, buffer: Buffer) -> None:
        begun: CopyResult | list[Block]
        try:
            begun = opened.copy.begin(buffer)
        except TransferError as error:
            begun = opened.copy.failed(error)
        if isinstance(begun, CopyResult):
            self._end(begun)  # before it stops to count as begun: the last outcome must precede the end
        with self._changed:
            self._beginning -= 1
            self._small -= _is_small(opened.copy.request)
            self._put_back(buffer)
            if isinstance(begun, list) or begun.status == "copied":
                self._total += opened.copy.size
            if isinstance(begun, CopyResult):
                self._steps += 1  # this worker takes the next; nobody else has more to do than before
            else:
                opened.waiting.extend(begun)
                self._open.append(opened)
                self._changed.notify_all()
        if begun == []:
            self._finish(opened)  # all blocks were staged already

    def _copy_block(self, opened: _Open, block: Block, buffer: Buffer) -> None:
        error: TransferError | None = None
        is_reading = True

        def let_another_read() -> None:
            nonlocal is_reading
            with self._changed:
                self._reading -= is_reading
                self._changed.notify(is_reading)
                is_reading = False

        try:
            opened.copy.copy_block(block, buffer, let_another_read)
        except TransferError as caught:
            error = caught
        let_another_read()
        with self._changed:
            opened.in_hand -= 1
            self._steps += 1
            self._put_back(buffer)
            if error is not None:
                opened.error = opened.error or error
                opened.waiting.clear()
            last = not opened.in_hand and not opened.waiting
        if last:
            self._finish(opened)

    def _put_back(self, buffer: Buffer) -> None:
        self._held -= 1
        self._buffers.append(buffer)

    def _finish(self, opened: _Open) -> None:
        try:
            result = opened.copy.failed(opened.error) if opened.error else opened.copy.commit()
        except TransferError as error:
            result = opened.copy.failed(error)
        self._end(result)
        with self._changed:
            self._open.remove(opened)
            self._changed.notify_all()

    def _end(self, result: CopyResult) -> None:
        log.debug("%r: %s%s", result.key, result.status, f" ({result.reason})" if result.reason else "")
        self._outcomes.put(result)

    def _count(self, size: int) -> None:
        with self._changed:
            self._size += size


def _is_small(request: CopyRequest) -> bool:
    return request.size is not None and request.size <= SMALL
