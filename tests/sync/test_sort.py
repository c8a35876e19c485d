"""Sorting what is larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.sort import in_order

Entry = tuple[str, int]

names = st.text("ab/", max_size=3)
segment_lengths = st.integers(1, 5)
merges = st.integers(2, 4)


class MemorySpool:
    """Segments in memory."""

    def __init__(self) -> None:
        self.segments: dict[int, list[Entry]] = {}
        self.written = 0
        self.most = 0
        self.reading = 0
        self.most_read = 0

    def write(self, segment: int, entries: Iterable[Entry]) -> None:
        """Write a segment."""
        assert segment not in self.segments
        self.segments[segment] = []
        for entry in entries:
            self.segments[segment].append(entry)
            self.written += 1
        self.most = max(self.most, len(self.segments))

    def read(self, segment: int) -> Iterator[Entry]:
        """Yield a segment."""
        self.reading += 1
        self.most_read = max(self.most_read, self.reading)
        yield from self.segments[segment]
        self.reading -= 1

    def drop(self, segment: int) -> None:
        """Delete a segment."""
        del self.segments[segment]


def numbered(some: list[str]) -> list[Entry]:
    """Return entries with their position."""
    return [(name, number) for number, name in enumerate(some)]


@given(some=st.lists(names, max_size=60), segment_length=segment_lengths, max_segments=merges)
def test_entries_are_sorted_by_name_and_the_sort_is_stable(
    some: list[str], segment_length: int, max_segments: int
) -> None:
    """As Python sorts, for any sizes of runs and merges."""
    spool = MemorySpool()

    found = list(in_order(numbered(some), spool, segment_length=segment_length, max_segments=max_segments))

    assert found == sorted(numbered(some), key=lambda entry: entry[0])
    assert spool.segments == {}
    assert spool.most_read <= max_segments


@given(
    some=st.lists(names, min_size=1, max_size=40),
    segment_length=segment_lengths,
    max_segments=merges,
    taken=st.integers(1, 40),
)
def test_no_run_is_left_when_it_is_closed_early(
    some: list[str], segment_length: int, max_segments: int, taken: int
) -> None:
    """A plan may end before its listings do."""
    spool = MemorySpool()
    ordered = in_order(numbered(some), spool, segment_length=segment_length, max_segments=max_segments)
    for _ in range(min(taken, len(some))):
        next(ordered)

    ordered.close()

    assert spool.segments == {}


@given(some=st.lists(names, max_size=40), segment_length=segment_lengths, max_segments=merges)
def test_no_run_is_left_when_the_listing_fails(some: list[str], segment_length: int, max_segments: int) -> None:
    """The listing may end in an error after much of it was written down."""
    spool = MemorySpool()

    def failing() -> Iterator[Entry]:
        yield from numbered(some)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(in_order(failing(), spool, segment_length=segment_length, max_segments=max_segments))

    assert spool.segments == {}


@given(fails_at=st.integers(1, 60), segment_length=segment_lengths, max_segments=merges)
def test_no_run_is_left_when_one_cannot_be_written(fails_at: int, segment_length: int, max_segments: int) -> None:
    """Neither of those that were to be merged, nor what there is of the new one."""

    class Full(MemorySpool):
        def write(self, segment: int, entries: Iterable[Entry]) -> None:
            def until() -> Iterator[Entry]:
                for entry in entries:
                    if self.written == fails_at:
                        raise OSError
                    yield entry

            super().write(segment, until())

    spool = Full()
    some = numbered([str(number) for number in range(60)])
    with suppress(OSError):
        assert len(list(in_order(some, spool, segment_length=segment_length, max_segments=max_segments))) == 60

    assert spool.segments == {}


def test_few_entries_are_sorted_in_memory() -> None:
    """A small listing writes nothing."""
    spool = MemorySpool()

    assert [name for name, _ in in_order(numbered(["b", "c", "a"]), spool, segment_length=4)] == ["a", "b", "c"]
    assert spool.written == 0


@pytest.mark.parametrize(("entries", "written"), [(64, 64), (512, 512 * 2), (4096, 4096 * 3)])
def test_many_runs_are_merged_in_few_passes(entries: int, written: int) -> None:
    """What is written grows with the logarithm of the runs, and not with the runs."""
    spool = MemorySpool()

    list(in_order(numbered([str(number) for number in range(entries)]), spool, segment_length=8, max_segments=8))

    assert spool.written == written


def test_values_need_not_be_comparable() -> None:
    """Only names are compared."""
    entries: list[tuple[str, Any]] = [("b", object()), ("a", object()), ("a", None), ("b", {})]

    assert list(in_order(entries, MemorySpool())) == [entries[1], entries[2], entries[0], entries[3]]
