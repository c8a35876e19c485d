"""Partitions the objects to copy into batches for mapped tasks, as they are listed, in bounded memory. Pure.

A batch is a range of consecutive lines of the manifest. Its *work* is the share of the byte limit plus the share of the
object limit that it uses, so a batch with a work of at most 1 keeps both limits. The partition balances the work:

1. A range whose work is 1 or more is a batch of its own.
2. The work of all others, in manifest order, is a line that is divided into the least number of equal shares, but into
   up to 16 while each has a thousand objects, so that all workers have a part. A range belongs to the share in which its
   work begins; each share between two large ranges is a batch.
3. A range may reach over the end of its share. If a share then has a work above 1, the number of shares is raised by 5 %
   and the partition is tried again. With enough shares each range is alone, so this ends.
4. If there are more batches than Airflow maps over, both limits are doubled and the partition begins again.

Memory: at most 65,536 ranges. When there are more, neighbours are joined and the granularity doubles: a range then holds up
to twice as many objects. It never holds more than the same proportion of a batch's bytes, so a large object stays
separable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

from airflow_s3_azure.engine.blocks import MIB

MAX_BATCHES = 1000
"""Below Airflow's default ``core.max_map_length`` of 1,024."""
DEFAULT_BATCH_OBJECTS = 8_000
"""Objects in a batch: at 0.4 to 0.9 ms of CPU each, more than the two seconds that a task takes to start (`make bench`). The
ledger is committed every 15 seconds, so a retry repeats no more of a large batch than of a small one."""
PARALLEL_BATCHES = 16
"""Batches up to which fewer objects are divided, so that all workers have a part."""
PARALLEL_BATCH_OBJECTS = 1_000
"""Objects that are worth a batch of their own for that."""
DEFAULT_BATCH_SIZE = 32 * 1024 * MIB
"""Bytes in a batch: minutes of work, so that a retry or a lost worker costs minutes."""
MAX_RANGES = 65_536
"""Ranges that a batcher holds; beyond it neighbours are joined, so memory does not grow with the number of objects."""


@dataclass(frozen=True, slots=True)
class ManifestRange:
    """Consecutive lines of the manifest.

    :param start: byte of the manifest at which they begin
    :param stop: byte after them
    :param size: bytes of their objects
    :param first: the first key
    :param last: the last key
    :param shared: what all keys begin with
    """

    start: int
    stop: int
    objects: int
    size: int
    first: str
    last: str
    shared: str

    @classmethod
    def of(cls, key: str, size: int, start: int, stop: int) -> Self:
        """Return the range of one object."""
        return cls(start, stop, 1, size, key, key, key)

    def joined(self, other: ManifestRange) -> ManifestRange:
        """Return this range and the one that follows it as one."""
        return ManifestRange(
            self.start,
            other.stop,
            self.objects + other.objects,
            self.size + other.size,
            self.first,
            other.last,
            shared_start(self.shared, other.shared),
        )


def shared_start(one: str, other: str) -> str:
    """Return what both texts begin with."""
    if other.startswith(one):
        return one
    same, most = 0, min(len(one), len(other))
    while same < most:  # binary search: keys share much
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return one[:same]


class Batcher:
    """Takes objects one by one, and partitions them into batches of about equal work once it has seen them all.

    The result depends on nothing but the arguments. Small objects are in at least 16 batches while each has a thousand. A batch holds at most ``max_objects`` objects and ``max_size`` bytes; a
    larger object is a batch of its own. Where that needs more than ``max_batches``, both limits are doubled.
    """

    def __init__(
        self,
        *,
        max_objects: int = DEFAULT_BATCH_OBJECTS,
        max_size: int = DEFAULT_BATCH_SIZE,
        max_batches: int = MAX_BATCHES,
        max_ranges: int = MAX_RANGES,
    ) -> None:
        self._max_objects = max_objects
        self._max_size = max_size
        self._max_batches = max_batches
        self._max_ranges = max_ranges
        self._ranges: list[ManifestRange] = []
        self._granularity = 1
        """Objects in the largest range that neighbours are joined to."""

    def add(self, one: ManifestRange) -> None:
        """Take the range that follows those taken so far."""
        self._append(self._ranges, one)
        while len(self._ranges) > self._max_ranges:
            self._granularity *= 2
            finer, self._ranges = self._ranges, []
            for each in finer:
                self._append(self._ranges, each)

    def _append(self, ranges: list[ManifestRange], one: ManifestRange) -> None:
        """Append a range, joined to the last one where the result is still small enough to partition between."""
        last = ranges[-1] if ranges else None
        most = self._max_size * self._granularity // self._max_objects
        if last and last.objects + one.objects <= self._granularity and last.size + one.size <= most:
            ranges[-1] = last.joined(one)
        else:
            ranges.append(one)

    def batches(self) -> list[ManifestRange]:
        """Return the batches of all that was taken."""
        max_objects, max_size, least = self._max_objects, self._max_size, min(PARALLEL_BATCHES, self._max_batches)
        while True:
            found = _partition(self._ranges, max_objects, max_size, least)
            if len(found) <= self._max_batches:
                return found
            max_objects, max_size, least = max_objects * 2, max_size * 2, 0


def _partition(ranges: Sequence[ManifestRange], max_objects: int, max_size: int, least: int) -> list[ManifestRange]:
    """Return the batches.

    :param least: shares into which as many thousand objects are divided at least
    """
    # Integers, with `full` as the work of one batch: fractions would round differently on other machines.
    full = max_objects * max_size
    work = [min(one.size * max_objects + one.objects * max_size, full) for one in ranges]
    shares = -(-sum(each for each in work if each < full) // full)
    objects = sum(one.objects for one, each in zip(ranges, work, strict=True) if each < full)
    shares = max(shares, min(least, objects // PARALLEL_BATCH_OBJECTS))
    while (found := _partition_into(shares, ranges, work, full)) is None:
        shares += max(1, shares // 20)
    return [_joined(batch) for batch in found]


def _partition_into(
    shares: int, ranges: Sequence[ManifestRange], work: Sequence[int], full: int
) -> list[list[ManifestRange]] | None:
    """Return the batches for a number of equal shares; None if one of them has more work than a batch may have."""
    total = sum(each for each in work if each < full)
    batches: list[list[ManifestRange]] = []
    begins = in_batch = 0  # where this range's work begins, and the work in the last batch
    last_share = None
    for one, its_work in zip(ranges, work, strict=True):
        is_large = its_work == full
        share = None if is_large else begins * shares // total
        if is_large or share != last_share:
            batches.append([])
            in_batch = 0
        last_share = share
        batches[-1].append(one)
        in_batch += its_work
        if in_batch > full:
            return None
        begins += 0 if is_large else its_work
    return batches


def _joined(ranges: Sequence[ManifestRange]) -> ManifestRange:
    first, last = ranges[0], ranges[-1]
    return ManifestRange(
        first.start,
        last.stop,
        sum(one.objects for one in ranges),
        sum(one.size for one in ranges),
        first.first,
        last.last,
        reduce(shared_start, (one.shared for one in ranges)),
    )
