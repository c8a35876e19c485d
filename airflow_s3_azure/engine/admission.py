"""Admission control: what may start now, and what has finished.

A pure state machine. It owns no thread, no lock and no work: its caller serializes the calls and does the work. Each
piece of work holds a :class:`Slot`, which moves in one direction::

    admit_block, admit_object ──► reading ──end_read──► writing ──finish──► finished
                                     └───────────────finish────────────────────┘

A block in flight holds one buffer from its admission until it finishes. Beginning an object counts as reading, and
holds a buffer as well, because a small object is copied whole when it begins.

Invariants, between any two calls:

1. At most ``max_reading`` slots are reading. This bounds the requests to S3.
2. A block of ``size`` bytes is admitted only while fewer than ``worker_count(max_reading, size)`` slots are in flight.
   This bounds memory: a buffer for each reading slot, and :data:`READ_AHEAD` bytes for the others.
3. Nothing is admitted beyond the limiter's current limits. A limit that shrinks revokes nothing.
4. With no slot in flight, everything is admitted. So work never stalls.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.limiter import Limiter

READ_AHEAD = 32 * MIB
"""Bytes of blocks that may be written to Azure, beside a block for each connection to S3."""
SMALL = MIB
"""Bytes of the largest object that costs more Python than kernel time."""


def worker_count(max_reading: int, block_size: int) -> int:
    """Return how many workers keep ``max_reading`` blocks of this size (bytes) being read without a pause."""
    return max_reading + min(max_reading, READ_AHEAD // block_size)


@dataclass(slots=True)
class Slot:
    """The admission of one block, or of the beginning of one object."""

    is_small: bool = False
    is_reading: bool = True
    is_finished: bool = False


class Admission:
    """Decides what may start now.

    :param max_reading: blocks and objects that are read from S3 at once, at most; 1 or more
    :param block_size: bytes in a block of an object whose size is unknown
    :param limiter: limits that follow the load
    """

    def __init__(self, max_reading: int, block_size: int, limiter: Limiter) -> None:
        self._max_reading = max_reading
        self._block_size = block_size
        self._limiter = limiter
        self._reading = 0
        self._in_flight = 0
        self._small = 0
        self._blocks_refused = False

    @property
    def reading(self) -> int:
        """Slots that are reading from S3."""
        return self._reading

    @property
    def in_flight(self) -> int:
        """Slots that are not finished."""
        return self._in_flight

    def admit_block(self, size: int) -> Slot | None:
        """Return a slot for a block of ``size`` bytes, or None if it must wait."""
        if self._reading < self._max_reading and self._has_room(size):
            return self._admit(Slot())
        return None

    def admit_object(self, size: int | None) -> Slot | None:
        """Return a slot for the beginning of an object, or None if it must wait.

        :param size: bytes; None: unknown
        """
        if self._reading >= self._max_reading:
            return None
        if size is not None and size <= SMALL:
            return self._admit(Slot(is_small=True)) if self._small < self._limiter.small_objects else None
        # An object whose blocks would only wait is not begun.
        room = self._has_room(min(size or self._block_size, self._block_size))
        return self._admit(Slot()) if room else None

    def end_read(self, slot: Slot) -> bool:
        """Record that ``slot`` is nearly read, so that another may start. Return False if that was recorded before."""
        if not slot.is_reading:
            return False
        slot.is_reading = False
        self._reading -= 1
        return True

    def finish(self, slot: Slot) -> None:
        """Record that the work of ``slot`` has ended, and its buffer is free.

        :raises ValueError: if that was recorded before
        """
        if slot.is_finished:
            raise ValueError("this slot has already finished")
        self.end_read(slot)
        slot.is_finished = True
        self._in_flight -= 1
        self._small -= slot.is_small

    def sample(self) -> bool:
        """Have the limiter sample the load; return whether more may start now."""
        grew = self._limiter.sample(blocks_refused=self._blocks_refused)
        if grew is not None:
            self._blocks_refused = False
        return bool(grew)

    def _admit(self, slot: Slot) -> Slot:
        self._reading += 1
        self._in_flight += 1
        self._small += slot.is_small
        return slot

    def _has_room(self, size: int) -> bool:
        if self._in_flight >= worker_count(self._max_reading, size):
            return False
        if self._in_flight < self._limiter.blocks:
            return True
        self._blocks_refused = True
        return False
