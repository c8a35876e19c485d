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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from airflow_s3_azure.stream.blocks import Block
from airflow_s3_azure.stream.copy import Buffer, CopyOptions, ObjectCopy
from airflow_s3_azure.stream.errors import TransferError
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, CopyResult
from airflow_s3_azure.stream.progress import Progress
from airflow_s3_azure.stream.sink import BlobContainer
from airflow_s3_azure.stream.source import S3Source

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0
"""How long the caller waits for workers that were told to stop; after that they are left to end by themselves."""


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
    on_progress: Callable[[Progress], None] | None = None,
    progress_interval: float = 10.0,
) -> Iterator[CopyResult]:
    """Copy objects, and yield each one's result as it is there; the order is theirs, not the requests'.

    A failed object is a result and does not stop the others. Closing the generator, an exception thrown into it, or
    ``interruption`` stops all workers; staged blocks stay for the next try.

    :param requests: consumed lazily, by the workers, under a lock
    :param max_concurrency: threads, and connections to each side
    :param on_progress: called from the caller's thread, about every ``progress_interval`` seconds
    :raises Interrupted: if ``interruption`` was set before all were copied
    :raises Exception: whatever a worker met that is not a :class:`TransferError`: a defect, or a broken request iterator
    """
    crew = _Crew(requests, source, container, options, interruption)
    workers = [
        threading.Thread(target=crew.work, name=f"s3-to-azure-{number}", daemon=True)
        for number in range(max_concurrency)
    ]
    for worker in workers:
        worker.start()
    try:
        yield from crew.results(on_progress, progress_interval)
    except BaseException:
        # Also Airflow's timeout, which is a BaseException, and GeneratorExit.
        interruption.set("the copy was stopped")
        raise
    finally:
        crew.close()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))


class _Crew:
    """What the workers share."""

    def __init__(
        self,
        requests: Iterable[CopyRequest],
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        interruption: Interruption,
    ) -> None:
        self._requests = iter(requests)
        self._source = source
        self._container = container
        self._options = options
        self._interruption = interruption
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

    def results(self, on_progress: Callable[[Progress], None] | None, interval: float) -> Iterator[CopyResult]:
        """Yield results until every object has one, telling the progress in between."""
        started = last = time.monotonic()
        objects = 0
        while True:
            try:
                outcome = self._outcomes.get(timeout=max(0.0, last + interval - time.monotonic()))
            except queue.Empty:
                last = time.monotonic()
                if on_progress is not None:
                    on_progress(Progress(objects, self._size, self._total, last - started))
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is None:
                return  # the first worker without work: no object is open any more
            objects += 1
            yield outcome

    def close(self) -> None:
        """Let workers that wait for a task go home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> tuple[_Open, Block | None] | None:
        """Return the next block to copy, or an object to begin (without a block), or None when all is done."""
        with self._changed:
            while True:
                self._interruption.check()
                if self._closed:
                    return None
                for opened in self._open:
                    if opened.waiting:
                        opened.in_hand += 1
                        return opened, opened.waiting.popleft()
                if not self._exhausted:
                    request = next(self._requests, None)
                    if request is not None:
                        self._beginning += 1
                        return self._start(request), None
                    self._exhausted = True
                if not self._open and not self._beginning:
                    self._changed.notify_all()
                    return None
                # Only woken when blocks turn up or an object ends; the timeout is for the interruption.
                self._changed.wait(timeout=0.5)

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
            self._total += opened.copy.size
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
