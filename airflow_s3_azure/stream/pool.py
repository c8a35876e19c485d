"""Many objects over one bounded set of threads. All concurrency of the package is here.

Each worker owns one reused buffer, so memory is bounded by ``max_concurrency`` times the largest block. A worker
takes the next block of an object that is being copied; where there is none left to take, it begins the next object;
the worker that finishes an object's last block commits it. So one huge object keeps all workers busy, and so do a
million small ones.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import EllipsisType

from airflow_s3_azure.stream.blocks import Block
from airflow_s3_azure.stream.copy import Buffer, CopyOptions, ObjectCopy
from airflow_s3_azure.stream.errors import SliceEnded, TransferError
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, CopyResult
from airflow_s3_azure.stream.progress import Progress
from airflow_s3_azure.stream.sink import BlobContainer
from airflow_s3_azure.stream.source import S3Source

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0
"""How long the caller waits for workers whose connections were cut; Airflow kills a task 5 s after SIGTERM."""
LOOK_SECONDS = 0.5
"""How often the caller looks whether the copy was stopped."""


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
    interruption: Interruption,
    *,
    max_concurrency: int,
    slice_seconds: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_interval: float = 10.0,
) -> Generator[CopyResult, None, None]:
    """Copy objects, and yield each one's result as it is there; the order is theirs, not the requests'.

    A failed object is a result and does not stop the others. Closing the generator, an exception thrown into it, or
    ``interruption`` stops all workers; staged blocks stay for the next try.

    :param requests: consumed lazily, by the workers, under a lock
    :param max_concurrency: threads, and connections to each side
    :param slice_seconds: after this time no more blocks are begun; those in hand are staged
    :param on_progress: called from the caller's thread, about every ``progress_interval`` seconds
    :raises SliceEnded: if ``slice_seconds`` were over before all were copied
    :raises Interrupted: if ``interruption`` was set before all were copied
    :raises Exception: whatever a worker met that is not a :class:`TransferError`: a defect, or a broken request iterator
    """
    end = None if slice_seconds is None else time.monotonic() + slice_seconds
    crew = _Crew(requests, source, container, options, interruption=interruption, end_of_slice=end)
    workers = [
        threading.Thread(target=crew.work, name=f"s3-to-azure-{number}", daemon=True)
        for number in range(max_concurrency)
    ]
    try:
        for worker in workers:
            worker.start()
        yield from crew.results(max_concurrency, on_progress, progress_interval)
    except SliceEnded:
        raise
    except BaseException:
        # Also Airflow's timeout, which is a BaseException, and GeneratorExit.
        interruption.set("the copy was stopped")
        crew.close()
        interruption.cut()
        raise
    finally:
        deadline = time.monotonic() + STOP_SECONDS
        for worker in workers:
            if worker.ident is not None:
                worker.join(max(0.0, deadline - time.monotonic()))


class _Crew:
    """What the workers share."""

    def __init__(
        self,
        requests: Iterable[CopyRequest],
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        *,
        interruption: Interruption,
        end_of_slice: float | None,
    ) -> None:
        self._requests = iter(requests)
        self._source = source
        self._container = container
        self._options = options
        self._interruption = interruption
        self._end_of_slice = end_of_slice
        self._slice_ended = False
        self._steps = 0
        self._changed = threading.Condition()
        self._open: list[_Open] = []
        self._beginning = 0
        self._exhausted = False
        self._closed = False
        self._size = 0
        self._total = 0
        self._outcomes: queue.SimpleQueue[CopyResult | BaseException | None] = queue.SimpleQueue()

    def work(self) -> None:
        """Copy blocks until there are none left. The body of one worker."""
        buffer = Buffer()
        try:
            while (task := self._take()) is not None:
                opened, block = task
                if block is None:
                    self._begin(opened, buffer)
                else:
                    self._copy_block(opened, block, buffer)
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._outcomes.put(error)
        else:
            self._outcomes.put(None)

    def results(
        self, workers: int, on_progress: Callable[[Progress], None] | None, interval: float
    ) -> Iterator[CopyResult]:
        """Yield results until every worker went home, telling the progress in between."""
        started = last = time.monotonic()
        objects = 0
        error: BaseException | None = None
        deadline: float | None = None
        while workers and (deadline is None or time.monotonic() < deadline):
            outcome: CopyResult | BaseException | EllipsisType | None = ...
            with suppress(queue.Empty):
                outcome = self._outcomes.get(timeout=LOOK_SECONDS)
            if (now := time.monotonic()) >= last + interval:
                last = now
                if on_progress is not None:
                    on_progress(Progress(objects, self._size, self._total, now - started))
            if isinstance(outcome, CopyResult):
                objects += 1
                yield outcome
            elif isinstance(outcome, BaseException):
                workers -= 1
                error = error or outcome
            elif outcome is None:
                workers -= 1
            if deadline is None and (error is not None or self._interruption.is_set()):
                # Workers may still hand over what they finished, but not for long.
                deadline = time.monotonic() + STOP_SECONDS
                self._interruption.set("the copy was stopped")
                self.close()
                self._interruption.cut()
        if error is not None:
            raise error
        self._interruption.check()
        if self._slice_ended:
            raise SliceEnded("the slice ended before everything was copied; what is staged stays for the next one")

    def close(self) -> None:
        """Let workers that wait for a task go home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> tuple[_Open, Block | None] | None:
        """Return the next block to copy, or an object to begin (without a block), or None when all is done."""
        with self._changed:
            while not self._closed:
                self._interruption.check()
                task = self._next()
                if task is not None and self._is_slice_over():
                    # What was taken is dropped: the next slice finds it again, in the requests or not staged.
                    self._slice_ended = self._closed = True
                    break
                if task is not None:
                    return task
                if not self._open and not self._beginning:
                    break
                # Woken when blocks turn up or an object ends; the timeout is for the interruption.
                self._changed.wait(timeout=LOOK_SECONDS)
            self._changed.notify_all()
            return None

    def _next(self) -> tuple[_Open, Block | None] | None:
        for opened in self._open:
            if opened.waiting:
                opened.in_hand += 1
                return opened, opened.waiting.popleft()
        request = None if self._exhausted else next(self._requests, None)
        if request is None:
            self._exhausted = True
            return None
        self._beginning += 1
        return self._start(request), None

    def _is_slice_over(self) -> bool:
        # Never before something was done: a slice that is shorter than a block would be repeated for ever.
        return self._end_of_slice is not None and self._steps > 0 and time.monotonic() >= self._end_of_slice

    def _start(self, request: CopyRequest) -> _Open:
        return _Open(
            ObjectCopy(
                request,
                self._source,
                self._container,
                self._options,
                interruption=self._interruption,
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
            if isinstance(begun, list) or begun.status == "copied":
                self._total += opened.copy.size
            if isinstance(begun, CopyResult):
                self._steps += 1
            if isinstance(begun, list):
                opened.waiting.extend(begun)
                self._open.append(opened)
            self._changed.notify_all()
        if begun == []:
            self._finish(opened)  # all blocks were staged already

    def _copy_block(self, opened: _Open, block: Block, buffer: Buffer) -> None:
        error: TransferError | None = None
        try:
            opened.copy.copy_block(block, buffer)
        except TransferError as caught:
            error = caught
        with self._changed:
            opened.in_hand -= 1
            self._steps += 1
            if error is not None:
                opened.error = opened.error or error
                opened.waiting.clear()
            last = not opened.in_hand and not opened.waiting
        if last:
            self._finish(opened)

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
