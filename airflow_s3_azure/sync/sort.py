"""Sorts listings that are larger than memory: an external merge sort over the destination container.

S3 and Azure list in the order of the names' UTF-8 bytes, which is Python's order of text, so two listings can be
joined as they come. Directory buckets, accounts with a hierarchical namespace and names made from a template have other
orders.

The sort is stable: entries of one name stay in the order in which they came. Two facts make it so. Each segment is a
consecutive range of the input, sorted by a stable sort. The list of segments is kept in input order, and
:func:`heapq.merge` prefers the earlier of two equal entries.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator
from itertools import count
from operator import itemgetter
from typing import Any, Protocol, TypeVar

SEGMENT_LENGTH = 50_000
"""Entries sorted in memory at a time, some 40 MB."""
MAX_SEGMENTS = 64
"""Segments merged at a time, each with a piece of its file in memory."""

Entry = TypeVar("Entry", bound=tuple[Any, ...])
"""What is sorted by its first item, a name."""


class Spool(Protocol[Entry]):
    """Where sorted segments wait to be merged."""

    def write(self, segment: int, entries: Iterable[Entry]) -> None:
        """Write a segment."""

    def read(self, segment: int) -> Iterator[Entry]:
        """Yield the entries of a segment."""

    def drop(self, segment: int) -> None:
        """Delete a segment."""


def in_order(
    entries: Iterable[Entry],
    spool: Spool[Entry],
    *,
    segment_length: int = SEGMENT_LENGTH,
    max_segments: int = MAX_SEGMENTS,
) -> Generator[Entry, None, None]:
    """Yield the entries by name; those of one name in the order in which they came.

    Memory: ``segment_length`` entries, and a piece of each of ``max_segments`` files. However the generator ends, it
    leaves no segment in the spool.
    """
    by_name = itemgetter(0)
    pending: list[Entry] = []
    segments: list[int] = []
    numbers = count()

    def append(ordered: Iterable[Entry]) -> None:
        segments.append(next(numbers))
        spool.write(segments[-1], ordered)

    try:
        for entry in entries:
            pending.append(entry)
            if len(pending) == segment_length:
                pending.sort(key=by_name)
                append(pending)
                pending = []
        pending.sort(key=by_name)
        while len(segments) > max_segments:
            # One pass over all segments. Each merges the first ones and appends the result, so after the pass the
            # list is in input order again.
            unmerged = len(segments)
            while unmerged:
                first = segments[: min(max_segments, unmerged)]
                append(heapq.merge(*map(spool.read, first), key=by_name))
                for segment in first:
                    spool.drop(segment)
                del segments[: len(first)]
                unmerged -= len(first)
        # What is pending came last, so it is last here too.
        yield from heapq.merge(*map(spool.read, segments), pending, key=by_name)
    finally:
        for segment in segments:
            spool.drop(segment)
