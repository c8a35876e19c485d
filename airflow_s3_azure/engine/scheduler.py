"""Hands out the work of many copies to workers: which block is copied next, which object begins next.

The scheduler owns one lock, which guards all of its state, and does no I/O. Workers claim tasks and report what
became of them; :mod:`airflow_s3_azure.engine.admission` decides what may start.

An object is *beginning* from its claim until :meth:`Scheduler.end_begin`. If it then has blocks to copy, it is *active*
until :meth:`Scheduler.remove`. Invariants, whenever the lock is free:

1. Each request is claimed once, and each block of an active object at most once. A request that an object returns
   instead of a result is claimed as a further one.
2. An active object has unclaimed blocks, blocks in flight, or one worker that commits it: the one for which
   :meth:`Scheduler.end_block` returned True.
3. Active objects come before new ones. So an object finishes before many others begin, and few are half copied.
4. A worker exits only when nothing can become claimable: the requests are exhausted, and no object begins or is active.
   Until then it waits, and every change that makes something claimable notifies it.
5. A slice ends after no step that the next one would repeat: not before the blocks of an object that must finish are done, nor
   before a returned request has a result.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from airflow_s3_azure.engine.admission import Admission, Slot
from airflow_s3_azure.engine.block_mover import Buffer
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import Blocks, CopyRequest, CopyResult, Finished
from airflow_s3_azure.engine.progress import ByteCounter

POLL_SECONDS = 0.5
"""Cancellation poll interval of idle workers."""


class ObjectSteps(Protocol):
    """The steps of one object: :class:`~airflow_s3_azure.engine.copy.ObjectCopy` or an adoption.

    ``must_finish``: whether its blocks would all be lost if the slice ended before the last one.
    """

    request: CopyRequest

    @property
    def must_finish(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def size(self) -> int:
        """Bytes of the object; 0 until the size is known."""

    def begin(self, buffer: Buffer) -> Finished | Blocks | CopyRequest:
        """Decide what the object needs, or return the request to copy it by instead.

        :raises TransferError: the blob is unchanged
        """

    def copy_block(self, block: Block, buffer: Buffer, on_ending: Callable[[], None]) -> None:
        """Do one block.

        :raises TransferError: the blob is unchanged
        """

    def commit(self) -> CopyResult | CopyRequest:
        """End the object after its last block, or return the request to copy it by instead.

        :raises TransferError: the blob is unchanged
        """

    def failed(self, error: TransferError) -> CopyResult:
        """Return the result of an object that ended in ``error``."""


@dataclass(slots=True)
class ActiveCopy:
    """An object that is being copied: its unclaimed blocks, and how many are in flight."""

    copy: ObjectSteps
    unclaimed: deque[Block] = field(default_factory=deque)
    in_flight: int = 0
    error: TransferError | None = None
    is_returned: bool = False
    """Whether another object returned its request, which the next slice would have to repeat first."""

    @property
    def must_finish(self) -> bool:
        """Whether the slice ends only after it."""
        return self.is_returned or self.copy.must_finish


@dataclass(slots=True)
class Task:
    """What a worker claimed: a block to copy, or an object to begin (without a block)."""

    active: ActiveCopy
    block: Block | None
    slot: Slot
    buffer: Buffer


class Scheduler:
    """Hands out tasks. Called from all workers and from the caller's thread.

    :param requests: consumed lazily, by the workers
    :param new_copy: makes the steps of a request; it is given a function that counts bytes
    :param end_of_slice: by the monotonic clock; after it no task is handed out
    """

    def __init__(
        self,
        requests: Iterable[CopyRequest],
        new_copy: Callable[[CopyRequest, ByteCounter], ObjectSteps],
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
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._active: list[ActiveCopy] = []
        self._next_request: CopyRequest | None = None
        self._returned: deque[CopyRequest] = deque()
        self._owed = 0
        """Returned requests that have no result yet."""
        self._beginning = 0
        self._exhausted = False
        self._closed = False
        self._steps = 0
        self._free_buffers: list[Buffer] = []
        self.slice_ended = False
        self.size = 0
        """Bytes staged or put, by this execution or an earlier one."""
        self.resumed = 0
        """Bytes of ``size`` that an earlier execution staged."""
        self.total = 0
        """Bytes of all objects begun so far that are, or were, copied."""

    def claim(self) -> Task | None:
        """Return what to do next; wait until there is something. None: exit.

        :raises Cancelled: if the copy was stopped
        """
        with self._lock:
            while not self._closed:
                self._cancellation.check()
                is_over = self._is_slice_over()
                finishes = is_over and bool(self._owed or any(active.must_finish for active in self._active))
                task = self._next_block(must_finish=finishes) or self._next_object(must_finish=finishes)
                if task is not None and is_over and not finishes:
                    # The claim is dropped. The next slice finds the work again: in the requests, or not staged.
                    self.slice_ended = self._closed = True
                elif task is not None:
                    return task
                elif self._exhausted and not self._active and not self._beginning and not self._returned:
                    break
                else:
                    # The timeout is for the cancellation, which cannot notify: a signal handler takes no lock.
                    self._changed.wait(timeout=POLL_SECONDS)
            self._changed.notify_all()
            return None

    def end_begin(self, task: Task, begun: Finished | Blocks | CopyRequest) -> None:
        """Report what an object needs. The result of a finished one is in the queue already."""
        active = task.active
        with self._lock:
            self._beginning -= 1
            self._release(task)
            if isinstance(begun, Blocks):
                self.total += active.copy.size
                active.unclaimed.extend(begun.missing)
                self._active.append(active)
                self._changed.notify_all()
            elif isinstance(begun, CopyRequest):
                self._steps += 1
                self._return(begun)
            else:
                # No notification: the calling worker claims what may start now.
                self._steps += 1
                self._owed -= active.is_returned
                if begun.result.status == "copied":
                    self.total += active.copy.size

    def end_read(self, slot: Slot) -> None:
        """Report that a block is nearly read, so that another may start. Again: changes nothing."""
        with self._lock:
            if self._admission.end_read(slot):
                self._changed.notify()

    def end_block(self, task: Task, error: TransferError | None) -> bool:
        """Report that a block was copied, or failed with ``error``, after which no other block of its object starts.

        :return: whether it was the last block, so that the calling worker finishes the object
        """
        active = task.active
        with self._lock:
            if self._admission.end_read(task.slot):
                self._changed.notify()
            active.in_flight -= 1
            self._steps += 1
            self._release(task)
            if error is not None:
                active.error = active.error or error
                active.unclaimed.clear()
            return not active.in_flight and not active.unclaimed

    def remove(self, active: ActiveCopy) -> None:
        """Report that an object is finished. Its result is in the queue already."""
        with self._lock:
            self._owed -= active.is_returned
            self._active.remove(active)
            self._changed.notify_all()

    def restart(self, active: ActiveCopy, request: CopyRequest) -> None:
        """Report that an object has no result yet, but is to be copied by another request."""
        with self._lock:
            self.total -= active.copy.size
            self._return(request)
            self._active.remove(active)
            self._changed.notify_all()

    def close(self) -> None:
        """Hand out no more tasks: idle workers exit."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def sample(self) -> None:
        """Let admission sample the load, and wake workers if more may start now."""
        with self._lock:
            if self._admission.sample():
                self._changed.notify_all()

    def _next_block(self, *, must_finish: bool) -> Task | None:
        """Return a block to copy, if one is admitted.

        :param must_finish: only of an object that must finish
        """
        for active in self._active:
            if must_finish and not active.must_finish:
                continue
            if active.unclaimed and (slot := self._admission.admit_block(active.unclaimed[0].size)):
                active.in_flight += 1
                return Task(active, active.unclaimed.popleft(), slot, self._take_buffer())
        return None

    def _next_object(self, *, must_finish: bool) -> Task | None:
        """Return an object to begin, if one is admitted; those whose requests were returned come first.

        :param must_finish: only such an object
        """
        if is_returned := bool(self._returned):
            request: CopyRequest | None = self._returned[0]
        else:
            request = None if must_finish else self._peek_request()
        slot = None if request is None else self._admission.admit_object(request.size)
        if request is None or slot is None:
            return None
        if is_returned:
            self._returned.popleft()
        else:
            self._next_request = None
        self._beginning += 1
        active = ActiveCopy(self._new_copy(request, self._count), is_returned=is_returned)
        return Task(active, None, slot, self._take_buffer())

    def _peek_request(self) -> CopyRequest | None:
        """Return the next request, which stays the next one; None: there is none."""
        if self._next_request is None and not self._exhausted:
            self._next_request = next(self._requests, None)
            self._exhausted = self._next_request is None
        return self._next_request

    def _return(self, request: CopyRequest) -> None:
        self._owed += 1
        self._returned.append(request)

    def _take_buffer(self) -> Buffer:
        return self._free_buffers.pop() if self._free_buffers else Buffer()

    def _release(self, task: Task) -> None:
        self._admission.finish(task.slot)
        self._free_buffers.append(task.buffer)

    def _is_slice_over(self) -> bool:
        # At least one step per slice: a slice that is shorter than a block would repeat forever.
        return self._end_of_slice is not None and self._steps > 0 and time.monotonic() >= self._end_of_slice

    def _count(self, size: int, *, resumed: bool = False) -> None:
        with self._lock:
            self.size += size
            self.resumed += size if resumed else 0
