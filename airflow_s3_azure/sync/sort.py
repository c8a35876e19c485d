"""Sorting listings that are larger than memory: sorted runs go to the destination container, and are merged.

S3 and Azure list in the order of the names' UTF-8 bytes, which is Python's order of text, and then two listings can
be held against each other as they come. Directory buckets, accounts with a hierarchical namespace and names made
from a template have other orders.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator
from itertools import count
from operator import itemgetter
from typing import Any, Protocol, TypeVar

RUN_LENGTH = 50_000
"""Entries sorted in memory at a time, some 40 MB."""
MAX_RUNS = 64
"""Runs merged at a time, each of which holds a piece of its file."""

Entry = TypeVar("Entry", bound=tuple[Any, ...])
"""What is sorted by its first item, a name."""


class Spool(Protocol[Entry]):
    """Where sorted runs wait to be merged."""

    def write(self, run: int, entries: Iterable[Entry]) -> None:
        """Keep a run."""

    def read(self, run: int) -> Iterator[Entry]:
        """Yield the entries of a run."""

    def drop(self, run: int) -> None:
        """Forget a run."""


def in_order(
    entries: Iterable[Entry], spool: Spool[Entry], *, run_length: int = RUN_LENGTH, max_runs: int = MAX_RUNS
) -> Generator[Entry, None, None]:
    """Yield the entries by name; those of one name in the order in which they came.

    Up to ``run_length`` are sorted in memory; of more, no more than that and ``max_runs`` pieces are held. However it
    ends, no run is left in the spool.
    """
    by_name = itemgetter(0)
    held: list[Entry] = []
    runs: list[int] = []
    numbers = count()

    def keep(ordered: Iterable[Entry]) -> None:
        runs.append(next(numbers))
        spool.write(runs[-1], ordered)

    try:
        for entry in entries:
            held.append(entry)
            if len(held) == run_length:
                held.sort(key=by_name)
                keep(held)
                held = []
        held.sort(key=by_name)
        while len(runs) > max_runs:
            # Neighbours into one, and that where they were, so that entries of one name stay in their order.
            unmerged = len(runs)
            while unmerged:
                some = runs[: min(max_runs, unmerged)]
                keep(heapq.merge(*map(spool.read, some), key=by_name))
                for run in some:
                    spool.drop(run)
                del runs[: len(some)]
                unmerged -= len(some)
        yield from heapq.merge(*map(spool.read, runs), held, key=by_name)
    finally:
        for run in runs:
            spool.drop(run)
